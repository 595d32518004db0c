//! What the hub says.

use crate::event::Event;

use super::json::{self, Value};

/// What comes in.
#[derive(Debug)]
#[non_exhaustive]
pub enum Incoming<'e> {
    /// What happened to the link. Messages are not among it.
    Link(Event<'e>),
    /// We are in the room.
    Welcome {
        /// Our client id.
        client: &'e str,
        /// The room.
        room: &'e str,
        /// Whether anything was missed.
        recovered: Recovered,
        /// How many are in the room.
        count: u64,
    },
    /// Somebody has published.
    Message {
        /// The client id of whoever did.
        from: &'e str,
        /// When the hub got it: milliseconds since 1970 (UTC).
        at: u64,
        /// Its number in the room.
        offset: u64,
        /// What it says.
        content: Content<'e>,
    },
    /// A message of ours has arrived, and is stored where the room is durable.
    Acknowledged {
        /// What [`Room::publish_data`](super::Room::publish_data) and the like answered.
        number: u32,
    },
    /// Somebody gives this device a command. Answer it with [`Room::answer`](super::Room::answer).
    Command(Command<'e>),
    /// What is wanted of this device differs from what it has reported.
    Twin {
        /// The version of what is wanted.
        version: u64,
        /// What differs: a JSON object.
        delta: &'e str,
    },
    /// The hub does not do what it was told. A message that can never be taken is not sent again.
    Error {
        /// The number of the message that it is about, if it is about one of those that wait for their acknowledgement.
        number: Option<u32>,
        /// Why, for programs.
        code: &'e str,
        /// Why, for people.
        message: &'e str,
    },
    /// Anything else, as it came: presence, documents, answers to reports, what another version of the hub says, and what is no envelope.
    Other(&'e str),
    /// A message came that is larger than the memory for messages, or not text.
    Unreadable,
}

/// What a client missed while it was away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// It has not been here before.
    None,
    /// Nothing: what it missed follows.
    All,
    /// Something that the hub does not remember: find out where things stand.
    Gap,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'e> {
    /// A JSON value.
    Data(&'e str),
    /// Text.
    Text(&'e str),
    /// Bytes in base64.
    Base64(&'e str),
}

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command<'e> {
    /// What the answer is to name.
    pub id: &'e str,
    /// Its name.
    pub name: &'e str,
    /// What it says: a JSON value; `null` if nothing.
    pub payload: &'e str,
    /// Until when an answer counts: milliseconds since 1970 (UTC).
    pub deadline: u64,
    /// Whether one of the last commands had this id. It comes again if the connection was lost before the hub had our answer: answer again, but
    /// do not do again what must not be done twice.
    pub again: bool,
}

/// The members of an envelope that something is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Type,
    Id,
    Client,
    Room,
    Epoch,
    Recovered,
    From,
    Name,
    Code,
    Message,
    Text,
    Base64,
    // From here on the value is kept as it stands.
    Data,
    Payload,
    Delta,
    Count,
    At,
    Version,
    Deadline,
    Offset,
}

/// The names, in the order of [`Field`].
const NAMES: [&str; 20] = [
    "type",
    "id",
    "client",
    "room",
    "epoch",
    "recovered",
    "from",
    "name",
    "code",
    "message",
    "text",
    "base64",
    "data",
    "payload",
    "delta",
    "count",
    "at",
    "version",
    "deadline",
    "offset",
];

/// The types that are taken apart.
const KNOWN: [&str; 6] = ["welcome", "message", "ack", "error", "twin", "command"];

/// An envelope, where it lies.
#[derive(Debug)]
pub(super) struct Envelope<'e> {
    bytes: &'e [u8],
    /// Where each value begins and ends. None begins at 0.
    spans: [(u32, u32); NAMES.len()],
}

impl<'e> Envelope<'e> {
    /// Takes an envelope apart; in those of a known type strings lose their escapes where they lie. `Err`: it is none, and nothing has
    /// changed.
    pub(super) fn read(bytes: &'e mut [u8]) -> Result<Self, &'e [u8]> {
        let mut spans = [(0, 0); NAMES.len()];
        if find(bytes, &mut spans).is_none() {
            return Err(bytes);
        }
        let (begin, end) = spans[Field::Type as usize];
        // Others are handed on as they came.
        if KNOWN.iter().any(|known| known.as_bytes() == &bytes[begin as usize..end as usize]) {
            for (begin, end) in spans.iter_mut().take(Field::Data as usize) {
                *end = *begin + json::unescape(&mut bytes[*begin as usize..*end as usize]) as u32;
            }
        }
        Ok(Self { bytes, spans })
    }

    /// All of it.
    pub(super) fn whole(&self) -> &'e str {
        core::str::from_utf8(self.bytes).unwrap_or_default()
    }

    /// The string, empty if there is none; or the JSON value, empty if there is none.
    pub(super) fn text(&self, field: Field) -> &'e str {
        self.find(field).unwrap_or_default()
    }

    /// As [`text`](Self::text), for what may be absent.
    pub(super) fn find(&self, field: Field) -> Option<&'e str> {
        let (begin, end) = self.spans[field as usize];
        if begin == 0 {
            return None;
        }
        core::str::from_utf8(self.bytes.get(begin as usize..end as usize)?).ok()
    }

    /// The whole number, if there is one.
    pub(super) fn number(&self, field: Field) -> Option<u64> {
        self.find(field)?.parse().ok()
    }
}

