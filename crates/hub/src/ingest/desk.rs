//! What comes from devices over UDP and TCP, and what they are answered: without sockets and clock.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tautline_store::{DeviceKey, DeviceSession, SensorKind, Write};
use tautline_telemetry::hub::{Links, Received, Session, answer};
use tautline_telemetry::{
    Acknowledgement, Address, Authentic, Body, Busy, ErrorCode, Forged, Hello, Key, Kind, MAX_MESSAGE, Message,
    Problem, Readings, Side, Type, Value, Welcome,
};

use super::commands::{Line, News, result};
use super::counters::Counters;
use crate::rooms;
use crate::senml;
use crate::telemetry::{AHEAD_MS, Taken, Telemetry};

/// How many readings, and messages, may wait for the store.
const WAITING: usize = 50_000;

/// How many devices without a key there can be.
const KEYLESS: usize = 100_000;

/// How many sessions of a device are in memory at once: it has one, and another one after a restart.
const SESSIONS: usize = 4;

/// How many seconds a device may be quiet: less than the time that a usual NAT remembers it.
const QUIET: u16 = 25;

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
pub(super) struct Sender {
    pub(super) peer: Peer,
    /// Whether it may do without a key.
    pub(super) may_be_keyless: bool,
}

/// All devices.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) telemetry: Telemetry,
    links: Links,
    keys: HashMap<u32, Keys>,
    pub(super) devices: HashMap<u32, Device>,
    /// Those that have commands to carry out.
    pub(super) ordered: BTreeSet<u32>,
    /// What others have to be told.
    pub(super) news: Vec<News>,
    /// Whose name it is, of devices without a key.
    names: HashMap<Arc<str>, u32>,
    /// What waits for the commit that is under way to end.
    waiting: Batch,
    committing: Option<Vec<Number>>,
    pub(super) counters: Counters,
}

/// The keys of a device.
#[derive(Debug)]
struct Keys {
    kept: DeviceKey,
    key: Key,
    /// The one before, until the device has used the new one.
    previous: Option<Key>,
    /// Whether the device has used its key.
    is_used: bool,
}

impl Keys {
    fn new(kept: DeviceKey) -> Self {
        let previous = kept.previous.map(|previous| Key::new(&previous.0));
        Self { key: Key::new(&kept.key.0), previous, is_used: false, kept }
    }
}

#[derive(Debug, Default)]
pub(super) struct Device {
    pub(super) name: Arc<str>,
    /// Those that have said hello, the one that was new last at the end: that is the current one, once it has said anything.
    pub(super) sessions: Vec<Open>,
    /// What is stored of other sessions.
    stored: HashMap<u64, Known>,
    pub(super) line: Line,
}

/// What is known of a session that is not in memory.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    stored: Acknowledgement,
    /// It was in memory since the hub was started.
    was_here: bool,
}

/// Sensors and their units.
type Units = Vec<(u32, Box<str>)>;

/// A session in memory.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) session: Session,
    /// Messages that wait for a commit.
    outstanding: u32,
    /// Whether it has said anything new.
    pub(super) linked: bool,
    /// Whether it was in memory before.
    was_here: bool,
    /// The number of its last hello.
    hello: u32,
    /// What its hello says of units, until it says anything new.
    units: Units,
    /// By index.
    sensors: Vec<(u8, u32)>,
    pub(super) peer: Peer,
}

impl Open {
    fn number(&self) -> u64 {
        self.session.address().session
    }

    fn sensor(&self, index: u8) -> Option<u32> {
        let at = self.sensors.binary_search_by_key(&index, |(index, _)| *index).ok()?;
        Some(self.sensors[at].1)
    }
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

/// What is wrong with a message whose sender is who it says.
enum Wrong {
    Error(ErrorCode, &'static str),
    Busy,
}

const fn wrong(code: ErrorCode, text: &'static str) -> Wrong {
    Wrong::Error(code, text)
}

impl Desk {
    /// `secret`: random bytes, others at each start. `sessions`: what the store has.
    pub(super) fn new(telemetry: Telemetry, secret: &[u8; 32], sessions: &[DeviceSession]) -> Self {
        let mut devices: HashMap<u32, Device> = HashMap::new();
        for DeviceSession { device, session, highest, bitmap, .. } in sessions {
            if let Some(stored) = Acknowledgement::new(*highest, *bitmap) {
                devices.entry(*device).or_default().stored.insert(*session, Known { stored, was_here: false });
            }
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
            counters: Counters::default(),
        }
    }

