//! Which sensors there are.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use tautline_store::{Sensor, SensorKind, Write};

use super::{NotTaken, Taken};
use crate::senml::Value;

/// How many sensors a device has at most.
const OF_A_DEVICE: usize = 1_000;

/// How many there are at most.
const IN_ALL: usize = 1_000_000;

/// All sensors, of all devices.
#[derive(Debug, Default)]
pub(super) struct Sensors {
    /// In order, since they are listed in parts.
    by_device: BTreeMap<Arc<str>, BTreeMap<Arc<str>, u32>>,
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

/// A sensor as a device declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Declared<'a> {
    /// As its readings name it.
    pub(crate) index: u8,
    pub(crate) name: &'a str,
    pub(crate) unit: &'a str,
    pub(crate) kind: SensorKind,
}

/// A device that has sensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Measuring {
    pub(crate) device: Arc<str>,
    pub(crate) sensors: usize,
    /// When the last of its readings was taken, of those since the hub was started: milliseconds since 1970.
    pub(crate) last_ms: Option<i64>,
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

    /// The number of a sensor, which has this unit if it is new.
    pub(super) fn id(&mut self, device: &Arc<str>, name: &str, unit: &str, kind: SensorKind) -> Result<u32, NotTaken> {
        if let Some(id) = self.by_device.get(device).and_then(|sensors| sensors.get(name)).copied() {
            return Ok(id);
        }
        self.has_room(device, 1)?;
        self.last += 1;
        let (id, device, name, unit) = (self.last, device.clone(), name.into(), unit.into());
        self.add(Sensor { id, device, name, unit, kind, keep_ms: None }, false);
        Ok(self.last)
    }

    /// The numbers of those that there are of the sensors that a device declares, and whether there can be all the others.
    pub(super) fn find<'a>(
        &self,
        device: &str,
        declared: impl Iterator<Item = Declared<'a>>,
    ) -> Result<Vec<(u8, u32)>, NotTaken> {
        let of_device = self.by_device.get(device);
        let (mut found, mut new) = (Vec::new(), BTreeSet::new());
        for Declared { index, name, .. } in declared {
            match of_device.and_then(|sensors| sensors.get(name)) {
                Some(id) => found.push((index, *id)),
                None => {
                    new.insert(name);
                }
            }
        }
        self.has_room(device, new.len())?;
        Ok(found)
    }

    /// The numbers of the sensors that a device declares. All are made that are new, or none.
    pub(super) fn declare<'a>(
        &mut self,
        device: &Arc<str>,
        declared: impl Iterator<Item = Declared<'a>> + Clone,
    ) -> Result<Vec<(u8, u32)>, NotTaken> {
        self.find(device, declared.clone())?;
        let number = |Declared { index, name, unit, kind }| {
            let id = self.id(device, name, unit, kind)?;
            self.set_unit(id, unit);
            Ok((index, id))
        };
        declared.map(number).collect()
    }

    /// Whether a device can have so many more.
    fn has_room(&self, device: &str, more: usize) -> Result<(), NotTaken> {
        let of_device = self.by_device.get(device).map_or(0, BTreeMap::len);
        if more > 0 && (of_device + more > OF_A_DEVICE || self.known.len() + more > IN_ALL) {
            return Err(NotTaken::TooManySensors);
        }
        Ok(())
    }

    /// A sensor has another unit than before, perhaps; an empty one is no other.
    pub(super) fn set_unit(&mut self, id: u32, unit: &str) {
        if let Some(known) = self.known.get_mut(&id)
            && !unit.is_empty()
            && *known.sensor.unit != *unit
        {
            known.sensor.unit = unit.into();
            known.stored = false;
        }
    }

    /// The sensors of readings that are not known to be stored as they are. They are written with all readings until
    /// one of them is stored: any of them may be the first that is.
    pub(super) fn new_among(&self, readings: &[Taken]) -> (Vec<Write>, Vec<Sensor>) {
        let ids: BTreeSet<u32> = readings.iter().map(|taken| taken.sensor).collect();
        let known = ids.iter().filter_map(|id| self.known.get(id)).filter(|known| !known.stored);
        known.map(|known| (Write::Sensor(known.sensor.clone()), known.sensor.clone())).unzip()
    }

    /// Sensors are stored, as they were then. To be called in the order of the commits.
    pub(super) fn written(&mut self, sensors: &[Sensor]) {
        for sensor in sensors {
            if let Some(known) = self.known.get_mut(&sensor.id) {
                known.stored = known.sensor == *sensor;
            }
        }
    }

    /// A reading is stored.
    pub(super) fn said(&mut self, taken: Taken) {
        let Taken { sensor, at_ms, value } = taken;
        let Some(known) = self.known.get_mut(&sensor) else { return };
        if known.latest.as_ref().is_none_or(|latest| latest.at_ms <= at_ms) {
            known.latest = Some(Latest { at_ms, value });
        }
    }

    pub(super) fn known(&self, id: u32) -> Option<&Sensor> {
        self.known.get(&id).map(|known| &known.sensor)
    }

    pub(super) fn of(&self, device: &str) -> Vec<KnownSensor> {
        let ids = self.by_device.get(device).into_iter().flat_map(BTreeMap::values);
        let known = ids.filter_map(|id| self.known.get(id));
        known.map(|known| KnownSensor { sensor: known.sensor.clone(), latest: known.latest.clone() }).collect()
    }

    /// The names of devices behind `after`, by name, at most `limit` of them.
    pub(super) fn devices(&self, after: Option<&str>, limit: usize) -> Vec<Arc<str>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let devices = self.by_device.range::<str, _>((from, Bound::Unbounded));
        devices.take(limit).map(|(device, _)| device.clone()).collect()
    }

    pub(super) fn device(&self, device: &str) -> Option<Measuring> {
        let (device, sensors) = self.by_device.get_key_value(device)?;
        let latest = sensors.values().filter_map(|id| self.known.get(id)?.latest.as_ref());
        let last_ms = latest.map(|latest| latest.at_ms).max();
        Some(Measuring { device: device.clone(), sensors: sensors.len(), last_ms })
    }

    /// A sensor as it will be when the store keeps its readings for this time. Until then nothing changes.
    pub(super) fn keeping(&self, device: &str, sensor: &str, keep_ms: Option<i64>) -> Option<KnownSensor> {
        let known = self.known.get(self.by_device.get(device)?.get(sensor)?)?;
        let sensor = Sensor { keep_ms, ..known.sensor.clone() };
        Some(KnownSensor { sensor, latest: known.latest.clone() })
    }

    /// A sensor is stored whose readings are kept for another time. The rest may have changed since.
    pub(super) fn kept(&mut self, stored: &Sensor) {
        if let Some(known) = self.known.get_mut(&stored.id) {
            known.sensor.keep_ms = stored.keep_ms;
        }
        self.written(std::slice::from_ref(stored));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(sensor: u32, at_ms: i64) -> Taken {
        Taken { sensor, at_ms, value: Value::Integer(at_ms) }
    }

    fn id(sensors: &mut Sensors, device: &str, name: &str, unit: &str) -> Result<u32, NotTaken> {
        sensors.id(&device.into(), name, unit, SensorKind::Number)
    }

    #[test]
    fn a_sensor_is_written_until_it_is_stored_and_when_its_unit_changes() {
        let mut sensors = Sensors::default();
        let heat = id(&mut sensors, "lamp", "heat", "Cel").unwrap();
        let to_write = |sensors: &Sensors| sensors.new_among(&[taken(heat, 1), taken(heat, 2), taken(99, 3)]);
        let (writes, first) = to_write(&sensors);
        assert_eq!((writes.len(), first.len(), &*first[0].unit), (1, 1, "Cel"));
        assert_eq!(to_write(&sensors).1, first, "it is not stored yet");
        sensors.written(&first);
        assert_eq!(to_write(&sensors).1, []);
        sensors.set_unit(heat, "K");
        sensors.written(&first);
        let (_, second) = to_write(&sensors);
        assert_eq!(&*second[0].unit, "K", "what was stored is the unit before");
        sensors.written(&second);
        sensors.set_unit(heat, "");
        assert_eq!(to_write(&sensors).1, []);
        let kept = sensors.keeping("lamp", "heat", Some(5)).unwrap().sensor;
        assert_eq!((kept.keep_ms, to_write(&sensors).1), (Some(5), vec![]), "nobody has stored it");
        sensors.kept(&kept);
        assert_eq!(to_write(&sensors).1, []);
        sensors.written(&second);
        assert_eq!(to_write(&sensors).1[0].keep_ms, Some(5), "what was stored says nothing of it");
        assert_eq!(&*sensors.of("lamp")[0].sensor.unit, "K");
    }

    #[test]
    fn the_latest_is_the_latest_by_its_time() {
        let mut sensors = Sensors::new(Vec::new());
        let heat = id(&mut sensors, "lamp", "heat", "").unwrap();
        [5, 9, 7].into_iter().for_each(|at| sensors.said(taken(heat, at)));
        assert_eq!(sensors.of("lamp")[0].latest, Some(Latest { at_ms: 9, value: Value::Integer(9) }));
    }

    #[test]
    fn devices_are_listed_by_name_in_parts() {
        let mut sensors = Sensors::default();
        for (device, sensor, at) in [("b", "heat", 5), ("a", "heat", 7), ("b", "open", 9), ("c", "heat", 1)] {
            let id = id(&mut sensors, device, sensor, "").unwrap();
            sensors.said(taken(id, at));
        }
        assert_eq!(sensors.devices(None, 2), ["a".into(), "b".into()]);
        assert_eq!(sensors.devices(Some("b"), 2), ["c".into()]);
        assert_eq!(sensors.device("b"), Some(Measuring { device: "b".into(), sensors: 2, last_ms: Some(9) }));
        assert_eq!(sensors.device("d"), None);
    }

    #[test]
    fn a_device_has_so_many_sensors_and_numbers_go_on_after_a_restart() {
        let mut sensors = Sensors::default();
        for number in 0..OF_A_DEVICE {
            id(&mut sensors, "lamp", &number.to_string(), "").unwrap();
        }
        assert_eq!(id(&mut sensors, "lamp", "more", ""), Err(NotTaken::TooManySensors));
        let stored = sensors.of("lamp").into_iter().map(|known| known.sensor).collect();
        let mut restored = Sensors::new(stored);
        assert_eq!(id(&mut restored, "door", "open", ""), Ok(OF_A_DEVICE as u32 + 1));
        assert_eq!(id(&mut restored, "lamp", "0", ""), Ok(1));
    }
}
