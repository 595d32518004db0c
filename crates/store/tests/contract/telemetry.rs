//! The rules about sensor data.

use tautline_store::{
    Bucket, DeviceKey, DeviceSession, PastReading, Reading, ReadingAge, Readings, Retention, Secret, Sensor,
    SensorKind, StoreError, Value, Write,
};

use crate::Harness;
use crate::suite::{commit, refused, retain};

pub(crate) fn sensor(id: u32, name: &str) -> Sensor {
    let (device, name, unit) = ("lamp".into(), name.into(), "Cel".into());
    Sensor { id, device, name, unit, kind: SensorKind::Number, keep_ms: None }
}

pub(crate) fn key(number: u32, name: &str) -> DeviceKey {
    let key = Secret([number as u8; 32]);
    DeviceKey { number, name: name.into(), key, previous: None, created_ms: 5, revoked_ms: None }
}

pub(crate) fn session(device: u32, session: u64, at_ms: i64) -> DeviceSession {
    DeviceSession { device, session, highest: 3, bitmap: u64::MAX - 1, at_ms }
}

pub(crate) fn real(sensor: u32, at_ms: i64, value: f64) -> Reading {
    Reading { sensor, at_ms, value: Value::Real(value) }
}

fn readings(readings: impl IntoIterator<Item = Reading>) -> Write {
    Write::Readings(readings.into_iter().collect())
}

const fn all(sensor: u32) -> Readings {
    Readings { sensor, from_ms: 0, to_ms: i64::MAX }
}

fn times(readings: &[PastReading]) -> Vec<i64> {
    readings.iter().map(|reading| reading.at_ms).collect()
}

pub(crate) fn keys_sessions_and_sensors_are_as_they_were_last_written<H: Harness>(store: &mut H) {
    let rotated = DeviceKey { previous: Some(Secret([9; 32])), revoked_ms: Some(-1), ..key(u32::MAX, "lamp") };
    let warm = Sensor { kind: SensorKind::Bytes, keep_ms: Some(0), unit: "".into(), ..sensor(u32::MAX, "warmth") };
    commit(store, &[Write::DeviceKey(key(u32::MAX, "old name")), Write::DeviceKey(key(1, "door"))]);
    commit(store, &[Write::DeviceSession(session(1, u64::MAX, 1)), Write::Sensor(sensor(u32::MAX, "heat"))]);
    let further = DeviceSession { highest: u32::MAX, bitmap: 1 << 63, ..session(1, u64::MAX, 2) };
    commit(store, &[Write::DeviceKey(rotated.clone()), Write::DeviceSession(further), Write::Sensor(warm.clone())]);
    let mut reader = store.reader();
    assert_eq!(reader.device_keys().unwrap(), [key(1, "door"), rotated]);
    assert_eq!(reader.device_sessions().unwrap(), [further]);
    assert_eq!(reader.sensors().unwrap(), [warm]);
    assert_eq!(format!("{:?}", key(1, "door").key), "Secret(..)");
}

pub(crate) fn the_key_before_is_forgotten_when_the_new_one_was_used<H: Harness>(store: &mut H) {
    let rotated = DeviceKey { previous: Some(Secret([9; 32])), ..key(1, "lamp") };
    commit(store, &[Write::DeviceKey(rotated.clone())]);
    commit(store, &[Write::ForgetPreviousKey { number: 1, key: Secret([8; 32]) }]);
    assert_eq!(store.reader().device_keys().unwrap(), [rotated], "it has another key by now");
    commit(store, &[Write::ForgetPreviousKey { number: 1, key: Secret([1; 32]) }]);
    assert_eq!(store.reader().device_keys().unwrap(), [key(1, "lamp")]);
    commit(store, &[Write::ForgetPreviousKey { number: 2, key: Secret([1; 32]) }]);
}

pub(crate) fn a_name_is_of_one_device_or_sensor<H: Harness>(store: &mut H) {
    commit(store, &[Write::DeviceKey(key(1, "lamp")), Write::Sensor(sensor(1, "heat"))]);
    assert!(matches!(refused(store, Write::DeviceKey(key(2, "lamp"))), StoreError::Exists(_)));
    assert!(matches!(refused(store, Write::Sensor(sensor(2, "heat"))), StoreError::Exists(_)));
    let elsewhere = Sensor { device: "door".into(), ..sensor(2, "heat") };
    commit(store, &[Write::DeviceKey(key(2, "door")), Write::Sensor(elsewhere)]);
}

