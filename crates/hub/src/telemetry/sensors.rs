//! Which sensors there are.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tautline_store::{Sensor, SensorKind, Write};

use super::{Measured, NotTaken, reading};
use crate::senml::Value;

/// How many sensors a device has at most.
const OF_A_DEVICE: usize = 1_000;

/// How many there are at most.
const IN_ALL: usize = 1_000_000;

/// All sensors, of all devices.
#[derive(Debug, Default)]
pub(super) struct Sensors {
    by_device: HashMap<Arc<str>, BTreeMap<Arc<str>, u32>>,
    /// By id.
    known: HashMap<u32, Known>,
    last: u32,
}

#[derive(Debug)]
struct Known {
    sensor: Sensor,
    /// Whether the store is known to have it as it is.
    stored: bool,
    latest: Option<Latest>,
}

/// What a sensor said last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Latest {
    pub(crate) at_ms: i64,
    pub(crate) value: Value,
}

/// A sensor, and what it said last.
#[derive(Clone, Debug)]
pub(crate) struct KnownSensor {
    pub(crate) sensor: Sensor,
    pub(crate) latest: Option<Latest>,
}

impl Sensors {
    pub(super) fn new(stored: Vec<Sensor>) -> Self {
        let mut sensors = Self::default();
        for sensor in stored {
            sensors.last = sensors.last.max(sensor.id);
            sensors.add(sensor, true);
        }
        sensors
    }

    fn add(&mut self, sensor: Sensor, stored: bool) {
        self.by_device.entry(sensor.device.clone()).or_default().insert(sensor.name.clone(), sensor.id);
        self.known.insert(sensor.id, Known { sensor, stored, latest: None });
    }

    /// What has to be written for readings, and the ids of their sensors. New sensors are known from now on.
    pub(super) fn writes(&mut self, measured: &[Measured]) -> Result<(Vec<Write>, Vec<u32>), NotTaken> {
        let mut ids = Vec::with_capacity(measured.len());
        let mut new = BTreeSet::new();
        for one in measured {
            let id = self.id(one)?;
            ids.push(id);
            if self.known.get(&id).is_some_and(|known| !known.stored) {
                new.insert(id);
            }
        }
        // Again with all readings until one of them is stored: any of them may be the first that is.
        let mut writes: Vec<_> =
            new.iter().filter_map(|id| Some(Write::Sensor(self.known.get(id)?.sensor.clone()))).collect();
        writes.push(Write::Readings(ids.iter().zip(measured).map(|(id, measured)| reading(*id, measured)).collect()));
        Ok((writes, ids))
    }

    /// The id of a sensor, which may be new, or have another unit than before.
    fn id(&mut self, measured: &Measured) -> Result<u32, NotTaken> {
        let Measured { device, sensor, unit, value, .. } = measured;
        let of_device = self.by_device.get(device);
        if let Some(id) = of_device.and_then(|sensors| sensors.get(&**sensor)).copied() {
            if let Some(known) = self.known.get_mut(&id)
                && !unit.is_empty()
                && *known.sensor.unit != **unit
            {
                known.sensor.unit = unit.as_str().into();
                known.stored = false;
            }
            return Ok(id);
        }
        if of_device.is_some_and(|sensors| sensors.len() >= OF_A_DEVICE) || self.known.len() >= IN_ALL {
            return Err(NotTaken::TooManySensors);
        }
        self.last += 1;
        let sensor = Sensor {
            id: self.last,
            device: device.clone(),
            name: sensor.as_str().into(),
            unit: unit.as_str().into(),
            kind: kind(value),
            keep_ms: None,
        };
        self.add(sensor, false);
        Ok(self.last)
    }

