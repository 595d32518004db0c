//! Values of readings, commands and results.

use crate::cursor::{Reader, Writer};
use crate::error::{Malformed, Unencodable};

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Type {
    Bool = 1,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
    Text,
    Bytes,
}

impl Type {
    /// The type with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Bool,
            2 => Self::I8,
            3 => Self::I16,
            4 => Self::I32,
            5 => Self::I64,
            6 => Self::U8,
            7 => Self::U16,
            8 => Self::U32,
            9 => Self::U64,
            10 => Self::F32,
            11 => Self::F64,
            12 => Self::Text,
            13 => Self::Bytes,
            _ => return None,
        })
    }

    /// Its number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let number = reader.u8()?;
        Self::from_number(number).ok_or(Malformed::Type(number))
    }
}

/// A value. Floating-point numbers are finite on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Value<'a> {
    Bool(bool),
    I8(i8),
    I16(i16),
    I32(i32),
    I64(i64),
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    F32(f32),
    F64(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// What it is.
    pub const fn kind(&self) -> Type {
        match self {
            Self::Bool(_) => Type::Bool,
            Self::I8(_) => Type::I8,
            Self::I16(_) => Type::I16,
            Self::I32(_) => Type::I32,
            Self::I64(_) => Type::I64,
            Self::U8(_) => Type::U8,
            Self::U16(_) => Type::U16,
            Self::U32(_) => Type::U32,
            Self::U64(_) => Type::U64,
            Self::F32(_) => Type::F32,
            Self::F64(_) => Type::F64,
            Self::Text(_) => Type::Text,
            Self::Bytes(_) => Type::Bytes,
        }
    }

    /// Bytes of type and value on the wire.
    pub(crate) const fn size(&self) -> usize {
        1 + match self {
            Self::Bool(_) | Self::I8(_) | Self::U8(_) => 1,
            Self::I16(_) | Self::U16(_) => 2,
            Self::I32(_) | Self::U32(_) | Self::F32(_) => 4,
            Self::I64(_) | Self::U64(_) | Self::F64(_) => 8,
            Self::Text(text) => 2 + text.len(),
            Self::Bytes(bytes) => 2 + bytes.len(),
        }
    }

    /// Type and value.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let kind = Type::read(reader)?;
        Self::read_as(kind, reader)
    }

    /// Type and value, or type 0.
    pub(crate) fn read_optional(reader: &mut Reader<'a>) -> Result<Option<Self>, Malformed> {
        match reader.u8()? {
            0 => Ok(None),
            number => {
                let kind = Type::from_number(number).ok_or(Malformed::Type(number))?;
                Self::read_as(kind, reader).map(Some)
            }
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), Unencodable> {
        writer.u8(self.kind().number())?;
        match *self {
            Self::Bool(value) => writer.u8(value.into()),
            Self::I8(value) => writer.bytes(&value.to_be_bytes()),
            Self::I16(value) => writer.bytes(&value.to_be_bytes()),
            Self::I32(value) => writer.bytes(&value.to_be_bytes()),
            Self::I64(value) => writer.bytes(&value.to_be_bytes()),
            Self::U8(value) => writer.u8(value),
            Self::U16(value) => writer.u16(value),
            Self::U32(value) => writer.u32(value),
            Self::U64(value) => writer.u64(value),
            Self::F32(value) if value.is_finite() => writer.bytes(&value.to_be_bytes()),
            Self::F64(value) if value.is_finite() => writer.bytes(&value.to_be_bytes()),
            Self::F32(_) | Self::F64(_) => Err(Unencodable::Value),
            Self::Text(value) => writer.long_bytes(value.as_bytes()),
            Self::Bytes(value) => writer.long_bytes(value),
        }
    }

    pub(crate) fn write_optional(value: Option<&Self>, writer: &mut Writer<'_>) -> Result<(), Unencodable> {
        match value {
            None => writer.u8(0),
            Some(value) => value.write(writer),
        }
    }

    fn read_as(kind: Type, reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(match kind {
            Type::Bool => Self::Bool(reader.bool()?),
            Type::I8 => Self::I8(i8::from_be_bytes(reader.array()?)),
            Type::I16 => Self::I16(i16::from_be_bytes(reader.array()?)),
            Type::I32 => Self::I32(i32::from_be_bytes(reader.array()?)),
            Type::I64 => Self::I64(i64::from_be_bytes(reader.array()?)),
            Type::U8 => Self::U8(reader.u8()?),
            Type::U16 => Self::U16(reader.u16()?),
            Type::U32 => Self::U32(reader.u32()?),
            Type::U64 => Self::U64(reader.u64()?),
            Type::F32 => {
                let value = f32::from_be_bytes(reader.array()?);
                Self::F32(Some(value).filter(|value| value.is_finite()).ok_or(Malformed::Value)?)
            }
            Type::F64 => {
                let value = f64::from_be_bytes(reader.array()?);
                Self::F64(Some(value).filter(|value| value.is_finite()).ok_or(Malformed::Value)?)
            }
            Type::Text => {
                let len = reader.u16()?;
                Self::Text(reader.text(len.into())?)
            }
            Type::Bytes => {
                let len = reader.u16()?;
                Self::Bytes(reader.bytes(len.into())?)
            }
        })
    }
}
