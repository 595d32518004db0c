//! What commands consist of, and what they ask of whoever drives them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::message::Timestamp;

/// A command that somebody gives.
#[derive(Clone, Debug)]
pub struct NewCommand<'a> {
    /// The number that the answer comes with.
    pub ticket: u64,
    /// Its id, which no command ever had.
    pub id: &'a str,
    /// Which device it is for.
    pub device: &'a str,
    /// What the device is to do.
    pub name: &'a str,
    /// JSON text, which the caller has checked.
    pub payload: &'a str,
    /// How long the device has for its answer. `None` is the setting.
    pub timeout: Option<Duration>,
    /// For how long it is kept for a device that is not there. `None` is not at all.
    pub ttl: Option<Duration>,
}

/// A command, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its id.
    pub id: Arc<str>,
    /// Which device it is for.
    pub device: Arc<str>,
    /// What the device is to do.
    pub name: Box<str>,
    /// JSON text.
    pub payload: Box<str>,
    /// When it was given.
    pub created: Timestamp,
    /// Until when it can be delivered, if it is kept for the device.
    pub expires: Option<Timestamp>,
}

/// How far a command has come. It never goes back, and only the first two have something behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CommandState {
    /// It waits for the device.
    Queued,
    /// The device has it, or had it when its connection was lost.
    Sent,
    /// The device has done it.
    Done,
    /// The device does not do it.
    Refused,
    /// It never was with the device, and now it is too late.
    Expired,
    /// It was with the device, which did not answer in time.
    Failed,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandEffect {
    /// The answer to whoever gave a command, who may be gone by now.
    Answer {
        /// The number that the command came with.
        ticket: u64,
        /// What is said.
        answer: CommandAnswer,
    },
    /// A new command has to be stored, as queued. [`Commands::stored`](crate::Commands::stored) has to be called with the
    /// result.
    Store {
        /// What.
        command: Arc<Command>,
    },
    /// A command goes to its device. With the same id it may come again: the device does it once.
    Send {
        /// The device's connection.
        to: u64,
        /// What.
        command: Arc<Command>,
        /// Until when an answer counts.
        deadline: Timestamp,
    },
    /// A command has come further: for those who watch, and for the store, which has the state
    /// [`Queued`](CommandState::Queued) from [`Store`](Self::Store) already.
    Changed {
        /// Which.
        command: Arc<Command>,
        /// Its state from now on.
        state: CommandState,
        /// JSON text: what the device answered, or why it refuses, as a string.
        result: Option<Arc<str>>,
        /// When.
        at: Timestamp,
    },
}

/// What somebody who gave a command is told, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandAnswer {
    /// The device has done it: JSON text.
    Done(Arc<str>),
    /// The device does not do it, and says why.
    Refused(Arc<str>),
    /// It is stored and waits for the device.
    Queued,
    /// The device is not there, and the command was not to be kept.
    NotConnected,
    /// The device got it, and has not answered in time: nobody knows whether it did it.
    TimedOut,
    /// Too many others were before it, and now it is too late: the device did not get it.
    Expired,
    /// It is not given at all.
    Rejected(CommandProblem),
}

/// Why a command is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandProblem {
    /// Its id or name, or the device's id, is empty, too long, or has control characters.
    BadName,
    /// Its payload is too large.
    TooLarge,
    /// The timeout or the time to live is 0, or longer than allowed.
    BadTime,
    /// There is a command with this id.
    Exists,
    /// Too many commands wait, for this device or in all.
    Busy,
    /// It could not be stored.
    NotStored,
}

impl fmt::Display for CommandProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadName => "an id or name is not empty, not too long, and has no control characters",
            Self::TooLarge => "the payload is too large",
            Self::BadTime => "the timeout or the time to live is 0 or too long",
            Self::Exists => "there is a command with this id",
            Self::Busy => "too many commands wait: try again later",
            Self::NotStored => "the command could not be stored: try again later",
        })
    }
}

impl std::error::Error for CommandProblem {}

impl CommandState {
    /// Whether nothing more comes of the command.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Sent)
    }
}
