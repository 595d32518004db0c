//! Compressed messages that were received (RFC 7692 §6.2, §7.2.2).

use crate::config::Context;
use crate::control::Control;
use crate::event::{Compressed, Data, Kind};
use crate::frame::OpCode;
use crate::time::Instant;
use crate::violation::Violation;

use super::{Connection, Inflation};

/// What every compressed message ends with, and what is not sent (§7.2.1): an empty block.
const TAIL: &[u8] = &[0x00, 0x00, 0xff, 0xff];

/// Undoes DEFLATE (RFC 1951), with a history that reaches from message to message.
pub trait Inflate {
    /// Inflates some of `input` to the beginning of `output`: how many bytes of the one it took, and how many of the other it
    /// wrote. It goes on until all of the one or the other is used up. More may come of no more input.
    ///
    /// # Errors
    ///
    /// [`Corrupt`], and then for ever.
    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> Result<(usize, usize), Corrupt>;

    /// Whether what came so far is complete: it ends with a block, and the block with a byte.
    fn is_complete(&self) -> bool;

    /// Forgets everything, as if newly made.
    fn reset(&mut self);
}

/// This is not DEFLATE, or it refers to what is not in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

impl<C: Context> Connection<C> {
    /// Inflates some of a compressed message to `out`, and answers it as if it had come as a frame of its own; call it until it
    /// answers `None`, before anything else is received.
    ///
    /// Of a message that lies whole in `piece`, and is shorter than `out`, there is one part. An empty `out` is never enough.
    /// `inflater` belongs to this connection while the peer takes its history over, else only while a compressed message is
    /// coming in ([`is_inflating`](Self::is_inflating)). What it is inflated to counts for
    /// [`Config::max_message`](crate::Config::max_message), and is checked to be UTF-8.
    ///
    /// Input that breaks a rule ends the connection, as in [`receive`](Self::receive).
    pub fn inflate<'o>(
        &mut self,
        now: Instant,
        piece: &mut Compressed<'_>,
        inflater: &mut impl Inflate,
        out: &'o mut [u8],
        control: &mut Control,
    ) -> Option<Data<'o>> {
        if self.ended.is_some() {
            return None;
        }
        match self.next_data(piece, inflater, out) {
            Ok(data) => data,
            Err(violation) => {
                self.fail(now, violation, control);
                None
            }
        }
    }

    /// Whether a compressed message is coming in, of which more is to come than was received.
    pub fn is_inflating(&self) -> bool {
        self.compressed && self.message.is_some()
    }

    fn next_data<'o>(
        &mut self,
        piece: &mut Compressed<'_>,
        inflater: &mut impl Inflate,
        out: &'o mut [u8],
    ) -> Result<Option<Data<'o>>, Violation> {
        let filled = piece.inflate(inflater, out).map_err(|Corrupt| Violation::InvalidDeflate)?;
        let drained = filled < out.len();
        let fin = drained && piece.tail == Some(TAIL.len() as u8);
        if fin {
            // Of this message nothing more is to come, however often it is asked for.
            piece.tail = None;
            if !inflater.is_complete() {
                return Err(Violation::InvalidDeflate);
            }
            if self.inflation != Inflation::Takeover {
                inflater.reset();
            }
        } else if filled == 0 {
            return Ok(None);
        }
        let bytes = &out[..filled];
        let opcode = if self.message_len == 0 { piece.kind.opcode() } else { OpCode::Continuation };
        self.message_len = self.message_len.saturating_add(filled as u64);
        if self.message_len > self.context.config().max_message {
            return Err(Violation::MessageTooBig);
        }
        let text = match piece.kind {
            Kind::Text => self.utf8.push(bytes).map_err(|_| Violation::InvalidUtf8)?,
            Kind::Binary => None,
        };
        if fin {
            self.utf8.finish().map_err(|_| Violation::InvalidUtf8)?;
        }
        Ok(Some(Data { opcode, kind: piece.kind, fin, payload_len: filled as u64, offset: 0, bytes, text }))
    }
}

impl Compressed<'_> {
    /// Inflates until `out` is full or nothing is left; how much it wrote.
    fn inflate(&mut self, inflater: &mut impl Inflate, out: &mut [u8]) -> Result<usize, Corrupt> {
        let mut filled = 0;
        loop {
            let at_tail = self.bytes.is_empty();
            let input = match self.tail {
                Some(taken) if at_tail => &TAIL[usize::from(taken)..],
                _ => self.bytes,
            };
            let (taken, written) = inflater.inflate(input, &mut out[filled..])?;
            filled += written;
            match &mut self.tail {
                Some(tail) if at_tail => *tail += taken as u8,
                _ => self.bytes = &self.bytes[taken..],
            }
            let used_up = self.bytes.is_empty() && self.tail.is_none_or(|taken| usize::from(taken) == TAIL.len());
            if used_up || filled == out.len() {
                return Ok(filled);
            }
            // An inflater that does nothing would keep us here for ever.
            if taken == 0 && written == 0 {
                return Err(Corrupt);
            }
        }
    }
}
