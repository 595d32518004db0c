//! The simulated world: one device, one hub with a store that survives it, a network, and somebody who listens in.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};

use tautline_telemetry::device::{Config, Event, Identity, Session};
use tautline_telemetry::{
    Acknowledgement, Address, Body, Busy, Command, ErrorCode, Key, MAX_MESSAGE, Message, Outcome, Problem, Sensor,
    Side, Status, Type, Value, Welcome, hub, messages,
};

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
    network: BinaryHeap<Reverse<(u64, u64, ToHub, Vec<u8>)>>,
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

struct Device {
    session: Session<'static>,
    /// The values of each message that is in the outbox or was.
    pushed: BTreeMap<u32, Vec<u32>>,
    carried_out: Vec<u32>,
}

/// What a kill takes with it.
struct Hub {
    links: hub::Links,
    sessions: HashMap<u64, hub::Session>,
    /// Commits that are under way: when done, session, number, values with times.
    commits: Vec<(u64, u64, u32, Vec<(u32, u64)>)>,
}

/// What survives.
#[derive(Default)]
struct Store {
    stored: HashMap<u64, Acknowledgement>,
    current: Option<u64>,
    ended: HashSet<u64>,
    /// Values with their times.
    values: Vec<(u32, u64)>,
    messages: u32,
    /// Which commands have a result.
    commands: BTreeMap<u32, bool>,
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
            let commit = self.hub.commits.iter().map(|(at, ..)| *at).min();
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
        while let Some(index) = self.hub.commits.iter().position(|(at, ..)| *at <= self.now) {
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

    fn hub_receives(&mut self, bytes: &[u8]) {
        for message in messages(bytes) {
            let Ok(message) = message else { return };
            let Some(body) = self.hub_handles(&message) else { continue };
            let link = self.hub.links.link(DEVICE, message.header().address.session);
            let mut out = [0; MAX_MESSAGE];
            let len = hub::answer(&message, link, &body, self.key.as_ref(), &mut out).expect("every answer fits");
            assert!(len <= message.bytes().len(), "an answer is larger than what it answers");
            self.send(false, out[..len].to_vec());
        }
    }

    /// What the hub answers.
    fn hub_handles(&mut self, message: &Message<'_>) -> Option<Body<'static>> {
        let Address { device, session: number, link } = message.header().address;
        let authentic = message.authenticate(Side::Device, self.key.as_ref()).ok().filter(|_| device == DEVICE)?;
        let about = message.header().kind;
        let problem = |code| Some(Body::Error(Problem { about, code, text: "" }));
        let right = self.hub.links.link(device, number);
        let stored = self.store.stored.get(&number).copied().unwrap_or_default();
        let fresh = hub::Session::restore(Address { device, session: number, link: right }, stored);
        let hello = link == 0;
        if !hello && link != right {
            return problem(ErrorCode::NO_LINK);
        }
        if self.store.ended.contains(&number) {
            return problem(ErrorCode::ENDED);
        }
        if !hello && self.store.current != Some(number) {
            self.store.ended.extend(self.store.current.replace(number));
        }
        let mut passing = fresh.clone(); // a hello leaves nothing behind
        let session = if hello { &mut passing } else { self.hub.sessions.entry(number).or_insert(fresh) };
        let received = session.receive(&authentic);
        let stored = session.stored();
        match received {
            hub::Received::Hello(hello) => {
                assert_eq!(hello.name, "counter");
                Some(Body::Welcome(Welcome { stored, time: EPOCH + self.now, quiet: self.faults.quiet }))
            }
            hub::Received::Readings { sequence, readings } => {
                self.readings_received += 1;
                if self.happens(self.faults.busy) {
                    self.release(number, sequence);
                    return Some(Body::Busy(Busy { about, retry: 500 }));
                }
                if self.happens(self.faults.refuse) && !readings.records.is_empty() {
                    self.release(number, sequence);
                    return problem(ErrorCode::REFUSED);
                }
                let base = readings.time.at(EPOCH + self.now);
                let value = |value| if let Value::U32(value) = value { value } else { panic!("no counter") };
                let values = readings
                    .records
                    .iter()
                    .map(|record| (value(record.value), base + u64::from(record.offset)))
                    .collect();
                self.hub.commits.push((self.now + self.random.u64(1..50), number, sequence, values));
                self.command_next();
                None
            }
            hub::Received::Known => Some(Body::Acknowledgement(stored)),
            hub::Received::Pending => None,
            hub::Received::Result { number, outcome } => {
                assert_eq!(outcome, Outcome { status: Status::Done, value: Some(Value::U32(number)) });
                self.store.commands.insert(number, true);
                self.command_next();
                None
            }
            hub::Received::TimeRequest { .. } => {
                self.command_next();
                Some(Body::Time(EPOCH + self.now))
            }
            hub::Received::Refused(code) => problem(code),
        }
    }

    fn release(&mut self, session: u64, sequence: u32) {
        self.hub.sessions.get_mut(&session).expect("it has just received this").release(sequence);
    }

    fn commit(&mut self, (_, number, sequence, values): (u64, u64, u32, Vec<(u32, u64)>)) {
        if self.happens(self.faults.failing_store) {
            return self.release(number, sequence);
        }
        self.store.write(number, sequence, values);
        let session = self.hub.sessions.get_mut(&number).expect("sessions live as long as their hub");
        assert!(session.committed(sequence), "what is handed up is new");
        assert_eq!(session.stored(), self.store.stored[&number]);
        let mut out = [0; 64];
        let len = session.acknowledgement(self.key.as_ref(), &mut out).expect("it fits");
        self.send(false, out[..len].to_vec());
    }

    /// Gives the device the first command that has no result.
    fn command_next(&mut self) {
        let next = self.store.commands.iter().find(|(_, done)| !**done).map(|(number, _)| *number);
        let session = self.store.current.and_then(|current| self.hub.sessions.get_mut(&current));
        if let (Some(number), Some(session)) = (next, session)
            && session.pending_command() != Some(number)
        {
            session.command(self.now, number);
        }
    }

    fn transmit_commands(&mut self) {
        let mut out = [0; MAX_MESSAGE];
        let mut due = Vec::new();
        for session in self.hub.sessions.values_mut() {
            let Some(number) = session.pending_command() else { continue };
            let command = Command::Set { key: "number", value: Some(Value::U32(number)) };
            let len = session.transmit_command(self.now, &command, self.key.as_ref(), &mut out).expect("it fits");
            due.extend(len.map(|len| out[..len].to_vec()));
        }
        due.into_iter().for_each(|bytes| self.send(false, bytes));
    }

    fn misfortune(&mut self) {
        if self.rarely(self.faults.hub_kill) {
            // What was being written may have been written, but nobody was told.
            for (_, number, sequence, values) in std::mem::take(&mut self.hub.commits) {
                if self.random.bool() {
                    self.store.write(number, sequence, values);
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
        // Small enough to be full at times. A few are leaked for every world, which is a test's privilege.
        let outbox = Vec::leak(vec![0; 4_096]);
        let session = Session::new(now, identity, config, random.u64(1..), random.u64(..), outbox).expect("valid");
        Self { session, pushed: BTreeMap::new(), carried_out: Vec::new() }
    }
}

impl Hub {
    fn new(random: &mut fastrand::Rng) -> Self {
        let mut secret = [0; 32];
        random.fill(&mut secret);
        Self { links: hub::Links::new(&secret), sessions: HashMap::new(), commits: Vec::new() }
    }
}

impl Store {
    /// One transaction.
    fn write(&mut self, session: u64, sequence: u32, values: Vec<(u32, u64)>) {
        if self.stored.entry(session).or_default().add(sequence) {
            self.values.extend(values);
            self.messages += 1;
        }
    }
}
