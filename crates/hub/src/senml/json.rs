//! SenML in JSON (RFC 8428 §5).

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serializer};
use serde_json::{Map, Value as Json, json};

use super::{BadSenml, Number, Raw, Record, Scalar, Value, ignore, is_known};

/// Reads a pack.
///
/// # Errors
///
/// It is not an array of SenML's records.
pub(crate) fn parse(text: &[u8]) -> Result<Vec<Raw>, BadSenml> {
    serde_json::from_slice(text).map_err(|error| BadSenml(format!("not an array of records: {error}")))
}

/// Writes resolved records.
pub(crate) fn write(records: &[Record]) -> Vec<u8> {
    let records = records.iter().map(|Record { name, unit, at_ms, value }| {
        let mut fields = Map::new();
        fields.insert("n".into(), json!(name));
        if !unit.is_empty() {
            fields.insert("u".into(), json!(unit));
        }
        fields.insert("t".into(), seconds(*at_ms));
        let label = match value {
            Value::Integer(_) | Value::Real(_) => "v",
            Value::Text(_) => "vs",
            Value::Boolean(_) => "vb",
            Value::Data(_) => "vd",
        };
        fields.insert(label.into(), json!(value));
        Json::Object(fields)
    });
    Json::Array(records.collect()).to_string().into_bytes()
}

/// Bytes as text.
pub(super) fn base64url<S: Serializer>(data: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&Base64UrlUnpadded::encode_string(data))
}

fn seconds(at_ms: i64) -> Json {
    if at_ms % 1000 == 0 { json!(at_ms / 1000) } else { json!(at_ms as f64 / 1000.0) }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut raw = Raw::default();
        while let Some(label) = map.next_key::<String>()? {
            if is_known(&label) {
                let value = scalar(&label, map.next_value()?).map_err(serde::de::Error::custom)?;
                raw.set(&label, value).map_err(serde::de::Error::custom)?;
            } else {
                ignore(&label).map_err(serde::de::Error::custom)?;
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(raw)
    }
}

fn scalar(label: &str, value: Json) -> Result<Scalar, BadSenml> {
    match value {
        Json::Bool(boolean) => Ok(Scalar::Boolean(boolean)),
        Json::String(text) if label == "vd" => Base64UrlUnpadded::decode_vec(text.trim_end_matches('='))
            .ok()
            .filter(|_| !text.starts_with('='))
            .map(Scalar::Data)
            .ok_or_else(|| BadSenml("`vd` is not base64url".into())),
        Json::String(text) => Ok(Scalar::Text(text)),
        Json::Number(number) => {
            let number = number.as_i64().map(Number::Integer).or_else(|| number.as_f64().map(Number::Real));
            number.map(Scalar::Number).ok_or_else(|| BadSenml(format!("`{label}` is no number that can be kept")))
        }
        Json::Null | Json::Array(_) | Json::Object(_) => {
            Err(BadSenml(format!("`{label}` has a value of another type than it should")))
        }
    }
}
