//! What came of a script.

use tautline_proto::{Ended, Transport};

/// Something that an endpoint told its application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A whole text message.
    Text(String),
    /// A whole binary message.
    Binary(Vec<u8>),
    /// A ping.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// The peer's close frame; 1005 if it had no code.
    Close(u16, String),
}

/// A frame that an endpoint sent of its own accord.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A pong.
    Pong(Vec<u8>),
    /// A close frame.
    Close {
        /// Its code.
        code: Option<u16>,
        /// Its reason. Among expectations, `None` stands for any reason.
        reason: Option<String>,
    },
}

impl Sent {
    /// Whether this is what `expected` asks for.
    pub fn matches(&self, expected: &Self) -> bool {
        match (self, expected) {
            (Self::Close { code, .. }, Self::Close { code: expected, reason: None }) => code == expected,
            _ => self == expected,
        }
    }
}

/// Everything that came of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What the application was told, in order.
    pub seen: Vec<Seen>,
    /// What the peer was sent, in order.
    pub sent: Vec<Sent>,
    /// Why the connection ended, if it did.
    pub ended: Option<Ended>,
    /// What is to become of the transport.
    pub transport: Transport,
}

/// `value` for an error message: its beginning, if it is long.
pub(crate) fn brief(value: &dyn std::fmt::Debug) -> String {
    const MOST: usize = 400;
    let text = format!("{value:?}");
    match text.len() {
        0..=MOST => text,
        len => format!("{}... ({len} characters)", &text[..text.floor_char_boundary(MOST)]),
    }
}
