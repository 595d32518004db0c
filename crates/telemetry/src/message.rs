//! Whole messages: taken apart, checked, and put together.

use crate::acknowledgement::Acknowledgement;
use crate::answer::{Busy, Problem};
use crate::command::{Command, Outcome};
use crate::cursor::{Reader, Writer};
use crate::error::{Forged, Malformed, Unencodable};
use crate::header::{Address, HEADER, Header, Kind, MAX_MESSAGE, MAX_TIME, MIN_HELLO, Side};
use crate::hello::{Hello, Welcome};
use crate::key::{Key, TAG};
use crate::readings::{Readings, Time};

/// A message as it came: its header is sound, its sender unknown. Its body shows only after [`Message::authenticate`].
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    header: Header,
    bytes: &'a [u8],
}

/// A message whose sender has the key, or needs none.
#[derive(Clone, Copy, Debug)]
pub struct Authentic<'a> {
    header: Header,
    body: &'a [u8],
}

/// What a message says. The same for reading and for writing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Body<'a> {
    /// Who the device is.
    Hello(Hello<'a>),
    /// Values with times.
    Readings(Readings<'a>),
    /// What became of a command.
    Result(Outcome<'a>),
    /// What time is it?
    TimeRequest,
    /// Where the session stands.
    Welcome(Welcome),
    /// What is stored.
    Acknowledgement(Acknowledgement),
    /// What to do.
    Command(Command<'a>),
    /// Milliseconds since 1970 (UTC), at most [`MAX_TIME`].
    Time(u64),
    /// Later, please.
    Busy(Busy),
    /// What is wrong.
    Error(Problem<'a>),
}

/// The messages of a datagram, until one is malformed: nobody can tell where the next one begins.
pub fn messages(datagram: &[u8]) -> impl Iterator<Item = Result<Message<'_>, Malformed>> {
    let mut rest = datagram;
    core::iter::from_fn(move || {
        let bytes = core::mem::take(&mut rest);
        if bytes.is_empty() {
            return None;
        }
        if bytes.len() > MAX_MESSAGE {
            return Some(Err(Malformed::Length(u16::try_from(bytes.len()).unwrap_or(u16::MAX))));
        }
        Some(Message::parse(bytes).map(|(message, behind)| {
            rest = behind;
            message
        }))
    })
}

impl<'a> Message<'a> {
    /// The message that these bytes begin with, and what is behind it.
    ///
    /// # Errors
    /// The header is malformed, or the bytes end before the message does.
    pub fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Malformed> {
        let (header, length) = Header::read(&mut Reader::new(bytes))?;
        let (bytes, rest) = bytes.split_at_checked(length).ok_or(Malformed::Truncated)?;
        Ok((Self { header, bytes }, rest))
    }

    /// Who is said to have sent it. Good for finding the key, and for nothing else before
    /// [`authenticate`](Self::authenticate).
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// All of it. Its length bounds that of the answer.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Checks that it comes from this side, and the tag, in a time that does not depend on it. Without a key only messages
    /// without a tag pass, with a key only those that have the right one.
    ///
    /// # Errors
    /// It is not from whom it says.
    pub fn authenticate(&self, from: Side, key: Option<&Key>) -> Result<Authentic<'a>, Forged> {
        if self.header.kind.sender() != from {
            return Err(Forged::Direction);
        }
        let covered = match (key, self.header.keyless) {
            (None, true) => self.bytes,
            (None, false) => return Err(Forged::Keyed),
            (Some(_), true) => return Err(Forged::Keyless),
            (Some(key), false) => {
                let (covered, tag) = self.bytes.split_last_chunk::<TAG>().ok_or(Forged::Tag)?;
                if !key.verifies(covered, tag) {
                    return Err(Forged::Tag);
                }
                covered
            }
        };
        // The header was read, so it is there.
        Ok(Authentic { header: self.header, body: covered.get(HEADER..).unwrap_or_default() })
    }

    /// A message without a tag, as what it is: something that anybody may have sent. For errors to a device with a key,
    /// which are for people only.
    pub(crate) fn unauthenticated_error(&self) -> Option<Problem<'a>> {
        let body = self.bytes.get(HEADER..)?;
        let hint = self.header.keyless && self.header.kind == Kind::Error;
        hint.then(|| Problem::read(&mut Reader::new(body)).ok()).flatten()
    }
}

impl<'a> Authentic<'a> {
    /// Who sent it.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What it says.
    ///
    /// # Errors
    /// The body is not one of this kind: the sender has made a mistake.
    pub fn body(&self) -> Result<Body<'a>, Malformed> {
        let mut reader = Reader::new(self.body);
        let body = Body::read(&self.header, &mut reader)?;
        reader.end()?;
        Ok(body)
    }
}

