//! Commands to devices that send their readings over UDP and TCP: one at a time, again and again until there is a result.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use tautline_telemetry::{Command, MAX_MESSAGE, Outcome, Status, Value};

use super::clock::Now;
use super::desk::{Desk, Peer, Reply};
use crate::senml;
use tautline_store::Secret;

/// How many commands wait for a device at most.
const WAITING: usize = 16;

/// For how long a device counts as being there that says nothing, in milliseconds: it was told to say something three times as often.
const SILENCE: u64 = 90_000;

/// After how long a device without a key loses its name, in milliseconds: who comes later can have it.
const FORGOTTEN: u64 = 600_000;

/// All sensors of a device.
const ALL: u8 = 255;

/// What somebody else has to be told.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum News {
    /// A device is there.
    Came {
        device: u32,
        name: Arc<str>,
        /// Whether it has shown that it is who it says.
        proven: bool,
        peer: Peer,
    },
    /// It has not been heard from for long.
    Left { device: u32, name: Arc<str> },
    /// A device has used its new key, so the one before is not valid any longer.
    KeyUsed { device: u32, key: Secret },
    /// What became of a command: JSON, or why the device does not do it.
    Result { device: u32, name: Arc<str>, id: Arc<str>, result: Result<Box<str>, Box<str>> },
}

/// The commands of a device that have no result, and whether it is there.
#[derive(Debug, Default)]
pub(super) struct Line {
    orders: VecDeque<Order>,
    /// The number of the last command.
    last: u32,
    /// When it was heard from, while it is there.
    heard_ms: Option<u64>,
}

#[derive(Debug)]
struct Order {
    id: Arc<str>,
    number: u32,
    what: What,
    /// Until when its result counts, by the hub's clock.
    until_ms: u64,
}

/// A command that owns what it says.
#[derive(Clone, Debug, PartialEq)]
enum What {
    Interval { sensor: u8, interval: u32 },
    Switch { index: u8, on: bool },
    Set { key: Box<str>, value: Json },
}

impl What {
    /// What a command means to a device of this protocol.
    fn of(name: &str, payload: &str, sensor: impl Fn(&str) -> Option<u8>) -> Result<Self, &'static str> {
        let payload: Json = serde_json::from_str(payload).map_err(|_| "the payload is not JSON")?;
        match name {
            "interval" => {
                let wanted = match &payload["sensor"] {
                    Json::Null => ALL,
                    Json::String(name) => sensor(name).ok_or("the device has no such sensor")?,
                    _ => return Err("`sensor` is the name of a sensor"),
                };
                let ms = payload.as_u64().or_else(|| payload["ms"].as_u64());
                let interval = ms.and_then(|ms| u32::try_from(ms).ok()).filter(|ms| *ms > 0);
                let interval = interval.ok_or("an interval is {\"ms\": 1000}, and `sensor` says of which one")?;
                Ok(Self::Interval { sensor: wanted, interval })
            }
            "switch" => {
                let index = payload["index"].as_u64().or(payload["index"].is_null().then_some(0));
                let on = payload.as_bool().or_else(|| payload["on"].as_bool());
                match (index.and_then(|index| u8::try_from(index).ok()), on) {
                    (Some(index), Some(on)) => Ok(Self::Switch { index, on }),
                    _ => Err("a switch is {\"index\": 0, \"on\": true}"),
                }
            }
            _ if name.len() > 64 => Err("a name has at most 64 bytes"),
            _ => {
                // What the dashboard's switch sends.
                let value = match &payload {
                    Json::Object(fields) if fields.len() == 1 && fields.get("on").is_some_and(Json::is_boolean) => {
                        payload["on"].clone()
                    }
                    _ => payload,
                };
                match &value {
                    Json::Object(_) | Json::Array(_) => Err("a device of this protocol takes one value and no JSON"),
                    Json::String(text) if text.len() > 512 => Err("the text is too long"),
                    _ => Ok(Self::Set { key: name.into(), value }),
                }
            }
        }
    }

    fn as_command(&self) -> Command<'_> {
        match self {
            Self::Interval { sensor, interval } => Command::Interval { sensor: *sensor, interval: *interval },
            Self::Switch { index, on } => Command::Switch { index: *index, on: *on },
            Self::Set { key, value } => Command::Set { key, value: scalar(value) },
        }
    }
}

fn scalar(value: &Json) -> Option<Value<'_>> {
    match value {
        Json::Bool(boolean) => Some(Value::Bool(*boolean)),
        Json::String(text) => Some(Value::Text(text)),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Some(Value::I64(integer)),
            (None, Some(integer)) => Some(Value::U64(integer)),
            (None, None) => number.as_f64().map(Value::F64),
        },
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

/// What a device has answered: JSON, or the reason why not.
pub(super) fn result(outcome: &Outcome<'_>) -> Result<Box<str>, Box<str>> {
    let value = outcome.value.as_ref().map(super::values::value);
    match (outcome.status, value) {
        (Status::Done, value) => Ok(serde_json::to_string(&value).unwrap_or_default().into()),
        (_, Some(senml::Value::Text(reason))) => Err(reason.into()),
        (Status::Refused, _) => Err("the device refuses".into()),
        (Status::Failed, _) => Err("the device has tried, and failed".into()),
    }
}

impl Line {
    /// The device was heard from. Whether it was not there before.
    pub(super) fn heard(&mut self, now_ms: u64) -> bool {
        self.heard_ms.replace(now_ms).is_none()
    }

    /// The device counts as gone. Whether it was there.
    pub(super) fn leave(&mut self) -> bool {
        self.heard_ms.take().is_some()
    }

    pub(super) fn is_there(&self) -> bool {
        self.heard_ms.is_some()
    }

