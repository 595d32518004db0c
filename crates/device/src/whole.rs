//! Whole messages, for whoever does not want pieces.

use tautline_proto::{Data, Kind};

/// Puts messages together in memory of the caller's.
#[derive(Debug)]
pub struct Whole<'b> {
    memory: &'b mut [u8],
    len: usize,
    /// Whether the message that is coming in is too large.
    overflow: bool,
}

/// What [`Whole::push`] came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Put<'w> {
    /// More pieces are to come.
    Incomplete,
    /// A message. Text is valid UTF-8: the core has checked it.
    Message(Kind, &'w mut [u8]),
    /// A message that is larger than the memory has come, and is gone.
    TooLarge,
}

impl<'b> Whole<'b> {
    /// Nothing has come yet. `memory` is as long as the longest message.
    pub const fn new(memory: &'b mut [u8]) -> Self {
        Self { memory, len: 0, overflow: false }
    }

    /// Takes a piece of [`Event::Data`](crate::Event::Data).
    pub fn push(&mut self, data: &Data<'_>) -> Put<'_> {
        if data.is_first() {
            self.clear();
        }
        let end = self.len + data.bytes().len();
        match self.memory.get_mut(self.len..end) {
            Some(room) if !self.overflow => {
                room.copy_from_slice(data.bytes());
                self.len = end;
            }
            _ => self.overflow = true,
        }
        if !data.is_last() {
            return Put::Incomplete;
        }
        if self.overflow {
            return Put::TooLarge;
        }
        Put::Message(data.kind(), &mut self.memory[..self.len])
    }

    /// Forgets what has come, for instance because the connection is over.
    pub fn clear(&mut self) {
        self.len = 0;
        self.overflow = false;
    }
}
