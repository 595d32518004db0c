//! What is said to the hub.

use core::fmt;

use embassy_sync::blocking_mutex::raw::RawMutex;
use tautline_proto::Kind;

use crate::link::Link;
use crate::outbox::{Payload, Policy, PushError};
use crate::text::Text;

use super::envelope::Content;
use super::json::{self, Value};

/// The hexadecimal digits of a run, the dash, and those of a number.
const ID_LEN: usize = 8 + 1 + 8;

/// A room, to say something in: from any task, without waiting. It can be copied.
#[derive(Debug)]
pub struct Room<'l, 'm, M: RawMutex> {
    link: &'l Link<'m, M>,
    run: u32,
}

impl<M: RawMutex> Clone for Room<'_, '_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: RawMutex> Copy for Room<'_, '_, M> {}

/// Why something was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishError {
    /// There is no room for it.
    Push(PushError),
    /// It is not JSON.
    NotJson,
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Push(error) => error.fmt(f),
            Self::NotJson => f.write_str("the data is not JSON"),
        }
    }
}

impl core::error::Error for PublishError {}

impl From<PushError> for PublishError {
    fn from(error: PushError) -> Self {
        Self::Push(error)
    }
}

impl<'l, 'm, M: RawMutex> Room<'l, 'm, M> {
    /// The room that `link` leads to.
    ///
    /// `run` is 32 random bits, drawn anew at each start of the program: they are part of each message's id, and the hub takes
    /// a second message with an id that it remembers for the first one sent again.
    pub const fn new(link: &'l Link<'m, M>, run: u32) -> Self {
        Self { link, run }
    }

    /// Publishes a JSON value. It stays in the outbox until the hub has acknowledged it, is sent again over the next connection if need be, and is
    /// delivered once. Answers its number, which [`Incoming::Acknowledged`](super::Incoming::Acknowledged) names.
    ///
    /// # Errors
    /// It was not taken.
    pub fn publish_data(&self, json: &str, policy: Policy) -> Result<u32, PublishError> {
        let json = checked(json)?;
        Ok(self.publish(Content::Data(json), policy)?)
    }

    /// As [`publish_data`](Self::publish_data), with text.
    ///
    /// # Errors
    /// It was not taken.
    pub fn publish_text(&self, text: &str, policy: Policy) -> Result<u32, PushError> {
        self.publish(Content::Text(text), policy)
    }

    /// Answers a command: done, with any JSON, or why not.
    ///
    /// # Errors
    /// It was not taken.
    pub fn answer(&self, id: &str, result: Result<&str, &str>) -> Result<(), PublishError> {
        let result = match result {
            Ok(json) => Ok(checked(json)?),
            Err(why) => Err(why),
        };
        Ok(self.push(false, Policy::DropNewest, &Answer { id, result }).map(drop)?)
    }

    /// Reports what the device is: a merge patch (RFC 7396) of its twin. It is not sent again if it is lost; report anew after a
    /// [`Welcome`](super::Incoming::Welcome).
    ///
    /// # Errors
    /// It was not taken.
    pub fn report(&self, patch: &str, policy: Policy) -> Result<(), PublishError> {
        let patch = checked(patch)?;
        Ok(self.push(false, policy, &Report { patch }).map(drop)?)
    }

    /// The number in an id of ours.
    pub(super) fn number(&self, id: &str) -> Option<u32> {
        let (run, number) = id.split_once('-')?;
        let ours = id.len() == ID_LEN && u32::from_str_radix(run, 16) == Ok(self.run);
        ours.then(|| u32::from_str_radix(number, 16).ok())?
    }

    /// The hub has the message with this number, or never wants it.
    pub(super) fn settle(&self, number: u32) -> bool {
        self.link.acknowledge(number)
    }

    /// Sends again what is not acknowledged.
    pub(super) fn again(&self) {
        self.link.again();
    }

    fn publish(&self, content: Content<'_>, policy: Policy) -> Result<u32, PushError> {
        self.push(true, policy, &Publish { run: self.run, content })
    }

    fn push(&self, kept: bool, policy: Policy, payload: &dyn Payload) -> Result<u32, PushError> {
        self.link.push(Kind::Text, policy, kept, payload)
    }
}

/// JSON without white space around it.
fn checked(json: &str) -> Result<&str, PublishError> {
    Value::parse(json).map(Value::text).ok_or(PublishError::NotJson)
}

struct Publish<'p> {
    run: u32,
    content: Content<'p>,
}

impl Payload for Publish<'_> {
    fn write(&self, id: u32, out: &mut Text<'_>) {
        out.put("{\"type\":\"publish\",\"id\":\"");
        out.hex(&self.run.to_be_bytes());
        out.put("-");
        out.hex(&id.to_be_bytes());
        out.put("\",");
        match self.content {
            Content::Data(json) => {
                out.put("\"data\":");
                out.put(json);
            }
            Content::Text(text) => {
                out.put("\"text\":");
                json::put_string(out, text);
            }
            Content::Base64(text) => {
                out.put("\"base64\":");
                json::put_string(out, text);
            }
        }
        out.put("}");
    }
}

struct Answer<'p> {
    id: &'p str,
    result: Result<&'p str, &'p str>,
}

impl Payload for Answer<'_> {
    fn write(&self, _: u32, out: &mut Text<'_>) {
        out.put("{\"type\":\"result\",\"id\":");
        json::put_string(out, self.id);
        match self.result {
            Ok(json) => {
                out.put(",\"data\":");
                out.put(json);
            }
            Err(why) => {
                out.put(",\"error\":");
                json::put_string(out, why);
            }
        }
        out.put("}");
    }
}

struct Report<'p> {
    patch: &'p str,
}

impl Payload for Report<'_> {
    fn write(&self, id: u32, out: &mut Text<'_>) {
        out.put("{\"type\":\"report\",\"id\":\"");
        out.hex(&id.to_be_bytes());
        out.put("\",\"patch\":");
        out.put(self.patch);
        out.put("}");
    }
}
