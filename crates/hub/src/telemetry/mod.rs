//! Sensor data: which sensors there are, and the way of readings into the store.

mod measured;
mod sensors;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tautline_store::{Reading, Sensor, Store, SubmitError, Write};

pub(crate) use measured::{Measured, Owner, from_json, from_senml, to_value};
pub(crate) use sensors::KnownSensor;
use sensors::Sensors;

use crate::senml::Value;
use crate::watch::Watch;

/// How many readings can be handed in at once.
pub(crate) const MOST: usize = 10_000;

/// Takes readings. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Telemetry(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    store: Option<Store>,
    watch: Watch,
    sensors: Mutex<Sensors>,
}

/// Why readings were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// The hub keeps nothing.
    NoStore,
    /// There are as many sensors as there can be, of this device or in all.
    TooManySensors,
    /// As much waits as may.
    Busy,
    /// It could not be stored.
    NotStored,
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoStore => "this hub keeps nothing: it was started without a store",
            Self::TooManySensors => "there are as many sensors as there can be: 1,000 of a device and 1,000,000 in all",
            Self::Busy => "too much waits to be stored: try again later",
            Self::NotStored => "it could not be stored",
        })
    }
}

impl Telemetry {
    pub(crate) fn new(store: Option<Store>, watch: Watch, known: Vec<Sensor>) -> Self {
        Self(Arc::new(Inner { store, watch, sensors: Mutex::new(Sensors::new(known)) }))
    }

    /// Has readings stored, all or none. `done` is told once, when they are durable, and must not block; not if an error is
    /// answered.
    ///
    /// # Errors
    ///
    /// None of them is stored.
    pub(crate) fn submit(
        &self,
        measured: Vec<Measured>,
        done: impl FnOnce(Result<(), NotTaken>) + Send + 'static,
    ) -> Result<(), NotTaken> {
        let Some(store) = &self.0.store else { return Err(NotTaken::NoStore) };
        let (writes, ids) = self.sensors().writes(&measured)?;
        let told = self.clone();
        let submitted = store.submit(writes, move |result| match result {
            Ok(()) => {
                told.stored(&ids, measured);
                done(Ok(()));
            }
            Err(error) => {
                tracing::error!(%error, readings = measured.len(), "readings could not be stored");
                done(Err(NotTaken::NotStored));
            }
        });
        submitted.map_err(not_submitted)
    }

    /// The sensors of a device, by name, with what they said last since the hub was started.
    pub(crate) fn sensors_of(&self, device: &str) -> Vec<KnownSensor> {
        self.sensors().of(device)
    }

    /// Sets for how long the readings of a sensor are kept. `None`: there is no such sensor. `done` is told as by
    /// [`submit`](Self::submit).
    pub(crate) fn keep(
        &self,
        device: &str,
        sensor: &str,
        keep_ms: Option<i64>,
        done: impl FnOnce(Result<(), NotTaken>) + Send + 'static,
    ) -> Option<Result<Sensor, NotTaken>> {
        let sensor = self.sensors().keep(device, sensor, keep_ms)?;
        let Some(store) = &self.0.store else { return Some(Err(NotTaken::NoStore)) };
        let submitted = store.submit(vec![Write::Sensor(sensor.clone())], |result| {
            done(result.map_err(|_| NotTaken::NotStored));
        });
        Some(submitted.map(|()| sensor).map_err(not_submitted))
    }

    fn stored(&self, ids: &[u32], measured: Vec<Measured>) {
        let mut sensors = self.sensors();
        let wanted = self.0.watch.events.wanted();
        for (id, measured) in ids.iter().zip(measured) {
            if wanted {
                let Measured { device, sensor, unit, at_ms, value } = &measured;
                self.0.watch.events.reading(device, sensor, unit, *at_ms, value);
            }
            sensors.stored(*id, measured);
        }
    }

    fn sensors(&self) -> MutexGuard<'_, Sensors> {
        // Nothing that is called while it is locked can panic half-way.
        self.0.sensors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_submitted(error: SubmitError) -> NotTaken {
    match error {
        SubmitError::Full => NotTaken::Busy,
        SubmitError::Closed => NotTaken::NotStored,
    }
}

/// A value as the store has it.
fn stored_value(value: &Value) -> tautline_store::Value {
    match value {
        Value::Integer(integer) => tautline_store::Value::Integer(*integer),
        Value::Real(real) => tautline_store::Value::Real(*real),
        Value::Boolean(boolean) => tautline_store::Value::Integer((*boolean).into()),
        Value::Text(text) => tautline_store::Value::Text(text.as_str().into()),
        Value::Data(data) => tautline_store::Value::Bytes(data.as_slice().into()),
    }
}

/// A reading as the store has it.
fn reading(id: u32, measured: &Measured) -> Reading {
    Reading { sensor: id, at_ms: measured.at_ms, value: stored_value(&measured.value) }
}
