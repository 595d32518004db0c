//! Sensor data, as it is written and as it is read back.

use std::fmt;
use std::sync::Arc;

use crate::error::StoreError;

/// Times are below this: 2^48 milliseconds, in the year 10889.
pub(crate) const END_OF_TIME_MS: i64 = 1 << 48;

/// A device that has a key of its own, to send sensor data with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceKey {
    /// Which device it is on the wire; not 0.
    pub number: u32,
    /// Its name, unique.
    pub name: Arc<str>,
    /// The key.
    pub key: Secret,
    /// The one before, while it is still valid.
    pub previous: Option<Secret>,
    /// When the key was made.
    pub created_ms: i64,
    /// When it was revoked.
    pub revoked_ms: Option<i64>,
}

/// 32 secret bytes, which debug output does not show.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// How far a session of a device has come: which of its numbered messages are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceSession {
    /// The device's number.
    pub device: u32,
    /// The session's.
    pub session: u64,
    /// All messages up to this number are stored.
    pub highest: u32,
    /// Bit *i* is set if message `highest` + 1 + *i* is.
    pub bitmap: u64,
    /// When it last changed.
    pub at_ms: i64,
}

/// Something that a device measures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sensor {
    /// By which readings refer to it.
    pub id: u32,
    /// The device's name.
    pub device: Arc<str>,
    /// Its own; unique among those of the device.
    pub name: Arc<str>,
    /// A unit of SenML (RFC 8428 §12.1), or any other, or none.
    pub unit: Arc<str>,
    /// What its values are.
    pub kind: SensorKind,
    /// For how long its readings are kept; `None` is as long as those of others.
    pub keep_ms: Option<i64>,
}

/// What the values of a sensor are. The store takes any value for any sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SensorKind {
    /// 0 and 1.
    Boolean,
    /// Integers and reals.
    Number,
    /// Texts.
    Text,
    /// Bytes.
    Bytes,
}

impl SensorKind {
    const ALL: [Self; 4] = [Self::Boolean, Self::Number, Self::Text, Self::Bytes];

    /// Its name: `boolean`, `number`, `text` or `bytes`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Number => "number",
            Self::Text => "text",
            Self::Bytes => "bytes",
        }
    }

    /// The one of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// [`Sensor::id`], which need not be known.
    pub sensor: u32,
    /// When it was measured: 0 to 2^48 milliseconds since 1970.
    pub at_ms: i64,
    /// What.
    pub value: Value,
}

/// A measured value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Also a boolean.
    Integer(i64),
    /// Finite.
    Real(f64),
    /// UTF-8.
    Text(Box<str>),
    /// Any bytes.
    Bytes(Box<[u8]>),
}

/// A reading that is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct PastReading {
    /// Rises in the order of arrival, with gaps.
    pub number: u64,
    /// When it was measured.
    pub at_ms: i64,
    /// What.
    pub value: Value,
}

/// Which readings are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readings {
    /// Of which sensor.
    pub sensor: u32,
    /// From this time on.
    pub from_ms: i64,
    /// Before this time.
    pub to_ms: i64,
}

/// The numbers that were measured in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// When it begins.
    pub from_ms: i64,
    /// How many there are; at least 1.
    pub count: u64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
    /// Their mean.
    pub mean: f64,
}

/// For how long readings are kept, see [`Retention`](crate::Retention).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadingAge {
    /// The time now.
    pub now_ms: i64,
    /// How old those may become whose sensor does not say otherwise; `None` is as old as they like.
    pub keep_ms: Option<i64>,
}

impl Reading {
    pub(crate) fn size(&self) -> usize {
        let inside = match &self.value {
            Value::Integer(_) | Value::Real(_) => 0,
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
        };
        size_of::<Self>() + inside
    }

    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let Self { sensor, at_ms, value } = self;
        if !(0..END_OF_TIME_MS).contains(at_ms) {
            return Err(StoreError::Invalid(format!("a reading of sensor {sensor} is of the time {at_ms} ms")));
        }
        match value {
            Value::Real(real) if !real.is_finite() => {
                Err(StoreError::Invalid(format!("a reading of sensor {sensor} is {real}")))
            }
            _ => Ok(()),
        }
    }
}

impl Sensor {
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + self.device.len() + self.name.len() + self.unit.len()
    }

    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.keep_ms.is_some_and(|keep| !(0..END_OF_TIME_MS).contains(&keep)) {
            return Err(StoreError::Invalid(format!("sensor {} is kept for {:?} ms", self.id, self.keep_ms)));
        }
        Ok(())
    }
}