    /// A reading is durable.
    pub(super) fn stored(&mut self, id: u32, measured: Measured) {
        let Some(known) = self.known.get_mut(&id) else { return };
        // What was stored may be an older unit; then it is written once more.
        known.stored |= *known.sensor.unit == *measured.unit || measured.unit.is_empty();
        let Measured { at_ms, value, .. } = measured;
        if known.latest.as_ref().is_none_or(|latest| latest.at_ms <= at_ms) {
            known.latest = Some(Latest { at_ms, value });
        }
    }

    pub(super) fn of(&self, device: &str) -> Vec<KnownSensor> {
        let ids = self.by_device.get(device).into_iter().flat_map(BTreeMap::values);
        let known = ids.filter_map(|id| self.known.get(id));
        known.map(|known| KnownSensor { sensor: known.sensor.clone(), latest: known.latest.clone() }).collect()
    }

    pub(super) fn keep(&mut self, device: &str, sensor: &str, keep_ms: Option<i64>) -> Option<Sensor> {
        let id = self.by_device.get(device)?.get(sensor)?;
        let known = self.known.get_mut(id)?;
        known.sensor.keep_ms = keep_ms;
        Some(known.sensor.clone())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(device: &str, sensor: &str, at_ms: i64, value: Value) -> Measured {
        Measured { device: device.into(), sensor: sensor.into(), unit: "Cel".into(), at_ms, value }
    }

    /// The names of the sensors that have to be written with these readings.
    fn written(sensors: &mut Sensors, measured: &[Measured]) -> Vec<String> {
        let (writes, _) = sensors.writes(measured).unwrap();
        let name = |write| match write {
            Write::Sensor(sensor) => Some(sensor.name.to_string()),
            _ => None,
        };
        writes.into_iter().filter_map(name).collect()
    }

    #[test]
    fn a_sensor_is_written_until_it_is_stored_and_when_its_unit_changes() {
        let mut sensors = Sensors::default();
        let one = [measured("lamp", "heat", 1, Value::Real(0.5))];
        let other = [Measured { unit: "K".into(), ..one[0].clone() }];
        for _ in 0..2 {
            assert_eq!(written(&mut sensors, &[&one[..], &one].concat()), ["heat"]);
        }
        sensors.stored(1, one[0].clone());
        assert_eq!(written(&mut sensors, &one), [""; 0]);
        assert_eq!(written(&mut sensors, &other), ["heat"]);
        sensors.stored(1, one[0].clone());
        assert_eq!(written(&mut sensors, &other), ["heat"], "that was the one before");
        sensors.stored(1, other[0].clone());
        let known = sensors.of("lamp");
        assert_eq!((known.len(), &*known[0].sensor.unit, known[0].sensor.kind), (1, "K", SensorKind::Number));
    }

    #[test]
    fn the_latest_is_the_latest_by_its_time() {
        let mut sensors = Sensors::new(Vec::new());
        for (at, value) in [(5, 1), (9, 2), (7, 3)] {
            let measured = measured("lamp", "heat", at, Value::Integer(value));
            let (_, ids) = sensors.writes(std::slice::from_ref(&measured)).unwrap();
            sensors.stored(ids[0], measured);
        }
        assert_eq!(sensors.of("lamp")[0].latest, Some(Latest { at_ms: 9, value: Value::Integer(2) }));
    }

    #[test]
    fn a_device_has_so_many_sensors_and_ids_go_on_after_a_restart() {
        let mut sensors = Sensors::default();
        for number in 0..OF_A_DEVICE {
            sensors.writes(&[measured("lamp", &number.to_string(), 0, Value::Boolean(true))]).unwrap();
        }
        let more = measured("lamp", "more", 0, Value::Boolean(true));
        assert_eq!(sensors.writes(&[more]).unwrap_err(), NotTaken::TooManySensors);
        let stored = sensors.of("lamp").into_iter().map(|known| known.sensor).collect();
        let mut restored = Sensors::new(stored);
        let (_, ids) = restored.writes(&[measured("door", "open", 0, Value::Text("no".into()))]).unwrap();
        assert_eq!(ids, [OF_A_DEVICE as u32 + 1]);
    }
}
