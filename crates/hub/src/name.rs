//! The names of the apps.

use std::fmt;
use std::str::FromStr;

/// An app of the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AppName {
    /// [`apps::Rooms`](crate::apps::Rooms).
    Relay,
    /// [`apps::Counters`](crate::apps::Counters).
    Counter,
    /// [`apps::Clock`](crate::apps::Clock).
    Clock,
    /// [`apps::Hello`](crate::apps::Hello).
    Hello,
    /// [`apps::Echo`](crate::apps::Echo).
    Echo,
    /// Answers POST requests; no WebSocket.
    Post,
}

impl AppName {
    /// All apps.
    pub const ALL: [Self; 6] = [Self::Relay, Self::Counter, Self::Clock, Self::Hello, Self::Echo, Self::Post];

    /// The name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Counter => "counter",
            Self::Clock => "clock",
            Self::Hello => "hello",
            Self::Echo => "echo",
            Self::Post => "post",
        }
    }

    /// What it does, in a few words.
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Relay => "rooms: each message goes to all others",
            Self::Counter => "a shared number: plus, minus, users",
            Self::Clock => "the time, at random intervals",
            Self::Hello => "greets the name that it is sent, and closes",
            Self::Echo => "each message comes back",
            Self::Post => "answers POST requests",
        }
    }

    /// Its path in the hub, for people to read.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Relay => "/{client_id}",
            Self::Counter => "/counter",
            Self::Clock => "/clock",
            Self::Hello => "/hello",
            Self::Echo => "/echo",
            Self::Post => "/",
        }
    }

    /// Whether it is reached by WebSocket.
    pub const fn is_websocket(self) -> bool {
        !matches!(self, Self::Post)
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no app of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownApp;

impl fmt::Display for UnknownApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown app")
    }
}

impl std::error::Error for UnknownApp {}

impl FromStr for AppName {
    type Err = UnknownApp;

    fn from_str(name: &str) -> Result<Self, UnknownApp> {
        Self::ALL.into_iter().find(|app| app.as_str() == name).ok_or(UnknownApp)
    }
}
