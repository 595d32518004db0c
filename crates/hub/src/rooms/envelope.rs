//! `tautline.v1.json`: docs/protocol/rooms.md says what is what.

use std::borrow::Cow;
use std::sync::Arc;

use base64ct::{Base64, Encoding};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use tautline_rooms::{Message, Payload, PresenceChange, Problem, Recovery, Resume, Welcome};

/// The subprotocol of envelopes.
pub const SUBPROTOCOL: &str = "tautline.v1.json";

/// What a client sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming<'a> {
    Publish { id: Option<Cow<'a, str>>, payload: Payload },
}

/// Why an envelope cannot be understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadEnvelope<'a> {
    /// The envelope's id, if it has one.
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) code: &'static str,
    pub(super) message: Cow<'static, str>,
}

impl BadEnvelope<'_> {
    pub(super) const BINARY: Self =
        BadEnvelope { id: None, code: "bad-envelope", message: Cow::Borrowed("envelopes are text") };
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "even_null")]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    base64: Option<Cow<'a, str>>,
}

/// `null` is data too.
fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Incoming<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, BadEnvelope<'a>> {
        let bad = |id, code, message| BadEnvelope { id, code, message };
        let fields: Fields<'a> = serde_json::from_str(text)
            .map_err(|error| bad(None, "bad-envelope", format!("not an envelope: {error}").into()))?;
        let Fields { kind, id, data, text, base64 } = fields;
        match kind.as_deref() {
            Some("publish") => {}
            Some(_) => return Err(bad(id, "unknown-type", "there is: publish".into())),
            None => return Err(bad(id, "bad-envelope", "an envelope has a `type`".into())),
        }
        match payload(data, text, base64.as_deref()) {
            Ok(payload) => Ok(Self::Publish { id, payload }),
            Err(message) => Err(bad(id, "bad-envelope", message)),
        }
    }
}

/// What a message says, in one of three forms; or what is wrong with them.
pub(crate) fn payload(
    data: Option<&RawValue>,
    text: Option<Cow<'_, str>>,
    base64: Option<&str>,
) -> Result<Payload, Cow<'static, str>> {
    match (data, text, base64) {
        (Some(data), None, None) => Ok(Payload::Json(data.get().into())),
        (None, Some(text), None) => Ok(Payload::Text(text.into())),
        (None, None, Some(base64)) => match Base64::decode_vec(base64) {
            Ok(bytes) => Ok(Payload::Binary(bytes.into())),
            Err(error) => Err(format!("`base64` is not Base64: {error}").into()),
        },
        _ => Err("a message has one of `data` (any JSON), `text` and `base64`".into()),
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Outgoing<'a> {
    Welcome {
        client: &'a str,
        room: &'a str,
        epoch: String,
        offset: u64,
        recovered: &'static str,
        members: &'a [Arc<str>],
        count: usize,
        limits: &'a Limits,
    },
    Message {
        offset: u64,
        at: u64,
        from: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        base64: Option<String>,
    },
    Ack {
        id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        offset: Option<u64>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        duplicate: bool,
    },
    Presence {
        joined: &'a [Arc<str>],
        left: &'a [Arc<str>],
        #[serde(skip_serializing_if = "is_zero")]
        more: usize,
        count: usize,
    },
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        code: &'a str,
        message: &'a str,
    },
}

/// What a client is told not to exceed.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Limits {
    /// Bytes of a message.
    pub(super) message_bytes: u64,
    /// Messages that are remembered.
    pub(super) history_messages: usize,
    /// For how long.
    pub(super) history_seconds: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn encode(envelope: &Outgoing<'_>) -> String {
    // There are no maps with other keys than strings, and no writer that can fail.
    serde_json::to_string(envelope).unwrap_or_default()
}

pub(super) fn welcome(room: &str, welcome: &Welcome, limits: &Limits) -> String {
    encode(&Outgoing::Welcome {
        client: &welcome.client,
        room,
        epoch: format!("{:016x}", welcome.epoch),
        offset: welcome.offset,
        recovered: match welcome.recovery {
            Recovery::None => "none",
            Recovery::All => "all",
            Recovery::Gap => "gap",
        },
        members: &welcome.members,
        count: welcome.count,
        limits,
    })
}

pub(super) fn message(message: &Message) -> String {
    let (mut data, mut text, mut base64) = (None, None, None);
    match &message.payload {
        Payload::Text(words) => text = Some(&**words),
        Payload::Binary(bytes) => base64 = Some(Base64::encode_string(bytes)),
        // What is not JSON can only come from a store that somebody has edited.
        Payload::Json(json) => match serde_json::from_str(json) {
            Ok(json) => data = Some(json),
            Err(_) => text = Some(&**json),
        },
    }
    let Message { offset, at, from, .. } = message;
    encode(&Outgoing::Message { offset: *offset, at: at.0, from, data, text, base64 })
}

pub(super) fn acknowledgement(id: &str, offset: u64, duplicate: bool) -> String {
    // Nothing is known of what lies before a duplicate, so its offset says nothing about how far the client is.
    let offset = (!duplicate).then_some(offset);
    encode(&Outgoing::Ack { id, offset, duplicate })
}

