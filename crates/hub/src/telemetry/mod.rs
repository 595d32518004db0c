//! Sensor data: which sensors there are, and the way of readings into the store.

mod live;
mod measured;
mod sensors;
mod socket;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tautline_store::{Reading, Sensor, SensorKind, Store, SubmitError, Write};

pub(crate) use live::Told;
use live::{Heard, Listening, Live};
pub(crate) use measured::{AHEAD_MS, Measured, Owner, from_json, from_senml, to_value};
use sensors::Sensors;
pub(crate) use sensors::{Declared, KnownSensor, Measuring};
pub(crate) use socket::{ROOT, Readings, is_live};

use crate::selection::Selection;
use crate::senml::Value;
use crate::watch::Watch;

/// For how many readings the sensors are locked at once.
const AT_ONCE: usize = 256;

/// Takes readings. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Telemetry(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    store: Option<Store>,
    watch: Watch,
    sensors: Mutex<Sensors>,
    live: Live,
}

/// A reading of a sensor whose number is known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Taken {
    pub(crate) sensor: u32,
    /// Milliseconds since 1970, below 2^48.
    pub(crate) at_ms: i64,
    pub(crate) value: Value,
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
        let sensors = Mutex::new(Sensors::new(known));
        Self(Arc::new(Inner { store, watch, sensors, live: Live::default() }))
    }

    /// Has readings stored, and what else is to be written with them, all or nothing. `done` is told once, when they are durable, and must not block; not if an error is
    /// answered.
    ///
    /// # Errors
    ///
    /// None of them is stored.
    pub(crate) fn submit(
        &self,
        readings: Vec<Taken>,
        also: Vec<Write>,
        done: impl FnOnce(Result<(), NotTaken>) + Send + 'static,
    ) -> Result<(), NotTaken> {
        let Some(store) = &self.0.store else { return Err(NotTaken::NoStore) };
        let (mut writes, new) = self.sensors().new_among(&readings);
        if !readings.is_empty() {
            writes.push(Write::Readings(readings.iter().map(stored_reading).collect()));
        }
        writes.extend(also);
        let told = self.clone();
        let submitted = store.submit(writes, move |result| match result {
            Ok(()) => {
                told.stored(&new, readings);
                done(Ok(()));
            }
            Err(error) => {
                tracing::error!(%error, readings = readings.len(), "readings could not be stored");
                done(Err(NotTaken::NotStored));
            }
        });
        submitted.map_err(not_submitted)
    }

    /// As [`submit`](Self::submit), for readings whose sensors may be new.
    ///
    /// # Errors
    ///
    /// As there; or there are as many sensors as there can be.
    pub(crate) fn hand_in(
        &self,
        measured: Vec<Measured>,
        done: impl FnOnce(Result<(), NotTaken>) + Send + 'static,
    ) -> Result<(), NotTaken> {
        if self.0.store.is_none() {
            return Err(NotTaken::NoStore);
        }
        let mut sensors = self.sensors();
        let taken = measured.into_iter().map(|Measured { device, sensor, unit, at_ms, value }| {
            let sensor = sensors.id(&device, &sensor, &unit, kind(&value))?;
            sensors.set_unit(sensor, &unit);
            Ok(Taken { sensor, at_ms, value })
        });
        let taken = taken.collect::<Result<_, NotTaken>>();
        drop(sensors);
        self.submit(taken?, Vec::new(), done)
    }

    /// The numbers of those that there are of the sensors that a device declares.
    ///
    /// # Errors
    ///
    /// There cannot be all the others.
    pub(crate) fn find<'a>(
        &self,
        device: &str,
        declared: impl Iterator<Item = Declared<'a>>,
    ) -> Result<Vec<(u8, u32)>, NotTaken> {
        self.sensors().find(device, declared)
    }

    /// The numbers of the sensors that a device declares, all of which there are from now on, with the units that it says.
    ///
    /// # Errors
    ///
    /// There cannot be all of them: nothing has changed.
    pub(crate) fn declare<'a>(
        &self,
        device: &Arc<str>,
        declared: impl Iterator<Item = Declared<'a>> + Clone,
    ) -> Result<Vec<(u8, u32)>, NotTaken> {
        self.sensors().declare(device, declared)
    }

    /// Whether a sensor has this name.
    pub(crate) fn is_called(&self, id: u32, name: &str) -> bool {
        self.sensors().known(id).is_some_and(|sensor| *sensor.name == *name)
    }

    /// The sensors of a device, by name, with what they said last since the hub was started.
    pub(crate) fn sensors_of(&self, device: &str) -> Vec<KnownSensor> {
        self.sensors().of(device)
    }

    /// Devices that have sensors, with names behind `after`, by name, at most `limit` of them.
    pub(crate) fn devices(&self, after: Option<&str>, limit: usize) -> Vec<Measuring> {
        let names = self.sensors().devices(after, limit);
        // One at a time: readings wait while it is locked.
        names.iter().filter_map(|name| self.device(name)).collect()
    }

    /// A device, if it has sensors.
    pub(crate) fn device(&self, device: &str) -> Option<Measuring> {
        self.sensors().device(device)
    }

    /// Sets for how long the readings of a sensor are kept, once that is stored. `None`: there is no such sensor. `done` is told as by
    /// [`submit`](Self::submit).
    pub(crate) fn keep(
        &self,
        device: &str,
        sensor: &str,
        keep_ms: Option<i64>,
        done: impl FnOnce(Result<(), NotTaken>) + Send + 'static,
    ) -> Option<Result<KnownSensor, NotTaken>> {
        let kept = self.sensors().keeping(device, sensor, keep_ms)?;
        let Some(store) = &self.0.store else { return Some(Err(NotTaken::NoStore)) };
        let (told, sensor) = (self.clone(), kept.sensor.clone());
        let submitted = store.submit(vec![Write::Sensor(kept.sensor.clone())], move |result| {
            if result.is_ok() {
                told.sensors().kept(&sensor);
            }
            done(result.map_err(|_| NotTaken::NotStored));
        });
        Some(submitted.map(|()| kept).map_err(not_submitted))
    }

    /// Hears readings from now on, of this selection, as they are stored. See [`Live::listen`].
    fn listen(&self, wanted: Selection, wake: impl Fn() + Send + Sync + 'static) -> Option<Listening> {
        self.0.live.listen(wanted, wake)
    }

    fn stored(&self, new: &[Sensor], readings: Vec<Taken>) {
        self.sensors().written(new);
        let mut readings = readings.into_iter();
        while readings.len() > 0 {
            // Others need them as well: those who take readings, and those who ask for sensors.
            let mut sensors = self.sensors();
            for taken in readings.by_ref().take(AT_ONCE) {
                if let Some(sensor) = sensors.known(taken.sensor) {
                    self.tell(sensor, &taken);
                }
                sensors.said(taken);
            }
        }
    }

    /// Tells those who listen.
    fn tell(&self, Sensor { device, name, unit, .. }: &Sensor, taken: &Taken) {
        let Inner { watch: Watch { events, .. }, live, .. } = &*self.0;
        let told = Told { device, sensor: name, unit, at_ms: taken.at_ms, value: &taken.value };
        if events.wanted() {
            events.reading(&told);
        }
        if live.is_wanted() {
            live.tell(&told);
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
fn stored_reading(taken: &Taken) -> Reading {
    let Taken { sensor, at_ms, value } = taken;
    Reading { sensor: *sensor, at_ms: *at_ms, value: stored_value(value) }
}

/// What a sensor is whose first value this is.
fn kind(value: &Value) -> SensorKind {
    match value {
        Value::Integer(_) | Value::Real(_) => SensorKind::Number,
        Value::Boolean(_) => SensorKind::Boolean,
        Value::Text(_) => SensorKind::Text,
        Value::Data(_) => SensorKind::Bytes,
    }
}
