//! What the server needs of its surroundings: connections and a clock.

use core::future::Future;

use embedded_io_async::{Read, Write};
use tautline_proto::Instant;

use crate::client::Peer;

/// Where connections come from: a socket that listens, or one of several that listen at the same port.
pub trait Acceptor {
    /// Why no connection came.
    type Error;
    /// A connection. It may be the acceptor's own socket, which is used for one connection after the other.
    type Transport<'a>: Transport
    where
        Self: 'a;

    /// Waits for a connection.
    ///
    /// What is left of an earlier one is closed first. A handshake of TLS belongs here, with a deadline of its own. Cancel
    /// safe: a connection that has not been given out may be lost, but nothing else.
    ///
    /// # Errors
    ///
    /// The server waits a little after an error and asks again.
    fn accept(&mut self) -> impl Future<Output = Result<Self::Transport<'_>, Self::Error>>;
}

/// A connection: a stream of bytes in each direction. Dropping it closes it, without waiting for anything.
pub trait Transport {
    /// The receiving half.
    type Reader<'t>: Read
    where
        Self: 't;
    /// The sending half. Its `flush` sees to it that bytes leave, but does not wait for the peer to confirm them: a server on a
    /// slow link would send one message per round trip.
    type Writer<'t>: Write
    where
        Self: 't;

    /// What is known of the client.
    fn peer(&self) -> Peer;

    /// Both halves, which are used at the same time. Neither is dropped in the middle of an operation unless the connection
    /// has come to its end.
    fn split(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>);

    /// Ends our direction behind what was written, as far as the transport can; the other one stays open.
    fn end(&mut self) -> impl Future<Output = ()>;
}

/// A monotonic clock.
pub trait Clock {
    /// The time.
    fn now(&self) -> Instant;

    /// Waits for a time; at once if it has come.
    fn sleep_until(&self, at: Instant) -> impl Future<Output = ()>;
}