pub(super) fn presence(change: &PresenceChange) -> String {
    let PresenceChange { joined, left, more, count } = change;
    encode(&Outgoing::Presence { joined, left, more: *more, count: *count })
}

pub(super) fn refusal(id: Option<&str>, problem: Problem) -> String {
    let code = match problem {
        Problem::BadId => "bad-id",
        Problem::Busy => "busy",
        Problem::NotStored => "not-stored",
    };
    error(id, code, &problem.to_string())
}

pub(super) fn error(id: Option<&str>, code: &str, message: &str) -> String {
    encode(&Outgoing::Error { id, code, message })
}

/// `epoch` and `offset` of a query: how far a client had come. `Err` if they make no sense.
pub(super) fn resume(query: Option<&str>) -> Result<Option<Resume>, ()> {
    let value = |name: &str| {
        let mut pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    match (value("epoch"), value("offset")) {
        (None, None) => Ok(None),
        (Some(epoch), Some(offset)) if epoch.len() == 16 => {
            let epoch = u64::from_str_radix(epoch, 16).map_err(|_| ())?;
            let offset = offset.parse().map_err(|_| ())?;
            Ok(Some(Resume { epoch, offset }))
        }
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(id: Option<&str>, payload: Payload) -> Result<Incoming<'_>, BadEnvelope<'_>> {
        Ok(Incoming::Publish { id: id.map(Into::into), payload })
    }

    #[test]
    fn a_message_is_json_text_or_bytes() {
        let json = |json: &str| Payload::Json(json.into());
        for (envelope, id, payload) in [
            (r#"{"type":"publish","id":"m1","data":{"t": 21.50}}"#, Some("m1"), json(r#"{"t": 21.50}"#)),
            (r#"{"data":null,"type":"publish"}"#, None, json("null")),
            (r#"{"type":"publish","data":"x","new":[1]}"#, None, json(r#""x""#)),
            (r#"{"type":"publish","text":"a\nb"}"#, None, Payload::Text("a\nb".into())),
            (r#"{"type":"publish","base64":"AP8="}"#, None, Payload::Binary([0, 255].into())),
            (r#"{"type":"publish","id":"\u00f1","text":""}"#, Some("ñ"), Payload::Text("".into())),
        ] {
            assert_eq!(Incoming::parse(envelope), publish(id, payload), "{envelope}");
        }
    }

    #[test]
    fn what_is_no_envelope_is_told_apart() {
        for (envelope, id, code) in [
            ("", None, "bad-envelope"),
            ("hi", None, "bad-envelope"),
            ("[]", None, "bad-envelope"),
            ("{}", None, "bad-envelope"),
            (r#"{"type":1}"#, None, "bad-envelope"),
            (r#"{"type":"dance","id":"m"}"#, Some("m"), "unknown-type"),
            (r#"{"type":"publish","id":"m"}"#, Some("m"), "bad-envelope"),
            (r#"{"type":"publish","id":"m","data":1,"text":""}"#, Some("m"), "bad-envelope"),
            (r#"{"type":"publish","id":"m","base64":"?"}"#, Some("m"), "bad-envelope"),
            (&format!(r#"{{"type":"publish","data":{}"#, "[".repeat(100_000)), None, "bad-envelope"),
        ] {
            let bad = Incoming::parse(envelope).unwrap_err();
            assert_eq!((bad.id.as_deref(), bad.code), (id, code), "{envelope:.60}");
            assert!(!bad.message.is_empty());
        }
    }

    #[test]
    fn messages_are_written_in_the_form_in_which_they_came() {
        let written = |payload| {
            let at = tautline_rooms::Timestamp(1_790_000_000_000);
            message(&Message { offset: 7, at, from: "e\"sp".into(), id: None, payload })
        };
        let head = r#"{"type":"message","offset":7,"at":1790000000000,"from":"e\"sp","#;
        for (payload, tail) in [
            (Payload::Json("[1, 2]".into()), r#""data":[1, 2]}"#),
            (Payload::Text("a\"b".into()), r#""text":"a\"b"}"#),
            (Payload::Binary([0, 255].into()), r#""base64":"AP8="}"#),
            (Payload::Json("broken".into()), r#""text":"broken"}"#),
        ] {
            assert_eq!(written(payload), format!("{head}{tail}"));
        }
    }

    #[test]
    fn how_far_a_client_had_come_is_in_the_query() {
        let resumed = |epoch, offset| Ok(Some(Resume { epoch, offset }));
        assert_eq!(resume(None), Ok(None));
        assert_eq!(resume(Some("x=1")), Ok(None));
        assert_eq!(resume(Some("epoch=00000000000000ff&offset=12")), resumed(255, 12));
        assert_eq!(resume(Some("offset=0&x&epoch=ffffffffffffffff")), resumed(u64::MAX, 0));
        for bad in ["epoch=00000000000000ff", "offset=1", "epoch=ff&offset=1", "epoch=00000000000000ff&offset=-1"] {
            assert_eq!(resume(Some(bad)), Err(()), "{bad}");
        }
    }
}
