//! The hub of the simulated world, and the store that survives it.

use std::collections::{BTreeMap, HashMap};

use tautline_telemetry::{
    Acknowledgement, Address, Body, Busy, Command, ErrorCode, MAX_MESSAGE, Message, Outcome, Problem, Side, Status,
    Value, Welcome, hub, messages,
};

use super::{DEVICE, EPOCH, World};

/// What a kill takes with it.
pub(super) struct Hub {
    pub(super) links: hub::Links,
    pub(super) sessions: HashMap<u64, hub::Session>,
    pub(super) commits: Vec<Commit>,
}

/// Readings that are being stored.
pub(super) struct Commit {
    /// When they are.
    pub(super) at: u64,
    session: u64,
    sequence: u32,
    /// With their times.
    values: Vec<(u32, u64)>,
}

/// What survives.
#[derive(Default)]
pub(super) struct Store {
    pub(super) stored: HashMap<u64, Acknowledgement>,
    pub(super) current: Option<u64>,
    /// Values with their times.
    pub(super) values: Vec<(u32, u64)>,
    pub(super) messages: u32,
    /// Which commands have a result.
    pub(super) commands: BTreeMap<u32, bool>,
}

impl World {
    pub(super) fn hub_receives(&mut self, bytes: &[u8]) {
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
        let mut passing = fresh.clone(); // a hello leaves nothing behind
        let session = if hello { &mut passing } else { self.hub.sessions.entry(number).or_insert(fresh) };
        let received = session.receive(&authentic);
        let stored = session.stored();
        if received.is_new() && self.store.current.replace(number) != Some(number) {
            self.hub.sessions.values_mut().for_each(hub::Session::cancel_command);
        }
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
                let at = self.now + self.random.u64(1..50);
                self.hub.commits.push(Commit { at, session: number, sequence, values });
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

    pub(super) fn commit(&mut self, commit: Commit) {
        let (number, sequence) = (commit.session, commit.sequence);
        if self.happens(self.faults.failing_store) {
            return self.release(number, sequence);
        }
        self.store.write(commit);
        let session = self.hub.sessions.get_mut(&number).expect("sessions live as long as their hub");
        assert!(session.committed(sequence), "what is handed up is new");
        assert_eq!(session.stored(), self.store.stored[&number]);
        let mut out = [0; 64];
        let len = session.acknowledgement(self.key.as_ref(), &mut out).expect("it fits");
        self.send(false, out[..len].to_vec());
    }

    /// Gives the device the first command that has no result.
    pub(super) fn command_next(&mut self) {
        let next = self.store.commands.iter().find(|(_, done)| !**done).map(|(number, _)| *number);
        let session = self.store.current.and_then(|current| self.hub.sessions.get_mut(&current));
        if let (Some(number), Some(session)) = (next, session)
            && session.pending_command() != Some(number)
        {
            session.command(self.now, number);
        }
    }

    pub(super) fn transmit_commands(&mut self) {
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
}

impl Hub {
    pub(super) fn new(random: &mut fastrand::Rng) -> Self {
        let mut secret = [0; 32];
        random.fill(&mut secret);
        Self { links: hub::Links::new(&secret), sessions: HashMap::new(), commits: Vec::new() }
    }
}

impl Store {
    /// One transaction.
    pub(super) fn write(&mut self, commit: Commit) {
        if self.stored.entry(commit.session).or_default().add(commit.sequence) {
            self.values.extend(commit.values);
            self.messages += 1;
        }
    }
}
