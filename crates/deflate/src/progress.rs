//! What a call did, and what it was asked for.

/// How far a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes taken from the front of the input.
    pub consumed: usize,
    /// Bytes written to the front of the output.
    pub produced: usize,
    /// Why it stopped there.
    pub status: Status,
}

/// Why a call stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All input is taken. A decompressor has written everything that follows from it; a compressor has written
    /// everything that the [`Flush`] asked for.
    NeedsInput,
    /// The output is full, and at least one more byte is to come. Call again with room and with the input that is left
    /// (a compressor: and with the same [`Flush`]).
    NeedsOutput,
    /// The stream has ended with a final block (RFC 1951 §3.2.3), at a byte boundary. The next call begins another
    /// stream, which may refer to what came before.
    Ended,
}

/// What a compressor does when it has taken all input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// Keeps what it likes, for the best ratio.
    None,
    /// Writes everything, and ends with an empty stored block at a byte boundary: the bytes of [`TAIL`].
    Sync,
    /// Like `Sync` without [`TAIL`], as a message of permessage-deflate ends (RFC 7692 §7.2.1). A message without any
    /// bytes becomes the one byte 0x00 (RFC 7692 §7.2.3.6).
    Message,
    /// Writes everything, and ends the stream with a final block.
    Finish,
}

/// Length and complement of an empty stored block: what the compressor of a message leaves out (RFC 7692 §7.2.1), and what
/// whoever decompresses it gives to the decompressor behind the message (RFC 7692 §7.2.2).
pub const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
