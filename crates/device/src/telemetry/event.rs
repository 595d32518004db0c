//! What the client tells the program.

use core::fmt;
use core::time::Duration;

use embedded_io_async::ErrorKind;
use tautline_telemetry::Malformed;
use tautline_telemetry::device::{Event as FromHub, Ignored};

use crate::transport::ConnectError;

/// What happened.
///
/// An attempt is `BeforeConnect`, then what the hub says, if it comes to that, and `Disconnected` in any case.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<'b> {
    /// An attempt to reach the hub begins.
    BeforeConnect {
        /// Which one since the hub last welcomed the device; 1 is the first.
        attempt: u32,
    },
    /// The hub has said something: that it knows the session ([`FromHub::Linked`]: the link is up), what is stored, what to do.
    ///
    /// After [`FromHub::Ended`] the client has begun another session already, with what was not acknowledged; the numbers that
    /// [`push`](super::Link::push) has answered before are void.
    Hub(FromHub<'b>),
    /// A message came that means nothing, and why. For counting.
    Ignored(Ignored),
    /// There is no connection any more, or there is none yet.
    Disconnected {
        /// Why.
        cause: Cause,
        /// How long the client waits before it tries again; `None` if it does not.
        retry_in: Option<Duration>,
    },
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The network or TLS failed before a connection was there.
    Connect(ConnectError),
    /// Connecting took too long.
    ConnectTimedOut,
    /// The transport reported an error. Of a UDP socket that may mean that nobody listens there.
    Transport(ErrorKind),
    /// The hub ended the connection.
    Ended,
    /// The hub did not answer in time, or the transport took nothing.
    Silent,
    /// What came over a stream is no telemetry.
    Malformed(Malformed),
    /// The client was stopped or told to connect anew.
    Asked,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => error.fmt(f),
            Self::ConnectTimedOut => f.write_str("connecting took too long"),
            Self::Transport(kind) => write!(f, "transport failed: {kind:?}"),
            Self::Ended => f.write_str("ended by the hub"),
            Self::Silent => f.write_str("the hub does not answer"),
            Self::Malformed(malformed) => write!(f, "the server speaks something else: {malformed}"),
            Self::Asked => f.write_str("asked to by the program"),
        }
    }
}

/// Whoever is told. Any `FnMut(Event)` is one. It runs in the client's task, which neither receives nor sends meanwhile: take what is
/// needed and return. It may use the [`Link`](super::Link).
pub trait Handler {
    /// Something happened.
    fn event(&mut self, event: Event<'_>);
}

impl<F: FnMut(Event<'_>)> Handler for F {
    fn event(&mut self, event: Event<'_>) {
        self(event);
    }
}
