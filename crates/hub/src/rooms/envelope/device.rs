//! What the hub says to a device, in whichever form it gets messages.

use serde::Serialize;
use serde_json::value::RawValue;
use tautline_rooms::{ChangeAnswer, Command, Timestamp};

use super::outgoing::{problem_code, raw};

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum ToDevice<'a> {
    Command {
        id: &'a str,
        name: &'a str,
        payload: Option<&'a RawValue>,
        /// Until when an answer counts: milliseconds since 1970.
        deadline: u64,
    },
    Twin {
        version: u64,
        delta: Option<&'a RawValue>,
    },
    Report {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        version: u64,
    },
}

fn encode(envelope: &ToDevice<'_>) -> String {
    // There are no maps with other keys than strings, and no writer that can fail.
    serde_json::to_string(envelope).unwrap_or_default()
}

/// A command.
pub(crate) fn command(command: &Command, deadline: Timestamp) -> String {
    let Command { id, name, payload, .. } = command;
    encode(&ToDevice::Command { id, name, payload: raw(payload), deadline: deadline.0 })
}

/// How the device is to be different.
pub(crate) fn desired(version: u64, delta: &str) -> String {
    encode(&ToDevice::Twin { version, delta: raw(delta) })
}

/// That something is not done.
pub(crate) fn refusal(id: Option<&str>, code: &str, message: &str) -> String {
    super::error(id, code, message)
}

/// The answer to a report.
pub(crate) fn report_answer(id: Option<&str>, answer: &ChangeAnswer) -> String {
    match answer {
        ChangeAnswer::Done { version, .. } => encode(&ToDevice::Report { id, version: *version }),
        ChangeAnswer::Current(current) => {
            encode(&ToDevice::Report { id, version: current.as_ref().map_or(0, |current| current.version) })
        }
        ChangeAnswer::Conflict(_) => super::error(id, "conflict", "what was reported has another version"),
        ChangeAnswer::Refused(problem) => super::error(id, problem_code(*problem), &problem.to_string()),
    }
}
