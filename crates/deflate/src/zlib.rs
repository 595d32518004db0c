//! zlib-rs behind the traits, for hosts that spend memory on a better ratio of large payloads.

use core::fmt;

use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush};

use crate::{
    codec::{Compress, Decompress},
    error::Corrupt,
    progress::{Flush, Progress, Status, TAIL},
    window_bits::WindowBits,
};

/// A compressor of zlib-rs with its history: some hundred KiB on the heap, whatever the window.
pub struct ZlibCompressor {
    deflate: Deflate,
    bits: WindowBits,
    /// What zlib has written and the caller has not got yet.
    staged: [u8; 512],
    len: usize,
    /// What of that the caller has got.
    taken: usize,
    /// Whether something was compressed since the last end.
    begun: bool,
    /// Whether zlib has written the end that was asked for.
    flushed: bool,
}

/// A decompressor of zlib-rs with its window: some 50 KiB on the heap.
///
/// It cannot tell whether a message was cut off ([`Decompress::can_end`] is always true), and begins without a window behind a
/// final block.
pub struct ZlibDecompressor {
    inflate: Inflate,
    /// A byte for which there was no room.
    ahead: Option<u8>,
    ended: bool,
    corrupt: bool,
}

impl ZlibCompressor {
    /// A compressor of level 0 to 9. `None` for 8 bits, which zlib cannot do for raw streams, and for other levels.
    pub fn new(bits: WindowBits, level: u8) -> Option<Self> {
        if bits == WindowBits::MIN || level > 9 {
            return None;
        }
        let deflate = Deflate::new(level.into(), false, bits.value());
        Some(Self { deflate, bits, staged: [0; 512], len: 0, taken: 0, begun: false, flushed: false })
    }

    /// Begins a stream that refers to this text: what the receiver has in its window, of which as much as a window counts. So
    /// one compressor can serve many connections, each of which keeps its own text
    /// ([`History::recent`](crate::History::recent)).
    ///
    /// It costs what clearing some 100 KiB does, and reading the text.
    pub fn begin_after(&mut self, text: &[u8]) {
        self.reset();
        if !text.is_empty() {
            let window = &text[text.len().saturating_sub(self.bits.window_bytes())..];
            self.deflate.set_dictionary(window).expect("a raw stream at its beginning takes any");
        }
    }

    /// The size of its window.
    pub fn bits(&self) -> WindowBits {
        self.bits
    }

    /// Lets zlib work, into the place for what the caller gets. Returns how much of the input that took.
    fn stage(&mut self, input: &[u8], flush: Flush) -> usize {
        // The last bytes may be a tail that is not wanted, so that they stay until more comes.
        self.staged.copy_within(self.taken..self.len, 0);
        self.len -= self.taken;
        self.taken = 0;
        self.begun |= !input.is_empty();
        if !self.begun && matches!(flush, Flush::Sync | Flush::Message) {
            // zlib writes no end twice. We are at a byte boundary: the head of an empty block is one byte.
            self.staged[self.len] = 0;
            self.staged[self.len + 1..][..TAIL.len()].copy_from_slice(&TAIL);
            self.len += 1 + TAIL.len();
            self.flushed = true;
            return 0;
        }
        let how = match flush {
            Flush::None => DeflateFlush::NoFlush,
            Flush::Sync | Flush::Message => DeflateFlush::SyncFlush,
            Flush::Finish => DeflateFlush::Finish,
        };
        let (read, written) = (self.deflate.total_in(), self.deflate.total_out());
        let status = self.deflate.compress(input, &mut self.staged[self.len..], how);
        let status = status.expect("zlib refuses nothing but what follows an end, behind which it is reset");
        let (read, written) = (self.deflate.total_in() - read, self.deflate.total_out() - written);
        self.len += written as usize;
        let ended = status == zlib_rs::Status::StreamEnd;
        self.flushed = ended || (flush != Flush::Finish && self.len < self.staged.len());
        if ended {
            self.deflate.reset();
        }
        read as usize
    }
}