    /// The keys of all devices, as they are now. A device whose key is new or was revoked has to begin anew.
    pub(super) fn set_keys(&mut self, kept: Vec<DeviceKey>) {
        let mut before = std::mem::take(&mut self.keys);
        for kept in kept {
            let number = kept.number;
            let keys = match before.remove(&number) {
                Some(keys) if keys.kept == kept => keys,
                // It has used its new key, and the store does not know that yet.
                Some(keys) if keys.is_used && keys.kept.key == kept.key && keys.kept.revoked_ms == kept.revoked_ms => {
                    if kept.previous.is_some() {
                        self.news.push(News::KeyUsed { device: number, key: kept.key });
                    }
                    Keys { kept, ..keys }
                }
                before => {
                    let was_good = before.is_some_and(|keys| keys.kept.revoked_ms.is_none());
                    if !was_good || kept.revoked_ms.is_some() {
                        self.send_away(number);
                    }
                    Keys::new(kept)
                }
            };
            self.keys.insert(number, keys);
        }
        // What had a key and has none now.
        for number in before.into_keys() {
            self.send_away(number);
        }
    }

    /// Ends the sessions of a device: it has to say hello again, if it may.
    fn send_away(&mut self, number: u32) {
        let Some(device) = self.devices.get_mut(&number) else { return };
        for open in std::mem::take(&mut device.sessions) {
            device.remember(&open);
        }
        self.ordered.remove(&number);
        if std::mem::take(&mut device.line).is_there() {
            self.news.push(News::Left { device: number, name: device.name.clone() });
        }
    }

    /// Whether so much waits that whoever can wait should.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.readings.len() >= WAITING || self.waiting.numbers.len() >= WAITING
    }

    /// A message has come. Answers whether its sender is who it says.
    pub(super) fn receive(&mut self, now_ms: u64, from: Sender, message: &Message<'_>, out: &mut Vec<Reply>) -> bool {
        let device = message.header().address.device;
        let (authentic, key) = match self.authenticate(from, message) {
            Ok(authentic) => authentic,
            Err((code, text)) => {
                self.counters.refused(code);
                let problem = Problem { about: message.header().kind, code, text };
                reply(from.peer, message, 0, &Body::Error(problem), None, out);
                return false;
            }
        };
        let handled = match message.header().kind {
            Kind::Hello => self.hello(now_ms, from.peer, message, &authentic, key.as_ref(), out),
            _ => self.message(now_ms, from.peer, message, &authentic, key.as_ref(), out),
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
        true
    }

    /// Finds out whether a message is from whom it says, and with which key.
    fn authenticate<'a>(
        &mut self,
        from: Sender,
        message: &Message<'a>,
    ) -> Result<(Authentic<'a>, Option<Key>), (ErrorCode, &'static str)> {
        let forged = |_: Forged| (ErrorCode::NOT_AUTHENTIC, "the tag is not right");
        let Some(keys) = self.keys.get_mut(&message.header().address.device) else {
            if !from.may_be_keyless {
                return Err((ErrorCode::UNKNOWN_DEVICE, "the hub has no key for this device"));
            }
            return message.authenticate(Side::Device, None).map(|authentic| (authentic, None)).map_err(forged);
        };
        if keys.kept.revoked_ms.is_some() {
            return Err((ErrorCode::UNKNOWN_DEVICE, "the key was revoked"));
        }
        match message.authenticate(Side::Device, Some(&keys.key)) {
            Ok(authentic) => {
                // It has its new key: the old one is worth nothing from now on.
                if keys.previous.take().is_some() {
                    self.news.push(News::KeyUsed { device: keys.kept.number, key: keys.kept.key });
                }
                keys.is_used = true;
                Ok((authentic, Some(keys.key.clone())))
            }
            Err(error) => {
                let previous = keys.previous.as_ref().ok_or_else(|| forged(error))?;
                let authentic = message.authenticate(Side::Device, Some(previous)).map_err(forged)?;
                Ok((authentic, Some(previous.clone())))
            }
        }
    }

