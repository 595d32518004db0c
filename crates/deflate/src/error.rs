//! What can be wrong: with a stream, and with memory.

use core::fmt;

/// Why a stream cannot be decompressed. There is no way on but [`Decompressor::reset`](crate::Decompressor::reset).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corrupt {
    /// A block of the type that there is not (RFC 1951 §3.2.3).
    BlockType,
    /// The length of a stored block and its complement do not fit (RFC 1951 §3.2.4).
    StoredLength,
    /// A dynamic block with more than 286 codes of literals and lengths, or more than 30 of distances (RFC 1951 §3.2.7).
    TooManyCodes,
    /// Lengths of codes that are no code: too many, too few, a repetition of nothing or beyond the end, or no end of the
    /// block (RFC 1951 §3.2.7).
    CodeLengths,
    /// Bits that are no code, or a code that means nothing (RFC 1951 §3.2.5).
    Symbol,
    /// A distance beyond the window, or beyond the beginning of what there is (RFC 1951 §3.2.5).
    Distance,
}

/// Memory that is smaller than the window needs. A mistake of the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSmall {
    /// How many bytes it takes.
    pub needed: usize,
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BlockType => "a compressed block has an unknown type",
            Self::StoredLength => "the length of a stored block is damaged",
            Self::TooManyCodes => "a compressed block declares too many codes",
            Self::CodeLengths => "a compressed block declares no usable code",
            Self::Symbol => "compressed bits mean nothing",
            Self::Distance => "compressed data refers to what is not there",
        })
    }
}

impl fmt::Display for TooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the memory is smaller than the {} bytes that the window needs", self.needed)
    }
}

impl core::error::Error for Corrupt {}
impl core::error::Error for TooSmall {}
