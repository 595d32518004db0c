//! The simulated world: one device, one hub with a store that survives it, a network, and somebody who listens in.

mod hub_side;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use tautline_telemetry::device::{Config, Event, Identity, Session};
use tautline_telemetry::{Command, Key, MAX_MESSAGE, Outcome, Sensor, Status, Type, Value, hub, messages};

use self::hub_side::{Hub, Store};

/// The calendar's time when a world begins.
pub(crate) const EPOCH: u64 = 1_800_000_000_000;

const DEVICE: u32 = 7;
const KEY: [u8; 32] = [9; 32];
const SENSORS: [Sensor<'static>; 1] = [Sensor { index: 1, kind: Type::U32, name: "count", unit: "" }];

/// What goes wrong, in percent of the times that it can, or in thousandths per step for what happens by itself.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) loss: u32,
    pub(crate) duplicate: u32,
    /// The longest way of a message, in milliseconds.
    pub(crate) delay: u64,
    /// Thousandths.
    pub(crate) hub_kill: u32,
    /// Thousandths.
    pub(crate) device_kill: u32,
    /// Thousandths: the connection of a stream is lost.
    pub(crate) interrupt: u32,
    /// Thousandths: an attacker sends something.
    pub(crate) attack: u32,
    pub(crate) busy: u32,
    pub(crate) refuse: u32,
    pub(crate) failing_store: u32,
    pub(crate) keyless: bool,
    pub(crate) stream: bool,
    /// What a welcome says, in seconds.
    pub(crate) quiet: u16,
}

pub(crate) struct World {
    faults: Faults,
    random: fastrand::Rng,
    now: u64,
    order: u64,
    network: BinaryHeap<Reverse<Arrival>>,
    /// For a stream: nothing overtakes what was sent before.
    last_arrival: [u64; 2],
    unplugged: bool,
    key: Option<Key>,
    device: Device,
    hub: Hub,
    store: Store,
    /// What the attacker knows.
    heard: Vec<(ToHub, Vec<u8>)>,
    /// What a device saw acknowledged, and what it was refused.
    promised: Vec<u32>,
    refused: Vec<u32>,
    next_value: u32,
    next_command: u32,
    readings_received: u32,
    sent: u32,
    last_heard: u64,
    longest_silence: u64,
}

type ToHub = bool;

/// When, in which order at that time, in which direction, and what.
type Arrival = (u64, u64, ToHub, Vec<u8>);

struct Device {
    session: Session<'static, [u8; 4_096]>,
    /// The values of each message that is in the outbox or was.
    pushed: BTreeMap<u32, Vec<u32>>,
    carried_out: Vec<u32>,
}