    fn hello(
        &mut self,
        now_ms: u64,
        peer: Peer,
        message: &Message<'_>,
        authentic: &Authentic<'_>,
        key: Option<&Key>,
        out: &mut Vec<Reply>,
    ) -> Result<(), Wrong> {
        let address = authentic.header().address;
        if address.link != 0 {
            return Err(wrong(ErrorCode::MALFORMED, "a hello has no link"));
        }
        let Ok(Body::Hello(hello)) = authentic.body() else {
            return Err(wrong(ErrorCode::MALFORMED, "this is no hello"));
        };
        let name = self.name(address.device, &hello)?;
        let (sensors, units) = self.sensors(&name, &hello)?;
        let link = self.links.link(address.device, address.session);
        let device = self.devices.entry(address.device).or_default();
        if device.name != name {
            if device.line.leave() {
                self.news.push(News::Left { device: address.device, name: device.name.clone() });
            }
            self.names.remove(&device.name);
            device.name = name;
        }
        device.line.had(hello.last_command);
        let sequence = authentic.header().sequence;
        let stored = match device.session(address.session) {
            Some(open) => {
                // Not a copy of an earlier one.
                if sequence > open.hello {
                    (open.hello, open.sensors, open.units) = (sequence, sensors, units);
                }
                open.session.stored()
            }
            None => {
                let known = device.stored.get(&address.session).copied().unwrap_or_default();
                let session = Session::restore(Address { link, ..address }, known.stored);
                let (outstanding, linked, was_here) = (0, false, known.was_here);
                let open = Open { session, outstanding, linked, was_here, hello: sequence, sensors, units, peer };
                device.open(open)?;
                known.stored
            }
        };
        let welcome = Welcome { stored, time: now_ms, quiet: QUIET };
        reply(peer, message, link, &Body::Welcome(welcome), key, out);
        Ok(())
    }

    /// The name of a device. With a key it is the one that the key was made for.
    fn name(&mut self, device: u32, hello: &Hello<'_>) -> Result<Arc<str>, Wrong> {
        if let Some(keys) = self.keys.get(&device) {
            return Ok(keys.kept.name.clone());
        }
        let conflict = || wrong(ErrorCode::CONFLICT, "the name belongs to another device");
        if !rooms::is_name(hello.name) {
            return Err(wrong(ErrorCode::MALFORMED, "a name has no control characters"));
        }
        if self.keys.values().any(|keys| *keys.kept.name == *hello.name) {
            return Err(conflict());
        }
        match self.names.get(hello.name) {
            Some(other) if *other != device => Err(conflict()),
            Some(_) => Ok(hello.name.into()),
            None if self.names.len() >= KEYLESS => Err(Wrong::Busy),
            None => {
                let name: Arc<str> = hello.name.into();
                self.names.insert(name.clone(), device);
                Ok(name)
            }
        }
    }

    /// The numbers of the sensors that a device declares, by index, and their units.
    fn sensors(&self, device: &Arc<str>, hello: &Hello<'_>) -> Result<(Vec<(u8, u32)>, Units), Wrong> {
        let mut sensors = Vec::with_capacity(hello.sensors.len());
        let mut units = Vec::with_capacity(hello.sensors.len());
        for sensor in hello.sensors.iter() {
            if !rooms::is_name(sensor.name) || !rooms::is_name(sensor.unit) {
                return Err(wrong(ErrorCode::MALFORMED, "names and units have no control characters"));
            }
            let id = self.telemetry.sensor(device, sensor.name, sensor.unit, kind(sensor.kind));
            let id = id.map_err(|_| wrong(ErrorCode::REFUSED, "there are as many sensors as there can be"))?;
            sensors.push((sensor.index, id));
            units.push((id, sensor.unit.into()));
        }
        sensors.sort_unstable();
        Ok((sensors, units))
    }

