//! What can be wrong: with bytes that came, with who sent them, with what is to be sent.

use core::fmt;

/// Bytes that are not a message, or a body that its kind does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The bytes end before the message does.
    Truncated,
    /// It does not begin with `TL`.
    Magic,
    /// A version that this crate does not speak.
    Version(u8),
    /// A kind that there is not.
    Kind(u8),
    /// A flag that there is not, or not for this kind.
    Flags(u16),
    /// A length below that of the header and tag, or above [`MAX_MESSAGE`](crate::MAX_MESSAGE).
    Length(u16),
    /// A device, session, link or sequence that is 0, or is not 0, where it must not be so.
    Number,
    /// A type of value that there is not, or not here.
    Type(u8),
    /// Text that is not UTF-8.
    Text,
    /// A boolean other than 0 and 1, or a number that is not finite.
    Value,
    /// A length, time or choice outside of its bounds.
    Range,
    /// Padding that is not zero.
    Padding,
    /// Bytes behind the end of the body.
    Trailing,
}

/// Why a message is not taken for one of the device or hub that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forged {
    /// Its kind is one of the other direction: it is being sent back to where it came from.
    Direction,
    /// The tag is not that of this key.
    Tag,
    /// There is no tag, but a key.
    Keyless,
    /// There is a tag, but no key.
    Keyed,
}

/// What cannot be written as a message. A mistake of the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unencodable {
    /// It does not fit into the buffer, or into a message.
    Room,
    /// A value outside of its bounds: an empty name, a number that is not finite, a device number of 0.
    Value,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the message is cut off"),
            Self::Magic => f.write_str("not a telemetry message"),
            Self::Version(version) => write!(f, "version {version} is not spoken here"),
            Self::Kind(kind) => write!(f, "there is no kind {kind:#x}"),
            Self::Flags(flags) => write!(f, "the flags {flags:#x} are not allowed"),
            Self::Length(length) => write!(f, "a message cannot be {length} bytes long"),
            Self::Number => f.write_str("a device, session, link or sequence must not have this value"),
            Self::Type(value) => write!(f, "type {value} is not allowed"),
            Self::Text => f.write_str("text is not UTF-8"),
            Self::Value => f.write_str("a boolean is not 0 or 1, or a number is not finite"),
            Self::Range => f.write_str("a length, time or choice is out of bounds"),
            Self::Padding => f.write_str("padding is not zero"),
            Self::Trailing => f.write_str("there are bytes behind the end"),
        }
    }
}

impl fmt::Display for Forged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direction => "it comes from the wrong side",
            Self::Tag => "the tag is wrong",
            Self::Keyless => "a tag is missing",
            Self::Keyed => "there is a tag, but no key to check it",
        })
    }
}

impl fmt::Display for Unencodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Room => "it does not fit",
            Self::Value => "a value is out of bounds",
        })
    }
}

impl core::error::Error for Malformed {}
impl core::error::Error for Forged {}
impl core::error::Error for Unencodable {}
