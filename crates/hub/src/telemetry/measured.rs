//! Readings as they are handed in by HTTP and by WebSocket.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::rooms;
use crate::senml::{self, BadSenml, MOST, Raw, Record, Value};

/// How far a device's clock may be ahead: a day.
pub(crate) const AHEAD_MS: i64 = 86_400_000;

/// How many bytes a text, or bytes, may have: about what fits into a message of the telemetry protocol.
const LONGEST: usize = 1024;

/// One reading.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measured {
    pub(crate) device: Arc<str>,
    pub(crate) sensor: String,
    /// Empty if it is not told.
    pub(crate) unit: String,
    /// Milliseconds since 1970.
    pub(crate) at_ms: i64,
    pub(crate) value: Value,
}

/// Whose readings they are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owner<'a> {
    /// This device's.
    Device(&'a str),
    /// They say it themselves.
    Told,
}

/// Why they are not readings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadReadings(String);

impl fmt::Display for BadReadings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<BadSenml> for BadReadings {
    fn from(bad: BadSenml) -> Self {
        Self(bad.to_string())
    }
}

/// The readings of a pack. Where they say themselves whose they are, the part of a name behind its last `/` or `:` is the
/// sensor, and what is before it the device.
///
/// # Errors
///
/// It does not resolve, or a name is not that of a device and a sensor.
pub(crate) fn from_senml(pack: &[Raw], owner: Owner<'_>, now_ms: i64) -> Result<Vec<Measured>, BadReadings> {
    senml::resolve(pack, now_ms)?.into_iter().map(|record| measured(record, owner, now_ms)).collect()
}

fn measured(record: Record, owner: Owner<'_>, now_ms: i64) -> Result<Measured, BadReadings> {
    let Record { name, unit, at_ms, value } = record;
    let (device, sensor) = match owner {
        Owner::Device(device) => (device.to_owned(), name),
        Owner::Told => match name.rfind(['/', ':']) {
            Some(at) if at > 0 && at + 1 < name.len() => (name[..at].to_owned(), name[at + 1..].to_owned()),
            _ => {
                let help = "a name is a device and a sensor, such as `kitchen/temperature`";
                return Err(BadReadings(format!("{name:?}: {help}")));
            }
        },
    };
    check(&unit, at_ms, now_ms, &value)?;
    Ok(Measured { device: device_name(&device)?, sensor, unit, at_ms, value })
}

/// Readings in the simple form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Simple {
    device: Option<String>,
    at_ms: Option<i64>,
    readings: Map<String, Json>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    One(Simple),
    Several(Vec<Simple>),
}

/// The readings of the simple form: `{"device": "kitchen", "at_ms": 1790000000000, "readings": {"temperature": 21.5}}`, or an
/// array of them.
///
/// # Errors
///
/// It is another form, or a value is not a number, a boolean or a text.
pub(crate) fn from_json(text: &[u8], owner: Owner<'_>, now_ms: i64) -> Result<Vec<Measured>, BadReadings> {
    let form: Form = serde_json::from_slice(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => BadReadings(
            "readings are {\"device\": \"kitchen\", \"readings\": {\"temperature\": 21.5}}, where `at_ms` says when, or an array of such"
                .into(),
        ),
        _ => BadReadings(format!("not JSON: {error}")),
    })?;
    let all = match form {
        Form::One(one) => vec![one],
        Form::Several(several) => several,
    };
    if all.iter().map(|one| one.readings.len()).sum::<usize>() > MOST {
        return Err(too_many());
    }
    let mut measured = Vec::new();
    for Simple { device: told, at_ms, readings } in all {
        let device = match (owner, &told) {
            (Owner::Device(device), None) => device,
            (Owner::Device(device), Some(told)) if told == device => device,
            (Owner::Device(device), Some(told)) => {
                return Err(BadReadings(format!("they are of {told:?}, and were handed in as those of {device:?}")));
            }
            (Owner::Told, Some(told)) => told,
            (Owner::Told, None) => return Err(BadReadings("`device` is missing: whose readings are they?".into())),
        };
        let device = device_name(device)?;
        let at_ms = at_ms.unwrap_or(now_ms);
        for (sensor, value) in readings {
            check_sensor(&sensor)?;
            let value = from_value(&sensor, value)?;
            check("", at_ms, now_ms, &value)?;
            measured.push(Measured { device: device.clone(), sensor, unit: String::new(), at_ms, value });
        }
    }
    Ok(measured)
}

fn from_value(sensor: &str, value: Json) -> Result<Value, BadReadings> {
    match value {
        Json::Bool(boolean) => Ok(Value::Boolean(boolean)),
        Json::String(text) => Ok(Value::Text(text)),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Ok(Value::Integer(integer)),
            (None, Some(real)) if real.is_finite() => Ok(Value::Real(real)),
            _ => Err(BadReadings(format!("{sensor:?} is no number that can be kept"))),
        },
        _ => Err(BadReadings(format!("{sensor:?} is not a number, a boolean or a text"))),
    }
}

/// A stored value; 0 and 1 of what says yes or no are that.
pub(crate) fn to_value(value: tautline_store::Value, kind: tautline_store::SensorKind) -> Value {
    match value {
        tautline_store::Value::Integer(integer @ 0..=1) if kind == tautline_store::SensorKind::Boolean => {
            Value::Boolean(integer == 1)
        }
        tautline_store::Value::Integer(integer) => Value::Integer(integer),
        tautline_store::Value::Real(real) => Value::Real(real),
        tautline_store::Value::Text(text) => Value::Text(text.into()),
        tautline_store::Value::Bytes(bytes) => Value::Data(bytes.into()),
    }
}

