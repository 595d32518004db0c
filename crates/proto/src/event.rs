//! What a connection tells its driver.

use core::fmt;
use core::time::Duration;

use crate::close::CloseCode;
use crate::connection::Part;
use crate::frame::OpCode;
use crate::violation::Violation;

/// What arrived. Payloads are borrowed from the caller's buffer, unmasked in place.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'b> {
    /// A message, or a piece of one.
    Data(Data<'b>),
    /// A compressed message, or a piece of one: [`Connection::inflate`](crate::Connection::inflate) gives its data. Only where
    /// compression was agreed on.
    Compressed(Compressed<'b>),
    /// The peer pinged. The pong is already queued; this is for information.
    Ping(&'b [u8]),
    /// A pong arrived: the answer to our latest ping with the time it took, or an unsolicited one.
    Pong {
        /// The payload.
        payload: &'b [u8],
        /// From handing our ping to the transport until now; `None` if this does not answer our latest ping.
        latency: Option<Duration>,
    },
    /// The peer's close frame. The reply is queued where one is due; [`Connection::ended`](crate::Connection::ended)
    /// answers from now on.
    Close {
        /// The code; [`CloseCode::NO_STATUS`] if there was none.
        code: CloseCode,
        /// The reason, often empty.
        reason: &'b str,
    },
}

/// A message, or a piece of one: as much as lay in the buffer.
#[derive(Debug, PartialEq, Eq)]
pub struct Data<'b> {
    pub(crate) opcode: OpCode,
    pub(crate) kind: Kind,
    pub(crate) fin: bool,
    pub(crate) payload_len: u64,
    pub(crate) offset: u64,
    pub(crate) bytes: &'b [u8],
    pub(crate) text: Option<&'b str>,
}

/// A piece of a compressed message, as much as lay in the buffer, for [`Connection::inflate`](crate::Connection::inflate).
#[derive(Debug, PartialEq, Eq)]
pub struct Compressed<'b> {
    pub(crate) kind: Kind,
    /// What is not inflated yet.
    pub(crate) bytes: &'b [u8],
    /// How many of the four bytes are inflated that every message ends with, and that are not sent (RFC 7692 §7.2.1); `None`
    /// if the message does not end here.
    pub(crate) tail: Option<u8>,
}

/// Whether a message is text or binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// Bytes.
    Binary,
}

impl Kind {
    /// The opcode of a first frame of this kind.
    pub const fn opcode(self) -> OpCode {
        match self {
            Self::Text => OpCode::Text,
            Self::Binary => OpCode::Binary,
        }
    }
}

impl<'b> Data<'b> {
    /// The bytes. Text is valid up to here, though it may end inside a character that the next piece completes.
    pub fn bytes(&self) -> &'b [u8] {
        self.bytes
    }

    /// The bytes as text, without another check: `Some` if the message is text and this piece begins and ends at a
    /// character boundary, as a whole message does.
    pub fn text(&self) -> Option<&'b str> {
        self.text
    }

    /// Whether the message is text or binary (of the message, also in a continuation frame).
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The frame's opcode: text, binary or continuation.
    pub fn opcode(&self) -> OpCode {
        self.opcode
    }

    /// Whether the frame is the last of its message.
    pub fn fin(&self) -> bool {
        self.fin
    }

    /// Length of the frame's payload in bytes.
    pub fn payload_len(&self) -> u64 {
        self.payload_len
    }

    /// Where in the frame's payload this piece begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether this is the beginning of the message.
    pub fn is_first(&self) -> bool {
        self.offset == 0 && !matches!(self.opcode, OpCode::Continuation)
    }

    /// Whether the message ends with this piece.
    pub fn is_last(&self) -> bool {
        self.fin && self.offset + self.bytes.len() as u64 == self.payload_len
    }

    /// The part that this piece is of a message that is sent on, or back, piece by piece.
    pub fn part(&self) -> Part {
        match (self.is_first(), self.is_last()) {
            (true, true) => Part::Whole(self.kind),
            (true, false) => Part::First(self.kind),
            (false, false) => Part::Next,
            (false, true) => Part::Last,
        }
    }

    /// Whether this is a message in one piece.
    pub fn is_whole(&self) -> bool {
        self.is_first() && self.is_last()
    }
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ended {
    /// The peer began the closing handshake.
    ClosedByPeer {
        /// Its code; [`CloseCode::NO_STATUS`] if it gave none.
        code: CloseCode,
        /// Whether our reply was handed to the transport.
        clean: bool,
    },
    /// We began the closing handshake.
    ClosedByUs {
        /// Our code.
        code: CloseCode,
        /// Whether the peer replied in time.
        clean: bool,
    },
    /// A ping went out and nothing at all came back within [`Config::pong_timeout`](crate::Config::pong_timeout), or
    /// within the time of a [`probe`](crate::Connection::probe).
    PeerSilent,
    /// The transport did not take our ping: what was queued before it did not move within
    /// [`Config::pong_timeout`](crate::Config::pong_timeout), or not far enough within the time of a
    /// [`probe`](crate::Connection::probe).
    SendStuck,
    /// The peer broke a rule or a limit.
    Violation(Violation),
    /// The transport ended without a close frame.
    TransportClosed,
    /// The transport failed.
    TransportFailed,
}