    /// The device has had this command. Whatever our clock says, later ones have higher numbers.
    pub(super) fn had(&mut self, number: u32) {
        self.last = self.last.max(number);
    }

    /// The command with this number has a result. Its id.
    pub(super) fn over(&mut self, number: u32) -> Option<Arc<str>> {
        let first = self.orders.pop_front_if(|order| order.number == number)?;
        Some(first.id)
    }
}

impl Desk {
    /// Gives a device a command, whose result counts only within a time. One that is known is not given again.
    pub(super) fn command(&mut self, now: Now, device: u32, command: &tautline_rooms::Command, within: Duration) {
        let tautline_rooms::Command { id, name, payload, .. } = command;
        let Some(known) = self.devices.get(&device) else { return };
        if known.line.orders.iter().any(|order| order.id == *id) {
            return;
        }
        let sensor = |name: &str| known.index_of(|id| self.telemetry.is_called(id, name));
        let what = What::of(name, payload, sensor).and_then(|what| match known.line.orders.len() {
            0..WAITING => Ok(what),
            _ => Err("too many commands wait for the device"),
        });
        let (name, id) = (known.name.clone(), id.clone());
        let Some(known) = self.devices.get_mut(&device) else { return };
        match what {
            Ok(what) => {
                // Above every number that it was given before, also before a restart: there is hardly one command a second.
                let seconds = u32::try_from(now.calendar_ms / 1000).unwrap_or(u32::MAX);
                known.line.last = seconds.max(known.line.last.saturating_add(1));
                let number = known.line.last;
                let until_ms = now.ms.saturating_add(u64::try_from(within.as_millis()).unwrap_or(u64::MAX));
                known.line.orders.push_back(Order { id, number, what, until_ms });
                self.ordered.insert(device);
            }
            Err(reason) => self.news.push(News::Result { device, name, id, result: Err(reason.into()) }),
        }
    }

    /// Sends the commands that are due. Whether there are any that wait.
    pub(super) fn transmit_commands(&mut self, now_ms: u64, out: &mut Vec<Reply>) -> bool {
        let devices: Vec<u32> = self.ordered.iter().copied().collect();
        for number in devices {
            let key = self.key_of(number).cloned();
            let Some(device) = self.devices.get_mut(&number) else { continue };
            // Nobody waits for its result any longer.
            device.line.orders.retain(|order| order.until_ms > now_ms);
            let Some(order) = device.line.orders.front() else {
                self.ordered.remove(&number);
                continue;
            };
            let Some(open) = device.sessions.last_mut().filter(|open| open.linked) else { continue };
            if open.session.pending_command() != Some(order.number) {
                open.session.command(now_ms, order.number);
            }
            let mut bytes = vec![0; MAX_MESSAGE];
            let command = order.what.as_command();
            match open.session.transmit_command(now_ms, &command, key.as_ref(), &mut bytes) {
                Ok(Some(length)) => {
                    bytes.truncate(length);
                    out.push(Reply { to: open.peer, bytes });
                }
                Ok(None) => {}
                Err(_) => {
                    let (name, id) = (device.name.clone(), order.id.clone());
                    device.line.orders.pop_front();
                    let result = Err("the command does not fit into a message".into());
                    self.news.push(News::Result { device: number, name, id, result });
                }
            }
        }
        !self.ordered.is_empty()
    }

    /// Takes note of devices that have not been heard from for long, and gives away the names of those without a key.
    pub(super) fn sweep(&mut self, now_ms: u64) {
        let mut gone = Vec::new();
        for (number, device) in &mut self.devices {
            if device.line.heard_ms.is_some_and(|heard| heard + SILENCE < now_ms) {
                device.line.heard_ms = None;
                self.news.push(News::Left { device: *number, name: device.name.clone() });
            }
            let has_name = !device.name.is_empty() && !self.keys.contains_key(number);
            if has_name && device.heard_ms + FORGOTTEN < now_ms {
                gone.push(*number);
            }
        }
        for number in gone {
            self.forget(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_what_the_protocol_has() {
        let sensor = |name: &str| (name == "temperature").then_some(7);
        for (name, payload, what) in [
            ("interval", "500", What::Interval { sensor: ALL, interval: 500 }),
            ("interval", r#"{"ms":500,"sensor":"temperature"}"#, What::Interval { sensor: 7, interval: 500 }),
            ("switch", "true", What::Switch { index: 0, on: true }),
            ("switch", r#"{"index":3,"on":false}"#, What::Switch { index: 3, on: false }),
            ("led", r#"{"on":true}"#, What::Set { key: "led".into(), value: Json::Bool(true) }),
            ("reboot", "null", What::Set { key: "reboot".into(), value: Json::Null }),
        ] {
            assert_eq!(What::of(name, payload, sensor), Ok(what), "{name} {payload}");
        }
        for (name, payload) in [
            ("interval", "0"),
            ("interval", r#"{"ms":5,"sensor":"x"}"#),
            ("switch", "7"),
            ("switch", r#"{"index":300,"on":true}"#),
            ("set", r#"{"a":1,"b":2}"#),
            ("set", "[1]"),
        ] {
            assert!(What::of(name, payload, sensor).is_err(), "{name} {payload}");
        }
    }

    #[test]
    fn what_a_device_answers_is_json_or_a_reason() {
        let answer = |status, value| result(&Outcome { status, value });
        assert_eq!(answer(Status::Done, None), Ok("null".into()));
        assert_eq!(answer(Status::Done, Some(Value::F32(21.3))), Ok("21.3".into()));
        assert_eq!(answer(Status::Refused, Some(Value::Text("no lamp"))), Err("no lamp".into()));
        assert_eq!(answer(Status::Failed, None), Err("the device has tried, and failed".into()));
    }
}
