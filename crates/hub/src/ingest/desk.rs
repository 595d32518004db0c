//! What comes from devices over UDP and TCP, and what they are answered: without sockets and clock.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tautline_store::{DeviceSession, Write};
use tautline_telemetry::hub::{Links, Received, answer};
use tautline_telemetry::{
    Acknowledgement, Authentic, Body, Busy, ErrorCode, Key, Kind, MAX_MESSAGE, Message, Problem, Readings,
};

use super::clock::Now;
use super::commands::{News, result};
use super::counters::Counters;
use super::device::{Device, Open};
use super::keys::Keys;
use super::values::value;
use crate::telemetry::{AHEAD_MS, Taken, Telemetry};

/// How many readings, and messages, may wait for the store.
const WAITING: usize = 50_000;

/// After which time a device comes back to a hub that has too much to do, in milliseconds.
const BUSY: u32 = 500;

/// Where a message came from, and where its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Peer {
    /// By which socket, and from which address.
    Udp(usize, std::net::SocketAddr),
    /// By which connection.
    Tcp(u64),
}

/// A message to a device.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) to: Peer,
    pub(super) bytes: Vec<u8>,
}

/// Who sent a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender<'a> {
    pub(super) peer: Peer,
    /// Whether it may do without a key.
    pub(super) may_be_keyless: bool,
    /// The name in its certificate. It speaks for the device of this name and for no other, and needs no key for that.
    pub(super) certified: Option<&'a str>,
}

/// All devices.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) telemetry: Telemetry,
    pub(super) links: Links,
    pub(super) keys: HashMap<u32, Keys>,
    pub(super) devices: HashMap<u32, Device>,
    /// Those that have commands to carry out.
    pub(super) ordered: BTreeSet<u32>,
    /// What others have to be told.
    pub(super) news: Vec<News>,
    /// Whose name it is, of devices without a key.
    pub(super) names: HashMap<Arc<str>, u32>,
    /// What waits for the commit that is under way to end.
    waiting: Batch,
    committing: Option<Committing>,
    /// Sessions that the store is to forget.
    pub(super) forgetting: Vec<(u32, u64)>,
    pub(super) counters: Counters,
    /// How many messages were taken to be stored, and of how many it is known what became of them.
    pub(super) taken: u64,
    pub(super) settled: u64,
}

/// A message of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Number {
    device: u32,
    session: u64,
    sequence: u32,
}

/// What is to be stored.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) readings: Vec<Taken>,
    numbers: Vec<Number>,
}

/// What a commit under way is about.
#[derive(Debug)]
struct Committing {
    numbers: Vec<Number>,
    forgetting: Vec<(u32, u64)>,
}

/// What is wrong with a message whose sender is who it says.
pub(super) enum Wrong {
    Error(ErrorCode, &'static str),
    Busy,
}

pub(super) const fn wrong(code: ErrorCode, text: &'static str) -> Wrong {
    Wrong::Error(code, text)
}

impl Desk {
    /// `secret`: random bytes, others at each start. `sessions`: what the store has.
    pub(super) fn new(telemetry: Telemetry, secret: &[u8; 32], sessions: &[DeviceSession]) -> Self {
        let mut devices: HashMap<u32, Device> = HashMap::new();
        for session in sessions {
            devices.entry(session.device).or_default().restore(session);
        }
        Self {
            telemetry,
            links: Links::new(secret),
            keys: HashMap::new(),
            devices,
            ordered: BTreeSet::new(),
            news: Vec::new(),
            names: HashMap::new(),
            waiting: Batch::default(),
            committing: None,
            forgetting: Vec::new(),
            counters: Counters::default(),
            taken: 0,
            settled: 0,
        }
    }

    /// Ends the sessions of a device: it has to say hello again, if it may.
    pub(super) fn send_away(&mut self, number: u32) {
        let Some(device) = self.devices.get_mut(&number) else { return };
        self.forgetting.extend(device.send_away().into_iter().map(|session| (number, session)));
        self.ordered.remove(&number);
        if std::mem::take(&mut device.line).is_there() {
            self.news.push(News::Left { device: number, name: device.name.clone() });
        }
    }

    /// Forgets a device without a key that has not been heard from for long, but for what is stored of its sessions.
    pub(super) fn forget(&mut self, number: u32) {
        self.send_away(number);
        let Some(device) = self.devices.get_mut(&number) else { return };
        self.names.remove(&std::mem::take(&mut device.name));
        if device.is_nobody() {
            self.devices.remove(&number);
        }
    }

    /// Whether so much waits that whoever can wait should.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.readings.len() >= WAITING || self.waiting.numbers.len() >= WAITING
    }

