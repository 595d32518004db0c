//! Hello and welcome.

use core::fmt;

use crate::acknowledgement::Acknowledgement;
use crate::cursor::{Reader, Writer, short_len};
use crate::error::{Malformed, Unencodable};
use crate::header::MAX_TIME;
use crate::value::Type;

const MAX_NAME: usize = 64;
const MAX_UNIT: usize = 32;

/// Who a device is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hello<'a> {
    /// The number of the last command that was carried out in this session, 0 if none.
    pub last_command: u32,
    /// The device's name, 1 to 64 bytes.
    pub name: &'a str,
    /// What runs on it, 0 to 64 bytes.
    pub firmware: &'a str,
    /// Its sensors.
    pub sensors: Sensors<'a>,
}

/// What a sensor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sensor<'a> {
    /// As which readings name it.
    pub index: u8,
    /// What its values usually are.
    pub kind: Type,
    /// Its name, 1 to 64 bytes.
    pub name: &'a str,
    /// Its unit (RFC 8428 section 12.1), 0 to 32 bytes.
    pub unit: &'a str,
}

/// Sensors, in a slice or on the wire.
#[derive(Clone, Copy)]
pub struct Sensors<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    Slice(&'a [Sensor<'a>]),
    /// Checked when it was read, so that going through it cannot fail.
    Wire(Reader<'a>, u8),
}

/// The answer to a hello: where the session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// What of the session is stored.
    pub stored: Acknowledgement,
    /// Now, in milliseconds since 1970 (UTC), at most [`MAX_TIME`].
    pub time: u64,
    /// How many seconds the device may be quiet; 0: for ever.
    pub quiet: u16,
}

impl<'a> Hello<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let last_command = reader.u32()?;
        let name = reader.short_text(1, MAX_NAME)?;
        let firmware = reader.short_text(0, MAX_NAME)?;
        let count = reader.u8()?;
        let wire = *reader;
        let mut seen = [0u64; 4];
        for _ in 0..count {
            let (word, bit) = place(Sensor::read(reader)?.index);
            if seen[word] & bit != 0 {
                return Err(Malformed::Number);
            }
            seen[word] |= bit;
        }
        reader.padding()?;
        Ok(Self { last_command, name, firmware, sensors: Sensors(Source::Wire(wire, count)) })
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), Unencodable> {
        writer.u32(self.last_command)?;
        writer.short_text(self.name, 1, MAX_NAME)?;
        writer.short_text(self.firmware, 0, MAX_NAME)?;
        writer.u8(u8::try_from(self.sensors.len()).map_err(|_| Unencodable::Room)?)?;
        let mut seen = [0u64; 4];
        for sensor in self.sensors.iter() {
            let (word, bit) = place(sensor.index);
            if seen[word] & bit != 0 {
                return Err(Unencodable::Value);
            }
            seen[word] |= bit;
            sensor.write(writer)?;
        }
        Ok(())
    }
}

impl<'a> Sensor<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let (index, kind) = (reader.u8()?, Type::read(reader)?);
        let (name, unit) = (usize::from(reader.u8()?), usize::from(reader.u8()?));
        if name == 0 || name > MAX_NAME || unit > MAX_UNIT {
            return Err(Malformed::Range);
        }
        Ok(Self { index, kind, name: reader.text(name)?, unit: reader.text(unit)? })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Unencodable> {
        writer.u8(self.index)?;
        writer.u8(self.kind.number())?;
        writer.u8(short_len(self.name, 1, MAX_NAME)?)?;
        writer.u8(short_len(self.unit, 0, MAX_UNIT)?)?;
        writer.bytes(self.name.as_bytes())?;
        writer.bytes(self.unit.as_bytes())
    }
}

impl<'a> Sensors<'a> {
    /// How many.
    pub fn len(&self) -> usize {
        match self.0 {
            Source::Slice(sensors) => sensors.len(),
            Source::Wire(_, count) => count.into(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = Sensor<'a>> + use<'a> {
        let (slice, (mut wire, count)) = match self.0 {
            Source::Slice(sensors) => (sensors, (Reader::new(&[]), 0)),
            Source::Wire(wire, count) => (&[][..], (wire, count)),
        };
        slice.iter().copied().chain((0..count).map_while(move |_| Sensor::read(&mut wire).ok()))
    }
}

impl<'a> From<&'a [Sensor<'a>]> for Sensors<'a> {
    fn from(sensors: &'a [Sensor<'a>]) -> Self {
        Self(Source::Slice(sensors))
    }
}

impl PartialEq for Sensors<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Sensors<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Welcome {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let stored = Acknowledgement::read(reader)?;
        let time = reader.u64()?;
        if time > MAX_TIME {
            return Err(Malformed::Range);
        }
        Ok(Self { stored, time, quiet: reader.u16()? })
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), Unencodable> {
        self.stored.write(writer)?;
        if self.time > MAX_TIME {
            return Err(Unencodable::Value);
        }
        writer.u64(self.time)?;
        writer.u16(self.quiet)
    }
}

/// Where an index stands in a set of 256 bits.
fn place(index: u8) -> (usize, u64) {
    (usize::from(index / 64), 1 << (index % 64))
}
