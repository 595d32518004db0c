//! A hub, and the store that survives it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tautline_device::Instant;
use tautline_device::telemetry::{Acknowledgement, Command, ErrorCode, Key, MAX_MESSAGE, Malformed, Problem, Value};
use tautline_telemetry::hub::{self, Links, Received};
use tautline_telemetry::{Address, Body, Kind, Message, Side, Welcome};

use super::air::State;
use super::{DEVICE, EPOCH, KEY};

/// How long a commit takes.
const COMMIT: Duration = Duration::from_millis(20);

pub struct Hub {
    /// Whether it listens to streams.
    pub stream: bool,
    pub key: Option<Key>,
    /// With what it answers a hello, if not with a welcome.
    pub refuses: Option<ErrorCode>,
    /// Whether it answers at all.
    pub mute: bool,
    links: Links,
    sessions: HashMap<u64, hub::Session>,
    commits: Vec<Commit>,
    input: Vec<u8>,
    connection: u32,
    pub store: Store,
    /// Milliseconds for a calendar, at the moment of a turn.
    now: Instant,
}

struct Commit {
    at: Instant,
    session: u64,
    sequence: u32,
    /// With their times.
    values: Vec<(u32, u64)>,
}

/// What survives.
#[derive(Default)]
pub struct Store {
    stored: HashMap<u64, Acknowledgement>,
    current: Option<u64>,
    /// Values with their times, in milliseconds of the world's clock.
    pub values: Vec<(u32, u64)>,
    pub hellos: u32,
    /// Which commands have a result, and which.
    pub commands: BTreeMap<u32, Option<u32>>,
}

impl Hub {
    pub fn new(seed: u64) -> Self {
        Self {
            stream: false,
            key: Some(Key::new(&KEY)),
            refuses: None,
            mute: false,
            links: links(seed),
            sessions: HashMap::with_capacity(64),
            commits: Vec::with_capacity(1024),
            input: Vec::with_capacity(1 << 20),
            connection: 0,
            store: Store::default(),
            now: Instant::ZERO,
        }
    }

    /// What is not in the store is lost; what was being written may have been written.
    pub fn kill(&mut self, random: &mut fastrand::Rng) {
        for commit in std::mem::take(&mut self.commits) {
            if random.bool() {
                self.store.write(commit);
            }
        }
        self.links = links(random.u64(..));
        self.sessions.clear();
    }

    /// Everything that was ever stored is lost.
    pub fn forget(&mut self) {
        self.store.stored.clear();
        self.sessions.clear();
    }

    /// Has the device set `number`.
    pub fn command(&mut self, number: u32) {
        self.store.commands.insert(number, None);
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let commands = self.sessions.values().filter_map(hub::Session::poll_timeout).map(Instant::from_millis);
        self.commits.iter().map(|commit| commit.at).chain(commands).min().map(|at| at.max(self.now))
    }

    /// Does what is to be done now.
    pub fn turn(&mut self, now: Instant, air: &mut State) {
        self.now = now;
        if std::mem::replace(&mut self.connection, air.connections) != air.connections {
            self.input.clear();
        }
        let mut piece = [0; MAX_MESSAGE];
        while let Some(len) = air.take(true, &mut piece) {
            self.input.extend_from_slice(&piece[..len]);
            let input = std::mem::take(&mut self.input);
            let mut rest = &input[..];
            loop {
                match Message::parse(rest) {
                    Ok((message, behind)) => {
                        self.receive(&message, air);
                        rest = behind;
                    }
                    Err(Malformed::Truncated) => break,
                    Err(malformed) => panic!("the device sends what is {malformed}"),
                }
            }
            self.input = rest.to_vec();
            assert!(self.stream || rest.is_empty(), "a message is not in one datagram");
        }
        while let Some(index) = self.commits.iter().position(|commit| commit.at <= now) {
            let commit = self.commits.remove(index);
            self.commit(commit, air);
        }
        self.transmit_command(air);
    }