    /// A message has come.
    ///
    /// # Errors
    ///
    /// Why its sender is not who it says.
    pub(super) fn receive(
        &mut self,
        now: Now,
        from: Sender<'_>,
        message: &Message<'_>,
        out: &mut Vec<Reply>,
    ) -> Result<(), &'static str> {
        let device = message.header().address.device;
        let (authentic, key) = match self.authenticate(from, message) {
            Ok(authentic) => authentic,
            Err((code, text)) => {
                self.counters.refused(code);
                let problem = Problem { about: message.header().kind, code, text };
                reply(from.peer, message, 0, &Body::Error(problem), None, out);
                return Err(text);
            }
        };
        let handled = match message.header().kind {
            Kind::Hello => self.hello(now, from, message, &authentic, key.as_ref(), out),
            _ => self.message(now, from, message, &authentic, key.as_ref(), out),
        };
        if let Err(wrong) = handled {
            let about = message.header().kind;
            let body = match wrong {
                Wrong::Error(code, text) => {
                    self.counters.refused(code);
                    tracing::debug!(device, %code, text, "message refused");
                    Body::Error(Problem { about, code, text })
                }
                Wrong::Busy => {
                    self.counters.busy += 1;
                    Body::Busy(Busy { about, retry: BUSY })
                }
            };
            reply(from.peer, message, 0, &body, key.as_ref(), out);
        }
        Ok(())
    }

    fn message(
        &mut self,
        now: Now,
        from: Sender<'_>,
        message: &Message<'_>,
        authentic: &Authentic<'_>,
        key: Option<&Key>,
        out: &mut Vec<Reply>,
    ) -> Result<(), Wrong> {
        let address = authentic.header().address;
        let full = self.is_full();
        let no_link = || wrong(ErrorCode::NO_LINK, "");
        let device = self.devices.get_mut(&address.device).ok_or_else(no_link)?;
        if from.certified.is_some_and(|certified| *certified != *device.name) {
            return Err(wrong(ErrorCode::CONFLICT, "the certificate is for another device"));
        }
        let known = |open: &&mut Open| open.number() == address.session && !open.sent_away;
        let open = device.sessions.iter_mut().find(known).ok_or_else(no_link)?;
        let stored = open.session.stored();
        let received = open.session.receive(authentic);
        // A copy of an old question is not known for one where the session was forgotten in between.
        let is_copy = open.was_here && matches!(received, Received::TimeRequest { .. });
        let is_new = received.is_new() && !is_copy;
        // Whoever only says hello may be somebody with a copy.
        if is_new
            && open.declare(&self.telemetry, &device.name).is_err()
            && let Received::Readings { sequence, .. } = received
        {
            // Others took the room that there was when it said hello. It says so again, and is told then.
            open.session.release(sequence);
            return Err(no_link());
        }
        let mut over = None;
        match received {
            Received::Readings { sequence, readings } => {
                let number = Number { device: address.device, session: address.session, sequence };
                let taken =
                    if full { Err(Wrong::Busy) } else { self.waiting.add(now.calendar_ms, open, number, &readings) };
                match taken {
                    Ok(count) => {
                        open.outstanding += 1;
                        self.taken += 1;
                        self.counters.readings += count;
                    }
                    Err(wrong) => {
                        open.session.release(sequence);
                        return Err(wrong);
                    }
                }
            }
            Received::Known => {
                self.counters.duplicates += 1;
                reply(from.peer, message, address.link, &Body::Acknowledgement(stored), key, out);
            }
            Received::Pending => self.counters.duplicates += 1,
            Received::TimeRequest { .. } => {
                reply(from.peer, message, address.link, &Body::Time(now.calendar_ms), key, out);
            }
            Received::Result { number, outcome } => over = Some((number, result(&outcome))),
            Received::Refused(code) => return Err(wrong(code, "")),
            Received::Hello(_) => return Err(no_link()),
        }
        if is_new {
            open.peer = from.peer;
            device.is_current(address.session);
            device.heard_ms = now.ms;
            device.certified = from.certified.is_some();
            if device.line.heard(now.ms) {
                let (name, proven) = (device.name.clone(), key.is_some() || device.certified);
                self.news.push(News::Came { device: address.device, name, proven, peer: from.peer });
            }
        }
        if let Some((number, result)) = over
            && let Some(id) = device.line.over(number)
        {
            self.news.push(News::Result { device: address.device, name: device.name.clone(), id, result });
        }
        Ok(())
    }

    /// What is to be committed next, if nothing is being committed: readings, and how far that brings the sessions.
    pub(super) fn next_batch(&mut self, now: Now) -> Option<(Vec<Taken>, Vec<Write>)> {
        if self.committing.is_some() || self.waiting.numbers.is_empty() {
            return None;
        }
        let Batch { readings, numbers } = std::mem::take(&mut self.waiting);
        let mut sessions: HashMap<(u32, u64), Acknowledgement> = HashMap::new();
        for number in &numbers {
            let known = || self.open_of(number).map(|open| open.session.stored()).unwrap_or_default();
            sessions.entry((number.device, number.session)).or_insert_with(known).add(number.sequence);
        }
        let at_ms = i64::try_from(now.calendar_ms).unwrap_or(i64::MAX);
        let write = |((device, session), stored): ((u32, u64), Acknowledgement)| {
            let (highest, bitmap) = (stored.highest(), stored.bitmap());
            Write::DeviceSession(DeviceSession { device, session, highest, bitmap, at_ms })
        };
        let forgetting = std::mem::take(&mut self.forgetting);
        // First, since one of them may have come again.
        let forget =
            forgetting.iter().map(|(device, session)| Write::ForgetSession { device: *device, session: *session });
        let writes = forget.chain(sessions.into_iter().map(write)).collect();
        self.committing = Some(Committing { numbers, forgetting });
        Some((readings, writes))
    }

    /// The batch is stored, or not. Who is told so, with one acknowledgement for each session.
    pub(super) fn committed(&mut self, stored: bool, out: &mut Vec<Reply>) {
        let Some(Committing { numbers, forgetting }) = self.committing.take() else { return };
        if !stored {
            self.forgetting.extend(forgetting);
        }
        self.settled += numbers.len() as u64;
        let mut told: Vec<Number> = Vec::new();
        for number in numbers {
            let Some(open) = self.open_of(&number) else { continue };
            open.outstanding -= 1;
            if stored {
                open.session.committed(number.sequence);
                told.push(number);
            } else {
                open.session.release(number.sequence);
            }
        }
        told.sort_unstable_by_key(|number| (number.device, number.session));
        told.dedup_by_key(|number| (number.device, number.session));
        for number in told {
            let key = self.key_of(number.device).cloned();
            let Some(open) = self.open_of(&number) else { continue };
            let mut bytes = vec![0; 128];
            if let Ok(length) = open.session.acknowledgement(key.as_ref(), &mut bytes) {
                bytes.truncate(length);
                out.push(Reply { to: open.peer, bytes });
            }
        }
    }

    /// The session of a message that waits for a commit: until then it stays in memory.
    fn open_of(&mut self, number: &Number) -> Option<&mut Open> {
        self.devices.get_mut(&number.device)?.session(number.session)
    }

    /// How many devices have a session that has sent something.
    pub(super) fn devices(&self) -> usize {
        self.devices.values().filter(|device| device.sessions.iter().any(|open| open.linked)).count()
    }
}

