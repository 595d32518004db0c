//! Sensor data in memory.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::State;
use super::apply::Undo;
use crate::error::StoreError;
use crate::telemetry::{
    Bucket, DeviceKey, DeviceSession, PastReading, Reading, ReadingAge, Readings, Secret, Sensor, Value,
};

#[derive(Debug, Default)]
pub(super) struct Telemetry {
    /// By number.
    pub(super) keys: BTreeMap<u32, DeviceKey>,
    /// By device and session.
    pub(super) sessions: BTreeMap<(u32, u64), DeviceSession>,
    /// By id.
    pub(super) sensors: BTreeMap<u32, Sensor>,
    /// By sensor, time and number.
    pub(super) readings: BTreeMap<(u32, i64, u64), Value>,
    last_reading: u64,
}

impl State {
    pub(super) fn add_readings(&mut self, readings: &[Reading], undo: &mut Undo) {
        let before = self.telemetry.last_reading;
        let telemetry = &mut self.telemetry;
        let mut keys = Vec::with_capacity(readings.len());
        for Reading { sensor, at_ms, value } in readings {
            telemetry.last_reading += 1;
            let key = (*sensor, *at_ms, telemetry.last_reading);
            telemetry.readings.insert(key, value.clone());
            keys.push(key);
        }
        undo.push(move |state| {
            for key in keys {
                state.telemetry.readings.remove(&key);
            }
            state.telemetry.last_reading = before;
        });
    }

    pub(super) fn put_sensor(&mut self, sensor: &Sensor, undo: &mut Undo) -> Result<(), StoreError> {
        let Sensor { id, device, name, .. } = sensor;
        let mut others = self.telemetry.sensors.values().filter(|other| other.id != *id);
        if others.any(|other| other.device == *device && other.name == *name) {
            return Err(StoreError::Exists(format!("a sensor {name} of {device}")));
        }
        self.put(|state| &mut state.telemetry.sensors, *id, Some(sensor.clone()), undo);
        Ok(())
    }

    pub(super) fn put_key(&mut self, key: &DeviceKey, undo: &mut Undo) -> Result<(), StoreError> {
        let DeviceKey { number, name, .. } = key;
        if self.telemetry.keys.values().any(|other| other.number != *number && other.name == *name) {
            return Err(StoreError::Exists(format!("a device {name}")));
        }
        self.put(|state| &mut state.telemetry.keys, *number, Some(key.clone()), undo);
        Ok(())
    }

    pub(super) fn forget_previous_key(&mut self, number: u32, used: &Secret, undo: &mut Undo) {
        let Some(key) = self.telemetry.keys.get(&number).filter(|known| known.key == *used) else { return };
        let key = DeviceKey { previous: None, ..key.clone() };
        self.put(|state| &mut state.telemetry.keys, number, Some(key), undo);
    }

    pub(super) fn put_session(&mut self, session: &DeviceSession, undo: &mut Undo) {
        self.put(|state| &mut state.telemetry.sessions, (session.device, session.session), Some(*session), undo);
    }

    pub(super) fn forget_sessions(&mut self, before_ms: i64, most: u32, undo: &mut Undo) {
        let before = self.telemetry.sessions.clone();
        let mut latest_first: Vec<DeviceSession> = before.values().copied().collect();
        latest_first.sort_by_key(|session| (session.device, Reverse(session.at_ms), session.session.cast_signed()));
        for of_device in latest_first.chunk_by(|one, next| one.device == next.device) {
            for (place, session) in of_device.iter().enumerate().skip(1) {
                if session.at_ms < before_ms || place >= most as usize {
                    self.telemetry.sessions.remove(&(session.device, session.session));
                }
            }
        }
        undo.push(move |state| state.telemetry.sessions = before);
    }
}

impl Telemetry {
    pub(super) fn readings(&self, of: &Readings, behind: Option<(i64, u64)>, limit: usize) -> Vec<PastReading> {
        let wanted = self.of(of).filter(|(at_ms, number, _)| behind.is_none_or(|behind| (*at_ms, *number) > behind));
        let past = |(at_ms, number, value): (i64, u64, &Value)| PastReading { number, at_ms, value: value.clone() };
        wanted.take(limit).map(past).collect()
    }

    pub(super) fn buckets(&self, of: &Readings, every_ms: i64, limit: usize) -> Vec<Bucket> {
        let mut buckets: BTreeMap<i64, Bucket> = BTreeMap::new();
        for (at_ms, _, value) in self.of(of) {
            let number = match value {
                Value::Integer(integer) => *integer as f64,
                Value::Real(real) => *real,
                Value::Text(_) | Value::Bytes(_) => continue,
            };
            let from_ms = at_ms / every_ms * every_ms;
            let new = Bucket { from_ms, count: 0, min: number, max: number, mean: 0.0 };
            let bucket = buckets.entry(from_ms).or_insert(new);
            bucket.count += 1;
            bucket.min = bucket.min.min(number);
            bucket.max = bucket.max.max(number);
            bucket.mean += (number - bucket.mean) / bucket.count as f64;
        }
        buckets.into_values().take(limit).collect()
    }

    /// Time, number and value, in order.
    fn of(&self, of: &Readings) -> impl Iterator<Item = (i64, u64, &Value)> {
        let Readings { sensor, from_ms, to_ms } = *of;
        let from = (sensor, from_ms, 0);
        // An empty range, not one that ends before it begins.
        let range = self.readings.range(from..(sensor, to_ms.max(from_ms), 0));
        range.map(|((_, at_ms, number), value)| (*at_ms, *number, value))
    }

    pub(super) fn delete_old(&mut self, age: &ReadingAge) {
        let ReadingAge { now_ms, keep_ms } = *age;
        let sensors = &self.sensors;
        self.readings.retain(|(sensor, at_ms, _), _| {
            let keep = sensors.get(sensor).and_then(|sensor| sensor.keep_ms).or(keep_ms);
            keep.is_none_or(|keep| at_ms + keep >= now_ms)
        });
    }

    pub(super) fn size(&self) -> usize {
        let values = self
            .readings
            .iter()
            .map(|((sensor, at_ms, _), value)| Reading { sensor: *sensor, at_ms: *at_ms, value: value.clone() }.size());
        values.sum::<usize>()
            + self.sensors.values().map(Sensor::size).sum::<usize>()
            + self.keys.values().map(|key| size_of::<DeviceKey>() + key.name.len()).sum::<usize>()
            + self.sessions.len() * size_of::<DeviceSession>()
    }
}
