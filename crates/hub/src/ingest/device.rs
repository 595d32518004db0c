//! A device and its sessions.

use std::collections::HashMap;
use std::sync::Arc;

use tautline_store::DeviceSession;
use tautline_telemetry::Acknowledgement;
use tautline_telemetry::hub::Session;

use super::commands::Line;
use super::declarations::Declarations;
use super::desk::{Peer, Wrong};
use crate::telemetry::{NotTaken, Telemetry};

/// How many sessions of a device are in memory at once: it has one, and another one after a restart.
const SESSIONS: usize = 4;

/// How many others of a device are known: those that were in memory longest ago are forgotten, so that a device that starts anew
/// every hour does not fill the store.
pub(super) const KNOWN: u32 = 16;

/// What is known of a device.
#[derive(Debug, Default)]
pub(super) struct Device {
    /// Empty if it has not said hello since the hub was started, or its name was given away.
    pub(super) name: Arc<str>,
    /// Those that have said hello, the one that was new last at the end: that is the current one, once it has said anything.
    pub(super) sessions: Vec<Open>,
    /// What is stored of other sessions.
    known: HashMap<u64, Known>,
    /// How many of its sessions were forgotten. The links of all others that are not in memory become others with each, so what was
    /// recorded of one that was forgotten is worthless.
    pub(super) forgotten: u32,
    /// The last of [`Known::place`].
    last: u64,
    /// When it last said anything, in milliseconds of the hub's clock.
    pub(super) heard_ms: u64,
    /// Whether what it said last came with a certificate of its name.
    pub(super) certified: bool,
    pub(super) line: Line,
}

/// What is known of a session that is not in memory.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    pub(super) stored: Acknowledgement,
    /// It was in memory since the hub was started.
    pub(super) was_here: bool,
    /// Higher than that of those that were in memory before.
    place: u64,
}

/// A session in memory.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) session: Session,
    /// Messages that wait for a commit.
    pub(super) outstanding: u32,
    /// Whether it has said anything new.
    pub(super) linked: bool,
    /// Whether it was in memory before.
    pub(super) was_here: bool,
    /// It has to say hello before anything else is taken, and is only here because something waits for a commit.
    pub(super) sent_away: bool,
    /// The number of its last hello.
    pub(super) hello: u32,
    /// What its hello says of sensors, until it says anything new.
    pub(super) declared: Declarations,
    /// By index.
    pub(super) sensors: Vec<(u8, u32)>,
    pub(super) peer: Peer,
}

impl Open {
    pub(super) fn number(&self) -> u64 {
        self.session.address().session
    }

    pub(super) fn sensor(&self, index: u8) -> Option<u32> {
        let at = self.sensors.binary_search_by_key(&index, |(index, _)| *index).ok()?;
        Some(self.sensors[at].1)
    }

    /// It says something new. So the device itself is there, and what its hello has declared is made, and has the units that it says.
    pub(super) fn declare(&mut self, telemetry: &Telemetry, device: &Arc<str>) -> Result<(), NotTaken> {
        if !self.declared.is_empty() {
            self.sensors = telemetry.declare(device, self.declared.iter())?;
            self.declared = Declarations::default();
        }
        Ok(())
    }
}

impl Device {
    /// What the store has of a session.
    pub(super) fn restore(&mut self, session: &DeviceSession) {
        if let Some(stored) = Acknowledgement::new(session.highest, session.bitmap) {
            let place = session.at_ms.unsigned_abs();
            self.last = self.last.max(place);
            self.known.insert(session.session, Known { stored, was_here: false, place });
        }
    }

    pub(super) fn session(&mut self, number: u64) -> Option<&mut Open> {
        self.sessions.iter_mut().find(|open| open.number() == number)
    }

    /// What is known of a session that is not in memory.
    pub(super) fn known(&self, number: u64) -> Known {
        self.known.get(&number).copied().unwrap_or_default()
    }

    /// Takes a session into memory. The one that was new longest ago makes room, if nothing of it waits for a commit and it is
    /// not the current one. Answers which session the store is to forget, if there is one.
    pub(super) fn open(&mut self, open: Open) -> Result<Option<u64>, Wrong> {
        let leaves = match self.sessions.split_last() {
            Some((_, others)) if self.sessions.len() >= SESSIONS => {
                Some(others.iter().position(|open| open.outstanding == 0).ok_or(Wrong::Busy)?)
            }
            _ => None,
        };
        // Before another one is forgotten: that is not to be this one.
        self.known.remove(&open.number());
        let forgotten = leaves.and_then(|at| {
            let oldest = self.sessions.remove(at);
            self.remember(&oldest)
        });
        // In front of the current one, which a mere hello does not replace.
        let at = self.sessions.len() - usize::from(self.sessions.last().is_some_and(|open| open.linked));
        self.sessions.insert(at, open);
        Ok(forgotten)
    }

    /// Has all sessions say hello before they say anything else. Answers which the store is to forget.
    pub(super) fn send_away(&mut self) -> Vec<u64> {
        let (mut waiting, over): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.sessions).into_iter().partition(|open| open.outstanding > 0);
        for open in &mut waiting {
            (open.sent_away, open.linked) = (true, false);
        }
        self.sessions = waiting;
        over.iter().filter_map(|open| self.remember(open)).collect()
    }

    /// Whether it is there, and has proven its name by a certificate.
    pub(super) fn is_certified(&self) -> bool {
        self.certified && self.line.is_there()
    }

    /// Whether nothing has to be known of it.
    pub(super) fn is_nobody(&self) -> bool {
        self.sessions.is_empty() && self.known.is_empty() && self.forgotten == 0
    }

    /// The index that the current session has for a sensor.
    pub(super) fn index_of(&self, is: impl Fn(u32) -> bool) -> Option<u8> {
        let sensors = &self.sessions.last()?.sensors;
        sensors.iter().find(|(_, id)| is(*id)).map(|(index, _)| *index)
    }

    /// A session has said something new.
    pub(super) fn is_current(&mut self, number: u64) {
        if let Some(at) = self.sessions.iter().position(|open| open.number() == number) {
            let mut open = self.sessions.remove(at);
            open.linked = true;
            self.sessions.push(open);
        }
    }

    /// Keeps what has to be known of a session that leaves the memory. A mere hello leaves nothing. Answers which other one the store
    /// is to forget, if there is one.
    fn remember(&mut self, open: &Open) -> Option<u64> {
        let stored = open.session.stored();
        if !open.linked && !open.was_here && stored == Acknowledgement::default() {
            return None;
        }
        self.last += 1;
        self.known.insert(open.number(), Known { stored, was_here: true, place: self.last });
        if self.known.len() <= KNOWN as usize {
            return None;
        }
        let oldest = self.known.iter().min_by_key(|(_, known)| known.place).map(|(number, _)| *number)?;
        let known = self.known.remove(&oldest)?;
        self.forgotten = self.forgotten.wrapping_add(1);
        // Of one that has sent no readings the store has nothing.
        (known.stored != Acknowledgement::default()).then_some(oldest)
    }
}