    fn message(
        &mut self,
        now_ms: u64,
        peer: Peer,
        message: &Message<'_>,
        authentic: &Authentic<'_>,
        key: Option<&Key>,
        out: &mut Vec<Reply>,
    ) -> Result<(), Wrong> {
        let address = authentic.header().address;
        let full = self.is_full();
        let no_link = || wrong(ErrorCode::NO_LINK, "");
        if address.link != self.links.link(address.device, address.session) {
            return Err(no_link());
        }
        let device = self.devices.get_mut(&address.device).ok_or_else(no_link)?;
        let open = device.session(address.session).ok_or_else(no_link)?;
        let stored = open.session.stored();
        let received = open.session.receive(authentic);
        // A copy of an old question is not known for one where the session was forgotten in between.
        let is_copy = open.was_here && matches!(received, Received::TimeRequest { .. });
        let is_new = received.is_new() && !is_copy;
        let mut over = None;
        match received {
            Received::Readings { sequence, readings } => {
                let number = Number { device: address.device, session: address.session, sequence };
                let taken = if full { Err(Wrong::Busy) } else { self.waiting.add(now_ms, open, number, &readings) };
                match taken {
                    Ok(count) => {
                        open.outstanding += 1;
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
                reply(peer, message, address.link, &Body::Acknowledgement(stored), key, out);
            }
            Received::Pending => self.counters.duplicates += 1,
            Received::TimeRequest { .. } => {
                reply(peer, message, address.link, &Body::Time(now_ms), key, out);
            }
            Received::Result { number, outcome } => over = Some((number, result(&outcome))),
            Received::Refused(code) => return Err(wrong(code, "")),
            Received::Hello(_) => return Err(no_link()),
        }
        if is_new {
            open.peer = peer;
            // Whoever only says hello may be somebody with a copy.
            for (id, unit) in std::mem::take(&mut open.units) {
                self.telemetry.set_unit(id, &unit);
            }
            device.is_current(address.session);
            if device.line.heard(now_ms) {
                let (name, proven) = (device.name.clone(), key.is_some());
                self.news.push(News::Came { device: address.device, name, proven, peer });
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
    pub(super) fn next_batch(&mut self, now_ms: u64) -> Option<(Vec<Taken>, Vec<Write>)> {
        if self.committing.is_some() || self.waiting.numbers.is_empty() {
            return None;
        }
        let Batch { readings, numbers } = std::mem::take(&mut self.waiting);
        let mut sessions: HashMap<(u32, u64), Acknowledgement> = HashMap::new();
        for Number { device, session, sequence } in &numbers {
            let open = self.devices.get_mut(device).and_then(|device| device.session(*session));
            let known = || open.map(|open| open.session.stored()).unwrap_or_default();
            sessions.entry((*device, *session)).or_insert_with(known).add(*sequence);
        }
        let at_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
        let write = |((device, session), stored): ((u32, u64), Acknowledgement)| {
            let (highest, bitmap) = (stored.highest(), stored.bitmap());
            Write::DeviceSession(DeviceSession { device, session, highest, bitmap, at_ms })
        };
        self.committing = Some(numbers);
        Some((readings, sessions.into_iter().map(write).collect()))
    }

    /// The batch is stored, or not. Who is told so, with one acknowledgement for each session.
    pub(super) fn committed(&mut self, stored: bool, out: &mut Vec<Reply>) {
        let mut told: Vec<(u32, u64)> = Vec::new();
        for Number { device, session, sequence } in self.committing.take().unwrap_or_default() {
            // What waits for a commit stays in memory.
            let Some(open) = self.devices.get_mut(&device).and_then(|device| device.session(session)) else { continue };
            open.outstanding -= 1;
            if stored {
                open.session.committed(sequence);
                told.push((device, session));
            } else {
                open.session.release(sequence);
            }
        }
        told.sort_unstable();
        told.dedup();
        for (device, session) in told {
            let key = self.key_of(device).cloned();
            let Some(open) = self.devices.get_mut(&device).and_then(|device| device.session(session)) else { continue };
            let mut bytes = vec![0; 128];
            if let Ok(length) = open.session.acknowledgement(key.as_ref(), &mut bytes) {
                bytes.truncate(length);
                out.push(Reply { to: open.peer, bytes });
            }
        }
    }

    /// The key that a device is known to have.
    pub(super) fn key_of(&self, device: u32) -> Option<&Key> {
        self.keys.get(&device).map(|keys| keys.previous.as_ref().unwrap_or(&keys.key))
    }

    /// How many devices have a session that has sent something.
    pub(super) fn devices(&self) -> usize {
        self.devices.values().filter(|device| device.sessions.iter().any(|open| open.linked)).count()
    }
}

impl Device {
    fn session(&mut self, number: u64) -> Option<&mut Open> {
        self.sessions.iter_mut().find(|open| open.number() == number)
    }

    /// Takes a session into memory. The one that was new longest ago makes room, if nothing of it waits for a commit and it is
    /// not the current one.
    fn open(&mut self, open: Open) -> Result<(), Wrong> {
        if self.sessions.len() >= SESSIONS {
            let last = self.sessions.len() - 1;
            let oldest = self.sessions[..last].iter().position(|open| open.outstanding == 0).ok_or(Wrong::Busy)?;
            let oldest = self.sessions.remove(oldest);
            self.remember(&oldest);
        }
        // In front of the current one, which a mere hello does not replace.
        let at = self.sessions.len() - usize::from(self.sessions.last().is_some_and(|open| open.linked));
        self.stored.remove(&open.number());
        self.sessions.insert(at, open);
        Ok(())
    }

    /// The index that the current session has for a sensor.
    pub(super) fn index_of(&self, is: impl Fn(u32) -> bool) -> Option<u8> {
        let sensors = &self.sessions.last()?.sensors;
        sensors.iter().find(|(_, id)| is(*id)).map(|(index, _)| *index)
    }

    /// Keeps what has to be known of a session that leaves the memory. A mere hello leaves nothing.
    fn remember(&mut self, open: &Open) {
        let stored = open.session.stored();
        if open.linked || open.was_here || stored != Acknowledgement::default() {
            self.stored.insert(open.number(), Known { stored, was_here: true });
        }
    }

    /// A session has said something new.
    fn is_current(&mut self, number: u64) {
        if let Some(at) = self.sessions.iter().position(|open| open.number() == number) {
            let mut open = self.sessions.remove(at);
            open.linked = true;
            self.sessions.push(open);
        }
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

pub(super) fn value(value: &Value<'_>) -> senml::Value {
    let unsigned = |number: u64| match i64::try_from(number) {
        Ok(integer) => senml::Value::Integer(integer),
        Err(_) => senml::Value::Real(number as f64),
    };
    match *value {
        Value::Bool(boolean) => senml::Value::Boolean(boolean),
        Value::I8(number) => senml::Value::Integer(number.into()),
        Value::I16(number) => senml::Value::Integer(number.into()),
        Value::I32(number) => senml::Value::Integer(number.into()),
        Value::I64(number) => senml::Value::Integer(number),
        Value::U8(number) => senml::Value::Integer(number.into()),
        Value::U16(number) => senml::Value::Integer(number.into()),
        Value::U32(number) => senml::Value::Integer(number.into()),
        Value::U64(number) => unsigned(number),
        Value::F32(number) => senml::Value::Real(shortest(number)),
        Value::F64(number) => senml::Value::Real(number),
        Value::Text(text) => senml::Value::Text(text.to_owned()),
        Value::Bytes(bytes) => senml::Value::Data(bytes.to_owned()),
    }
}

/// The number that was meant, with as few decimals as it has: 21.3 where the nearest one of 32 bits is 21.299999.
fn shortest(number: f32) -> f64 {
    const SCALES: [f64; 7] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];
    let exact = f64::from(number);
    let rounded = SCALES.iter().map(|scale| (exact * scale).round() / scale);
    rounded.into_iter().find(|rounded| *rounded as f32 == number).unwrap_or(exact)
}

fn kind(kind: Type) -> SensorKind {
    match kind {
        Type::Bool => SensorKind::Boolean,
        Type::Text => SensorKind::Text,
        Type::Bytes => SensorKind::Bytes,
        _ => SensorKind::Number,
    }
}

/// Answers a message, if the answer is not larger.
fn reply(to: Peer, message: &Message<'_>, link: u64, body: &Body<'_>, key: Option<&Key>, out: &mut Vec<Reply>) {
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
