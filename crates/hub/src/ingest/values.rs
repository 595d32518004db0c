//! Values of devices, as the hub has them.

use tautline_store::SensorKind;
use tautline_telemetry::{Type, Value};

use crate::senml;

/// A value as readings and results have it.
pub(super) fn value(value: &Value<'_>) -> senml::Value {
    let unsigned = |number: u64| match i64::try_from(number) {
        Ok(integer) => senml::Value::Integer(integer),
        Err(_) => senml::Value::Real(number as f64),
    };
    match *value {
        Value::Bool(boolean) => senml::Value::Boolean(boolean),
        Value::I8(number) => senml::Value::Integer(number.into()),
        Value::I16(number) => senml::Value::Integer(number.into()),
        Value::I32(number) => senml::Value::Integer(number.into()),
        Value::I64(number) => senml::Value::Integer(number),
        Value::U8(number) => senml::Value::Integer(number.into()),
        Value::U16(number) => senml::Value::Integer(number.into()),
        Value::U32(number) => senml::Value::Integer(number.into()),
        Value::U64(number) => unsigned(number),
        Value::F32(number) => senml::Value::Real(shortest(number)),
        Value::F64(number) => senml::Value::Real(number),
        Value::Text(text) => senml::Value::Text(text.to_owned()),
        Value::Bytes(bytes) => senml::Value::Data(bytes.to_owned()),
    }
}

/// The number that was meant, with as few decimals as it has: 21.3 where the nearest one of 32 bits is 21.299999.
fn shortest(number: f32) -> f64 {
    const SCALES: [f64; 7] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];
    let exact = f64::from(number);
    let rounded = SCALES.iter().map(|scale| (exact * scale).round() / scale);
    rounded.into_iter().find(|rounded| *rounded as f32 == number).unwrap_or(exact)
}

/// What a sensor is that is declared with this type.
pub(super) fn kind(kind: Type) -> SensorKind {
    match kind {
        Type::Bool => SensorKind::Boolean,
        Type::Text => SensorKind::Text,
        Type::Bytes => SensorKind::Bytes,
        _ => SensorKind::Number,
    }
}