impl<'a> Body<'a> {
    /// The kind of the message.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Hello(_) => Kind::Hello,
            Self::Readings(_) => Kind::Readings,
            Self::Result(_) => Kind::Result,
            Self::TimeRequest => Kind::TimeRequest,
            Self::Welcome(_) => Kind::Welcome,
            Self::Acknowledgement(_) => Kind::Acknowledgement,
            Self::Command(_) => Kind::Command,
            Self::Time(_) => Kind::Time,
            Self::Busy(_) => Kind::Busy,
            Self::Error(_) => Kind::Error,
        }
    }

    /// Writes the whole message with header and tag, and returns its length. Without a key it has no tag.
    ///
    /// # Errors
    /// It does not fit into `out` or into a message, or something in it is out of bounds.
    pub fn encode(
        &self,
        address: Address,
        sequence: u32,
        key: Option<&Key>,
        out: &mut [u8],
    ) -> Result<usize, Unencodable> {
        let len = self.encode_unsigned(address, sequence, key.is_some(), out)?;
        if let (Some(key), Some(message)) = (key, out.get_mut(..len)) {
            key.sign(message);
        }
        Ok(len)
    }

    /// As [`encode`](Self::encode), but only leaves room for the tag, if there is to be one.
    pub(crate) fn encode_unsigned(
        &self,
        address: Address,
        sequence: u32,
        keyed: bool,
        out: &mut [u8],
    ) -> Result<usize, Unencodable> {
        let tag = if keyed { TAG } else { 0 };
        let room = out.len().min(MAX_MESSAGE).checked_sub(tag).ok_or(Unencodable::Room)?;
        let mut body = Writer::new(out.get_mut(HEADER..room).ok_or(Unencodable::Room)?);
        self.write(&mut body)?;
        if let Self::Hello(_) = self {
            body.pad_to(MIN_HELLO - HEADER - tag)?;
        }
        let covered = HEADER + body.len();
        let calendar = matches!(self, Self::Readings(Readings { time: Time::Calendar(_), .. }));
        let header = Header { kind: self.kind(), keyless: !keyed, calendar, address, sequence };
        header.write(covered + tag, &mut Writer::new(out))?;
        Ok(covered + tag)
    }

    fn read(header: &Header, reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(match header.kind {
            Kind::Hello => Self::Hello(Hello::read(reader)?),
            Kind::Readings => Self::Readings(Readings::read(header.calendar, reader)?),
            Kind::Result => Self::Result(Outcome::read(reader)?),
            Kind::TimeRequest => match reader.u64()? {
                0 => Self::TimeRequest,
                _ => return Err(Malformed::Padding),
            },
            Kind::Welcome => Self::Welcome(Welcome::read(reader)?),
            Kind::Acknowledgement => Self::Acknowledgement(Acknowledgement::read(reader)?),
            Kind::Command => Self::Command(Command::read(reader)?),
            Kind::Time => match reader.u64()? {
                time @ 0..=MAX_TIME => Self::Time(time),
                _ => return Err(Malformed::Range),
            },
            Kind::Busy => Self::Busy(Busy::read(reader)?),
            Kind::Error => Self::Error(Problem::read(reader)?),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Unencodable> {
        match self {
            Self::Hello(hello) => hello.write(writer),
            Self::Readings(readings) => readings.write(writer),
            Self::Result(outcome) => outcome.write(writer),
            Self::TimeRequest => writer.u64(0),
            Self::Welcome(welcome) => welcome.write(writer),
            Self::Acknowledgement(stored) => stored.write(writer),
            Self::Command(command) => command.write(writer),
            Self::Time(time) if *time > MAX_TIME => Err(Unencodable::Value),
            Self::Time(time) => writer.u64(*time),
            Self::Busy(busy) => busy.write(writer),
            Self::Error(problem) => problem.write(writer),
        }
    }
}
