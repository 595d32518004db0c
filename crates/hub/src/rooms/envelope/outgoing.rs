//! What the hub says.

use std::sync::Arc;

use base64ct::{Base64, Encoding};
use serde::Serialize;
use serde_json::value::RawValue;
use tautline_rooms::{
    ChangeAnswer, ChangeProblem, Delta, Document, Message, Payload, PresenceChange, Problem, Recovery, Welcome,
};

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
    State {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        document: &'a str,
        #[serde(flatten)]
        state: State<'a>,
    },
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        code: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        current: Option<Current<'a>>,
    },
}

/// What is told of a document.
#[derive(Serialize)]
struct State<'a> {
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    removed: bool,
}

/// What a document is, for whom it is not what he thought.
#[derive(Serialize)]
struct Current<'a> {
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

/// What a client is told not to exceed.
#[derive(Clone, Copy, Debug, Serialize)]
pub(in crate::rooms) struct Limits {
    /// Bytes of a message.
    pub(in crate::rooms) message_bytes: u64,
    /// Messages that are remembered.
    pub(in crate::rooms) history_messages: usize,
    /// For how long.
    pub(in crate::rooms) history_seconds: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn encode(envelope: &Outgoing<'_>) -> String {
    // There are no maps with other keys than strings, and no writer that can fail.
    serde_json::to_string(envelope).unwrap_or_default()
}

pub(in crate::rooms) fn welcome(room: &str, welcome: &Welcome, limits: &Limits) -> String {
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

pub(in crate::rooms) fn message(message: &Message) -> String {
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

pub(in crate::rooms) fn acknowledgement(id: &str, offset: u64, duplicate: bool) -> String {
    // Nothing is known of what lies before a duplicate, so its offset says nothing about how far the client is.
    let offset = (!duplicate).then_some(offset);
    encode(&Outgoing::Ack { id, offset, duplicate })
}

pub(in crate::rooms) fn presence(change: &PresenceChange) -> String {
    let PresenceChange { joined, left, more, count } = change;
    encode(&Outgoing::Presence { joined, left, more: *more, count: *count })
}

/// What a client is told that has no right to do something.
pub(in crate::rooms) const FORBIDDEN: &str = "forbidden";

pub(in crate::rooms) fn refusal(id: Option<&str>, problem: Problem) -> String {
    let code = match problem {
        Problem::BadId => "bad-id",
        Problem::Busy => "busy",
        Problem::NotStored => "not-stored",
        Problem::Forbidden => FORBIDDEN,
    };
    error(id, code, &problem.to_string())
}

pub(in crate::rooms) fn error(id: Option<&str>, code: &str, message: &str) -> String {
    encode(&Outgoing::Error { id, code, message, current: None })
}

/// JSON that the documents keep, and have written themselves.
pub(super) fn raw(json: &str) -> Option<&RawValue> {
    serde_json::from_str(json).ok()
}

/// A document as it is.
pub(in crate::rooms) fn document(id: Option<&str>, name: &str, current: Option<&Document>) -> String {
    let state = match current {
        Some(Document { version, json }) => State { version: *version, data: raw(json), patch: None, removed: false },
        None => State { version: 0, data: None, patch: None, removed: true },
    };
    encode(&Outgoing::State { id, document: name, state })
}

/// How a document has changed.
pub(in crate::rooms) fn document_change(name: &str, version: u64, delta: &Delta) -> String {
    let (data, patch, removed) = match delta {
        Delta::Whole(json) => (raw(json), None, false),
        Delta::Patch(json) => (None, raw(json), false),
        Delta::Removed => (None, None, true),
    };
    encode(&Outgoing::State { id: None, document: name, state: State { version, data, patch, removed } })
}

/// The answer to a request about a document.
pub(in crate::rooms) fn change_answer(id: Option<&str>, name: &str, answer: &ChangeAnswer) -> String {
    match answer {
        ChangeAnswer::Current(current) => document(id, name, current.as_ref()),
        ChangeAnswer::Done { version, json, .. } => {
            let (data, removed) = (json.as_deref().and_then(raw), json.is_none());
            encode(&Outgoing::State {
                id,
                document: name,
                state: State { version: *version, data, patch: None, removed },
            })
        }
        ChangeAnswer::Conflict(current) => {
            let current = current.as_ref().map_or(Current { version: 0, data: None }, |current| Current {
                version: current.version,
                data: raw(&current.json),
            });
            let message = "the document has another version";
            encode(&Outgoing::Error { id, code: "conflict", message, current: Some(current) })
        }
        ChangeAnswer::Refused(problem) => error(id, problem_code(*problem), &problem.to_string()),
    }
}

/// What a program can tell a problem by.
pub(super) fn problem_code(problem: ChangeProblem) -> &'static str {
    match problem {
        ChangeProblem::BadName => "bad-name",
        ChangeProblem::NotJson => "not-json",
        ChangeProblem::NotAnObject => "not-an-object",
        ChangeProblem::TooDeep => "too-deep",
        ChangeProblem::TooLarge => "too-large",
        ChangeProblem::TooMany => "too-many",
        ChangeProblem::Full => "full",
        ChangeProblem::Busy => "busy",
        ChangeProblem::NotStored => "not-stored",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_conflict_shows_what_there_is() {
        let current = Document { version: 4, json: r#"{"on":true}"#.into() };
        assert_eq!(
            change_answer(Some("s"), "lamp", &ChangeAnswer::Conflict(Some(current))),
            r#"{"type":"error","id":"s","code":"conflict","message":"the document has another version","current":{"version":4,"data":{"on":true}}}"#
        );
        let refused = change_answer(None, "lamp", &ChangeAnswer::Refused(ChangeProblem::TooDeep));
        assert!(refused.contains(r#""code":"too-deep""#), "{refused}");
    }
}