impl World {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let key = (!faults.keyless).then(|| Key::new(&KEY));
        let device = Device::new(0, &mut random, &faults, key.clone());
        let hub = Hub::new(&mut random);
        Self {
            faults,
            random,
            now: 0,
            order: 0,
            network: BinaryHeap::new(),
            last_arrival: [0; 2],
            unplugged: false,
            key,
            device,
            hub,
            store: Store::default(),
            heard: Vec::new(),
            promised: Vec::new(),
            refused: Vec::new(),
            next_value: 0,
            next_command: 0,
            readings_received: 0,
            sent: 0,
            last_heard: 0,
            longest_silence: 0,
        }
    }

    /// The device reads something.
    pub(crate) fn push(&mut self) {
        let value = self.next_value;
        if let Ok(sequence) = self.device.session.push(self.now, 1, Value::U32(value)) {
            self.device.pushed.entry(sequence).or_default().push(value);
            self.next_value += 1;
        }
        self.drain();
    }

    /// The hub has something to do for the device.
    pub(crate) fn command(&mut self) {
        self.next_command += 1;
        self.store.commands.insert(self.next_command, false);
        self.command_next();
    }

    /// Readings at random times, and everything that goes wrong.
    pub(crate) fn live(&mut self, steps: u32) -> &mut Self {
        for _ in 0..steps {
            for _ in 0..self.random.u32(0..4) {
                self.push();
            }
            let millis = self.random.u64(0..500);
            self.run(millis);
        }
        self
    }

    /// The network heals; then everything has to arrive.
    pub(crate) fn heal_and_check(&mut self) {
        self.faults = Faults {
            keyless: self.faults.keyless,
            stream: self.faults.stream,
            quiet: self.faults.quiet,
            ..Faults::default()
        };
        if self.faults.stream {
            self.interrupt();
        }
        self.run(6 * 60_000);
        assert_eq!(self.device_outstanding(), 0);
        let waiting: Vec<_> = self.device.pushed.values().flatten().collect();
        assert!(waiting.is_empty(), "never acknowledged: {waiting:?}");
        let stored = self.stored_values();
        assert!(stored.windows(2).all(|pair| pair[0] < pair[1]), "stored twice: {stored:?}");
        assert!(stored.iter().all(|&value| value < self.next_value), "stored and never read");
        for value in &self.promised {
            assert!(stored.binary_search(value).is_ok(), "{value} was acknowledged and is not stored");
        }
    }

    pub(crate) fn run(&mut self, millis: u64) {
        let end = self.now + millis;
        loop {
            let arrival = self.network.peek().map(|Reverse((at, ..))| *at);
            let commit = self.hub.commits.iter().map(|commit| commit.at).min();
            let command = self.hub.sessions.values().filter_map(hub::Session::poll_timeout).min();
            let device = self.device.session.poll_timeout();
            let next = [arrival, commit, command, device].into_iter().flatten().min().filter(|&at| at <= end);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            self.step();
        }
        self.now = end;
        self.misfortune();
    }

    pub(crate) fn unplug(&mut self) {
        self.unplugged = true;
    }

    pub(crate) fn plug(&mut self) {
        self.unplugged = false;
    }

    pub(crate) fn device_outstanding(&self) -> u32 {
        self.device.session.outstanding()
    }

    /// In their order; twice if they are there twice.
    pub(crate) fn stored_values(&self) -> Vec<u32> {
        let mut values: Vec<u32> = self.store.values.iter().map(|(value, _)| *value).collect();
        values.sort_unstable();
        values
    }

    pub(crate) fn time_of(&self, value: u32) -> u64 {
        self.store.values.iter().find(|(stored, _)| *stored == value).expect("stored").1
    }

    pub(crate) fn readings_received(&self) -> u32 {
        self.readings_received
    }

    pub(crate) fn readings_stored(&self) -> u32 {
        self.store.messages
    }

    pub(crate) fn commands_without_result(&self) -> usize {
        self.store.commands.values().filter(|done| !**done).count()
    }

    pub(crate) fn longest_silence(&self) -> u64 {
        self.longest_silence
    }

    pub(crate) fn messages_sent(&self) -> u32 {
        self.sent
    }

    fn step(&mut self) {
        while let Some(Reverse((at, ..))) = self.network.peek()
            && *at <= self.now
            && let Some(Reverse((_, _, to_hub, bytes))) = self.network.pop()
        {
            if to_hub {
                self.hub_receives(&bytes);
            } else {
                self.device_receives(&bytes);
            }
        }
        while let Some(index) = self.hub.commits.iter().position(|commit| commit.at <= self.now) {
            let commit = self.hub.commits.swap_remove(index);
            self.commit(commit);
        }
        self.transmit_commands();
        self.drain();
    }

    fn drain(&mut self) {
        let mut out = [0; MAX_MESSAGE];
        let mut count = 0;
        while let Some(len) = self.device.session.poll_transmit(self.now, &mut out) {
            self.sent += 1;
            count += 1;
            assert!(count < 1_000, "the device does not stop sending");
            self.longest_silence = self.longest_silence.max(self.now - self.last_heard);
            self.last_heard = self.now;
            self.send(true, out[..len].to_vec());
        }
    }

    fn send(&mut self, to_hub: ToHub, bytes: Vec<u8>) {
        assert!(bytes.len() <= MAX_MESSAGE);
        if self.heard.len() < 500 {
            self.heard.push((to_hub, bytes.clone()));
        }
        if self.unplugged || (!self.faults.stream && self.happens(self.faults.loss)) {
            return;
        }
        let copies = if !self.faults.stream && self.happens(self.faults.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            let mut at = self.now + 1 + self.random.u64(0..=self.faults.delay);
            if self.faults.stream {
                at = at.max(self.last_arrival[usize::from(to_hub)]);
                self.last_arrival[usize::from(to_hub)] = at;
            }
            self.order += 1;
            self.network.push(Reverse((at, self.order, to_hub, bytes.clone())));
        }
    }

    fn device_receives(&mut self, bytes: &[u8]) {
        for message in messages(bytes) {
            let Ok(message) = message else { return };
            match self.device.session.receive(self.now, &message) {
                Ok(Some(Event::Linked(stored) | Event::Acknowledged(stored))) => {
                    let (done, open) = std::mem::take(&mut self.device.pushed)
                        .into_iter()
                        .partition(|(sequence, _)| stored.covers(*sequence));
                    self.device.pushed = open;
                    self.promised.extend(BTreeMap::into_values(done).flatten());
                }
                Ok(Some(Event::Refused { sequence, .. })) => {
                    self.refused.extend(self.device.pushed.remove(&sequence).into_iter().flatten());
                }
                Ok(Some(Event::Command { number, command })) => {
                    assert_eq!(command, Command::Set { key: "number", value: Some(Value::U32(number)) });
                    assert!(!self.device.carried_out.contains(&number), "{number} was carried out twice");
                    self.device.carried_out.push(number);
                    let outcome = Outcome { status: Status::Done, value: Some(Value::U32(number)) };
                    assert_eq!(self.device.session.answer(number, &outcome), Ok(true));
                }
                Ok(Some(Event::Ended)) => panic!("this session has not ended"),
                Ok(_) | Err(_) => {}
            }
        }
    }

    fn misfortune(&mut self) {
        if self.rarely(self.faults.hub_kill) {
            // What was being written may have been written, but nobody was told.
            for commit in std::mem::take(&mut self.hub.commits) {
                if self.random.bool() {
                    self.store.write(commit);
                }
            }
            self.hub = Hub::new(&mut self.random);
            if self.faults.stream {
                self.interrupt();
            }
        }
        if self.rarely(self.faults.device_kill) {
            self.device = Device::new(self.now, &mut self.random, &self.faults, self.key.clone());
        }
        if self.rarely(self.faults.interrupt) {
            self.interrupt();
        }
        for _ in 0..5 {
            if self.rarely(self.faults.attack) {
                self.attack();
            }
        }
        self.drain();
    }

    fn interrupt(&mut self) {
        self.network.clear();
        self.device.session.reconnected(self.now);
        self.drain();
    }

    fn attack(&mut self) {
        let Some(known) = self.random.choice(&self.heard) else { return };
        let (mut to_hub, mut bytes) = known.clone();
        match self.random.u8(0..6) {
            0 => {}
            1 => to_hub = !to_hub,
            2 => {
                let at = self.random.usize(..bytes.len());
                bytes[at] ^= 1 << self.random.u8(0..8);
            }
            3 => bytes.truncate(self.random.usize(..bytes.len())),
            4 => {
                // Without its tag, as if there were no keys.
                let len = bytes.len() - 16;
                bytes.truncate(len);
                bytes[5] |= 1;
                bytes[6..8].copy_from_slice(&(len as u16).to_be_bytes());
            }
            _ => self.random.fill(&mut bytes),
        }
        self.order += 1;
        self.network.push(Reverse((self.now, self.order, to_hub, bytes)));
    }

    fn happens(&mut self, percent: u32) -> bool {
        self.random.u32(0..100) < percent
    }

    fn rarely(&mut self, thousandths: u32) -> bool {
        self.random.u32(0..1_000) < thousandths
    }
}

impl Device {
    fn new(now: u64, random: &mut fastrand::Rng, faults: &Faults, key: Option<Key>) -> Self {
        let identity = Identity { device: DEVICE, name: "counter", firmware: "", sensors: &SENSORS, key };
        let config = if faults.stream { Config::STREAM } else { Config::DATAGRAM };
        // Small enough to be full at times.
        let outbox = [0; 4_096];
        let session = Session::new(now, identity, config, random.u64(1..), random.u64(..), outbox).expect("valid");
        Self { session, pushed: BTreeMap::new(), carried_out: Vec::new() }
    }
}
