//! What was compressed last, and where to find it.

use crate::{
    error::TooSmall,
    search::{BUCKET, Search},
    window_bits::WindowBits,
};

/// The last bytes that were compressed, for what follows to refer to, with an index of them, in memory of the caller's
/// (`[u8; N]`, `Box<[u8]>`, `&mut [u8]`).
///
/// It is all that a connection has to keep between messages, and nothing where each message stands for itself: then one
/// serves all connections, and is cleared in no time.
///
/// How much memory a window needs is [`WindowBits::history_bytes`].
#[derive(Debug)]
pub struct History<M> {
    /// The text, then the index.
    memory: M,
    bits: WindowBits,
    /// Where the text ends.
    end: u32,
    /// Where the text begins that is not compressed yet.
    next: u32,
    /// Where the text begins that is not in the index.
    indexed: u32,
    /// Where the text begins that can be referred to.
    first: u32,
    /// What the index calls the first byte of the text, modulo 2^16.
    base: u16,
}

impl<M: AsMut<[u8]>> History<M> {
    /// An empty history. Memory needs at least [`WindowBits::history_bytes`]; what there is above that is not used, and
    /// what is in it does not matter.
    ///
    /// # Errors
    ///
    /// The memory is too small.
    pub fn new(bits: WindowBits, mut memory: M) -> Result<Self, TooSmall> {
        let needed = bits.history_bytes();
        if memory.as_mut().len() < needed {
            return Err(TooSmall { needed });
        }
        Ok(Self { memory, bits, end: 0, next: 0, indexed: 0, first: 0, base: 0 })
    }

    /// The size of its window.
    pub fn bits(&self) -> WindowBits {
        self.bits
    }

    /// Forgets everything, at no cost: for a context that is not taken over. Only between messages.
    pub fn reset(&mut self) {
        // Places in the index stay; they are too far away from now on.
        (self.next, self.indexed, self.first) = (self.end, self.end, self.end);
    }

    /// What the next message can refer to, at most a window. Only between messages.
    pub fn recent(&mut self) -> &[u8] {
        let from = self.end.saturating_sub(self.bits.window_bytes() as u32).max(self.first);
        &self.memory.as_mut()[from as usize..self.end as usize]
    }

    /// Takes a message that something else has compressed, with reference to what is [recent](Self::recent) at most, so that
    /// the next ones can refer to it. Only between messages.
    pub fn remember(&mut self, message: &[u8]) {
        let mut rest = message;
        if message.len() > self.bits.window_bytes() {
            // What was before it is out of reach then.
            self.reset();
            rest = &message[message.len() - self.bits.window_bytes()..];
        }
        while !rest.is_empty() {
            let taken = self.take(rest);
            rest = &rest[taken..];
            let mut search = self.search();
            search.index();
            let indexed = search.indexed;
            self.searched(self.end as usize, indexed);
        }
    }

    /// Gives the memory back.
    pub fn into_memory(self) -> M {
        self.memory
    }

    /// Where the text begins that is not compressed yet.
    pub(crate) fn next(&self) -> usize {
        self.next as usize
    }

    /// How much text is not compressed yet.
    pub(crate) fn ahead(&self) -> usize {
        (self.end - self.next) as usize
    }

    /// How long a block can be, so that its text is still here when it is written.
    pub(crate) fn longest_block(&self) -> usize {
        kept(self.bits)
    }

    pub(crate) fn text(&mut self) -> &[u8] {
        &self.memory.as_mut()[..self.end as usize]
    }

    /// Takes what there is room for from the front of `input`, and returns how much that was. The room is made by
    /// forgetting what nothing can refer to any more; so no block may be waiting to be written.
    pub(crate) fn take(&mut self, input: &[u8]) -> usize {
        let capacity = text_bytes(self.bits);
        if capacity - (self.end as usize) < input.len() {
            self.forget();
        }
        let end = self.end as usize;
        let room = &mut self.memory.as_mut()[end..capacity];
        let len = room.len().min(input.len());
        room[..len].copy_from_slice(&input[..len]);
        self.end += len as u32;
        len
    }

    /// Forgets what is further back than anything can refer to.
    fn forget(&mut self) {
        let from = self.next.saturating_sub(kept(self.bits) as u32);
        self.memory.as_mut().copy_within(from as usize..self.end as usize, 0);
        self.end -= from;
        self.next -= from;
        self.indexed = self.indexed.saturating_sub(from);
        self.first = self.first.saturating_sub(from);
        self.base = self.base.wrapping_add(from as u16);
    }

    /// A search through it, and how far the search has come, for [`History::searched`].
    pub(crate) fn search(&mut self) -> Search<'_> {
        let (text, index) = self.memory.as_mut()[..self.bits.history_bytes()].split_at_mut(text_bytes(self.bits));
        Search {
            text: &text[..self.end as usize],
            index: index.as_chunks_mut().0,
            window: self.bits.window_bytes(),
            first: self.first as usize,
            indexed: self.indexed as usize,
            base: self.base,
        }
    }

    pub(crate) fn searched(&mut self, next: usize, indexed: usize) {
        (self.next, self.indexed) = (next as u32, indexed as u32);
    }
}

impl WindowBits {
    /// How much memory a [`History`](crate::History) needs: text of 1.5 windows or more, so that it seldom has to be moved,
    /// and the index.
    pub const fn history_bytes(self) -> usize {
        text_bytes(self) + index_bytes(self)
    }
}

/// What is kept of the text when room is made: a window, and what a block of some use needs.
const fn kept(bits: WindowBits) -> usize {
    if bits.window_bytes() < 512 { 512 } else { bits.window_bytes() }
}

const fn text_bytes(bits: WindowBits) -> usize {
    let ahead = if bits.window_bytes() < 1024 { 512 } else { bits.window_bytes() / 2 };
    kept(bits) + ahead
}

/// A place of two bytes for each byte of the window, or for every second one of the largest.
const fn index_bytes(bits: WindowBits) -> usize {
    let places = if bits.value() == 15 { bits.window_bytes() / 2 } else { bits.window_bytes() };
    places / (BUCKET / 2) * BUCKET
}
