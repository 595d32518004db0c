//! What happens in the hub, for those who watch it.
//!
//! Events are numbered, and the last ones are kept in one ring that all listeners read from: however slow one of them is, it
//! costs a number. While nobody listens nothing is kept.

use std::collections::VecDeque;
use std::mem;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::watch;

use crate::selection::Selection;
use crate::telemetry;

/// How many events are kept.
const KEPT: usize = 1024;

/// How many bytes of them, each counted with about 100 bytes of overhead.
const KEPT_BYTES: usize = 1024 * 1024;

/// The longest message that is told in full, in bytes.
pub(crate) const LARGEST: usize = 64 * 1024;

/// How many can listen at once.
const LISTENERS: usize = 64;

/// How long events are kept after the last listener has left: it may come back.
const GRACE: Duration = Duration::from_secs(60);

/// How many events a listener gets at once.
const AT_ONCE: usize = 32;

/// What kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Message,
    Presence,
    Connected,
    Disconnected,
    Counter,
    Reading,
    Document,
    Twin,
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Message,
        Self::Presence,
        Self::Connected,
        Self::Disconnected,
        Self::Counter,
        Self::Reading,
        Self::Document,
        Self::Twin,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Presence => "presence",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Counter => "counter",
            Self::Reading => "reading",
            Self::Document => "document",
            Self::Twin => "twin",
        }
    }
}

/// Something that happened.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) number: u64,
    pub(crate) kind: Kind,
    about: About,
    /// JSON.
    pub(crate) data: String,
}

/// What an event is about.
#[derive(Debug, Default)]
struct About {
    room: Option<Arc<str>>,
    device: Option<Arc<str>>,
    sensor: Option<Arc<str>>,
}

impl About {
    fn room(room: &Arc<str>) -> impl FnOnce() -> Self {
        || Self { room: Some(room.clone()), ..Self::default() }
    }
}

/// Where events are told and heard. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Events(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Numbers of other runs mean nothing.
    run: u64,
    /// Somebody listens, or did lately.
    wanted: AtomicBool,
    ring: Mutex<Ring>,
    news: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// The number of the last event.
    last: u64,
    /// The number of the last event that is not kept any longer.
    forgotten: u64,
    listeners: usize,
    /// When the last listener left.
    alone_since: Option<Instant>,
    closed: bool,
}

impl Default for Events {
    fn default() -> Self {
        let (wanted, ring) = (AtomicBool::new(false), Mutex::default());
        Self(Arc::new(Shared { run: fastrand::u64(..), wanted, ring, news: watch::Sender::new(()) }))
    }
}

impl Events {
    /// Whether anything has to be told at all.
    pub(crate) fn wanted(&self) -> bool {
        self.0.wanted.load(Ordering::Relaxed)
    }

