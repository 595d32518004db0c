//! Readings.

use core::fmt;

use crate::cursor::{Reader, Writer};
use crate::error::{Malformed, Unencodable};
use crate::header::MAX_TIME;
use crate::value::Value;

/// Bytes of a readings' body in front of its records.
pub(crate) const READINGS_HEAD: usize = 12;

/// Values with times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Readings<'a> {
    /// What the records' offsets count from.
    pub time: Time,
    /// The readings themselves.
    pub records: Records<'a>,
}

/// The time of readings, in milliseconds, at most [`MAX_TIME`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// Since 1970 (UTC).
    Calendar(u64),
    /// How long ago it was when the message was sent, from a device that does not know the time.
    Age(u64),
}

/// One reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record<'a> {
    /// Milliseconds after the time of the readings.
    pub offset: u32,
    /// The index of the sensor.
    pub sensor: u8,
    /// What it read.
    pub value: Value<'a>,
}

/// Readings, in a slice or on the wire.
#[derive(Clone, Copy)]
pub struct Records<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    Slice(&'a [Record<'a>]),
    /// Checked when it was read, so that going through it cannot fail.
    Wire(Reader<'a>, u16),
}

impl Time {
    /// As a time of the calendar, for a message that arrives at `now`, in milliseconds since 1970.
    pub const fn at(self, now: u64) -> u64 {
        match self {
            Self::Calendar(time) => time,
            Self::Age(age) => now.saturating_sub(age),
        }
    }

    /// The number on the wire.
    const fn number(self) -> u64 {
        match self {
            Self::Calendar(number) | Self::Age(number) => number,
        }
    }
}

impl<'a> Readings<'a> {
    pub(crate) fn read(calendar: bool, reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let time = reader.u64()?;
        if time > MAX_TIME {
            return Err(Malformed::Range);
        }
        let time = if calendar { Time::Calendar(time) } else { Time::Age(time) };
        let count = reader.u16()?;
        if reader.u16()? != 0 {
            return Err(Malformed::Padding);
        }
        let wire = *reader;
        for _ in 0..count {
            Record::read(reader)?;
        }
        Ok(Self { time, records: Records(Source::Wire(wire, count)) })
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), Unencodable> {
        if self.time.number() > MAX_TIME {
            return Err(Unencodable::Value);
        }
        writer.u64(self.time.number())?;
        writer.u16(u16::try_from(self.records.len()).map_err(|_| Unencodable::Room)?)?;
        writer.u16(0)?;
        match self.records.0 {
            // A device sends again what it has encoded once.
            Source::Wire(wire, _) => writer.bytes(wire.rest()),
            Source::Slice(records) => records.iter().try_for_each(|record| record.write(writer)),
        }
    }
}

impl<'a> Record<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(Self { offset: reader.u32()?, sensor: reader.u8()?, value: Value::read(reader)? })
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), Unencodable> {
        writer.u32(self.offset)?;
        writer.u8(self.sensor)?;
        self.value.write(writer)
    }
}

impl<'a> Records<'a> {
    /// Records that this crate has written itself.
    pub(crate) fn written(bytes: &'a [u8], count: u16) -> Self {
        Self(Source::Wire(Reader::new(bytes), count))
    }

    /// How many.
    pub fn len(&self) -> usize {
        match self.0 {
            Source::Slice(records) => records.len(),
            Source::Wire(_, count) => count.into(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = Record<'a>> + use<'a> {
        let (slice, (mut wire, count)) = match self.0 {
            Source::Slice(records) => (records, (Reader::new(&[]), 0)),
            Source::Wire(wire, count) => (&[][..], (wire, count)),
        };
        slice.iter().copied().chain((0..count).map_while(move |_| Record::read(&mut wire).ok()))
    }
}

impl<'a> From<&'a [Record<'a>]> for Records<'a> {
    fn from(records: &'a [Record<'a>]) -> Self {
        Self(Source::Slice(records))
    }
}

impl PartialEq for Records<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