pub(crate) fn the_latest_session_of_each_device_is_remembered<H: Harness>(store: &mut H) {
    let all = [session(1, 5, 10), session(1, 4, 30), session(1, 3, 20), session(1, 2, 19), session(2, 9, 1)];
    commit(store, &all.map(Write::DeviceSession));
    commit(store, &[Write::ForgetSessions { before_ms: 20, most: 9 }]);
    assert_eq!(store.reader().device_sessions().unwrap(), [session(1, 3, 20), session(1, 4, 30), session(2, 9, 1)]);
}

pub(crate) fn only_so_many_sessions_of_a_device_are_remembered<H: Harness>(store: &mut H) {
    let all = [session(1, 5, 10), session(1, 4, 30), session(1, 3, 20), session(1, 2, 30), session(2, 9, 1)];
    commit(store, &all.map(Write::DeviceSession));
    commit(store, &[Write::ForgetSessions { before_ms: 0, most: 2 }]);
    assert_eq!(store.reader().device_sessions().unwrap(), [session(1, 2, 30), session(1, 4, 30), session(2, 9, 1)]);
    commit(store, &[Write::ForgetSession { device: 1, session: 2 }, Write::ForgetSession { device: 3, session: 2 }]);
    assert_eq!(store.reader().device_sessions().unwrap(), [session(1, 4, 30), session(2, 9, 1)]);
    commit(store, &[Write::ForgetSessions { before_ms: 0, most: 0 }]);
    assert_eq!(store.reader().device_sessions().unwrap().len(), 2, "the last one stays");
}

pub(crate) fn readings_come_back_by_time_in_pages<H: Harness>(store: &mut H) {
    let values =
        [Value::Integer(i64::MIN), Value::Real(-0.5), Value::Text("grüße \0".into()), Value::Bytes([0, 255].into())];
    let late = |at_ms, value: &Value| Reading { sensor: 1, at_ms, value: value.clone() };
    commit(store, &[readings([late(40, &values[3]), late(20, &values[1]), real(2, 20, 7.0)])]);
    commit(store, &[readings([late(10, &values[0]), late(20, &values[2])])]);
    let mut reader = store.reader();
    let found = reader.readings(&all(1), None, 9).unwrap();
    assert_eq!(times(&found), [10, 20, 20, 40]);
    assert_eq!(found.iter().map(|reading| reading.value.clone()).collect::<Vec<_>>(), values);
    for page in 0..3 {
        let behind = &found[page];
        let next = reader.readings(&all(1), Some((behind.at_ms, behind.number)), 1).unwrap();
        assert_eq!(next, found[page + 1..page + 2]);
    }
    assert_eq!(times(&reader.readings(&Readings { sensor: 1, from_ms: 20, to_ms: 40 }, None, 9).unwrap()), [20, 20]);
    assert_eq!(times(&reader.readings(&Readings { sensor: 1, from_ms: 40, to_ms: 20 }, None, 9).unwrap()), [0; 0]);
    assert_eq!(times(&reader.readings(&all(2), None, 9).unwrap()), [20]);
    assert_eq!(times(&reader.readings(&all(3), None, 9).unwrap()), [0; 0]);
}

pub(crate) fn readings_of_many_sensors_are_kept_apart<H: Harness>(store: &mut H) {
    // Over several segments.
    for commits in 0..10 {
        let of = |number: i64| real((number % 7) as u32, number, number as f64);
        commit(store, &[readings((0..1000).map(|number| of(commits * 1000 + number)))]);
    }
    let mut reader = store.reader();
    for sensor in 0..7 {
        let found = reader.readings(&all(sensor), None, usize::MAX).unwrap();
        assert_eq!(times(&found), (0..10_000).filter(|at| at % 7 == i64::from(sensor)).collect::<Vec<_>>());
    }
}