    /// A message was published in a room. `envelope` is its JSON; `None` if it is longer than [`LARGEST`].
    pub(crate) fn message(&self, room: &Arc<str>, offset: u64, envelope: Option<&str>) {
        #[derive(Serialize)]
        struct Told<'a> {
            room: &'a str,
            offset: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            message: Option<&'a RawValue>,
        }
        let message = envelope.and_then(|envelope| serde_json::from_str(envelope).ok());
        self.tell(Kind::Message, About::room(room), &Told { room, offset, message });
    }

    /// Who came to a room and who left it lately, as an envelope.
    pub(crate) fn presence(&self, room: &Arc<str>, envelope: &str) {
        #[derive(Serialize)]
        struct Told<'a> {
            room: &'a str,
            presence: Option<&'a RawValue>,
        }
        self.tell(Kind::Presence, About::room(room), &Told { room, presence: serde_json::from_str(envelope).ok() });
    }

    /// A client has come to a room.
    pub(crate) fn connected(&self, room: &Arc<str>, client: &str, address: Option<SocketAddr>) {
        #[derive(Serialize)]
        struct Told<'a> {
            room: &'a str,
            client: &'a str,
            address: Option<SocketAddr>,
        }
        self.tell(Kind::Connected, About::room(room), &Told { room, client, address });
    }

    /// A client has left a room, for a reason in plain words.
    pub(crate) fn disconnected(&self, room: &Arc<str>, client: &str, address: Option<SocketAddr>, reason: &str) {
        #[derive(Serialize)]
        struct Told<'a> {
            room: &'a str,
            client: &'a str,
            address: Option<SocketAddr>,
            reason: &'a str,
        }
        self.tell(Kind::Disconnected, About::room(room), &Told { room, client, address, reason });
    }

    /// A counter has another value.
    pub(crate) fn counter(&self, name: &str, value: i64) {
        #[derive(Serialize)]
        struct Told<'a> {
            name: &'a str,
            value: i64,
        }
        self.tell(Kind::Counter, About::default, &Told { name, value });
    }

    /// A sensor has said something, which is stored.
    pub(crate) fn reading(&self, told: &telemetry::Told<'_>) {
        let about = About { device: Some(told.device.clone()), sensor: Some(told.sensor.clone()), room: None };
        self.tell(Kind::Reading, || about, told);
    }

    /// A document of a room has changed, or was removed. Whoever wants its value asks for it.
    pub(crate) fn document(&self, room: &Arc<str>, name: &str, version: u64, removed: bool) {
        #[derive(Serialize)]
        struct Told<'a> {
            room: &'a str,
            name: &'a str,
            version: u64,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            removed: bool,
        }
        self.tell(Kind::Document, About::room(room), &Told { room, name, version, removed });
    }

    /// A half of a device's twin, `desired` or `reported`, has changed. Whoever wants its value asks for it.
    pub(crate) fn twin(&self, device: &str, part: &'static str, version: u64) {
        #[derive(Serialize)]
        struct Told<'a> {
            device: &'a str,
            part: &'static str,
            version: u64,
        }
        let about = || About { device: Some(device.into()), ..About::default() };
        self.tell(Kind::Twin, about, &Told { device, part, version });
    }

    /// Listens to what passes the filter: from now on, or from behind the event with the id `last` on.
    ///
    /// # Errors
    ///
    /// As many listen as can.
    pub(crate) fn listen(&self, filter: Filter, last: Option<&str>) -> Result<(Listener, Start), TooMany> {
        let mut ring = self.ring();
        if ring.listeners >= LISTENERS {
            return Err(TooMany);
        }
        ring.listeners += 1;
        self.0.wanted.store(true, Ordering::Relaxed);
        let (start, heard) = match last.map(|id| self.number(id)) {
            None => (Start::Now, ring.last),
            Some(Some(number)) if (ring.forgotten..=ring.last).contains(&number) => (Start::Resumed, number),
            Some(_) => (Start::Gap, ring.last),
        };
        drop(ring);
        Ok((Listener { events: self.clone(), news: self.0.news.subscribe(), filter, heard }, start))
    }

    /// The hub shuts down: every listener is told so.
    pub(crate) fn close(&self) {
        self.ring().closed = true;
        self.0.news.send_replace(());
    }

    /// What a client can name an event by, later.
    pub(crate) fn id(&self, number: u64) -> String {
        format!("{:016x}-{number}", self.0.run)
    }

    fn number(&self, id: &str) -> Option<u64> {
        let (run, number) = id.split_once('-')?;
        if u64::from_str_radix(run, 16) != Ok(self.0.run) {
            return None;
        }
        number.parse().ok()
    }

    fn tell(&self, kind: Kind, about: impl FnOnce() -> About, told: &impl Serialize) {
        if !self.wanted() {
            return;
        }
        // There are no maps with other keys than strings, and no writer that can fail.
        let data = serde_json::to_string(told).unwrap_or_default();
        let mut ring = self.ring();
        if ring.listeners == 0 && ring.alone_since.is_none_or(|since| since.elapsed() > GRACE) {
            self.0.wanted.store(false, Ordering::Relaxed);
            return ring.rest();
        }
        ring.push(kind, about(), data);
        drop(ring);
        self.0.news.send_replace(());
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, kind: Kind, about: About, data: String) {
        self.last += 1;
        self.bytes += Self::weight(&data);
        self.events.push_back(Arc::new(Event { number: self.last, kind, about, data }));
        while self.events.len() > KEPT || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.events.pop_front() else { return };
            self.bytes -= Self::weight(&oldest.data);
            self.forgotten = oldest.number;
        }
    }

    fn weight(data: &str) -> usize {
        data.len() + 100
    }

    /// From here on nothing is kept: whoever comes back has missed something.
    fn rest(&mut self) {
        self.last += 1;
        self.forgotten = self.last;
        self.bytes = 0;
        drop(mem::take(&mut self.events));
    }
}

/// What a listener wants to hear; everything by default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Events of these rooms, and none that belong to no room.
    pub(crate) rooms: Option<Vec<String>>,
    pub(crate) kinds: Option<Vec<Kind>>,
    /// Events of these devices and sensors, and none that belong to no device; and if there are sensors, none that belong to no sensor.
    pub(crate) selection: Selection,
}

impl Filter {
    fn passes(&self, event: &Event) -> bool {
        let About { room, device, sensor } = &event.about;
        let in_room = |rooms: &Vec<String>| room.as_deref().is_some_and(|room| rooms.iter().any(|r| r == room));
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&event.kind))
            && self.rooms.as_ref().is_none_or(in_room)
            && self.selection.includes(device.as_deref(), sensor.as_deref())
    }
}

/// As many listen as can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

/// Where a listener begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// With what comes next.
    Now,
    /// Where it had stopped.
    Resumed,
    /// With what comes next, though it had heard others before: some of what it missed is not kept any longer.
    Gap,
}

/// What a listener hears.
#[derive(Debug)]
pub(crate) enum Heard {
    Events(Vec<Arc<Event>>),
    /// It was slower than the ring is long: what comes next is not kept any longer.
    TooSlow,
    /// The hub shuts down.
    Closed,
}

/// Somebody who listens.
#[derive(Debug)]
pub(crate) struct Listener {
    events: Events,
    news: watch::Receiver<()>,
    filter: Filter,
    /// The number of the last event that it has heard, or that is not for it.
    heard: u64,
}

impl Listener {
    /// Waits for what comes next. Cancel safe.
    pub(crate) async fn next(&mut self) -> Heard {
        loop {
            self.news.mark_unchanged();
            if let Some(heard) = self.take() {
                return heard;
            }
            if self.news.changed().await.is_err() {
                return Heard::Closed;
            }
        }
    }

    /// The id of where it is.
    pub(crate) fn id(&self) -> String {
        self.events.id(self.heard)
    }

    fn take(&mut self) -> Option<Heard> {
        let ring = self.events.ring();
        if self.heard < ring.forgotten {
            return Some(Heard::TooSlow);
        }
        let first = ring.events.partition_point(|event| event.number <= self.heard);
        let mut events = Vec::new();
        for event in ring.events.range(first..) {
            if events.len() == AT_ONCE {
                break;
            }
            self.heard = event.number;
            if self.filter.passes(event) {
                events.push(event.clone());
            }
        }
        match events.is_empty() {
            false => Some(Heard::Events(events)),
            true => ring.closed.then_some(Heard::Closed),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut ring = self.events.ring();
        ring.listeners -= 1;
        if ring.listeners == 0 {
            ring.alone_since = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests;
