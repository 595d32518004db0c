//! A device and a hub over a network that an attacker owns: nothing panics, what the device sees acknowledged is stored, nothing
//! is stored twice, and when the attacker lets go, everything is.
//!
//! Input: operations of two bytes each, see [`World::operate`].

#![no_main]

use std::collections::{BTreeMap, HashSet};

use libfuzzer_sys::fuzz_target;
use tautline_fuzz::Input;
use tautline_telemetry::device::{Config, Event, Identity, Session};
use tautline_telemetry::{
    Acknowledgement, Address, Body, Busy, Command, ErrorCode, Key, MAX_MESSAGE, Message, Outcome, Problem, Side,
    Status, Value, Welcome, hub,
};

const DEVICE: u32 = 7;
const MOST_OPERATIONS: usize = 1_000;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let mut world = World::new();
    for _ in 0..MOST_OPERATIONS {
        if input.is_empty() {
            break;
        }
        world.operate(input.byte(), input.byte());
    }
    world.finish();
});

struct World {
    now: u64,
    key: Key,
    device: Session<'static, [u8; 2_000]>,
    session: u64,
    /// What was sent and did not arrive, to the hub and to the device. An attacker can deliver it at any time, and again.
    wires: [Vec<Vec<u8>>; 2],
    starts: u8,
    hub: Option<hub::Session>,
    arriving: Vec<(u32, Vec<u32>)>,
    stored: Acknowledgement,
    values: HashSet<u32>,
    pushed: BTreeMap<u32, Vec<u32>>,
    next: u32,
    commands: u32,
    executed: u32,
}

impl World {
    fn new() -> Self {
        let key = Key::new(&[3; 32]);
        let identity = Identity { device: DEVICE, name: "d", firmware: "", sensors: &[], key: Some(key.clone()) };
        let session = 0x5e55;
        Self {
            now: 0,
            device: Session::new(0, identity, Config::DATAGRAM, session, 1, [0; 2_000]).expect("valid"),
            key,
            session,
            wires: [Vec::new(), Vec::new()],
            starts: 0,
            hub: None,
            arriving: Vec::new(),
            stored: Acknowledgement::default(),
            values: HashSet::new(),
            pushed: BTreeMap::new(),
            next: 0,
            commands: 0,
            executed: 0,
        }
    }

    fn operate(&mut self, what: u8, amount: u8) {
        let wire = usize::from(what >> 7);
        match what % 16 {
            0 => self.push(amount),
            1 => self.now += u64::from(amount),
            2 => self.now += u64::from(amount) * 500,
            3 | 4 => self.deliver(wire, amount, false),
            5 => self.deliver(wire, amount, true),
            6 => self.reflect(wire, amount),
            7 => self.corrupt(wire, amount),
            8 => self.commit(amount),
            9 => self.release(amount),
            10 => self.restart_hub(amount),
            11 => self.device.reconnected(self.now),
            12 => self.command(),
            13 => self.complain(amount),
            14 => self.wires[wire].clear(),
            _ => {
                let at = self.device.poll_timeout().unwrap_or(self.now);
                self.now = self.now.max(at);
            }
        }
        self.drain();
    }

    fn push(&mut self, amount: u8) {
        let text = [b'x'; 255];
        let _ = self.device.push(self.now, amount, Value::Bytes(&text[..amount.into()]));
        if let Ok(sequence) = self.device.push(self.now, 0, Value::U32(self.next)) {
            self.pushed.entry(sequence).or_default().push(self.next);
            self.next += 1;
        }
    }

    fn drain(&mut self) {
        let mut out = [0; MAX_MESSAGE];
        for _ in 0..1_000 {
            let Some(len) = self.device.poll_transmit(self.now, &mut out) else { return self.bound() };
            self.wires[0].push(out[..len].to_vec());
        }
        panic!("the device does not stop");
    }

    fn bound(&mut self) {
        assert!(self.device.poll_timeout().is_none_or(|at| at > self.now), "it would be asked again and again");
        for wire in &mut self.wires {
            let over = wire.len().saturating_sub(300);
            wire.drain(..over);
        }
    }

    fn deliver(&mut self, wire: usize, which: u8, keep: bool) {
        if self.wires[wire].is_empty() {
            return;
        }
        let index = usize::from(which) % self.wires[wire].len();
        let bytes = if keep { self.wires[wire][index].clone() } else { self.wires[wire].remove(index) };
        self.arrive(wire, &bytes);
    }

    fn reflect(&mut self, wire: usize, which: u8) {
        if let Some(bytes) = self.wires[wire].get(usize::from(which)).cloned() {
            self.arrive(1 - wire, &bytes);
        }
    }

    fn corrupt(&mut self, wire: usize, which: u8) {
        if let Some(mut bytes) = self.wires[wire].first().cloned() {
            let at = usize::from(which) * 7 % bytes.len();
            bytes[at] ^= which | 1;
            self.arrive(wire, &bytes);
        }
    }

    fn arrive(&mut self, wire: usize, bytes: &[u8]) {
        let Ok((message, _)) = Message::parse(bytes) else { return };
        if wire == 0 { self.hub_receives(&message) } else { self.device_receives(&message) }
    }

