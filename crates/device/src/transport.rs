//! What the client needs of its surroundings: a network, a clock and random numbers.

use core::fmt;

use embedded_io_async::{Error, ErrorKind, Read, Write};
use tautline_proto::Instant;

/// Opens connections to one server: a TCP stack, and TLS over it where the link is to be encrypted.
///
/// Whom it connects to is its own affair. The client only says what is to stand in the request
/// (`Settings`).
// Whether a future can move to another thread follows from the types that it is made of; a bound here would shut out
// the executors of chips.
#[allow(async_fn_in_trait)]
pub trait Connector {
    /// An open connection. It may borrow buffers of the connector's: there is never more than one.
    type Transport<'t>: Transport
    where
        Self: 't;

    /// Connects: looks the name up, opens TCP, does the handshake of TLS.
    ///
    /// # Errors
    ///
    /// What went wrong. The client tries again later.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when it takes too long and when the client is stopped. Whatever it has begun has to end then.
    async fn connect(&mut self) -> Result<Self::Transport<'_>, ConnectError>;
}

/// An open connection: bytes in order, both ways, where it does not say otherwise.
#[allow(async_fn_in_trait)]
pub trait Transport {
    /// What can go wrong.
    type Error: Error;
    /// The half that receives.
    type Reader<'h>: Read<Error = Self::Error>
    where
        Self: 'h;
    /// The half that sends.
    type Writer<'h>: Write<Error = Self::Error>
    where
        Self: 'h;

    /// Whether these are datagrams: what is written at once arrives at once, or not at all. Only the client for sensor data
    /// can do with that; that for WebSocket needs bytes in order.
    const DATAGRAMS: bool = false;

    /// Two halves that work at the same time: a read goes on waiting while something is written.
    ///
    /// Their futures are dropped only when the connection is over. So they need not be cancel safe.
    fn split(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>);

    /// Ends the connection: what was written still arrives, then its end. The client waits for a short time only, and then drops
    /// the future.
    async fn close(self);
}

/// A clock that never goes back.
#[allow(async_fn_in_trait)]
pub trait Clock {
    /// The time since a moment of the clock's choice.
    fn now(&self) -> Instant;

    /// Waits until `at`. It may be late, not early; the past is ready at once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has to be harmless: the client asks for another time whenever something has happened.
    async fn sleep_until(&self, at: Instant);
}

/// A source of random bytes.
///
/// Masks and the key of the handshake have to be unpredictable for whoever can choose what is sent (RFC 6455 §5.3, §10.3): a hardware
/// generator, or a cryptographic one seeded from it. Any `FnMut(&mut [u8])` is one.
pub trait Random {
    /// Fills `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);
}

impl<F: FnMut(&mut [u8])> Random for F {
    fn fill(&mut self, bytes: &mut [u8]) {
        self(bytes);
    }
}

/// Why there is no connection to talk over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The server's name has no address.
    Lookup,
    /// The network, or the server's system, refused.
    Transport(ErrorKind),
    /// TLS could not be agreed on, or the server is not who it should be. The text says why.
    Tls(&'static str),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup => f.write_str("the server's name has no address"),
            Self::Transport(kind) => write!(f, "cannot connect: {kind:?}"),
            Self::Tls(why) => write!(f, "TLS: {why}"),
        }
    }
}

impl core::error::Error for ConnectError {}
