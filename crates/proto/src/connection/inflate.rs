//! Compressed messages that were received (RFC 7692 §6.2, §7.2.2).

use tautline_deflate::{Corrupt, Decompressor, Status, TAIL, Window};

use crate::config::Context;
use crate::control::Control;
use crate::event::{Compressed, Data, Kind};
use crate::frame::OpCode;
use crate::time::Instant;
use crate::violation::Violation;

use super::{Connection, Incoming, Inflation};

impl<C: Context> Connection<C> {
    /// Inflates some of a compressed message to `out`, and answers it as if it had come as a frame of its own; call it until it
    /// answers `None`, before anything else is received.
    ///
    /// Of a message that lies whole in `piece`, and fits into `out`, there is one part. An empty `out` is never enough.
    /// What it is inflated to counts for [`Config::max_message`](crate::Config::max_message), and is checked to be UTF-8.
    ///
    /// `decompressor` may serve others whenever no compressed message [is coming in](Self::is_inflating), and so may `window`,
    /// which is at least as large as what was agreed on, if the peer does not take its context over; else it is this
    /// connection's.
    ///
    /// Input that breaks a rule ends the connection, as in [`receive`](Self::receive).
    pub fn inflate<'o, M: AsMut<[u8]>>(
        &mut self,
        now: Instant,
        piece: &mut Compressed<'_>,
        decompressor: &mut Decompressor,
        window: &mut Window<M>,
        out: &'o mut [u8],
        control: &mut Control,
    ) -> Option<Data<'o>> {
        if self.ended.is_some() {
            return None;
        }
        match self.next_data(piece, decompressor, window, out) {
            Ok(data) => data,
            Err(violation) => {
                // Whoever is served next begins anew.
                decompressor.reset();
                window.reset();
                self.fail(now, violation, control);
                None
            }
        }
    }

    /// Whether compression was agreed on.
    pub fn may_compress(&self) -> bool {
        self.inflation != Inflation::None
    }

    /// Whether a compressed message is coming in, of which more is to come than was received.
    pub fn is_inflating(&self) -> bool {
        self.message.is_some_and(Incoming::is_compressed)
    }

    fn next_data<'o, M: AsMut<[u8]>>(
        &mut self,
        piece: &mut Compressed<'_>,
        decompressor: &mut Decompressor,
        window: &mut Window<M>,
        out: &'o mut [u8],
    ) -> Result<Option<Data<'o>>, Violation> {
        let (filled, drained) = piece.inflate(decompressor, window, out).map_err(|_| Violation::InvalidDeflate)?;
        let fin = drained && piece.tail.is_some();
        if fin {
            // However often it is asked for, nothing more comes of this message.
            piece.tail = None;
            if !decompressor.is_between_blocks() {
                return Err(Violation::InvalidDeflate);
            }
            if self.inflation != Inflation::Takeover {
                window.reset();
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
    /// Inflates until `out` is full, or nothing is left: how much it wrote, and whether that was all.
    fn inflate<M: AsMut<[u8]>>(
        &mut self,
        decompressor: &mut Decompressor,
        window: &mut Window<M>,
        out: &mut [u8],
    ) -> Result<(usize, bool), Corrupt> {
        let mut filled = 0;
        loop {
            let at_tail = self.bytes.is_empty();
            let input = match self.tail {
                Some(taken) if at_tail => &TAIL[usize::from(taken)..],
                _ => self.bytes,
            };
            let done = decompressor.decompress(window, input, &mut out[filled..])?;
            filled += done.produced;
            match &mut self.tail {
                Some(taken) if at_tail => *taken += done.consumed as u8,
                _ => self.bytes = &self.bytes[done.consumed..],
            }
            let used_up = self.bytes.is_empty() && self.tail.is_none_or(|taken| usize::from(taken) == TAIL.len());
            match done.status {
                Status::NeedsOutput => return Ok((filled, false)),
                Status::NeedsInput if used_up => return Ok((filled, true)),
                // The tail is next, or, behind a final block (§7.2.3.4), another one.
                _ => {}
            }
        }
    }
}
