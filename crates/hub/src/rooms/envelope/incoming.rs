//! What clients say.

use std::borrow::Cow;

use base64ct::{Base64, Encoding};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use tautline_rooms::{Payload, Update};

use super::depth::{DEEPEST, is_too_deep};

/// What a client sends.
#[derive(Debug, PartialEq)]
pub(in crate::rooms) enum Incoming<'a> {
    Publish {
        id: Option<Cow<'a, str>>,
        payload: Payload,
    },
    State {
        id: Option<Cow<'a, str>>,
        request: StateRequest<'a>,
    },
    /// A device says how it is.
    Report {
        id: Option<Cow<'a, str>>,
        update: Update,
        if_version: Option<u64>,
    },
    /// A device has answered a command: with JSON, or with the reason why it does not do it.
    Result {
        command: Cow<'a, str>,
        result: Result<Box<str>, Box<str>>,
    },
}

/// What a client wants of a document.
#[derive(Debug, PartialEq)]
pub(in crate::rooms) struct StateRequest<'a> {
    pub(in crate::rooms) document: Cow<'a, str>,
    pub(in crate::rooms) change: Change,
}

/// What somebody wants of a document.
#[derive(Debug, PartialEq)]
pub(crate) enum Change {
    Get,
    Subscribe(bool),
    Update(Update, Option<u64>),
    Remove(Option<u64>),
}

/// Why an envelope cannot be understood.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::rooms) struct BadEnvelope<'a> {
    /// The envelope's id, if it has one.
    pub(in crate::rooms) id: Option<Cow<'a, str>>,
    pub(in crate::rooms) code: &'static str,
    pub(in crate::rooms) message: Cow<'static, str>,
}

impl BadEnvelope<'_> {
    pub(in crate::rooms) const BINARY: Self =
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
    #[serde(borrow)]
    document: Option<Cow<'a, str>>,
    get: Option<bool>,
    subscribe: Option<bool>,
    #[serde(default, borrow, deserialize_with = "even_null")]
    put: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "even_null")]
    patch: Option<&'a RawValue>,
    remove: Option<bool>,
    if_version: Option<u64>,
    #[serde(borrow)]
    error: Option<Cow<'a, str>>,
}

/// `null` is data too.
fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Incoming<'a> {
    pub(in crate::rooms) fn parse(text: &'a str) -> Result<Self, BadEnvelope<'a>> {
        let bad = |id, code, message| BadEnvelope { id, code, message };
        let fields: Fields<'a> = serde_json::from_str(text)
            .map_err(|error| bad(None, "bad-envelope", format!("not an envelope: {error}").into()))?;
        match fields.kind.as_deref() {
            Some("publish") => match payload(fields.data, fields.text, fields.base64.as_deref()) {
                Ok(payload) => Ok(Self::Publish { id: fields.id, payload }),
                Err(message) => Err(bad(fields.id, "bad-envelope", message)),
            },
            Some("state") => match fields.change() {
                Ok(change) => {
                    let document = fields.document.unwrap_or_default();
                    Ok(Self::State { id: fields.id, request: StateRequest { document, change } })
                }
                Err(message) => Err(bad(fields.id, "bad-envelope", message.into())),
            },
            Some("report") => match fields.change() {
                Ok(Change::Update(update, if_version)) => Ok(Self::Report { id: fields.id, update, if_version }),
                Ok(_) | Err(_) => Err(bad(fields.id, "bad-envelope", "a report has one of `put` and `patch`".into())),
            },
            Some("result") => match (fields.id, fields.data, fields.error) {
                (Some(command), Some(data), None) if is_too_deep(data) => {
                    let message = format!("`data` is nested more than {DEEPEST} times");
                    Err(bad(Some(command), "bad-envelope", message.into()))
                }
                (Some(command), data, None) => {
                    let json = data.map_or("null", RawValue::get);
                    Ok(Self::Result { command, result: Ok(json.into()) })
                }
                (Some(command), None, Some(reason)) => Ok(Self::Result { command, result: Err(reason.into()) }),
                (id, ..) => {
                    let message = "a result has the `id` of the command, and `data` or `error`";
                    Err(bad(id, "bad-envelope", message.into()))
                }
            },
            Some(_) => {
                let message = "there are: publish, state, report, result";
                Err(bad(fields.id, "unknown-type", message.into()))
            }
            None => Err(bad(fields.id, "bad-envelope", "an envelope has a `type`".into())),
        }
    }
}

