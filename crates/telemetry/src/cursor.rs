//! Reading and writing bytes in order, with every step checked.

use crate::error::{Malformed, Unencodable};

/// Bytes that are read from the front.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn bool(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed::Value),
        }
    }

    pub(crate) fn text(&mut self, len: usize) -> Result<&'a str, Malformed> {
        core::str::from_utf8(self.bytes(len)?).map_err(|_| Malformed::Text)
    }

    /// Text behind one byte with its length, which is checked against these bounds.
    pub(crate) fn short_text(&mut self, min: usize, max: usize) -> Result<&'a str, Malformed> {
        let len = usize::from(self.u8()?);
        if len < min || len > max { Err(Malformed::Range) } else { self.text(len) }
    }

    /// Everything that is left must be zero.
    pub(crate) fn padding(&mut self) -> Result<(), Malformed> {
        let rest = core::mem::take(&mut self.rest);
        if rest.iter().all(|&byte| byte == 0) { Ok(()) } else { Err(Malformed::Padding) }
    }

    /// Nothing may be left.
    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::Trailing) }
    }
}

/// A buffer that is written from the front.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Unencodable> {
        let room = self.buffer.get_mut(self.len..).and_then(|room| room.get_mut(..bytes.len()));
        room.ok_or(Unencodable::Room)?.copy_from_slice(bytes);
        self.len += bytes.len();
        Ok(())
    }

    pub(crate) fn u8(&mut self, value: u8) -> Result<(), Unencodable> {
        self.bytes(&[value])
    }

    pub(crate) fn u16(&mut self, value: u16) -> Result<(), Unencodable> {
        self.bytes(&value.to_be_bytes())
    }

    pub(crate) fn u32(&mut self, value: u32) -> Result<(), Unencodable> {
        self.bytes(&value.to_be_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> Result<(), Unencodable> {
        self.bytes(&value.to_be_bytes())
    }

    /// Text behind one byte with its length, which is checked against these bounds.
    pub(crate) fn short_text(&mut self, text: &str, min: usize, max: usize) -> Result<(), Unencodable> {
        self.u8(short_len(text, min, max)?)?;
        self.bytes(text.as_bytes())
    }

    /// Bytes behind two bytes with their length.
    pub(crate) fn long_bytes(&mut self, bytes: &[u8]) -> Result<(), Unencodable> {
        self.u16(u16::try_from(bytes.len()).map_err(|_| Unencodable::Room)?)?;
        self.bytes(bytes)
    }

    /// Zeros, until this many bytes are written.
    pub(crate) fn pad_to(&mut self, len: usize) -> Result<(), Unencodable> {
        while self.len < len {
            self.u8(0)?;
        }
        Ok(())
    }
}

/// The length of a text within bounds, as a byte (no bound is above 255).
pub(crate) fn short_len(text: &str, min: usize, max: usize) -> Result<u8, Unencodable> {
    match u8::try_from(text.len()) {
        Ok(len) if (min..=max).contains(&text.len()) => Ok(len),
        _ => Err(Unencodable::Value),
    }
}