impl Compress for ZlibCompressor {
    fn compress(&mut self, input: &[u8], output: &mut [u8], flush: Flush) -> Progress {
        let (mut consumed, mut produced) = (0, 0);
        loop {
            let kept = match flush {
                Flush::Message => TAIL.len(),
                Flush::None | Flush::Sync | Flush::Finish => 0,
            };
            let ready = &self.staged[self.taken..self.len.saturating_sub(kept).max(self.taken)];
            let len = ready.len().min(output.len() - produced);
            output[produced..produced + len].copy_from_slice(&ready[..len]);
            let all = len == ready.len();
            self.taken += len;
            produced += len;
            if !all {
                return Progress { consumed, produced, status: Status::NeedsOutput };
            }
            if self.flushed && consumed == input.len() {
                self.flushed = false;
                if flush != Flush::None {
                    (self.len, self.taken, self.begun) = (0, 0, false);
                }
                let status = if flush == Flush::Finish { Status::Ended } else { Status::NeedsInput };
                return Progress { consumed, produced, status };
            }
            consumed += self.stage(&input[consumed..], flush);
        }
    }

    fn reset(&mut self) {
        self.deflate.reset();
        (self.len, self.taken, self.begun, self.flushed) = (0, 0, false, false);
    }
}

impl ZlibDecompressor {
    /// A decompressor that takes at least this window.
    pub fn new(bits: WindowBits) -> Self {
        Self { inflate: Inflate::new(false, bits.value()), ahead: None, ended: false, corrupt: false }
    }

    /// Consumed and produced bytes.
    fn run(&mut self, input: &[u8], output: &mut [u8]) -> Result<(usize, usize), Corrupt> {
        let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
        match self.inflate.decompress(input, output, InflateFlush::NoFlush) {
            Ok(status) => self.ended = status == zlib_rs::Status::StreamEnd,
            Err(_) => {
                self.corrupt = true;
                return Err(Corrupt::Symbol);
            }
        }
        Ok(((self.inflate.total_in() - read) as usize, (self.inflate.total_out() - written) as usize))
    }
}

impl Decompress for ZlibDecompressor {
    fn decompress(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, Corrupt> {
        if self.corrupt {
            return Err(Corrupt::Symbol);
        }
        let (mut consumed, mut produced) = (0, 0);
        if let Some(byte) = self.ahead {
            let Some(first) = output.first_mut() else {
                return Ok(Progress { consumed, produced, status: Status::NeedsOutput });
            };
            *first = byte;
            self.ahead = None;
            produced = 1;
        }
        if !self.ended {
            let (read, written) = self.run(input, &mut output[produced..])?;
            (consumed, produced) = (read, produced + written);
        }
        if !self.ended && produced == output.len() {
            // zlib does not tell whether more is to come; so we try.
            let mut byte = [0];
            let (read, written) = self.run(&input[consumed..], &mut byte)?;
            consumed += read;
            self.ahead = (written > 0).then_some(byte[0]);
        }
        let status = if self.ahead.is_some() {
            Status::NeedsOutput
        } else if core::mem::take(&mut self.ended) {
            self.inflate.reset(false);
            Status::Ended
        } else {
            Status::NeedsInput
        };
        Ok(Progress { consumed, produced, status })
    }

    fn can_end(&self) -> bool {
        true
    }

    fn reset(&mut self) {
        // This makes the window the largest one, which takes all that the right one takes.
        self.inflate.reset(false);
        (self.ahead, self.ended, self.corrupt) = (None, false, false);
    }
}

impl fmt::Debug for ZlibCompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZlibCompressor").finish_non_exhaustive()
    }
}

impl fmt::Debug for ZlibDecompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZlibDecompressor").finish_non_exhaustive()
    }
}
