//! The rules that a peer can break once a connection is open.

use core::fmt;

use crate::close::CloseCode;

/// A rule of RFC 6455, or a limit of ours, that the peer broke. The connection ends with
/// [`close_code`](Self::close_code).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Violation {
    /// A reserved bit is set without an extension that defines it (§5.2).
    ReservedBit,
    /// A reserved opcode (§5.2).
    ReservedOpCode,
    /// The length is not written in the minimal number of bytes (§5.2).
    LengthNotMinimal,
    /// The length has its most significant bit set (§5.2).
    LengthTooLarge,
    /// A frame from a client is not masked (§5.1).
    NotMasked,
    /// A frame from a server is masked (§5.1).
    Masked,
    /// A control frame is fragmented (§5.5).
    FragmentedControl,
    /// A control frame's payload is longer than 125 bytes (§5.5).
    ControlTooLong,
    /// A continuation without a message to continue (§5.4).
    UnexpectedContinuation,
    /// A new message before the last frame of the current one (§5.4).
    ExpectedContinuation,
    /// A text message is not UTF-8 (§8.1).
    InvalidUtf8,
    /// A compressed message is not DEFLATE, or not complete (RFC 7692 §7.2.2).
    InvalidDeflate,
    /// A close frame with a payload of one byte (§5.5.1).
    TruncatedCloseCode,
    /// A close code that may not be sent (§7.4).
    InvalidCloseCode,
    /// A close reason that is not UTF-8 (§5.5.1, §8.1).
    InvalidCloseReason,
    /// A frame larger than [`Config::max_frame`](crate::Config::max_frame).
    FrameTooBig,
    /// A message larger than [`Config::max_message`](crate::Config::max_message).
    MessageTooBig,
    /// A message of more frames than [`Config::max_fragments`](crate::Config::max_fragments).
    TooManyFragments,
}

impl Violation {
    /// The close code that tells the peer (RFC 6455 §7.4.1).
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::InvalidUtf8 | Self::InvalidDeflate | Self::InvalidCloseReason => CloseCode::INVALID_PAYLOAD,
            Self::FrameTooBig | Self::MessageTooBig | Self::TooManyFragments => CloseCode::TOO_BIG,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }

    /// What was wrong, in words for a log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReservedBit => "reserved bit set (RFC 6455 5.2)",
            Self::ReservedOpCode => "reserved opcode (RFC 6455 5.2)",
            Self::LengthNotMinimal => "payload length not minimally encoded (RFC 6455 5.2)",
            Self::LengthTooLarge => "payload length has its top bit set (RFC 6455 5.2)",
            Self::NotMasked => "client frame not masked (RFC 6455 5.1)",
            Self::Masked => "server frame masked (RFC 6455 5.1)",
            Self::FragmentedControl => "fragmented control frame (RFC 6455 5.5)",
            Self::ControlTooLong => "control frame longer than 125 bytes (RFC 6455 5.5)",
            Self::UnexpectedContinuation => "continuation without a message (RFC 6455 5.4)",
            Self::ExpectedContinuation => "new message inside a fragmented one (RFC 6455 5.4)",
            Self::InvalidUtf8 => "text is not UTF-8 (RFC 6455 8.1)",
            Self::InvalidDeflate => "compressed message is corrupt (RFC 7692 7.2.2)",
            Self::TruncatedCloseCode => "close frame with one byte (RFC 6455 5.5.1)",
            Self::InvalidCloseCode => "invalid close code (RFC 6455 7.4)",
            Self::InvalidCloseReason => "close reason is not UTF-8 (RFC 6455 5.5.1)",
            Self::FrameTooBig => "frame over the size limit",
            Self::MessageTooBig => "message over the size limit",
            Self::TooManyFragments => "message over the limit of fragments",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::error::Error for Violation {}