fn device_name(name: &str) -> Result<Arc<str>, BadReadings> {
    // As in the path of a WebSocket, so that it is the same device.
    if name.is_empty() || !rooms::is_name(name) {
        return Err(BadReadings(format!("{name:?} is no name of a device: 1 to 128 bytes without control characters")));
    }
    Ok(name.into())
}

fn check_sensor(name: &str) -> Result<(), BadReadings> {
    if name.is_empty() || !rooms::is_name(name) {
        return Err(BadReadings(format!("{name:?} is no name of a sensor: 1 to 128 bytes without control characters")));
    }
    Ok(())
}

fn check(unit: &str, at_ms: i64, now_ms: i64, value: &Value) -> Result<(), BadReadings> {
    if unit.chars().any(char::is_control) {
        return Err(BadReadings(format!("{unit:?} is no unit: it has control characters")));
    }
    if at_ms < 0 || at_ms > now_ms.saturating_add(AHEAD_MS) {
        return Err(BadReadings(format!("the time {at_ms} is before 1970, or more than a day ahead (milliseconds)")));
    }
    let length = match value {
        Value::Text(text) => text.len(),
        Value::Data(data) => data.len(),
        Value::Integer(_) | Value::Real(_) | Value::Boolean(_) => 0,
    };
    match length {
        0..=LONGEST => Ok(()),
        _ => Err(BadReadings(format!("a text or bytes have at most {LONGEST} bytes"))),
    }
}

fn too_many() -> BadReadings {
    BadReadings(format!("more than {MOST} readings at once"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simple(text: &str, owner: Owner<'_>) -> Result<Vec<(String, String, i64, Value)>, String> {
        let all = from_json(text.as_bytes(), owner, 1000).map_err(|bad| bad.to_string())?;
        Ok(all.into_iter().map(|one| (one.device.to_string(), one.sensor, one.at_ms, one.value)).collect())
    }

    #[test]
    fn the_simple_form() {
        let text =
            r#"[{"device":"a b","readings":{"t":21.5,"n":-3}},{"device":"c","at_ms":7,"readings":{"on":true,"s":""}}]"#;
        let one = |device: &str, sensor: &str, at, value| (device.to_owned(), sensor.to_owned(), at, value);
        let mut found = simple(text, Owner::Told).unwrap();
        found.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        assert_eq!(
            found,
            [
                one("a b", "n", 1000, Value::Integer(-3)),
                one("a b", "t", 1000, Value::Real(21.5)),
                one("c", "on", 7, Value::Boolean(true)),
                one("c", "s", 7, Value::Text(String::new())),
            ]
        );
        assert_eq!(simple(r#"{"readings":{"t":1}}"#, Owner::Device("x")).unwrap()[0].0, "x");
        assert_eq!(simple(r#"{"device":"x","readings":{"t":1}}"#, Owner::Device("x")).unwrap().len(), 1);
    }

    #[test]
    fn what_is_not_the_simple_form_is_told() {
        for (text, owner, told) in [
            (r#"{"readings":{"t":1}}"#, Owner::Told, "`device` is missing"),
            (r#"{"device":"y","readings":{"t":1}}"#, Owner::Device("x"), "handed in as"),
            (r#"{"device":"","readings":{"t":1}}"#, Owner::Told, "no name of a device"),
            (r#"{"device":"x","readings":{"":1}}"#, Owner::Told, "no name of a sensor"),
            (r#"{"device":"x","readings":{"t":null}}"#, Owner::Told, "not a number"),
            (r#"{"device":"x","readings":{"t":1},"at":5}"#, Owner::Told, "readings are"),
            (r#"{"device":"x","at_ms":-5,"readings":{"t":1}}"#, Owner::Told, "before 1970"),
            (r#"{"device":"x","at_ms":86401001,"readings":{"t":1}}"#, Owner::Told, "a day ahead"),
            ("7", Owner::Told, "readings are"),
            ("{", Owner::Told, "not JSON"),
        ] {
            let error = simple(text, owner).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn names_of_senml_are_a_device_and_a_sensor() {
        let pack = |text: &str, owner| from_senml(&senml::parse_json(text.as_bytes()).unwrap(), owner, 0);
        let found = pack(
            r#"[{"bn":"urn:dev:ow:10e2073a:","n":"voltage","u":"V","v":1},{"bn":"","n":"k/t","v":1}]"#,
            Owner::Told,
        );
        let found: Vec<_> =
            found.unwrap().into_iter().map(|one| (one.device.to_string(), one.sensor, one.unit)).collect();
        let one = |device: &str, sensor: &str, unit: &str| (device.to_owned(), sensor.to_owned(), unit.to_owned());
        assert_eq!(found, [one("urn:dev:ow:10e2073a", "voltage", "V"), one("k", "t", "")]);
        assert_eq!(pack(r#"[{"n":"a/b","v":1}]"#, Owner::Device("x")).unwrap()[0].sensor, "a/b");
        for bad in [r#"[{"n":"t","v":1}]"#, r#"[{"n":"t/","v":1}]"#] {
            assert!(pack(bad, Owner::Told).unwrap_err().to_string().contains("kitchen/temperature"), "{bad}");
        }
    }
}
