//! Packs as they are read, in JSON and in CBOR alike: record by record, so that nothing is kept of what is too much.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{LABELS, MOST, Number, Raw, Scalar, ignore, is_known};

/// At most so many records as can be taken at once.
pub(super) struct Pack(pub(super) Vec<Raw>);

impl<'de> Deserialize<'de> for Pack {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Records)
    }
}

struct Records;

impl<'de> Visitor<'de> for Records {
    type Value = Pack;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<Pack, A::Error> {
        let mut pack = Vec::new();
        while let Some(record) = records.next_element()? {
            if pack.len() == MOST {
                return Err(Error::custom(format_args!("more than {MOST} records")));
            }
            pack.push(record);
        }
        Ok(Pack(pack))
    }
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
        while let Some(Label(label)) = map.next_key()? {
            match label {
                Some(label) if is_known(&label) => raw.set(&label, map.next_value()?).map_err(Error::custom)?,
                Some(label) => {
                    ignore(&label).map_err(Error::custom)?;
                    map.next_value::<IgnoredAny>()?;
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(raw)
    }
}

/// A label: a text, or in CBOR also a number. `None` is a number that is not known; numbers say nothing about what has to be
/// understood.
struct Label(Option<Cow<'static, str>>);

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OfLabel)
    }
}

struct OfLabel;

impl Visitor<'_> for OfLabel {
    type Value = Label;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a label: a text or a number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Label, E> {
        Ok(Label(Some(text.to_owned().into())))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Label, E> {
        let known = LABELS.iter().find(|(_, known)| *known == number);
        Ok(Label(known.map(|(label, _)| Cow::Borrowed(*label))))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Label, E> {
        i64::try_from(number).map_or(Ok(Label(None)), |number| self.visit_i64(number))
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OfScalar)
    }
}

struct OfScalar;

impl Visitor<'_> for OfScalar {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, text, boolean or bytes")
    }

    fn visit_bool<E: Error>(self, boolean: bool) -> Result<Scalar, E> {
        Ok(Scalar::Boolean(boolean))
    }

    fn visit_i64<E: Error>(self, integer: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(Number::Integer(integer)))
    }

    fn visit_u64<E: Error>(self, integer: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(i64::try_from(integer).map_or(Number::Real(integer as f64), Number::Integer)))
    }

    fn visit_f64<E: Error>(self, real: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number(Number::Real(real)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Scalar, E> {
        Ok(Scalar::Data(bytes.to_owned()))
    }
}