    fn device_receives(&mut self, message: &Message<'_>) {
        match self.device.receive(self.now, message) {
            Ok(Some(Event::Linked(stored) | Event::Acknowledged(stored))) => {
                for (_, values) in self.pushed.extract_if(.., |sequence, _| stored.covers(*sequence)) {
                    assert!(values.iter().all(|value| self.values.contains(value)), "acknowledged and not stored");
                }
            }
            Ok(Some(Event::Refused { sequence, .. })) => drop(self.pushed.remove(&sequence)),
            Ok(Some(Event::Command { number, .. })) => {
                assert!(number > self.executed, "carried out twice");
                self.executed = number;
                let outcome = Outcome { status: Status::Done, value: None };
                assert_eq!(self.device.answer(number, &outcome), Ok(true));
            }
            Ok(Some(Event::Ended)) => panic!("the hub has lost nothing"),
            _ => {}
        }
    }

    fn hub_receives(&mut self, message: &Message<'_>) {
        let Ok(authentic) = message.authenticate(Side::Device, Some(&self.key)) else { return };
        let link = hub::Links::new(&[self.starts; 32]).link(DEVICE, self.session);
        let address = Address { device: DEVICE, session: self.session, link };
        let hub = self.hub.get_or_insert_with(|| hub::Session::restore(address, self.stored));
        let about = message.header().kind;
        let answer = match hub.receive(&authentic) {
            hub::Received::Hello(_) => Body::Welcome(Welcome { stored: hub.stored(), time: self.now, quiet: 30 }),
            hub::Received::Readings { sequence, readings } => {
                let number = |value| if let Value::U32(number) = value { Some(number) } else { None };
                let values = readings.records.iter().filter_map(|record| number(record.value)).collect();
                self.arriving.push((sequence, values));
                return;
            }
            hub::Received::Known => Body::Acknowledgement(hub.stored()),
            hub::Received::Pending | hub::Received::Result { .. } => return,
            hub::Received::TimeRequest { .. } => Body::Time(self.now),
            hub::Received::Refused(code) => Body::Error(Problem { about, code, text: "" }),
        };
        self.answer(message, link, &answer);
    }

    fn answer(&mut self, message: &Message<'_>, link: u64, body: &Body<'_>) {
        let mut out = [0; MAX_MESSAGE];
        let len = hub::answer(message, link, body, Some(&self.key), &mut out).expect("every answer fits");
        assert!(len <= message.bytes().len());
        self.wires[1].push(out[..len].to_vec());
    }

    fn commit(&mut self, which: u8) {
        if self.arriving.is_empty() {
            return;
        }
        let (sequence, values) = self.arriving.swap_remove(usize::from(which) % self.arriving.len());
        assert!(self.stored.add(sequence), "handed up twice");
        for value in values {
            assert!(self.values.insert(value), "stored twice");
        }
        let hub = self.hub.as_mut().expect("it has received this");
        assert!(hub.committed(sequence));
        assert_eq!(hub.stored(), self.stored);
        let mut out = [0; 60];
        let len = hub.acknowledgement(Some(&self.key), &mut out).expect("it fits");
        self.wires[1].push(out[..len].to_vec());
    }

    fn release(&mut self, which: u8) {
        if !self.arriving.is_empty() {
            let (sequence, _) = self.arriving.swap_remove(usize::from(which) % self.arriving.len());
            self.hub.as_mut().expect("it has received this").release(sequence);
        }
    }

    fn restart_hub(&mut self, amount: u8) {
        // Seldom, else nothing else happens.
        if amount < 64 && self.starts < u8::MAX {
            self.starts += 1;
            self.hub = None;
            self.arriving.clear();
        }
    }

    fn command(&mut self) {
        let Some(hub) = &mut self.hub else { return };
        self.commands += 1;
        hub.command(self.now, self.commands);
        let mut out = [0; 100];
        let command = Command::Switch { index: 0, on: true };
        if let Ok(Some(len)) = hub.transmit_command(self.now, &command, Some(&self.key), &mut out) {
            self.wires[1].push(out[..len].to_vec());
        }
    }

    /// The hub has something against the oldest message that is on its way to it.
    fn complain(&mut self, amount: u8) {
        let Some(bytes) = self.wires[0].first().cloned() else { return };
        let (message, _) = Message::parse(&bytes).expect("the device wrote it");
        let about = message.header().kind;
        let link = message.header().address.link;
        // What it refuses it does not store; that is its promise.
        let body = match amount % 3 {
            0 => Body::Busy(Busy { about, retry: amount.into() }),
            1 => Body::Error(Problem { about, code: ErrorCode::NO_LINK, text: "" }),
            _ => Body::Error(Problem { about, code: ErrorCode::UNKNOWN_DEVICE, text: "who?" }),
        };
        let mut out = [0; MAX_MESSAGE];
        if let Ok(len) = hub::answer(&message, link, &body, Some(&self.key), &mut out) {
            self.wires[1].push(out[..len].to_vec());
        }
    }

    /// From now on everything arrives.
    fn finish(&mut self) {
        for _ in 0..2_000 {
            while !self.wires.iter().all(Vec::is_empty) || !self.arriving.is_empty() {
                self.deliver(0, 0, false);
                self.commit(0);
                self.deliver(1, 0, false);
                self.drain();
            }
            if self.device.outstanding() == 0 {
                break;
            }
            self.operate(15, 0);
        }
        assert_eq!(self.device.outstanding(), 0, "something never arrives");
        assert_eq!(self.values.len(), self.next as usize);
    }
}