impl Batch {
    /// Adds the readings of a message, all or none. Answers how many.
    fn add(&mut self, now_ms: u64, open: &Open, number: Number, readings: &Readings<'_>) -> Result<u64, Wrong> {
        let before = self.readings.len();
        let time = readings.time.at(now_ms);
        let latest = i64::try_from(now_ms).unwrap_or(i64::MAX).saturating_add(AHEAD_MS);
        for record in readings.records.iter() {
            let at_ms = i64::try_from(time + u64::from(record.offset)).ok().filter(|at| *at <= latest);
            let (Some(sensor), Some(at_ms)) = (open.sensor(record.sensor), at_ms) else {
                self.readings.truncate(before);
                return Err(match at_ms {
                    None => wrong(ErrorCode::REFUSED, "a time is more than a day ahead"),
                    Some(_) => wrong(ErrorCode::MALFORMED, "a sensor is not declared"),
                });
            };
            self.readings.push(Taken { sensor, at_ms, value: value(&record.value) });
        }
        self.numbers.push(number);
        Ok((self.readings.len() - before) as u64)
    }
}

/// Answers a message, if the answer is not larger.
pub(super) fn reply(
    to: Peer,
    message: &Message<'_>,
    link: u64,
    body: &Body<'_>,
    key: Option<&Key>,
    out: &mut Vec<Reply>,
) {
    let mut bytes = [0; MAX_MESSAGE];
    if let Ok(length) = answer(message, link, body, key, &mut bytes) {
        out.push(Reply { to, bytes: bytes[..length].to_vec() });
    }
}

#[cfg(test)]
impl Desk {
    /// As if very much waited.
    pub(super) fn fill(&mut self) {
        let number = Number { device: u32::MAX, session: 1, sequence: 1 };
        self.waiting.numbers.resize(WAITING, number);
    }
}