/// Finds the values.
fn find(bytes: &[u8], spans: &mut [(u32, u32); NAMES.len()]) -> Option<()> {
    let text = core::str::from_utf8(bytes).ok()?;
    for (name, value) in Value::parse(text)?.members()? {
        let Some(index) = NAMES.iter().position(|known| *known == name) else { continue };
        let inner = if index < Field::Data as usize { value.escaped() } else { Some(value.text()) };
        if let Some(inner) = inner {
            let begin = inner.as_ptr().addr() - text.as_ptr().addr();
            spans[index] = (u32::try_from(begin).ok()?, u32::try_from(begin + inner.len()).ok()?);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::*;

    #[test]
    fn members_come_in_any_order_and_unknown_ones_are_passed_over() {
        let mut bytes =
            *br#" {"offset":7, "new": {"type": [1, "x"]}, "text": "a\"\u00e9", "type" : "message","at":"x"} "#;
        let envelope = Envelope::read(&mut bytes).unwrap();
        assert_eq!(envelope.text(Field::Type), "message");
        assert_eq!(envelope.text(Field::Text), "a\"\u{e9}");
        assert_eq!(envelope.number(Field::Offset), Some(7));
        assert_eq!((envelope.number(Field::At), envelope.number(Field::Count)), (None, None));
        assert_eq!(envelope.find(Field::Data), None);
    }

    #[test]
    fn every_name_has_its_place() {
        for (index, field) in [(0, Field::Type), (11, Field::Base64), (12, Field::Data), (19, Field::Offset)] {
            assert_eq!(field as usize, index);
        }
        for (field, text) in [(Field::Base64, "base64"), (Field::Deadline, "deadline"), (Field::Delta, "delta")] {
            assert_eq!(NAMES[field as usize], text);
        }
    }

    #[test]
    fn an_unknown_envelope_stays_as_it_came() {
        let text = r#"{"type":"dance","text":"a\"b"}"#;
        let mut bytes = text.to_string().into_bytes();
        assert_eq!(Envelope::read(&mut bytes).unwrap().whole(), text);
    }

    #[test]
    fn what_is_no_object_is_left_as_it_was() {
        for text in ["", "hello", "[1]", "{", "{} x"] {
            let mut bytes = text.to_string().into_bytes();
            assert_eq!(Envelope::read(&mut bytes).err(), Some(text.as_bytes()));
        }
    }
}
