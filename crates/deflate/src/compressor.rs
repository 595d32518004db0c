//! Bytes to raw DEFLATE (RFC 1951).

use crate::{
    alphabet::MAX_MATCH,
    bit_writer::{BitWriter, Output},
    block::{Block, Writing},
    history::History,
    progress::{Flush, Progress, Status, TAIL},
    search::Match,
};

/// What it takes to compress, besides a [`History`].
///
/// Between messages it remembers nothing: one for each thread can serve all connections, as long as each message is
/// compressed and flushed before the next one begins. What a connection keeps is its history.
///
/// `TOKENS` is how many repetitions a block can have, at four bytes each, and 2 at least. With its history a compressor takes
/// less than 4 KiB for 9 bits and 128 tokens, 24 KiB for 12 bits and 1,024, 100 KiB for 15 bits and 4,096, which tests
/// assert. More than 128 are of use for messages of some KiB and more.
#[derive(Debug)]
pub struct Compressor<const TOKENS: usize> {
    block: Block<TOKENS>,
    /// What was found at the next byte, when it was looked whether that is better than what begins a byte before.
    found: Option<Match>,
    bits: BitWriter,
    state: State,
    /// Whether this block is the stream's last.
    last: bool,
}

impl<const TOKENS: usize> Compressor<TOKENS> {
    const ENOUGH: () = assert!(TOKENS >= 2, "a block needs two tokens");

    /// At the beginning of a stream.
    pub const fn new() -> Self {
        let () = Self::ENOUGH;
        Self { block: Block::new(), found: None, bits: BitWriter::new(), state: State::Gather, last: false }
    }

    /// Compresses from the front of `input` to the front of `output`, until there is no input left and everything that
    /// `flush` asks for is written, or the output is full. Behind what is written, up to 7 bytes of the output may be
    /// overwritten.
    ///
    /// What is written does not depend on how the input is cut, nor on the room. With the same `flush` again, and
    /// nothing new, an end is written again.
    ///
    /// # Panics
    ///
    /// May panic if it is given another history before it has flushed.
    pub fn compress<M: AsMut<[u8]>>(
        &mut self,
        history: &mut History<M>,
        input: &[u8],
        output: &mut [u8],
        flush: Flush,
    ) -> Progress {
        let mut output = Output { bytes: output, written: 0 };
        let mut consumed = 0;
        let status = loop {
            let status = match self.state {
                State::Gather => {
                    consumed += history.take(&input[consumed..]);
                    let flush = if consumed == input.len() { flush } else { Flush::None };
                    let full = self.gather(history, flush != Flush::None);
                    if !full && flush == Flush::None {
                        if consumed == input.len() { Some(Status::NeedsInput) } else { None }
                    } else if self.bits.make_room(&mut output) {
                        self.end(history, flush, full);
                        None
                    } else {
                        Some(Status::NeedsOutput)
                    }
                }
                State::Block(writing) => self.write(history, &mut output, writing),
                State::Flushed => self.flush(&mut output),
            };
            if let Some(status) = status {
                break status;
            }
        };
        Progress { consumed, produced: output.written, status }
    }

    /// Forgets what has begun, for another stream. The history is the caller's to [reset](History::reset), which it needs
    /// if something had begun.
    pub fn reset(&mut self) {
        self.block.clear();
        (self.found, self.bits, self.state, self.last) = (None, BitWriter::new(), State::Gather, false);
    }

    /// Searches through what has come, and collects what is to be said about it. True if the block is full.
    ///
    /// As long as more may come it stops where what comes could make a difference.
    fn gather<M: AsMut<[u8]>>(&mut self, history: &mut History<M>, all: bool) -> bool {
        /// A match, and a longer one that begins a byte later.
        const AHEAD: usize = MAX_MATCH + 4;

        let longest = history.longest_block();
        let mut at = history.next();
        let mut search = history.search();
        let end = search.text.len();
        let until = if all { end } else { end.saturating_sub(AHEAD) };
        let full = loop {
            let room = self.block.room(longest);
            if room == 0 || at >= until {
                break room == 0;
            }
            let mut found = self.found.take().or_else(|| search.find(at));
            if let Some(first) = found
                && first.may_be_beaten()
                && at + 1 < end
            {
                self.found = search.find(at + 1).filter(|next| next.beats(first));
                found = found.filter(|_| self.found.is_none());
            }
            at += self.block.push(found, room);
        };
        let indexed = search.indexed;
        history.searched(at, indexed);
        full
    }

    /// Ends the block, or the message if there is none.
    fn end<M: AsMut<[u8]>>(&mut self, history: &mut History<M>, flush: Flush, full: bool) {
        self.last = flush == Flush::Finish && history.ahead() == 0;
        if full || self.last || !self.block.is_empty() {
            let writing = self.block.begin(text_of(&self.block, history), self.last, &mut self.bits);
            self.state = State::Block(writing);
            return;
        }
        // The head of an empty stored block, then its length, or not.
        self.bits.put(0, 3);
        self.bits.align();
        if flush == Flush::Sync {
            self.bits.put(u32::from_le_bytes(TAIL).into(), 32);
        }
        self.state = State::Flushed;
    }
}

impl<const TOKENS: usize> Compressor<TOKENS> {
    fn write<M: AsMut<[u8]>>(
        &mut self,
        history: &mut History<M>,
        output: &mut Output<'_>,
        writing: Writing,
    ) -> Option<Status> {
        let text = text_of(&self.block, history);
        match self.block.write(text, writing, &mut self.bits, output) {
            Some(writing) => {
                self.state = State::Block(writing);
                return Some(Status::NeedsOutput);
            }
            None => self.block.clear(),
        }
        self.state = State::Gather;
        if self.last {
            self.bits.align();
            self.state = State::Flushed;
        }
        None
    }

    fn flush(&mut self, output: &mut Output<'_>) -> Option<Status> {
        if !self.bits.write(output) {
            return Some(Status::NeedsOutput);
        }
        self.state = State::Gather;
        Some(if core::mem::take(&mut self.last) { Status::Ended } else { Status::NeedsInput })
    }
}

impl<const TOKENS: usize> Default for Compressor<TOKENS> {
    fn default() -> Self {
        Self::new()
    }
}

/// Where a stream stands.
#[derive(Clone, Copy, Debug)]
enum State {
    /// A block is being gathered.
    Gather,
    /// A block is being written.
    Block(Writing),
    /// Everything that was asked for is said, but maybe not written.
    Flushed,
}

fn text_of<'a, const TOKENS: usize, M: AsMut<[u8]>>(block: &Block<TOKENS>, history: &'a mut History<M>) -> &'a [u8] {
    let end = history.next();
    &history.text()[end - block.text()..end]
}
