//! Commands and what becomes of them.

use crate::cursor::{Reader, Writer};
use crate::error::{Malformed, Unencodable};
use crate::value::Value;

/// Bytes of the longest result.
pub const MAX_RESULT: usize = 96;
const MAX_KEY: usize = 64;

/// What a device is to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Command<'a> {
    /// Read and send a sensor at this interval.
    Interval {
        /// Index of the sensor, 255 for all.
        sensor: u8,
        /// Milliseconds, not 0.
        interval: u32,
    },
    /// Turn something on or off.
    Switch {
        /// Which.
        index: u8,
        /// On or off.
        on: bool,
    },
    /// Set a value.
    Set {
        /// What it is called, 1 to 64 bytes.
        key: &'a str,
        /// The value; without one it is a command that needs none.
        value: Option<Value<'a>>,
    },
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome<'a> {
    /// How it went.
    pub status: Status,
    /// An answer, or a text that says why not. With the status at most [`MAX_RESULT`] bytes on the wire, so a text at
    /// most 92.
    pub value: Option<Value<'a>>,
}

/// How a command went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// It is done.
    Done = 0,
    /// The device does not do this.
    Refused = 1,
    /// The device tried.
    Failed = 2,
}

impl<'a> Command<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let (operation, index) = (reader.u8()?, reader.u8()?);
        match operation {
            1 => match reader.u32()? {
                0 => Err(Malformed::Range),
                interval => Ok(Self::Interval { sensor: index, interval }),
            },
            2 => Ok(Self::Switch { index, on: reader.bool()? }),
            3 if index == 0 => {
                Ok(Self::Set { key: reader.short_text(1, MAX_KEY)?, value: Value::read_optional(reader)? })
            }
            _ => Err(Malformed::Range),
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), Unencodable> {
        match *self {
            Self::Interval { interval: 0, .. } => Err(Unencodable::Value),
            Self::Interval { sensor, interval } => {
                writer.bytes(&[1, sensor])?;
                writer.u32(interval)
            }
            Self::Switch { index, on } => writer.bytes(&[2, index, on.into()]),
            Self::Set { key, value } => {
                writer.bytes(&[3, 0])?;
                writer.short_text(key, 1, MAX_KEY)?;
                Value::write_optional(value.as_ref(), writer)
            }
        }
    }
}

impl<'a> Outcome<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        if reader.rest().len() > MAX_RESULT {
            return Err(Malformed::Range);
        }
        let status = match reader.u8()? {
            0 => Status::Done,
            1 => Status::Refused,
            2 => Status::Failed,
            _ => return Err(Malformed::Range),
        };
        Ok(Self { status, value: Value::read_optional(reader)? })
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), Unencodable> {
        let start = writer.len();
        writer.u8(self.status as u8)?;
        Value::write_optional(self.value.as_ref(), writer)?;
        if writer.len() - start > MAX_RESULT { Err(Unencodable::Room) } else { Ok(()) }
    }
}
