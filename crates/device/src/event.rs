//! What the client tells the program.

use core::fmt;
use core::time::Duration;

use embedded_io_async::ErrorKind;
use tautline_proto::handshake::{WriteError, client};
use tautline_proto::{CloseCode, Data, Ended};

use crate::text::Text;
use crate::transport::ConnectError;

/// What happened, in the vocabulary of the vendors' clients.
///
/// An attempt is `BeforeConnect`, `Connected` if it comes to that, what arrives, then `Error` if something went wrong, `Closed` if
/// a close frame came or was answered, and `Disconnected` in any case.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'b> {
    /// An attempt to connect begins.
    BeforeConnect {
        /// Which one since the last open connection; 1 is the first.
        attempt: u32,
    },
    /// The link is up. The server's answer has its headers, and the subprotocol that it selected.
    Connected(client::Response<'b>),
    /// A message, or a piece of one: as much as lay in the receive buffer.
    Data(Data<'b>),
    /// The server pinged; the answer is on its way.
    Ping(&'b [u8]),
    /// A pong.
    Pong {
        /// Its payload.
        payload: &'b [u8],
        /// How long the way there and back took, if this answers our latest ping.
        latency: Option<Duration>,
    },
    /// Something went wrong.
    Error(Cause),
    /// The connection was closed by a close frame, of either side.
    Closed {
        /// The code of whoever began; [`CloseCode::NO_STATUS`] if there was none.
        code: CloseCode,
        /// The reason in the server's close frame, often empty.
        reason: &'b str,
        /// Whether the closing handshake was completed (RFC 6455 §7.1.4).
        clean: bool,
    },
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
    /// The request cannot be written: the settings are wrong, or the transmit buffer is too small.
    Request(WriteError),
    /// The opening handshake failed: with its HTTP status where the server gave one.
    Handshake(client::Error),
    /// The connection ended as the protocol knows it: closed, silent (pong timeout), stuck, against the rules, or cut.
    Ended(Ended),
    /// The transport reported an error.
    Transport(ErrorKind),
    /// The future of the client was dropped.
    Dropped,
    /// The client was stopped or told to connect anew before the link was up.
    Asked,
}

impl Cause {
    /// Whether the connection ended as it should: closed by either side, with both close frames, or never wanted.
    pub fn is_clean(self) -> bool {
        match self {
            Self::Ended(ended) => ended.is_clean(),
            Self::Asked => true,
            _ => false,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => error.fmt(f),
            Self::ConnectTimedOut => f.write_str("connecting took too long"),
            Self::Request(error) => error.fmt(f),
            Self::Handshake(error) => error.fmt(f),
            Self::Ended(ended) => ended.fmt(f),
            Self::Transport(kind) => write!(f, "transport failed: {kind:?}"),
            Self::Dropped => f.write_str("dropped by the program"),
            Self::Asked => f.write_str("asked to by the program"),
        }
    }
}

/// Why a client does not connect any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stopped {
    /// [`Link::stop`](crate::Link::stop) was called.
    Asked,
    /// Connecting again would be of no use, by the table of [`Next`](tautline_proto::Next).
    Useless(Cause),
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("stopped"),
            Self::Useless(cause) => write!(f, "not connecting again: {cause}"),
        }
    }
}

/// Whoever is told. Any `FnMut(Event)` is one.
///
/// Events are pushed rather than pulled: so the bytes can stay where they were received, and no future of the program's can
/// lose any by being dropped. It runs in the client's task, which neither receives nor sends meanwhile: take what is needed and
/// return. It may use the [`Link`](crate::Link).
pub trait Handler {
    /// Something happened.
    fn event(&mut self, event: Event<'_>);

    /// Writes what is to be added to the query of the next request, such as where to resume: without `?` or `&` in front,
    /// percent-encoded. By default nothing.
    fn query(&mut self, query: &mut Text<'_>) {
        let _ = query;
    }
}

impl<F: FnMut(Event<'_>)> Handler for F {
    fn event(&mut self, event: Event<'_>) {
        self(event);
    }
}
