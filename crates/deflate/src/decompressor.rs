//! Raw DEFLATE to bytes (RFC 1951).

mod dynamic;
mod turn;

use self::{dynamic::Counts, turn::Turn};
use crate::{
    alphabet::{DISTANCE, DISTANCES, END_OF_BLOCK, LENGTHS, LITERALS},
    decode::{Distances, FIXED_DISTANCE_CODE, FIXED_LITERAL_CODE, Literals},
    error::Corrupt,
    progress::{Progress, Status},
    window::Window,
};

/// What it takes to decompress, besides a [`Window`]: at most 3 KiB, which a test asserts.
///
/// Between messages it remembers nothing: one for each thread can serve all connections, as long as each message is
/// decompressed to its end before the next one begins. What a connection keeps is its window.
///
/// Input may end anywhere. What has begun is continued by the next call, with the same window.
#[derive(Debug)]
pub struct Decompressor {
    literals: Literals,
    distances: Distances,
    /// Of the dynamic block whose head is being read, literals first.
    lengths: [u8; LITERALS + DISTANCES],
    /// Bits that have arrived and are not used, the next one lowest.
    bits: u64,
    /// How many there are.
    count: u32,
    state: State,
    /// Whether this block is the stream's last.
    last: bool,
    /// Whether this block is written in the fixed code.
    fixed: bool,
}

impl Decompressor {
    /// At the beginning of a stream.
    pub const fn new() -> Self {
        Self {
            literals: Literals::new(),
            distances: Distances::new(),
            lengths: [0; LITERALS + DISTANCES],
            bits: 0,
            count: 0,
            state: State::Head,
            last: false,
            fixed: false,
        }
    }

