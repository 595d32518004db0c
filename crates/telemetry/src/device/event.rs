//! What a message of the hub means to the device's program.

use core::fmt;

use crate::acknowledgement::Acknowledgement;
use crate::answer::{ErrorCode, Problem};
use crate::command::Command;
use crate::error::Forged;

/// What came of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event<'a> {
    /// The hub knows this session and says what of it is stored. Comes again after each interruption.
    Linked(Acknowledgement),
    /// The hub has forgotten the link, for example in a restart. The session says hello again by itself.
    Unlinked,
    /// What of the session is stored now.
    Acknowledged(Acknowledgement),
    /// Carry this out, then call [`Session::answer`](super::Session::answer) with the number. Comes once for each number.
    Command {
        /// Which command it is.
        number: u32,
        /// What to do.
        command: Command<'a>,
    },
    /// The hub has too much to do; the session pauses until this time of the device's clock.
    Busy {
        /// Milliseconds.
        until: u64,
    },
    /// The hub does not take these readings. They are given up.
    Refused {
        /// The number of their message.
        sequence: u32,
        /// Why.
        code: ErrorCode,
    },
    /// This session is over: the hub says so, or has lost what it had stored, or has stored what this session did not send. Call [`Session::restart`](super::Session::restart) with a new random number.
    Ended,
    /// Something is wrong that a person has to see to. The session goes on trying.
    Problem(Problem<'a>),
    /// As `Problem`, but without a tag although there is a key: anybody can have said it, so the session ignores it.
    Hint(Problem<'a>),
    /// The time is known, or known better.
    Time {
        /// Milliseconds from the question to the answer.
        round_trip: u64,
    },
}

/// Why a message was ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// It is for another device or session.
    Foreign,
    /// It is not from whom it says.
    Forged(Forged),
    /// It has the wrong form.
    Malformed,
    /// It answers something that is not asked any longer: a copy, a replay, or late.
    Stale,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("it is for another device or session"),
            Self::Forged(forged) => forged.fmt(f),
            Self::Malformed => f.write_str("it has the wrong form"),
            Self::Stale => f.write_str("nobody has asked, or not any longer"),
        }
    }
}

impl core::error::Error for Ignored {}
