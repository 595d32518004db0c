//! Messages and events.

use std::time::Duration;

use bytes::Bytes;
use tautline_proto::{CloseCode, Kind, OpCode};

use crate::text::Text;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// UTF-8 text.
    Text(Text),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// A text message.
    pub fn text(text: impl Into<Text>) -> Self {
        Self::Text(text.into())
    }

    /// A binary message.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::Binary(bytes.into())
    }

    /// Whether it is text or binary.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// The payload.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The payload, shared.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Length of the payload in bytes.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<Text> for Message {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::binary(bytes)
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(bytes))
    }
}

/// What happens on a connection, frame by frame: see [`WebSocket::recv_event`](crate::WebSocket::recv_event).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message, or a piece of one.
    Data(Chunk),
    /// The peer pinged; the pong is on its way.
    Ping(Bytes),
    /// The peer answered a ping, or sent a pong of its own accord.
    Pong {
        /// The payload.
        payload: Bytes,
        /// The round trip, if this answers our latest ping.
        latency: Option<Duration>,
    },
    /// The peer's close frame.
    Close {
        /// Its code; [`CloseCode::NO_STATUS`] if there was none.
        code: CloseCode,
        /// Its reason, often empty.
        reason: String,
    },
}

/// A message, or a piece of one: as much as arrived in one read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The bytes. A piece of text may end inside a character.
    pub data: Bytes,
    /// Whether the message is text or binary.
    pub kind: Kind,
    /// The frame's opcode: text, binary, or continuation.
    pub opcode: OpCode,
    /// Whether the frame is the last of its message.
    pub fin: bool,
    /// Length of the frame's payload in bytes.
    pub payload_len: u64,
    /// Where in the frame's payload this piece begins.
    pub offset: u64,
}

impl Chunk {
    /// Whether the message ends with this piece.
    pub fn is_last(&self) -> bool {
        self.fin && self.offset + self.data.len() as u64 == self.payload_len
    }
}
