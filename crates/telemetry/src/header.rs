//! The header: `>2sBBHHIIQQ`.

use crate::cursor::{Reader, Writer};
use crate::error::{Malformed, Unencodable};
use crate::key::TAG;

/// Bytes of a header.
pub const HEADER: usize = 32;
/// Bytes of the longest message, and of the longest datagram.
pub const MAX_MESSAGE: usize = 1200;
/// Bytes of the longest body.
pub const MAX_BODY: usize = MAX_MESSAGE - HEADER - TAG;
/// Bytes of the shortest hello, so that no answer is larger than it.
pub const MIN_HELLO: usize = 96;
/// The latest time and the greatest age, in milliseconds: a year far off, and sums that cannot overflow.
pub const MAX_TIME: u64 = (1 << 48) - 1;

const MAGIC: [u8; 2] = *b"TL";
const VERSION: u8 = 1;
const KEYLESS: u16 = 1;
const CALENDAR: u16 = 2;

/// Who sends a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// A device.
    Device,
    /// The hub.
    Hub,
}

/// What a message is. The highest bit is its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Who the device is.
    Hello = 1,
    /// Values with times.
    Readings = 2,
    /// What became of a command.
    Result = 3,
    /// What time is it?
    TimeRequest = 4,
    /// Where the session stands.
    Welcome = 0x81,
    /// What is stored.
    Acknowledgement = 0x82,
    /// What to do.
    Command = 0x83,
    /// What time it is.
    Time = 0x84,
    /// Later, please.
    Busy = 0x85,
    /// What is wrong.
    Error = 0x86,
}

impl Kind {
    /// The kind with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Hello,
            2 => Self::Readings,
            3 => Self::Result,
            4 => Self::TimeRequest,
            0x81 => Self::Welcome,
            0x82 => Self::Acknowledgement,
            0x83 => Self::Command,
            0x84 => Self::Time,
            0x85 => Self::Busy,
            0x86 => Self::Error,
            _ => return None,
        })
    }

    /// Its number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Who sends this.
    pub const fn sender(self) -> Side {
        if self.number() & 0x80 == 0 { Side::Device } else { Side::Hub }
    }
}

/// Whom a message is from or to, and in which session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The device's number, not 0.
    pub device: u32,
    /// Random, chosen by the device at its start, not 0.
    pub session: u64,
    /// Chosen by the hub; 0 in a hello, and in the error that answers one.
    pub link: u64,
}

/// What stands in front of every message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// What the message is.
    pub kind: Kind,
    /// Whether it has no tag.
    pub keyless: bool,
    /// Readings only: whether their time is that of the calendar.
    pub calendar: bool,
    /// Whom it is from or to.
    pub address: Address,
    /// A count whose meaning depends on the kind.
    pub sequence: u32,
}

/// How long the message is that these bytes begin with, header and tag included; `None` while there are fewer than 8
/// bytes. For streams: the message itself may not be there yet.
///
/// # Errors
/// These bytes are not the beginning of a message, and nobody can tell where the next one begins.
pub fn message_length(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let Some(start) = bytes.first_chunk::<8>() else { return Ok(None) };
    let (_, _, length) = Header::read_start(&mut Reader::new(start))?;
    Ok(Some(length))
}

impl Header {
    /// Reads a header and the message's length.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<(Self, usize), Malformed> {
        let (kind, flags, length) = Self::read_start(reader)?;
        let (device, sequence) = (reader.u32()?, reader.u32()?);
        let address = Address { device, session: reader.u64()?, link: reader.u64()? };
        let header = Self { kind, keyless: flags & KEYLESS != 0, calendar: flags & CALENDAR != 0, address, sequence };
        if header.is_sound() { Ok((header, length)) } else { Err(Malformed::Number) }
    }

    pub(crate) fn write(&self, length: usize, writer: &mut Writer<'_>) -> Result<(), Unencodable> {
        if !self.is_sound() {
            return Err(Unencodable::Value);
        }
        writer.bytes(&MAGIC)?;
        writer.u8(VERSION)?;
        writer.u8(self.kind.number())?;
        writer.u16(if self.keyless { KEYLESS } else { 0 } | if self.calendar { CALENDAR } else { 0 })?;
        writer.u16(u16::try_from(length).map_err(|_| Unencodable::Room)?)?;
        writer.u32(self.address.device)?;
        writer.u32(self.sequence)?;
        writer.u64(self.address.session)?;
        writer.u64(self.address.link)
    }

    /// The first eight bytes: kind, flags, length.
    fn read_start(reader: &mut Reader<'_>) -> Result<(Kind, u16, usize), Malformed> {
        if reader.array()? != MAGIC {
            return Err(Malformed::Magic);
        }
        let version = reader.u8()?;
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        let kind = reader.u8()?;
        let kind = Kind::from_number(kind).ok_or(Malformed::Kind(kind))?;
        let flags = reader.u16()?;
        let allowed = if kind == Kind::Readings { KEYLESS | CALENDAR } else { KEYLESS };
        if flags & !allowed != 0 {
            return Err(Malformed::Flags(flags));
        }
        let length = reader.u16()?;
        let least = match kind {
            Kind::Hello => MIN_HELLO,
            _ if flags & KEYLESS != 0 => HEADER,
            _ => HEADER + TAG,
        };
        if !(least..=MAX_MESSAGE).contains(&usize::from(length)) {
            return Err(Malformed::Length(length));
        }
        Ok((kind, flags, length.into()))
    }

    /// Whether no number is 0 that must not be, or the other way round.
    fn is_sound(&self) -> bool {
        let link = match self.kind {
            Kind::Hello => self.address.link == 0,
            // As in what they answer, which may be a hello.
            Kind::Busy | Kind::Error => true,
            _ => self.address.link != 0,
        };
        let sequence = match self.kind {
            Kind::Acknowledgement => self.sequence == 0,
            _ => self.sequence != 0,
        };
        link && sequence && self.address.device != 0 && self.address.session != 0
    }
}
