//! Applications that any driver can carry: on tokio, on an event loop, in a test.

use core::any::Any;
use core::net::SocketAddr;
use core::ops::{Add, AddAssign};
use core::time::Duration;

use crate::close::CloseCode;
use crate::event::{Ended, Kind};
use crate::handshake::deflate::Parameters;
use crate::handshake::server::Rejection;
use crate::time::Instant;

/// What a server does with its connections, without I/O of its own.
///
/// One value serves any number of connections, one call at a time, in the order in which things happened. Calls must
/// not block: a driver may run them inside its event loop. What an application wants done, it asks of [`Io`].
///
/// For every connection the calls are: [`admit`](Self::admit); if that accepts it, [`open`](Self::open);
/// [`message`](Self::message), [`drained`](Self::drained) and [`alive`](Self::alive) any number of times; and at the end [`closed`](Self::closed),
/// exactly once for every connection that was admitted, opened or not.
pub trait App: Send {
    /// A client asks to connect. Refuses it with an HTTP status, or accepts it and reserves what it needs.
    ///
    /// # Errors
    ///
    /// The HTTP answer that the client gets.
    fn admit(&mut self, io: &mut dyn Io, id: ConnectionId, opening: &Opening<'_>) -> Result<(), Rejection> {
        let _ = (io, id, opening);
        Ok(())
    }

    /// The connection is open, or will be when its handshake has been answered: what is sent to it arrives then.
    fn open(&mut self, io: &mut dyn Io, id: ConnectionId) {
        let _ = (io, id);
    }

    /// A message arrived. While what the application has sent to this connection does not fit its queue, the driver reads
    /// no further from it.
    fn message(&mut self, io: &mut dyn Io, id: ConnectionId, message: Message<'_>) {
        let _ = (io, id, message);
    }

    /// A connection that [`Io::send`] found busy has written everything. After [`Io::close`] only
    /// [`closed`](Self::closed) follows.
    fn drained(&mut self, io: &mut dyn Io, id: ConnectionId) {
        let _ = (io, id);
    }

    /// A connection that [`Io::probe`] asked about has been heard from.
    fn alive(&mut self, io: &mut dyn Io, id: ConnectionId) {
        let _ = (io, id);
    }

    /// The connection is gone; `None` if it never opened.
    fn closed(&mut self, io: &mut dyn Io, id: ConnectionId, ended: Option<Ended>) {
        let _ = (io, id, ended);
    }

    /// A timer that [`Io::set_timer`] set is due.
    fn timer(&mut self, io: &mut dyn Io, timer: u64) {
        let _ = (io, timer);
    }
}

/// What an application can ask of its driver.
pub trait Io {
    /// The address of a client whose connection is open; `None` if the transport has no addresses.
    fn peer(&self, id: ConnectionId) -> Option<SocketAddr>;

    /// How a connection is, or was when it ended; `None` if it is unknown.
    fn vitals(&self, id: ConnectionId) -> Option<Vitals>;

    /// The time.
    fn now(&self) -> Instant;

    /// 32 random bits.
    fn random(&mut self) -> u32;

    /// Sends a message, never waiting. A connection whose queue is full is closed with 1013.
    fn send(&mut self, to: ConnectionId, message: Message<'_>) -> Sent;

    /// As [`send`](Self::send), as it is even where compression was agreed on: for what will not get shorter. The choice is each
    /// message's (RFC 7692 §6). The same by default, for drivers that compress nothing.
    fn send_uncompressed(&mut self, to: ConnectionId, message: Message<'_>) -> Sent {
        self.send(to, message)
    }

    /// Sends a message to many connections, encoding it once. A connection whose queue is full is treated as `slow` says.
    fn publish(&mut self, to: &mut dyn Iterator<Item = ConnectionId>, message: Message<'_>, slow: Slow) -> Delivery;

    /// Begins to close a connection: what was sent to it still leaves, and of what it sends nothing more is heard but its
    /// end.
    fn close(&mut self, id: ConnectionId, code: CloseCode, reason: &str);

    /// Finds out whether a peer is still there: it is sent a ping now, whether or not pings keep connections alive here.
    ///
    /// If anything at all arrives from it within the time, [`App::alive`] is called, once. Otherwise the connection is
    /// given up, and [`App::closed`] tells why: [`Ended::PeerSilent`], or [`Ended::SendStuck`] if the ping itself could not
    /// leave within the time.
    ///
    /// The time is good to some hundredths of a second. More than ten minutes may be cut.
    ///
    /// A connection that is being probed keeps the earlier deadline, and is answered once. One that is admitted and whose
    /// handshake is not answered yet is asked when it is, and its time begins then. Nothing happens to one that is closing,
    /// whose end is coming anyway, nor to one that is closed or unknown.
    fn probe(&mut self, id: ConnectionId, within: Duration);

    /// Has [`App::timer`] called with `timer` at `at`. A timer that is set again moves.
    fn set_timer(&mut self, timer: u64, at: Instant);

    /// Takes a timer back.
    fn cancel_timer(&mut self, timer: u64);
}

/// How a connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// How long ago something was last heard from the client.
    pub silence: Duration,
    /// How many bytes wait to be sent to it.
    pub queued: usize,
    /// How long its answer to our last ping took; `None` if it has answered none yet.
    pub latency: Option<Duration>,
}

/// Names a connection; never used twice by a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What a client asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opening<'a> {
    /// The path, percent-encoded as it was sent, without the query.
    pub path: &'a str,
    /// The query, without the question mark.
    pub query: Option<&'a str>,
    /// The subprotocol that was selected.
    pub subprotocol: Option<&'a str>,
    /// The client's address; `None` if the transport has no addresses.
    pub peer: Option<SocketAddr>,
    /// The name that the client has proven to have, for instance by its certificate.
    pub identity: Option<&'a str>,
    /// What whoever has asked for the admission says besides. It knows the app, and the driver need not.
    pub attached: Option<&'a (dyn Any + Send + Sync)>,
    /// Whether what it sends is encrypted (`wss`).
    pub secure: bool,
    /// How messages are compressed, by the driver; `None`: they are not.
    pub deflate: Option<Parameters>,
}

/// A message, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// UTF-8 text.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    /// Whether it is text or binary.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// The payload.
    pub fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Written, or about to be when the call returns: nothing waits before it.
    Written,
    /// Queued; [`App::drained`] will tell when the queue is empty.
    Queued,
    /// The connection is closed, or was too slow and is closed now.
    Closed,
}

/// What happens to a receiver of published messages whose queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Slow {
    /// It is disconnected with 1013 (try again later).
    #[default]
    Disconnect,
    /// Its oldest published messages make room.
    DropOldest,
    /// All its waiting published messages give way to the new one.
    KeepLatest,
}

/// What became of published messages, counted exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Messages written or queued.
    pub sent: u64,
    /// Messages dropped, the new one or older ones: the receiver was slow, or in the middle of sending a fragmented
    /// message.
    pub dropped: u64,
    /// Receivers disconnected because they were slow.
    pub disconnected: u64,
    /// Receivers that were closed already.
    pub closed: u64,
}

impl Add for Delivery {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            dropped: self.dropped + other.dropped,
            disconnected: self.disconnected + other.disconnected,
            closed: self.closed + other.closed,
        }
    }
}

impl AddAssign for Delivery {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
