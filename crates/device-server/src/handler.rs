//! What the program does with requests and messages.

use core::fmt;
use core::time::Duration;

use tautline_proto::app::{Delivery, Message, Opening, Slow};
use tautline_proto::handshake::server::Rejection;
use tautline_proto::{CloseCode, Data, Ended, Instant, Part};

use crate::request::Request;
use crate::respond::{Outcome, Respond, Responded};

/// What a program does with its clients. One value serves all of them, one call at a time; calls must not block.
///
/// A request for a page is one call of [`request`](Self::request); if that wants the body, [`body`](Self::body) for each
/// piece and [`complete`](Self::complete), or [`aborted`](Self::aborted). A WebSocket is [`admit`](Self::admit),
/// [`open`](Self::open), [`message`](Self::message) for each piece, and [`closed`](Self::closed) exactly once.
pub trait Handler {
    /// A request for a page. By default there is none: 404.
    fn request(&mut self, io: &mut dyn Io, request: &Request<'_>, respond: Respond<'_>) -> Outcome {
        let _ = (io, request);
        respond.not_found().into()
    }

    /// A piece of the body that [`request`](Self::request) wanted.
    fn body(&mut self, io: &mut dyn Io, client: ClientId, piece: &[u8]) {
        let _ = (io, client, piece);
    }

    /// The body is complete, and the request is to be answered.
    fn complete(&mut self, io: &mut dyn Io, client: ClientId, respond: Respond<'_>) -> Responded {
        let _ = (io, client);
        respond.not_found()
    }

    /// The body will never be complete: the client is gone, too slow, or broke a rule or the limit.
    fn aborted(&mut self, io: &mut dyn Io, client: ClientId) {
        let _ = (io, client);
    }

    /// A client asks for a WebSocket. By default it gets one.
    ///
    /// # Errors
    ///
    /// The HTTP answer that the client gets instead.
    fn admit(&mut self, io: &mut dyn Io, client: ClientId, opening: &Opening<'_>) -> Result<(), Rejection> {
        let _ = (io, client, opening);
        Ok(())
    }

    /// A WebSocket is open: what is sent to it follows the answer to its handshake.
    fn open(&mut self, io: &mut dyn Io, client: ClientId, opening: &Opening<'_>) {
        let _ = (io, client, opening);
    }

    /// A message, or a piece of one: as much as has arrived. [`Data`] says which piece of which frame it is.
    ///
    /// There is always room for sending as much back to the same client: while there is not, nothing more of it is read.
    fn message(&mut self, io: &mut dyn Io, client: ClientId, data: &Data<'_>) {
        let _ = (io, client, data);
    }

    /// A client answered our ping, in this time.
    fn pong(&mut self, io: &mut dyn Io, client: ClientId, latency: Duration) {
        let _ = (io, client, latency);
    }

    /// The queue of a client that was found [`Full`](SendError::Full) is empty.
    fn drained(&mut self, io: &mut dyn Io, client: ClientId) {
        let _ = (io, client);
    }

    /// A WebSocket has ended.
    fn closed(&mut self, io: &mut dyn Io, client: ClientId, ended: Ended) {
        let _ = (io, client, ended);
    }
}

/// What a program can do to its clients. Nothing here waits.
pub trait Io {
    /// The time of the call.
    fn now(&self) -> Instant;

    /// How many WebSockets are open.
    fn open_clients(&self) -> usize;

    /// Sends a whole message.
    ///
    /// # Errors
    ///
    /// See [`SendError`]. Nothing was changed.
    fn send(&mut self, to: ClientId, message: Message<'_>) -> Result<(), SendError>;

    /// Sends a part of a message, as a frame of its own: for what does not fit the client's queue as a whole.
    ///
    /// # Errors
    ///
    /// See [`SendError`]. Nothing was changed.
    fn send_part(&mut self, to: ClientId, part: Part, payload: &[u8]) -> Result<(), SendError>;

    /// Sends a whole message to every open client that `to` names. One whose queue has no room is treated as `slow` says:
    /// disconnected with 1013, or its older published messages give way. A message that does not fit an empty queue is
    /// dropped for all.
    fn publish(&mut self, to: &mut dyn FnMut(ClientId) -> bool, message: Message<'_>, slow: Slow) -> Delivery;

    /// Sends a whole message to every open client: see [`publish`](Self::publish).
    fn broadcast(&mut self, message: Message<'_>, slow: Slow) -> Delivery {
        self.publish(&mut |_| true, message, slow)
    }

    /// Pings a client before its next ping is due. The answer is told by [`Handler::pong`].
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`].
    fn ping(&mut self, to: ClientId) -> Result<(), SendError>;

    /// Begins to close a WebSocket: what was sent to it still leaves, and of what it sends nothing more is told but its end.
    /// Does nothing if it is closing or closed.
    fn close(&mut self, client: ClientId, code: CloseCode, reason: &str);

    /// How many bytes wait to be sent to a client; `None` if it is gone.
    fn queued(&self, client: ClientId) -> Option<usize>;
}

/// Names a client: its place, and which of those that have had this place it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId {
    pub(crate) slot: u16,
    pub(crate) serial: u32,
}

impl ClientId {
    /// Its place, from 0 to one less than the server's clients: for arrays of what the program knows of each.
    pub fn slot(self) -> usize {
        usize::from(self.slot)
    }
}

/// Why nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The WebSocket is closing or closed, or there is no such client.
    Closed,
    /// There is no room in the client's queue now. [`Handler::drained`] tells when it is empty.
    Full,
    /// It would not even fit an empty queue: send it in parts.
    TooLong,
    /// The message that is being sent in parts comes first, or there is none to continue.
    OutOfOrder,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the connection is closed or closing",
            Self::Full => "the client's queue has no room",
            Self::TooLong => "longer than the client's queue: send it in parts",
            Self::OutOfOrder => "parts of messages are sent in order, one message after the other",
        })
    }
}

impl core::error::Error for SendError {}
