//! Caller memory for the control frame that is owed to the peer.

use crate::frame::{MAX_CONTROL_PAYLOAD, OpCode};

/// Holds the payload of the one control frame that the connection owes the peer: the pong to the latest ping, or the
/// close frame.
///
/// One is enough: only the latest ping must be answered (RFC 6455 §5.5.3), and nothing follows a close frame
/// (§5.5.1). It belongs to the caller so that an idle connection need not own it: it may be dropped, or serve another
/// connection, whenever [`is_empty`](Self::is_empty).
#[derive(Clone, Debug)]
pub struct Control {
    payload: [u8; MAX_CONTROL_PAYLOAD],
    len: u8,
    owed: Owed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    Nothing,
    Pong,
    Close,
}

impl Control {
    /// Nothing owed.
    pub const fn new() -> Self {
        Self { payload: [0; MAX_CONTROL_PAYLOAD], len: 0, owed: Owed::Nothing }
    }

    /// Whether nothing waits here.
    pub const fn is_empty(&self) -> bool {
        matches!(self.owed, Owed::Nothing)
    }

    pub(crate) fn owe_pong(&mut self, payload: &[u8]) {
        if self.owed != Owed::Close {
            self.owe(Owed::Pong, payload, &[]);
        }
    }

    /// `code` is absent when the peer's close frame had none: the reply has none either.
    pub(crate) fn owe_close(&mut self, code: Option<u16>, reason: &str) {
        match code {
            Some(code) => self.owe(Owed::Close, &code.to_be_bytes(), reason.as_bytes()),
            None => self.owe(Owed::Close, &[], &[]),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.owed = Owed::Nothing;
    }

    pub(crate) fn owed(&self) -> Option<(OpCode, &[u8])> {
        let opcode = match self.owed {
            Owed::Nothing => return None,
            Owed::Pong => OpCode::Pong,
            Owed::Close => OpCode::Close,
        };
        Some((opcode, &self.payload[..usize::from(self.len)]))
    }

    fn owe(&mut self, owed: Owed, front: &[u8], back: &[u8]) {
        let len = front.len() + back.len();
        let (start, end) = self.payload[..len].split_at_mut(front.len());
        start.copy_from_slice(front);
        end.copy_from_slice(back);
        self.len = len as u8;
        self.owed = owed;
    }
}

impl Default for Control {
    fn default() -> Self {
        Self::new()
    }
}