pub(crate) fn buckets_have_what_numbers_come_to<H: Harness>(store: &mut H) {
    let text = Reading { value: Value::Text("x".into()), ..real(1, 120, 0.0) };
    let integer = Reading { value: Value::Integer(4), ..real(1, 199, 0.0) };
    commit(store, &[readings([real(1, 100, 1.0), text, integer, real(1, 350, -2.0), real(2, 100, 50.0)])]);
    let mut reader = store.reader();
    let first = Bucket { from_ms: 100, count: 2, min: 1.0, max: 4.0, mean: 2.5 };
    let second = Bucket { from_ms: 300, count: 1, min: -2.0, max: -2.0, mean: -2.0 };
    assert_eq!(reader.buckets(&all(1), 100, 9).unwrap(), [first, second]);
    assert_eq!(reader.buckets(&all(1), 100, 1).unwrap(), [first]);
    let part = reader.buckets(&Readings { sensor: 1, from_ms: 150, to_ms: 350 }, 100, 9).unwrap();
    assert_eq!(part, [Bucket { from_ms: 100, count: 1, min: 4.0, max: 4.0, mean: 4.0 }]);
    assert_eq!(reader.buckets(&all(1), 0, 9).unwrap().len(), 3, "every millisecond");
}

pub(crate) fn readings_out_of_bounds_are_refused<H: Harness>(store: &mut H) {
    let bad = [real(1, -1, 0.0), real(1, 1 << 48, 0.0), real(1, 0, f64::NAN), real(1, 0, f64::INFINITY)];
    for bad in bad {
        assert!(matches!(refused(store, readings([real(1, 5, 1.0), bad])), StoreError::Invalid(_)));
    }
    assert!(matches!(
        refused(store, Write::Sensor(Sensor { keep_ms: Some(-1), ..sensor(1, "x") })),
        StoreError::Invalid(_)
    ));
    assert_eq!(store.reader().readings(&all(1), None, 9).unwrap(), []);
}

pub(crate) fn readings_are_kept_as_long_as_their_sensor_says<H: Harness>(store: &mut H) {
    let kept = Sensor { keep_ms: Some(1000), ..sensor(2, "kept") };
    commit(store, &[Write::Sensor(sensor(1, "usual")), Write::Sensor(kept.clone())]);
    for round in 0..3 {
        let at = |number: i64| round * 2000 + number;
        commit(store, &[readings((0..2000).map(|number| real(1 + (number % 2) as u32, at(number), 0.0)))]);
    }
    let count = |store: &mut H, sensor| store.reader().readings(&all(sensor), None, usize::MAX).unwrap().len();
    let age = |now_ms, keep_ms| Retention { readings: Some(ReadingAge { now_ms, keep_ms }), ..Retention::default() };
    retain(store, &age(1 << 40, None));
    assert_eq!((count(store, 1), count(store, 2)), (3000, 0));
    // Someone changes their mind: what was looked through is looked through again.
    commit(store, &[readings([real(2, 6000, 0.0)])]);
    retain(store, &age(6000, Some(600)));
    assert_eq!((count(store, 1), count(store, 2)), (300, 1));
    commit(store, &[Write::Sensor(Sensor { keep_ms: Some(300), ..sensor(1, "usual") })]);
    retain(store, &age(6000, Some(600)));
    assert_eq!((count(store, 1), count(store, 2)), (150, 1));
    retain(store, &age(6000, Some(0)));
    assert_eq!((count(store, 1), count(store, 2)), (150, 1));
    retain(store, &age(8000, Some(0)));
    assert_eq!((count(store, 1), count(store, 2)), (0, 0));
    commit(store, &[readings([real(1, 9000, 0.0)])]);
    assert_eq!(count(store, 1), 1, "it goes on");
}

pub(crate) fn readings_give_way_to_a_bound_on_the_size<H: Harness>(store: &mut H) {
    for round in 0..10 {
        commit(store, &[readings((0..5000).map(|number| real(1, round * 5000 + number, 0.5)))]);
    }
    let full = store.reader().size().unwrap();
    retain(store, &Retention { max_bytes: Some(full / 2), ..Retention::default() });
    assert!(store.reader().size().unwrap() <= full / 2);
    let left = times(&store.reader().readings(&all(1), None, usize::MAX).unwrap());
    assert!(left.len() > 15_000 && *left.last().unwrap() == 49_999, "{} are left", left.len());
    assert!(left.is_sorted() && left[0] == 50_000 - left.len() as i64, "the newest stay");
}
