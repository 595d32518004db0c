//! The golden vectors: this crate and a program of Python that shares nothing with it agree on every byte. The worked example
//! of the protocol's page is made of them.

use std::path::{Path, PathBuf};
use std::process::Command as Program;

use serde_json::{Value as Json, json};
use tautline_telemetry::{
    Acknowledgement, Address, Body, Busy, Command, ErrorCode, Hello, Key, Kind, MAX_MESSAGE, Message, Outcome, Problem,
    Readings, Record, Sensor, Status, Time, Type, Value, Welcome,
};

#[test]
fn every_message_is_written_and_read_as_in_the_vectors() {
    let vectors = vectors();
    let messages = vectors["messages"].as_array().unwrap();
    for vector in messages {
        let (name, bytes) = (&vector["name"], hex(text(&vector["hex"])));
        let key = key(&vector["key"]);
        let number = |field: &str| u64::from_str_radix(text(&vector[field]), 16).unwrap();
        let device = vector["device"].as_u64().unwrap() as u32;
        let address = Address { device, session: number("session"), link: number("link") };
        let sequence = vector["sequence"].as_u64().unwrap() as u32;
        let memory = Memory::of(&vector["body"]);
        let body = memory.body(text(&vector["kind"]), &vector["body"]);

        let mut out = [0; MAX_MESSAGE];
        let len = body.encode(address, sequence, key.as_ref(), &mut out).unwrap();
        assert_eq!(out[..len], bytes, "{name}");

        let (message, rest) = Message::parse(&bytes).unwrap();
        assert!(rest.is_empty());
        assert_eq!((message.header().address, message.header().sequence), (address, sequence), "{name}");
        let authentic = message.authenticate(body.kind().sender(), key.as_ref()).unwrap();
        assert_eq!(authentic.body(), Ok(body), "{name}");
    }
    assert!(messages.len() > 20);
}

#[test]
fn everything_that_the_vectors_reject_is_rejected_for_its_reason() {
    let vectors = vectors();
    let rejected = vectors["rejected"].as_array().unwrap();
    for vector in rejected {
        let bytes = hex(text(&vector["hex"]));
        assert_eq!(reason(&bytes, key(&vector["key"]).as_ref()), text(&vector["why"]), "{}", vector["name"]);
    }
    assert!(rejected.len() > 30);
}

