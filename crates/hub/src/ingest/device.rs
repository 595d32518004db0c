//! A device and its sessions.

use std::collections::HashMap;
use std::sync::Arc;

use tautline_store::DeviceSession;
use tautline_telemetry::Acknowledgement;
use tautline_telemetry::hub::Session;

use super::commands::Line;
use super::desk::{Peer, Wrong};

/// How many sessions of a device are in memory at once: it has one, and another one after a restart.
const SESSIONS: usize = 4;

/// What is known of a device.
#[derive(Debug, Default)]
pub(super) struct Device {
    pub(super) name: Arc<str>,
    /// Those that have said hello, the one that was new last at the end: that is the current one, once it has said anything.
    pub(super) sessions: Vec<Open>,
    /// What is stored of other sessions.
    pub(super) stored: HashMap<u64, Known>,
    pub(super) line: Line,
}

/// What is known of a session that is not in memory.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    pub(super) stored: Acknowledgement,
    /// It was in memory since the hub was started.
    pub(super) was_here: bool,
}

/// Sensors and their units.
pub(super) type Units = Vec<(u32, Box<str>)>;

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
    /// The number of its last hello.
    pub(super) hello: u32,
    /// What its hello says of units, until it says anything new.
    pub(super) units: Units,
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
}

impl Device {
    /// What the store has of a session.
    pub(super) fn restore(&mut self, session: &DeviceSession) {
        if let Some(stored) = Acknowledgement::new(session.highest, session.bitmap) {
            self.stored.insert(session.session, Known { stored, was_here: false });
        }
    }

    pub(super) fn session(&mut self, number: u64) -> Option<&mut Open> {
        self.sessions.iter_mut().find(|open| open.number() == number)
    }

    /// Takes a session into memory. The one that was new longest ago makes room, if nothing of it waits for a commit and it is
    /// not the current one.
    pub(super) fn open(&mut self, open: Open) -> Result<(), Wrong> {
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
    pub(super) fn remember(&mut self, open: &Open) {
        let stored = open.session.stored();
        if open.linked || open.was_here || stored != Acknowledgement::default() {
            self.stored.insert(open.number(), Known { stored, was_here: true });
        }
    }

    /// A session has said something new.
    pub(super) fn is_current(&mut self, number: u64) {
        if let Some(at) = self.sessions.iter().position(|open| open.number() == number) {
            let mut open = self.sessions.remove(at);
            open.linked = true;
            self.sessions.push(open);
        }
    }
}
