//! Putting pieces together, in memory of fixed size.

use tautline_proto::app::Message;
use tautline_proto::{Data, Kind};

/// Puts the pieces of a body or of a message together, up to `SIZE` bytes. A program that wants them whole has one for each of
/// its clients.
#[derive(Clone, Debug)]
pub struct Gather<const SIZE: usize> {
    bytes: [u8; SIZE],
    len: usize,
    too_long: bool,
}

/// What [`Gather::message`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gathered<'g> {
    /// More of the message is to come.
    More,
    /// The whole message.
    Whole(Message<'g>),
    /// The message has ended, and was longer than the memory.
    TooLong,
}

impl<const SIZE: usize> Gather<SIZE> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { bytes: [0; SIZE], len: 0, too_long: false }
    }

    /// Forgets everything: something new begins.
    pub fn clear(&mut self) {
        (self.len, self.too_long) = (0, false);
    }

    /// Appends a piece. One that does not fit makes the whole too long.
    pub fn push(&mut self, piece: &[u8]) {
        match self.bytes.get_mut(self.len..self.len + piece.len()) {
            Some(room) if !self.too_long => {
                room.copy_from_slice(piece);
                self.len += piece.len();
            }
            _ => self.too_long = true,
        }
    }

    /// Everything so far; `None` if it was too long.
    pub fn bytes(&self) -> Option<&[u8]> {
        if self.too_long { None } else { self.bytes.get(..self.len) }
    }

    /// Takes a piece of a message, and answers the whole one with its last.
    pub fn message(&mut self, data: &Data<'_>) -> Gathered<'_> {
        if data.is_first() {
            self.clear();
        }
        self.push(data.bytes());
        if !data.is_last() {
            return Gathered::More;
        }
        match (self.bytes(), data.kind()) {
            (None, _) => Gathered::TooLong,
            (Some(bytes), Kind::Binary) => Gathered::Whole(Message::Binary(bytes)),
            // What the core hands up as text is UTF-8 as a whole.
            (Some(bytes), Kind::Text) => {
                Gathered::Whole(Message::Text(core::str::from_utf8(bytes).unwrap_or_default()))
            }
        }
    }
}

impl<const SIZE: usize> Default for Gather<SIZE> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_that_fit_come_together_and_others_are_told_apart() {
        let mut gather = Gather::<4>::new();
        gather.push(b"ab");
        gather.push(b"cd");
        assert_eq!(gather.bytes(), Some(&b"abcd"[..]));
        gather.push(b"e");
        assert_eq!(gather.bytes(), None);
        // Also if what follows would fit.
        gather.push(b"");
        assert_eq!(gather.bytes(), None);
        gather.clear();
        assert_eq!(gather.bytes(), Some(&b""[..]));
    }
}
