//! What rooms ask of whoever drives them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::message::Message;
use crate::presence::PresenceChange;
use crate::rooms::{Member, Publisher, RoomId};

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A member is in: it is the first that it hears.
    Welcome(Box<Welcome>),
    /// Messages that a member missed, oldest first. When they are written, [`Rooms::caught_up`](crate::Rooms::caught_up)
    /// has to be called; until then the member gets nothing else that was published.
    Replay {
        /// To whom.
        to: Member,
        /// What.
        messages: Vec<Arc<Message>>,
    },
    /// A message for everybody in a room: see [`Rooms::raw_members`](crate::Rooms::raw_members) and
    /// [`Rooms::event_members`](crate::Rooms::event_members).
    Deliver {
        /// Where.
        room: RoomId,
        /// What.
        message: Arc<Message>,
        /// The client that published it does not get it.
        except: Option<Member>,
    },
    /// A message that has an id is published for good. Unless it is a duplicate, everything before its offset has been
    /// delivered to its publisher, or is its own.
    Acknowledge {
        /// Who is told.
        to: Publisher,
        /// The message's id.
        id: Box<str>,
        /// Its place.
        offset: u64,
        /// It had been published before, at that place.
        duplicate: bool,
    },
    /// A message is not published.
    Refuse {
        /// Who is told.
        to: Publisher,
        /// The message's id.
        id: Option<Box<str>>,
        /// Why.
        problem: Problem,
    },
    /// Who came and left, for the members of a room that get events.
    Presence {
        /// Where.
        room: RoomId,
        /// Who.
        change: PresenceChange,
    },
    /// A durable room is new and has to be stored, before its first message. It comes again with every message until one is
    /// stored, since nobody tells whether it worked: for a room that is stored it changes nothing.
    StoreRoom {
        /// Which.
        room: RoomId,
    },
    /// A message has to be stored. [`Rooms::stored`](crate::Rooms::stored) has to be called with the result.
    Store {
        /// Where.
        room: RoomId,
        /// What.
        message: Arc<Message>,
    },
    /// Messages of a durable room up to this place are not needed any longer.
    Trim {
        /// Where.
        room: RoomId,
        /// The last one that is not needed.
        through: u64,
    },
    /// Find out whether a member's connection is alive: [`Rooms::alive`](crate::Rooms::alive) if it is,
    /// [`Rooms::leave`](crate::Rooms::leave) if it is not.
    Probe {
        /// Whose.
        member: Member,
        /// How long it has.
        within: Duration,
    },
    /// The answer to [`Rooms::claim`](crate::Rooms::claim).
    Claimed {
        /// Whose claim.
        ticket: u64,
        /// Whether the client id is free now.
        free: bool,
    },
    /// A member's connection has to be closed. It is not a member any longer.
    Close {
        /// Whose.
        member: Member,
        /// Why.
        reason: CloseReason,
    },
}

/// What a new member is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Who.
    pub to: Member,
    /// Where.
    pub room: RoomId,
    /// Its client id.
    pub client: Arc<str>,
    /// Which history the offsets count in.
    pub epoch: u64,
    /// How far it is: every message with a higher offset it will get.
    pub offset: u64,
    /// What becomes of what it missed.
    pub recovery: Recovery,
    /// Some of those who are there, the member among them; nobody else if it may not know.
    pub members: Vec<Arc<str>>,
    /// How many are there, as far as it may know.
    pub count: usize,
}

/// What becomes of the messages that a member has missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// It did not ask.
    None,
    /// All of them follow.
    All,
    /// Not all of them are remembered: none follows.
    Gap,
}

/// How far a client had come before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// Which history its offset counts in.
    pub epoch: u64,
    /// The offset of the last message that it got.
    pub offset: u64,
}

/// Why a message is not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Its id is empty or longer than 64 bytes.
    BadId,
    /// Too many messages wait to be stored, or too many acknowledgements for a member that is catching up.
    Busy,
    /// It could not be stored.
    NotStored,
    /// Its sender has no right to publish.
    Forbidden,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadId => "a message id has 1 to 64 bytes",
            Self::Busy => "too much waits: publish it again later",
            Self::NotStored => "the message could not be stored: publish it again later",
            Self::Forbidden => "this client may not publish",
        })
    }
}

/// Why a client is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its id is connected: see [`Rooms::claim`](crate::Rooms::claim).
    Taken,
    /// The room has as many members as it can.
    RoomFull,
    /// There are as many rooms as there can be.
    TooManyRooms,
}

/// Why a member's connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Another connection has its client id now.
    Replaced,
    /// What it missed was forgotten faster than it took it.
    Lagged,
}
