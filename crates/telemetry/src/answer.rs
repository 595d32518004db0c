//! Busy and error.

use core::fmt;

use crate::cursor::{Reader, Writer};
use crate::error::{Malformed, Unencodable};
use crate::header::{Kind, Side};

const MAX_TEXT: usize = 128;

/// The hub cannot take a message at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    /// Of the message: hello or readings.
    pub about: Kind,
    /// Milliseconds after which the device may come back.
    pub retry: u32,
}

/// The hub says what is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem<'a> {
    /// Of the message; a kind that a device sends.
    pub about: Kind,
    /// What is wrong.
    pub code: ErrorCode,
    /// For people, at most 128 bytes; may be empty.
    pub text: &'a str,
}

/// What is wrong with a message. Numbers that this crate does not know are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorCode(
    /// The number on the wire.
    pub u8,
);

impl ErrorCode {
    /// The body cannot be understood.
    pub const MALFORMED: Self = Self(1);
    /// The hub does not know this link: say hello.
    pub const NO_LINK: Self = Self(2);
    /// There is no such device, or its key is not valid any longer.
    pub const UNKNOWN_DEVICE: Self = Self(3);
    /// The tag is wrong, missing, or more than is wanted.
    pub const NOT_AUTHENTIC: Self = Self(4);
    /// The hub does not want these readings.
    pub const REFUSED: Self = Self(5);
    /// The hub does not go on with this session.
    pub const ENDED: Self = Self(6);
    /// The name belongs to another device.
    pub const CONFLICT: Self = Self(7);
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MALFORMED => f.write_str("malformed"),
            Self::NO_LINK => f.write_str("no link"),
            Self::UNKNOWN_DEVICE => f.write_str("unknown device"),
            Self::NOT_AUTHENTIC => f.write_str("not authentic"),
            Self::REFUSED => f.write_str("refused"),
            Self::ENDED => f.write_str("ended"),
            Self::CONFLICT => f.write_str("conflict"),
            Self(code) => write!(f, "error {code}"),
        }
    }
}

impl Busy {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let about = read_about(reader)?;
        if !can_be_busy(about) {
            return Err(Malformed::Range);
        }
        Ok(Self { about, retry: reader.u32()? })
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), Unencodable> {
        if !can_be_busy(self.about) {
            return Err(Unencodable::Value);
        }
        writer.u8(self.about.number())?;
        writer.u32(self.retry)
    }
}

impl<'a> Problem<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let (about, code) = (read_about(reader)?, ErrorCode(reader.u8()?));
        let len = reader.rest().len();
        if len > MAX_TEXT { Err(Malformed::Range) } else { Ok(Self { about, code, text: reader.text(len)? }) }
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), Unencodable> {
        if self.about.sender() == Side::Hub || self.text.len() > MAX_TEXT {
            return Err(Unencodable::Value);
        }
        writer.bytes(&[self.about.number(), self.code.0])?;
        writer.bytes(self.text.as_bytes())
    }
}

/// The kind of a message of a device.
fn read_about(reader: &mut Reader<'_>) -> Result<Kind, Malformed> {
    let number = reader.u8()?;
    Kind::from_number(number).filter(|kind| kind.sender() == Side::Device).ok_or(Malformed::Kind(number))
}

fn can_be_busy(about: Kind) -> bool {
    matches!(about, Kind::Hello | Kind::Readings)
}
