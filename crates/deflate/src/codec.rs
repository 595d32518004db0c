//! What a program asks of whatever compresses for it.

use crate::{
    compressor::Compressor,
    decompressor::Decompressor,
    error::Corrupt,
    history::History,
    progress::{Flush, Progress},
    window::Window,
};

/// Compresses a stream, by this crate's means or by others.
pub trait Compress {
    /// See [`Compressor::compress`].
    fn compress(&mut self, input: &[u8], output: &mut [u8], flush: Flush) -> Progress;

    /// Begins a stream that refers to nothing before it: for a context that is not taken over (RFC 7692 §7.1.1).
    fn reset(&mut self);
}

/// Decompresses a stream, by this crate's means or by others.
pub trait Decompress {
    /// See [`Decompressor::decompress`].
    ///
    /// # Errors
    ///
    /// The stream is not one; there is no way on but [`Decompress::reset`].
    fn decompress(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, Corrupt>;

    /// Whether a message can end here, behind its [`TAIL`](crate::TAIL). False if it was certainly cut off; not everyone
    /// can tell.
    fn can_end(&self) -> bool;

    /// Begins a stream that refers to nothing before it: for a context that is not taken over (RFC 7692 §7.1.1).
    fn reset(&mut self);
}

/// A compressor at work on the history of one connection.
#[derive(Debug)]
pub struct Compressing<'a, M, const TOKENS: usize> {
    compressor: &'a mut Compressor<TOKENS>,
    history: &'a mut History<M>,
}

/// A decompressor at work on the window of one connection.
#[derive(Debug)]
pub struct Decompressing<'a, M> {
    decompressor: &'a mut Decompressor,
    window: &'a mut Window<M>,
}

impl<const TOKENS: usize> Compressor<TOKENS> {
    /// Itself and the history of one connection as one value, for those who do not want to know how that is compressed.
    pub fn with<'a, M>(&'a mut self, history: &'a mut History<M>) -> Compressing<'a, M, TOKENS> {
        Compressing { compressor: self, history }
    }
}

impl Decompressor {
    /// Itself and the window of one connection as one value, for those who do not want to know how that is decompressed.
    pub fn with<'a, M>(&'a mut self, window: &'a mut Window<M>) -> Decompressing<'a, M> {
        Decompressing { decompressor: self, window }
    }
}

impl<M: AsMut<[u8]>, const TOKENS: usize> Compress for Compressing<'_, M, TOKENS> {
    fn compress(&mut self, input: &[u8], output: &mut [u8], flush: Flush) -> Progress {
        self.compressor.compress(self.history, input, output, flush)
    }

    fn reset(&mut self) {
        self.compressor.reset();
        self.history.reset();
    }
}

impl<M: AsMut<[u8]>> Decompress for Decompressing<'_, M> {
    fn decompress(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, Corrupt> {
        self.decompressor.decompress(self.window, input, output)
    }

    fn can_end(&self) -> bool {
        self.decompressor.is_between_blocks()
    }

    fn reset(&mut self) {
        self.decompressor.reset();
        self.window.reset();
    }
}
