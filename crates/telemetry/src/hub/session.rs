//! What the hub knows of a device's session.

use crate::acknowledgement::Acknowledgement;
use crate::answer::ErrorCode;
use crate::command::{Command, Outcome};
use crate::error::Unencodable;
use crate::header::{Address, Kind};
use crate::hello::Hello;
use crate::key::Key;
use crate::message::{Authentic, Body};
use crate::readings::Readings;

/// A command is sent again after so many milliseconds, then twice as many, up to the longest.
const COMMAND_WAIT: (u64, u64) = (1_000, 30_000);

/// A session as the hub sees it: what is stored, what is being stored, and the command that is on its way. At most 128
/// bytes. All that has to survive a restart is [`stored`](Self::stored).
#[derive(Clone, Debug)]
pub struct Session {
    address: Address,
    stored: Acknowledgement,
    /// Readings that were handed up and are neither committed nor released; bits as in `stored`.
    arriving: u64,
    command: Option<Pending>,
    /// The highest number of a time request.
    asked: u32,
    /// The number of the last result.
    answered: u32,
}

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Received<'a> {
    /// Answer with a [`Welcome`](crate::Welcome) that has what is [stored](Session::stored); keep the sensors for this session.
    Hello(Hello<'a>),
    /// New readings: store them, then call [`Session::committed`]; or [`Session::release`] if they cannot be stored, and answer
    /// that the hub is busy.
    Readings {
        /// Their number.
        sequence: u32,
        /// What was read.
        readings: Readings<'a>,
    },
    /// Readings that are stored already, or beyond the window: answer with the [acknowledgement](Session::acknowledgement).
    Known,
    /// Readings that are being stored, or a result that is known: nothing to do.
    Pending,
    /// What became of the command that is on its way.
    Result {
        /// Its number.
        number: u32,
        /// What became of it.
        outcome: Outcome<'a>,
    },
    /// Answer with the time.
    TimeRequest {
        /// Whether it is not a copy of an earlier one.
        new: bool,
    },
    /// Answer with this error.
    Refused(ErrorCode),
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    number: u32,
    attempts: u8,
    due: u64,
}

impl Received<'_> {
    /// Whether only the device itself can have sent this: not a copy of what it sent before. The session that it is of is the
    /// current one, and where it came from is where the device is (UDP).
    pub const fn is_new(&self) -> bool {
        matches!(self, Self::Readings { .. } | Self::Result { .. } | Self::TimeRequest { new: true })
    }
}

impl Session {
    /// A session, as far as the store knows it: [`Acknowledgement::default`] if it does not.
    pub const fn restore(address: Address, stored: Acknowledgement) -> Self {
        Self { address, stored, arriving: 0, command: None, asked: 0, answered: 0 }
    }

    /// Device, session and link.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// What is committed. Whoever stores readings loads this for their session, [adds](Acknowledgement::add) their number,
    /// and writes it, and the readings if the number was new, in one transaction: then they are stored once.
    pub const fn stored(&self) -> Acknowledgement {
        self.stored
    }

    /// A message of this device, whose tag is right: what to do with it.
    pub fn receive<'a>(&mut self, message: &Authentic<'a>) -> Received<'a> {
        let header = message.header();
        let hello = header.kind == Kind::Hello;
        let link = if hello { 0 } else { self.address.link };
        if header.address != (Address { link, ..self.address }) {
            return Received::Refused(ErrorCode::NO_LINK);
        }
        if header.kind == Kind::Readings {
            return self.receive_readings(header.sequence, message);
        }
        match message.body() {
            Ok(Body::Hello(hello)) => Received::Hello(hello),
            Ok(Body::TimeRequest) => {
                let new = header.sequence > self.asked;
                self.asked = self.asked.max(header.sequence);
                Received::TimeRequest { new }
            }
            Ok(Body::Result(outcome)) => self.receive_result(header.sequence, outcome),
            _ => Received::Refused(ErrorCode::MALFORMED),
        }
    }

    /// These readings are durable. Returns whether that is new.
    pub const fn committed(&mut self, sequence: u32) -> bool {
        let before = self.stored.highest();
        let new = self.stored.add(sequence);
        if let Some(bit) = self.stored.bit(sequence) {
            self.arriving &= !bit;
        }
        self.arriving = self.arriving.unbounded_shr(self.stored.highest() - before);
        new
    }

    /// These readings will not be stored now; they are new when they come again.
    pub const fn release(&mut self, sequence: u32) {
        if let Some(bit) = self.stored.bit(sequence) {
            self.arriving &= !bit;
        }
    }

    /// Writes an acknowledgement of what is committed, and returns its length.
    ///
    /// # Errors
    /// `out` is too short for it: 60 bytes.
    pub fn acknowledgement(&self, key: Option<&Key>, out: &mut [u8]) -> Result<usize, Unencodable> {
        Body::Acknowledgement(self.stored).encode(self.address, 0, key, out)
    }

    /// Begins to send a command in place of the one before, if there is one. Its number must be higher than that of every
    /// command that this device was given, also before a restart.
    pub fn command(&mut self, now: u64, number: u32) {
        self.command = Some(Pending { number, attempts: 0, due: now });
    }

    /// The number of the command that has no result yet.
    pub fn pending_command(&self) -> Option<u32> {
        self.command.map(|command| command.number)
    }

    /// The command is given up, for example because its deadline has passed.
    pub fn cancel_command(&mut self) {
        self.command = None;
    }

    /// Whether [`transmit_command`](Self::transmit_command) is due: in milliseconds of the clock that the caller uses.
    pub fn poll_timeout(&self) -> Option<u64> {
        self.command.map(|command| command.due)
    }

    /// Writes the command that is on its way, if it is due, and returns its length.
    ///
    /// # Errors
    /// `out` is too short, or something in the command is out of bounds: it can never be sent.
    pub fn transmit_command(
        &mut self,
        now: u64,
        command: &Command<'_>,
        key: Option<&Key>,
        out: &mut [u8],
    ) -> Result<Option<usize>, Unencodable> {
        let Some(pending) = self.command.as_mut().filter(|pending| pending.due <= now) else { return Ok(None) };
        let len = Body::Command(*command).encode(self.address, pending.number, key, out)?;
        let (first, longest) = COMMAND_WAIT;
        pending.due = now.saturating_add((first << pending.attempts.min(10)).min(longest));
        pending.attempts = pending.attempts.saturating_add(1);
        Ok(Some(len))
    }

    fn receive_readings<'a>(&mut self, sequence: u32, message: &Authentic<'a>) -> Received<'a> {
        let Some(bit) = self.stored.bit(sequence) else { return Received::Known };
        if self.stored.covers(sequence) {
            return Received::Known;
        }
        if self.arriving & bit != 0 {
            return Received::Pending;
        }
        let Ok(Body::Readings(readings)) = message.body() else { return Received::Refused(ErrorCode::MALFORMED) };
        self.arriving |= bit;
        Received::Readings { sequence, readings }
    }

    fn receive_result<'a>(&mut self, number: u32, outcome: Outcome<'a>) -> Received<'a> {
        if self.pending_command() != Some(number) || number <= self.answered {
            return Received::Pending;
        }
        self.command = None;
        self.answered = number;
        Received::Result { number, outcome }
    }
}

const _: () = assert!(size_of::<Session>() <= 128);