    fn receive(&mut self, message: &Message<'_>, air: &mut State) {
        let Address { device, session: number, link } = message.header().address;
        let authentic = message.authenticate(Side::Device, self.key.as_ref());
        let Ok(authentic) = authentic.map_err(|_| self.answer_unsigned(message, air)) else { return };
        assert_eq!(device, DEVICE);
        let right = self.links.link(device, number);
        let stored = self.store.stored.get(&number).copied().unwrap_or_default();
        let fresh = hub::Session::restore(Address { device, session: number, link: right }, stored);
        if link != 0 && link != right {
            return self.answer(message, &problem(message.header().kind, ErrorCode::NO_LINK), air);
        }
        let session = self.sessions.entry(number).or_insert(fresh);
        let received = session.receive(&authentic);
        let stored = session.stored();
        if received.is_new() && self.store.current.replace(number) != Some(number) {
            self.sessions.values_mut().for_each(hub::Session::cancel_command);
        }
        let time = EPOCH + millis(self.now);
        let body = match received {
            Received::Hello(_) => {
                self.store.hellos += 1;
                match self.refuses {
                    Some(code) => problem(Kind::Hello, code),
                    None => Body::Welcome(Welcome { stored, time, quiet: 10 }),
                }
            }
            Received::Readings { sequence, readings } => {
                let base = readings.time.at(time) - EPOCH;
                let value = |value| if let Value::U32(value) = value { value } else { panic!("no counter") };
                let records = readings.records.iter();
                let values =
                    records.map(|record| (value(record.value), base + u64::from(record.offset))).collect::<Vec<_>>();
                return self.commits.push(Commit { at: self.now + COMMIT, session: number, sequence, values });
            }
            Received::Known => Body::Acknowledgement(stored),
            Received::Pending => return,
            Received::Result { number, outcome } => {
                let Some(Value::U32(value)) = outcome.value else { panic!("no result: {outcome:?}") };
                self.store.commands.insert(number, Some(value));
                return;
            }
            Received::TimeRequest { .. } => Body::Time(time),
            Received::Refused(code) => problem(message.header().kind, code),
        };
        self.answer(message, &body, air);
    }

    fn answer(&self, to: &Message<'_>, body: &Body<'_>, air: &mut State) {
        let mut out = [0; MAX_MESSAGE];
        let link = self.links.link(DEVICE, to.header().address.session);
        let len = hub::answer(to, link, body, self.key.as_ref(), &mut out).expect("every answer fits");
        self.send(&out[..len], air);
    }

    /// Has no key that fits.
    fn answer_unsigned(&self, to: &Message<'_>, air: &mut State) {
        let mut out = [0; MAX_MESSAGE];
        let body = problem(to.header().kind, ErrorCode::NOT_AUTHENTIC);
        let len = hub::answer(to, 0, &body, None, &mut out).expect("it fits");
        self.send(&out[..len], air);
    }

    fn commit(&mut self, commit: Commit, air: &mut State) {
        let (number, sequence) = (commit.session, commit.sequence);
        self.store.write(commit);
        let Some(session) = self.sessions.get_mut(&number) else { return };
        session.committed(sequence);
        let mut out = [0; MAX_MESSAGE];
        let len = session.acknowledgement(self.key.as_ref(), &mut out).expect("it fits");
        self.send(&out[..len], air);
    }

    fn transmit_command(&mut self, air: &mut State) {
        let Some(number) = self.store.commands.iter().find(|(_, result)| result.is_none()).map(|(number, _)| *number)
        else {
            return;
        };
        let Some(session) = self.store.current.and_then(|current| self.sessions.get_mut(&current)) else { return };
        if session.pending_command() != Some(number) {
            session.command(millis(self.now), number);
        }
        let command = Command::Set { key: "number", value: Some(Value::U32(number)) };
        let mut out = [0; MAX_MESSAGE];
        let len = session.transmit_command(millis(self.now), &command, self.key.as_ref(), &mut out);
        if let Some(len) = len.expect("it fits") {
            self.send(&out[..len], air);
        }
    }

    fn send(&self, bytes: &[u8], air: &mut State) {
        if !self.mute {
            air.put(false, bytes, self.stream);
        }
    }
}

impl Store {
    /// One transaction.
    fn write(&mut self, commit: Commit) {
        if self.stored.entry(commit.session).or_default().add(commit.sequence) {
            self.values.extend(commit.values);
        }
    }
}

fn problem(about: Kind, code: ErrorCode) -> Body<'static> {
    Body::Error(Problem { about, code, text: "" })
}

fn links(seed: u64) -> Links {
    let mut secret = [0; 32];
    fastrand::Rng::with_seed(seed).fill(&mut secret);
    Links::new(&secret)
}

fn millis(at: Instant) -> u64 {
    at.as_micros() / 1_000
}