impl Fields<'_> {
    fn change(&self) -> Result<Change, &'static str> {
        // RFC 8259: the text was one JSON value, so its parts are; only the depth may be too much for a value.
        let value = |json: &RawValue| serde_json::from_str::<Value>(json.get()).map_err(|_| "the value is too deep");
        match (self.get, self.subscribe, self.put, self.patch, self.remove) {
            (Some(true), None, None, None, None) => Ok(Change::Get),
            (None, Some(on), None, None, None) => Ok(Change::Subscribe(on)),
            (None, None, Some(put), None, None) => Ok(Change::Update(Update::Put(value(put)?), self.if_version)),
            (None, None, None, Some(patch), None) => Ok(Change::Update(Update::Patch(value(patch)?), self.if_version)),
            (None, None, None, None, Some(true)) => Ok(Change::Remove(self.if_version)),
            _ => Err("a state envelope has one of `get`, `subscribe`, `put`, `patch` and `remove`"),
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
        (Some(data), None, None) if is_too_deep(data) => {
            Err(format!("`data` is nested more than {DEEPEST} times").into())
        }
        (Some(data), None, None) => Ok(Payload::Json(data.get().into())),
        (None, Some(text), None) => Ok(Payload::Text(text.into())),
        (None, None, Some(base64)) => match Base64::decode_vec(base64) {
            Ok(bytes) => Ok(Payload::Binary(bytes.into())),
            Err(error) => Err(format!("`base64` is not Base64: {error}").into()),
        },
        _ => Err("a message has one of `data` (any JSON), `text` and `base64`".into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
            (
                &format!(r#"{{"type":"publish","id":"m","data":{}{}}}"#, "[".repeat(101), "]".repeat(101)),
                Some("m"),
                "bad-envelope",
            ),
            (
                &format!(r#"{{"type":"result","id":"c","data":{}{}}}"#, "[".repeat(101), "]".repeat(101)),
                Some("c"),
                "bad-envelope",
            ),
            (&format!(r#"{{"type":"publish","data":{}"#, "[".repeat(100_000)), None, "bad-envelope"),
        ] {
            let bad = Incoming::parse(envelope).unwrap_err();
            assert_eq!((bad.id.as_deref(), bad.code), (id, code), "{envelope:.60}");
            assert!(!bad.message.is_empty());
        }
    }

    #[test]
    fn documents_are_asked_for_in_one_of_five_ways() {
        let put = |value, version| Change::Update(Update::Put(value), version);
        let patch = |value, version| Change::Update(Update::Patch(value), version);
        for (rest, change) in [
            (r#""get":true"#, Change::Get),
            (r#""subscribe":true"#, Change::Subscribe(true)),
            (r#""subscribe":false"#, Change::Subscribe(false)),
            (r#""put":{"on":true}"#, put(json!({"on": true}), None)),
            (r#""put":null,"if_version":0"#, put(Value::Null, Some(0))),
            (r#""patch":{"on":null},"if_version":7"#, patch(json!({"on": null}), Some(7))),
            (r#""remove":true,"if_version":3"#, Change::Remove(Some(3))),
        ] {
            let envelope = format!(r#"{{"type":"state","id":"s","document":"lamp",{rest}}}"#);
            let request = StateRequest { document: "lamp".into(), change };
            assert_eq!(Incoming::parse(&envelope), Ok(Incoming::State { id: Some("s".into()), request }), "{rest}");
        }
        for bad in [r#""get":false"#, r#""x":1"#, r#""put":1,"patch":1"#, r#""remove":false"#] {
            let envelope = format!(r#"{{"type":"state","id":"s","document":"lamp",{bad}}}"#);
            let problem = Incoming::parse(&envelope).unwrap_err();
            assert_eq!((problem.id.as_deref(), problem.code), (Some("s"), "bad-envelope"), "{bad}");
        }
        let deep = format!(r#"{{"type":"state","document":"lamp","put":{}{}}}"#, "[".repeat(500), "]".repeat(500));
        assert_eq!(Incoming::parse(&deep).unwrap_err().code, "bad-envelope");
    }
}
