//! SenML (RFC 8428): packs of sensor records, in JSON and in CBOR.

mod cbor;
mod json;
mod pack;
mod resolve;

use std::fmt;

use serde::Serialize;

pub(crate) use cbor::{parse as parse_cbor, write as write_cbor};
pub(crate) use json::{parse as parse_json, write as write_json};
pub(crate) use resolve::{is_name, resolve};

/// How many records a pack may have.
pub(crate) const MOST: usize = 10_000;

/// The media types of RFC 8428 §12.3.
pub(crate) const JSON: &str = "application/senml+json";
pub(crate) const CBOR: &str = "application/senml+cbor";

/// A resolved record (RFC 8428 §4.6): it says everything itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    pub(crate) name: String,
    /// Empty if there is none.
    pub(crate) unit: String,
    /// Milliseconds since 1970.
    pub(crate) at_ms: i64,
    pub(crate) value: Value,
}

/// What was measured. As JSON it is what it is; bytes are base64url (RFC 4648 §5, without padding).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Value {
    Integer(i64),
    Real(f64),
    Text(String),
    Boolean(bool),
    #[serde(serialize_with = "json::base64url")]
    Data(Vec<u8>),
}

/// A record as it is written: with base fields, and without what they say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Raw {
    base_version: Option<Number>,
    base_name: Option<String>,
    base_time: Option<Number>,
    base_unit: Option<String>,
    base_value: Option<Number>,
    base_sum: Option<Number>,
    name: Option<String>,
    unit: Option<String>,
    value: Option<Number>,
    text: Option<String>,
    boolean: Option<bool>,
    data: Option<Vec<u8>>,
    sum: Option<Number>,
    time: Option<Number>,
    update_time: Option<Number>,
}

/// A number, exact where it is an integer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Integer(i64),
    Real(f64),
}

impl Number {
    fn as_f64(self) -> f64 {
        match self {
            Self::Integer(integer) => integer as f64,
            Self::Real(real) => real,
        }
    }
}

/// The fields that there are (RFC 8428 §4.1 to 4.3), each with its label in JSON and its number in CBOR.
const LABELS: [(&str, i64); 15] = [
    ("bver", -1),
    ("bn", -2),
    ("bt", -3),
    ("bu", -4),
    ("bv", -5),
    ("bs", -6),
    ("n", 0),
    ("u", 1),
    ("v", 2),
    ("vs", 3),
    ("vb", 4),
    ("s", 5),
    ("t", 6),
    ("ut", 7),
    ("vd", 8),
];

/// What a field has.
#[derive(Debug)]
enum Scalar {
    Number(Number),
    Text(String),
    Boolean(bool),
    Data(Vec<u8>),
}

impl Raw {
    /// Takes a field. One that is not known is ignored, unless its label says that it must not be (RFC 8428 §4.4).
    fn set(&mut self, label: &str, value: Scalar) -> Result<(), BadSenml> {
        let twice = match (label, value) {
            ("bver", Scalar::Number(number)) => self.base_version.replace(number).is_some(),
            ("bn", Scalar::Text(text)) => self.base_name.replace(text).is_some(),
            ("bt", Scalar::Number(number)) => self.base_time.replace(number).is_some(),
            ("bu", Scalar::Text(text)) => self.base_unit.replace(text).is_some(),
            ("bv", Scalar::Number(number)) => self.base_value.replace(number).is_some(),
            ("bs", Scalar::Number(number)) => self.base_sum.replace(number).is_some(),
            ("n", Scalar::Text(text)) => self.name.replace(text).is_some(),
            ("u", Scalar::Text(text)) => self.unit.replace(text).is_some(),
            ("v", Scalar::Number(number)) => self.value.replace(number).is_some(),
            ("vs", Scalar::Text(text)) => self.text.replace(text).is_some(),
            ("vb", Scalar::Boolean(boolean)) => self.boolean.replace(boolean).is_some(),
            ("vd", Scalar::Data(data)) => self.data.replace(data).is_some(),
            // JSON has no bytes.
            ("vd", Scalar::Text(text)) => {
                let data = json::from_base64url(&text).ok_or_else(|| BadSenml("`vd` is not base64url".into()))?;
                self.data.replace(data).is_some()
            }
            ("s", Scalar::Number(number)) => self.sum.replace(number).is_some(),
            ("t", Scalar::Number(number)) => self.time.replace(number).is_some(),
            ("ut", Scalar::Number(number)) => self.update_time.replace(number).is_some(),
            _ => return Err(BadSenml(format!("`{label}` has a value of another type than it should"))),
        };
        if twice { Err(BadSenml(format!("`{label}` stands twice in a record"))) } else { Ok(()) }
    }
}

fn is_known(label: &str) -> bool {
    LABELS.iter().any(|(known, _)| *known == label)
}

/// Whether a field that is not known may be ignored.
fn ignore(label: &str) -> Result<(), BadSenml> {
    match label.ends_with('_') {
        true => Err(BadSenml(format!("`{label}` must be understood, and is not"))),
        false => Ok(()),
    }
}

/// Why it is not SenML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadSenml(String);

impl fmt::Display for BadSenml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