#[test]
fn python_agrees() {
    let script = folder().join("telemetry.py");
    let output = Program::new("python3").arg("-B").arg(&script).output().expect("python3 is needed for this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let vectors = vectors();
    let count = |field: &str| vectors[field].as_array().unwrap().len();
    let expected = format!("{} messages, {} rejected\n", count("messages"), count("rejected"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn the_worked_example_of_the_protocol_is_in_the_vectors() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol/telemetry.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, example) = page.split_once("## Example").expect("there is an example");
    let digits: String = example.chars().filter(|c| !c.is_whitespace()).collect();
    for name in ["hello", "welcome", "readings", "acknowledgement"] {
        let vectors = vectors();
        let vector = vectors["messages"].as_array().unwrap().iter().find(|vector| vector["name"] == name).unwrap();
        assert!(digits.contains(text(&vector["hex"])), "{name}");
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn vectors() -> Json {
    serde_json::from_slice(&std::fs::read(folder().join("telemetry.json")).unwrap()).unwrap()
}

fn text(json: &Json) -> &str {
    json.as_str().unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn key(json: &Json) -> Option<Key> {
    json.as_str().map(|text| Key::new(&hex(text).try_into().unwrap()))
}

fn reason(bytes: &[u8], key: Option<&Key>) -> String {
    let message = match Message::parse(bytes) {
        Err(error) => return format!("{error:?}"),
        Ok((_, [_, ..])) => return "Behind".to_owned(),
        Ok((message, [])) => message,
    };
    match message.authenticate(message.header().kind.sender(), key) {
        Err(error) => format!("{error:?}"),
        Ok(authentic) => authentic.body().map_or_else(|error| format!("{error:?}"), |body| format!("{body:?}")),
    }
}

/// What a body refers to, made from its fields.
struct Memory {
    sensors: Vec<Sensor<'static>>,
    records: Vec<Record<'static>>,
}

impl Memory {
    fn of(body: &Json) -> Self {
        let list = |field: &str| body[field].as_array().cloned().unwrap_or_default();
        let sensor = |json: Json| Sensor {
            index: json["index"].as_u64().unwrap() as u8,
            kind: kind_of(text(&json["type"])).unwrap(),
            name: keep(&json["name"]),
            unit: keep(&json["unit"]),
        };
        let record = |json: Json| Record {
            offset: json["offset"].as_u64().unwrap() as u32,
            sensor: json["sensor"].as_u64().unwrap() as u8,
            value: value(&json).unwrap(),
        };
        Self {
            sensors: list("sensors").into_iter().map(sensor).collect(),
            records: list("records").into_iter().map(record).collect(),
        }
    }

    fn body<'a>(&'a self, kind: &str, json: &Json) -> Body<'a> {
        let number = |field: &str| json[field].as_u64().unwrap();
        let stored = || {
            let bitmap = u64::from_str_radix(text(&json["bitmap"]), 16).unwrap();
            Acknowledgement::new(number("highest") as u32, bitmap).unwrap()
        };
        let about = || match text(&json["about"]) {
            "hello" => Kind::Hello,
            "readings" => Kind::Readings,
            "result" => Kind::Result,
            _ => Kind::TimeRequest,
        };
        match kind {
            "hello" => Body::Hello(Hello {
                last_command: number("last_command") as u32,
                name: keep(&json["name"]),
                firmware: keep(&json["firmware"]),
                sensors: self.sensors.as_slice().into(),
            }),
            "readings" => {
                let time = number("time");
                let time = if json["calendar"] == json!(true) { Time::Calendar(time) } else { Time::Age(time) };
                Body::Readings(Readings { time, records: self.records.as_slice().into() })
            }
            "result" => {
                let status = [Status::Done, Status::Refused, Status::Failed][number("status") as usize];
                Body::Result(Outcome { status, value: value(json) })
            }
            "time request" => Body::TimeRequest,
            "welcome" => {
                Body::Welcome(Welcome { stored: stored(), time: number("time"), quiet: number("quiet") as u16 })
            }
            "acknowledgement" => Body::Acknowledgement(stored()),
            "command" if json["interval"].is_u64() => {
                Body::Command(Command::Interval { sensor: number("sensor") as u8, interval: number("interval") as u32 })
            }
            "command" if json["switch"].is_u64() => {
                Body::Command(Command::Switch { index: number("switch") as u8, on: json["on"].as_bool().unwrap() })
            }
            "command" => Body::Command(Command::Set { key: keep(&json["set"]), value: value(json) }),
            "time" => Body::Time(number("time")),
            "busy" => Body::Busy(Busy { about: about(), retry: number("retry") as u32 }),
            "error" => Body::Error(Problem {
                about: about(),
                code: ErrorCode(number("code") as u8),
                text: keep(&json["text"]),
            }),
            other => panic!("there is no kind {other}"),
        }
    }
}

fn value(json: &Json) -> Option<Value<'static>> {
    let field = &json["value"];
    Some(match kind_of(text(&json["type"]))? {
        Type::Bool => Value::Bool(field.as_bool().unwrap()),
        Type::I8 => Value::I8(field.as_i64().unwrap() as i8),
        Type::I16 => Value::I16(field.as_i64().unwrap() as i16),
        Type::I32 => Value::I32(field.as_i64().unwrap() as i32),
        Type::I64 => Value::I64(field.as_i64().unwrap()),
        Type::U8 => Value::U8(field.as_u64().unwrap() as u8),
        Type::U16 => Value::U16(field.as_u64().unwrap() as u16),
        Type::U32 => Value::U32(field.as_u64().unwrap() as u32),
        Type::U64 => Value::U64(field.as_u64().unwrap()),
        Type::F32 => Value::F32(field.as_f64().unwrap() as f32),
        Type::F64 => Value::F64(field.as_f64().unwrap()),
        Type::Text => Value::Text(keep(field)),
        Type::Bytes => Value::Bytes(hex(text(field)).leak()),
    })
}

fn kind_of(name: &str) -> Option<Type> {
    let names = ["none", "bool", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f32", "f64", "text", "bytes"];
    Type::from_number(names.iter().position(|known| *known == name).unwrap() as u8)
}

/// A test's few texts may live as long as it.
fn keep(json: &Json) -> &'static str {
    text(json).to_owned().leak()
}