impl Ended {
    /// The close code that decides what comes next: the peer's where it began to close, ours where we did and it
    /// replied or where it broke a rule, [`CloseCode::ABNORMAL`] where the closing handshake was not completed.
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::ClosedByPeer { code, .. } => code,
            Self::ClosedByUs { code, clean: true } => code,
            Self::Violation(violation) => violation.close_code(),
            _ => CloseCode::ABNORMAL,
        }
    }

    /// Whether the closing handshake was completed (RFC 6455 §7.1.4).
    pub const fn is_clean(self) -> bool {
        matches!(self, Self::ClosedByPeer { clean: true, .. } | Self::ClosedByUs { clean: true, .. })
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unclean = |clean: bool| if clean { "" } else { ", closing handshake not completed" };
        match *self {
            Self::ClosedByPeer { code, clean } => write!(f, "peer closed with {code}{}", unclean(clean)),
            Self::ClosedByUs { code, clean } => write!(f, "we closed with {code}{}", unclean(clean)),
            Self::PeerSilent => f.write_str("peer silent: no answer to a ping in time"),
            Self::SendStuck => f.write_str("send queue stuck: the transport took nothing in time"),
            Self::Violation(violation) => write!(f, "peer broke the protocol: {violation}"),
            Self::TransportClosed => f.write_str("transport closed without a close frame"),
            Self::TransportFailed => f.write_str("transport failed"),
        }
    }
}

/// What [`Connection::handle_timeout`](crate::Connection::handle_timeout) found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// No timer was due.
    Idle,
    /// A ping is due: transmit it.
    Ping,
    /// A deadline of the peer had passed long before this call, so it was our own program that stood still. The peer
    /// got a new deadline.
    Stalled {
        /// How late the call came.
        late: Duration,
    },
    /// The connection ended; see [`Connection::ended`](crate::Connection::ended).
    Ended,
}

/// What the driver should do with the transport once everything to transmit has been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Keep it open.
    Keep,
    /// Shut down the sending direction, keep reading into [`Connection::receive`](crate::Connection::receive), which
    /// now discards, until the peer ends its side or the timer says [`Close`](Self::Close). Closing a socket with
    /// unread input would reset it, and the reset can overtake our close frame.
    HalfClose,
    /// Close it.
    Close,
}

/// Why a frame cannot be sent. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendError {
    /// A close frame is on its way or the connection has ended.
    Closed,
    /// A fragmented message is unfinished: finish it before the next one (RFC 6455 §5.4).
    MessageInProgress,
    /// There is no unfinished message to continue (RFC 6455 §5.4).
    NoMessageInProgress,
    /// Compression was not agreed on (RFC 7692 §5).
    NotAgreed,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the connection is closed or closing",
            Self::MessageInProgress => "a fragmented message is unfinished",
            Self::NoMessageInProgress => "no unfinished message to continue",
            Self::NotAgreed => "compression was not agreed on",
        })
    }
}

impl core::error::Error for SendError {}
