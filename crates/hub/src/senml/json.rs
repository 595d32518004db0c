//! SenML in JSON (RFC 8428 §5).

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Serializer;
use serde_json::{Map, Value as Json, json};

use super::pack::Pack;
use super::{BadSenml, Raw, Record, Value};

/// Reads a pack.
///
/// # Errors
///
/// It is not an array of SenML's records.
pub(crate) fn parse(text: &[u8]) -> Result<Vec<Raw>, BadSenml> {
    let pack: Pack =
        serde_json::from_slice(text).map_err(|error| BadSenml(format!("not an array of records: {error}")))?;
    Ok(pack.0)
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

/// The bytes of a text (RFC 4648 §5), with padding or without.
pub(super) fn from_base64url(text: &str) -> Option<Vec<u8>> {
    Base64UrlUnpadded::decode_vec(text.trim_end_matches('=')).ok().filter(|_| !text.starts_with('='))
}

fn seconds(at_ms: i64) -> Json {
    if at_ms % 1000 == 0 { json!(at_ms / 1000) } else { json!(at_ms as f64 / 1000.0) }
}