    /// Decompresses from the front of `input` to the front of `output` until one of them is at its end, or the stream is.
    ///
    /// How much a stream becomes is limited by the room: [`Status::NeedsOutput`] means that one byte more than what is
    /// written is sure to come, and everything is kept to go on. Whoever allows a message of `n` bytes gives room for
    /// `n` in all, and refuses the message then. Time is linear in what is consumed and produced.
    ///
    /// # Errors
    ///
    /// The stream is not one. What was written to `output` before is lost; every further call fails in the same way,
    /// until [`Decompressor::reset`].
    pub fn decompress<M: AsMut<[u8]>>(
        &mut self,
        window: &mut Window<M>,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<Progress, Corrupt> {
        let mut turn = Turn { window, input, taken: 0, output, written: 0 };
        let status = loop {
            match self.step(&mut turn) {
                Ok(None) => {}
                Ok(Some(status)) => break status,
                Err(corrupt) => {
                    self.state = State::Corrupt(corrupt);
                    return Err(corrupt);
                }
            }
        };
        if status != Status::NeedsInput {
            // Whole bytes that were read ahead. They are of this input: those of earlier ones were too few for the step
            // that has been done since.
            turn.taken -= self.count as usize / 8;
            self.count %= 8;
            self.bits &= (1 << self.count) - 1;
        }
        turn.window.remember(&turn.output[..turn.written]);
        Ok(Progress { consumed: turn.taken, produced: turn.written, status })
    }

    /// Whether no block has begun and no bit is waiting: so it must be behind a message and [`TAIL`](crate::TAIL)
    /// (RFC 7692 §7.2.2). If it is not, the message was cut off.
    pub fn is_between_blocks(&self) -> bool {
        matches!(self.state, State::Head) && self.count == 0
    }

    /// Forgets what has begun, for another stream. The window is the caller's to [reset](Window::reset) or to keep.
    pub fn reset(&mut self) {
        (self.bits, self.count, self.state) = (0, 0, State::Head);
    }

    /// One step, or why there can be none now. Each step is done as a whole or not at all.
    fn step<M: AsMut<[u8]>>(&mut self, turn: &mut Turn<'_, M>) -> Result<Option<Status>, Corrupt> {
        let done = match self.state {
            State::Head => self.head(turn)?,
            State::StoredLength => self.stored_length(turn)?,
            State::Stored { left } => return Ok(self.stored(turn, left)),
            State::Counts => self.counts(turn)?,
            State::CodeLengthLengths { counts, known } => self.code_length_lengths(turn, counts, known)?,
            State::Lengths { counts, known } => self.code_lengths(turn, counts, known)?,
            State::Symbols => return self.symbols(turn),
            State::Literal(byte) => {
                let Some(room) = turn.output.get_mut(turn.written) else { return Ok(Some(Status::NeedsOutput)) };
                *room = byte;
                turn.written += 1;
                self.state = State::Symbols;
                true
            }
            State::Match { distance, left } => {
                let left = left - turn.copy(distance.into(), left.into()) as u16;
                if left > 0 {
                    self.state = State::Match { distance, left };
                    return Ok(Some(Status::NeedsOutput));
                }
                self.state = State::Symbols;
                true
            }
            State::Ended => {
                // The rest of this byte means nothing.
                self.drop_bits(self.count % 8);
                self.state = State::Head;
                return Ok(Some(Status::Ended));
            }
            State::Corrupt(corrupt) => return Err(corrupt),
        };
        Ok(if done { None } else { Some(Status::NeedsInput) })
    }

    /// RFC 1951 §3.2.3.
    fn head<M>(&mut self, turn: &mut Turn<'_, M>) -> Result<bool, Corrupt> {
        let Some(bits) = self.take(turn, 3) else { return Ok(false) };
        self.last = bits & 1 != 0;
        self.state = match bits >> 1 {
            0 => {
                // The rest of this byte means nothing.
                self.drop_bits(self.count % 8);
                State::StoredLength
            }
            1 => {
                self.fixed = true;
                State::Symbols
            }
            2 => {
                self.fixed = false;
                State::Counts
            }
            _ => return Err(Corrupt::BlockType),
        };
        Ok(true)
    }

    /// RFC 1951 §3.2.4.
    fn stored_length<M>(&mut self, turn: &mut Turn<'_, M>) -> Result<bool, Corrupt> {
        let Some(bits) = self.take(turn, 32) else { return Ok(false) };
        let (left, complement) = (bits as u16, (bits >> 16) as u16);
        if left != !complement {
            return Err(Corrupt::StoredLength);
        }
        self.state = State::Stored { left };
        Ok(true)
    }

    fn stored<M>(&mut self, turn: &mut Turn<'_, M>, left: u16) -> Option<Status> {
        if left == 0 {
            self.end_block();
            return None;
        }
        if turn.written == turn.output.len() {
            return Some(Status::NeedsOutput);
        }
        // First what was read ahead.
        if self.count > 0 {
            turn.output[turn.written] = self.bits as u8;
            turn.written += 1;
            self.drop_bits(8);
            self.state = State::Stored { left: left - 1 };
            return None;
        }
        let (from, to) = (&turn.input[turn.taken..], &mut turn.output[turn.written..]);
        let len = from.len().min(to.len()).min(left.into());
        if len == 0 {
            return Some(Status::NeedsInput);
        }
        to[..len].copy_from_slice(&from[..len]);
        turn.taken += len;
        turn.written += len;
        self.state = State::Stored { left: left - len as u16 };
        None
    }

    /// Literals and matches, as many as there are (RFC 1951 §3.2.5).
    fn symbols<M: AsMut<[u8]>>(&mut self, turn: &mut Turn<'_, M>) -> Result<Option<Status>, Corrupt> {
        let (literals, distances) =
            if self.fixed { (&FIXED_LITERAL_CODE, &FIXED_DISTANCE_CODE) } else { (&self.literals, &self.distances) };
        let (mut bits, mut count) = (self.bits, self.count);
        let outcome = loop {
            // A length and a distance are 48 bits at most.
            if count < 48 {
                turn.refill(&mut bits, &mut count);
            }
            let (symbol, used) = match literals.symbol(bits) {
                Ok(found) => found,
                Err(corrupt) => break Err(corrupt),
            };
            if used > count {
                break Ok(Some(Status::NeedsInput));
            }
            if symbol < END_OF_BLOCK {
                bits >>= used;
                count -= used;
                if let Some(room) = turn.output.get_mut(turn.written) {
                    *room = symbol as u8;
                    turn.written += 1;
                    continue;
                }
                self.state = State::Literal(symbol as u8);
                break Ok(None);
            }
            if symbol == END_OF_BLOCK {
                bits >>= used;
                count -= used;
                break Ok(None);
            }
            match pair(distances, symbol, bits, used) {
                Err(corrupt) => break Err(corrupt),
                Ok(pair) if pair.used > count => break Ok(Some(Status::NeedsInput)),
                Ok(Pair { length, distance, used }) => {
                    if !turn.reaches(distance.into()) {
                        break Err(Corrupt::Distance);
                    }
                    bits >>= used;
                    count -= used;
                    let left = length - turn.copy(distance.into(), length.into()) as u16;
                    if left > 0 {
                        self.state = State::Match { distance, left };
                        break Ok(Some(Status::NeedsOutput));
                    }
                }
            }
        };
        (self.bits, self.count) = (bits, count);
        if matches!(outcome, Ok(None)) && matches!(self.state, State::Symbols) {
            self.end_block();
        }
        outcome
    }

    fn end_block(&mut self) {
        self.state = if self.last { State::Ended } else { State::Head };
    }

    /// This many bits, at most 32, or none if they have not all arrived.
    fn take<M>(&mut self, turn: &mut Turn<'_, M>, len: u32) -> Option<u32> {
        if self.count < len {
            self.refill(turn);
        }
        if self.count < len {
            return None;
        }
        let bits = self.bits & ((1 << len) - 1);
        self.drop_bits(len);
        Some(bits as u32)
    }

    fn refill<M>(&mut self, turn: &mut Turn<'_, M>) {
        turn.refill(&mut self.bits, &mut self.count);
    }

    fn drop_bits(&mut self, len: u32) {
        self.bits >>= len;
        self.count -= len;
    }
}

impl Default for Decompressor {
    fn default() -> Self {
        Self::new()
    }
}

/// Where a stream stands.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Before a block.
    Head,
    StoredLength,
    Stored {
        left: u16,
    },
    Counts,
    CodeLengthLengths {
        counts: Counts,
        known: u8,
    },
    Lengths {
        counts: Counts,
        known: u16,
    },
    Symbols,
    /// A literal without room.
    Literal(u8),
    /// A match, of which this much has had no room.
    Match {
        distance: u16,
        left: u16,
    },
    /// Behind the last block.
    Ended,
    Corrupt(Corrupt),
}

/// A match, and how many bits it is written in.
struct Pair {
    length: u16,
    distance: u16,
    used: u32,
}

/// The match that begins with the symbol of a length, whose code has `used` bits. If there are fewer bits than it says,
/// more are needed, and it is not this one.
#[inline]
fn pair(distances: &Distances, symbol: u16, bits: u64, used: u32) -> Result<Pair, Corrupt> {
    let &(length, extra) = LENGTHS.get(usize::from(symbol - END_OF_BLOCK - 1)).ok_or(Corrupt::Symbol)?;
    let length = length + (bits >> used & ((1 << extra) - 1)) as u16;
    let used = used + u32::from(extra);
    let (symbol, more) = distances.symbol(bits >> used)?;
    let used = used + more;
    let &(distance, extra) = DISTANCE.get(usize::from(symbol)).ok_or(Corrupt::Symbol)?;
    let distance = distance + (bits >> used & ((1 << extra) - 1)) as u16;
    Ok(Pair { length, distance, used: used + u32::from(extra) })
}
