//! Sensor data: readings in segments, in the order of arrival.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::apply::{Borrowed, execute, one};
use super::error::store_error;
use super::read::unknown;
use crate::backend::Step;
use crate::error::StoreError;
use crate::telemetry::{
    Bucket, DeviceKey, DeviceSession, PastReading, Reading, ReadingAge, Readings, Secret, Sensor, SensorKind, Value,
};

/// A segment is 2^12 rows. The index of the table is made with the same number.
const SEGMENT_BITS: u32 = 12;

/// The segments that a transaction has added to, and the times that it has added.
#[derive(Debug, Default)]
pub(super) struct Touched(Vec<(i64, i64, i64)>);

impl Touched {
    fn add(&mut self, id: i64, at_ms: i64) {
        let segment = id >> SEGMENT_BITS;
        match self.0.last_mut() {
            Some((last, from, to)) if *last == segment => (*from, *to) = (at_ms.min(*from), at_ms.max(*to)),
            _ => self.0.push((segment, at_ms, at_ms)),
        }
    }

    /// Notes what was added, at the end of a transaction.
    pub(super) fn store(self, db: &Connection) -> Result<(), StoreError> {
        for (segment, from, to) in self.0 {
            execute(
                db,
                "INSERT INTO reading_segments (segment, from_ms, to_ms, check_ms) VALUES (?1, ?2, ?3, 0)
                 ON CONFLICT (segment) DO UPDATE SET from_ms = min(from_ms, excluded.from_ms),
                     to_ms = max(to_ms, excluded.to_ms), check_ms = 0",
                params![segment, from, to],
            )?;
        }
        Ok(())
    }
}

pub(super) fn add_readings(db: &Connection, readings: &[Reading], touched: &mut Touched) -> Result<(), StoreError> {
    let sql = "INSERT INTO readings (sensor, at_ms, value) VALUES (?1, ?2, ?3)";
    let mut insert = db.prepare_cached(sql).map_err(store_error)?;
    for Reading { sensor, at_ms, value } in readings {
        let value = match value {
            Value::Integer(integer) => ValueRef::Integer(*integer),
            Value::Real(real) => ValueRef::Real(*real),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        };
        insert.execute(params![sensor, at_ms, Borrowed(value)]).map_err(store_error)?;
        touched.add(db.last_insert_rowid(), *at_ms);
    }
    Ok(())
}

pub(super) fn put_sensor(db: &Connection, sensor: &Sensor) -> Result<(), StoreError> {
    let Sensor { id, device, name, unit, kind, keep_ms } = sensor;
    let other = "SELECT id FROM sensors WHERE device = ?1 AND name = ?2 AND id <> ?3";
    if one(db, other, params![&**device, &**name, id])?.is_some() {
        return Err(StoreError::Exists(format!("a sensor {name} of {device}")));
    }
    let same = "SELECT coalesce((SELECT keep_ms FROM sensors WHERE id = ?1), -1) = coalesce(?2, -1)";
    let same = one(db, same, params![id, keep_ms])? == Some(1);
    execute(
        db,
        "INSERT INTO sensors (id, device, name, unit, kind, keep_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET device = excluded.device, name = excluded.name, unit = excluded.unit,
             kind = excluded.kind, keep_ms = excluded.keep_ms",
        params![id, &**device, &**name, &**unit, kind.name(), keep_ms],
    )?;
    if same { Ok(()) } else { check_all(db) }
}

pub(super) fn put_key(db: &Connection, key: &DeviceKey) -> Result<(), StoreError> {
    let DeviceKey { number, name, key, previous, created_ms, revoked_ms } = key;
    let other = "SELECT number FROM device_keys WHERE name = ?1 AND number <> ?2";
    if one(db, other, params![&**name, number])?.is_some() {
        return Err(StoreError::Exists(format!("a device {name}")));
    }
    execute(
        db,
        "INSERT INTO device_keys (number, name, key, previous_key, created_ms, revoked_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (number) DO UPDATE SET name = excluded.name, key = excluded.key,
             previous_key = excluded.previous_key, created_ms = excluded.created_ms, revoked_ms = excluded.revoked_ms",
        params![number, &**name, key.0, previous.map(|key| key.0), created_ms, revoked_ms],
    )
    .map(drop)
}

pub(super) fn put_session(db: &Connection, session: &DeviceSession) -> Result<(), StoreError> {
    let DeviceSession { device, session, highest, bitmap, at_ms } = *session;
    execute(
        db,
        "INSERT INTO device_sessions (device, session, highest, bitmap, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (device, session) DO UPDATE SET highest = excluded.highest, bitmap = excluded.bitmap,
             at_ms = excluded.at_ms",
        params![device, session.cast_signed(), highest, bitmap.cast_signed(), at_ms],
    )
    .map(drop)
}

pub(super) fn forget_sessions(db: &Connection, before_ms: i64, most: u32) -> Result<(), StoreError> {
    execute(
        db,
        "DELETE FROM device_sessions WHERE (device, session) IN (
             SELECT device, session FROM (
                 SELECT device, session, at_ms,
                     row_number() OVER (PARTITION BY device ORDER BY at_ms DESC, session) AS place
                 FROM device_sessions)
             WHERE place > 1 AND (at_ms < ?1 OR place > ?2))",
        params![before_ms, most],
    )
    .map(drop)
}

pub(super) const SENSORS: &str = "SELECT id, device, name, unit, kind, keep_ms FROM sensors ORDER BY id";

pub(super) fn sensor(row: &Row<'_>) -> rusqlite::Result<Sensor> {
    Ok(Sensor {
        id: row.get(0)?,
        device: row.get(1)?,
        name: row.get(2)?,
        unit: row.get(3)?,
        kind: SensorKind::of_name(row.get_ref(4)?.as_str()?).ok_or_else(|| unknown(4))?,
        keep_ms: row.get(5)?,
    })
}

pub(super) const KEYS: &str =
    "SELECT number, name, key, previous_key, created_ms, revoked_ms FROM device_keys ORDER BY number";

pub(super) fn key(row: &Row<'_>) -> rusqlite::Result<DeviceKey> {
    Ok(DeviceKey {
        number: row.get(0)?,
        name: row.get(1)?,
        key: Secret(row.get(2)?),
        previous: row.get::<_, Option<[u8; 32]>>(3)?.map(Secret),
        created_ms: row.get(4)?,
        revoked_ms: row.get(5)?,
    })
}

pub(super) const SESSIONS: &str =
    "SELECT device, session, highest, bitmap, at_ms FROM device_sessions ORDER BY device, session";

pub(super) fn session(row: &Row<'_>) -> rusqlite::Result<DeviceSession> {
    Ok(DeviceSession {
        device: row.get(0)?,
        session: row.get::<_, i64>(1)?.cast_unsigned(),
        highest: row.get(2)?,
        bitmap: row.get::<_, i64>(3)?.cast_unsigned(),
        at_ms: row.get(4)?,
    })
}

/// The readings of a sensor (?1) from a time (?2) to another (?3). The order of the tables is given: SQLite does not know how few
/// segments there are.
macro_rules! of_sensor {
    () => {
        "FROM reading_segments CROSS JOIN readings
             ON readings.id >> 12 = reading_segments.segment AND readings.sensor = ?1
         WHERE reading_segments.to_ms >= ?2 AND reading_segments.from_ms < ?3
             AND readings.at_ms >= ?2 AND readings.at_ms < ?3 "
    };
}

pub(super) fn readings(
    db: &Connection,
    of: &Readings,
    behind: Option<(i64, u64)>,
    limit: i64,
) -> rusqlite::Result<Vec<PastReading>> {
    let sql = concat!(
        "SELECT id, at_ms, value ",
        of_sensor!(),
        "AND (readings.at_ms, readings.id) > (?4, ?5) ORDER BY at_ms, id LIMIT ?6"
    );
    let (at, number) = behind.map_or((-1, 0), |(at, number)| (at, i64::try_from(number).unwrap_or(i64::MAX)));
    let from = of.from_ms.max(at);
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(params![of.sensor, from, of.to_ms, at, number, limit], |row| {
        let value = match row.get_ref(2)? {
            ValueRef::Integer(integer) => Value::Integer(integer),
            ValueRef::Real(real) => Value::Real(real),
            ValueRef::Text(text) => Value::Text(str::from_utf8(text).map_err(|_| unknown(2))?.into()),
            ValueRef::Blob(bytes) => Value::Bytes(bytes.into()),
            ValueRef::Null => return Err(unknown(2)),
        };
        Ok(PastReading { number: row.get::<_, i64>(0)?.cast_unsigned(), at_ms: row.get(1)?, value })
    })?;
    rows.collect()
}

pub(super) fn buckets(db: &Connection, of: &Readings, every_ms: i64, limit: i64) -> rusqlite::Result<Vec<Bucket>> {
    let sql = concat!(
        "SELECT at_ms / ?4 * ?4, count(*), min(value), max(value), avg(value) ",
        of_sensor!(),
        "AND typeof(value) IN ('integer', 'real') GROUP BY 1 ORDER BY 1 LIMIT ?5"
    );
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(params![of.sensor, of.from_ms.max(0), of.to_ms, every_ms, limit], |row| {
        let number = |column| -> rusqlite::Result<f64> {
            match row.get_ref(column)? {
                ValueRef::Integer(integer) => Ok(integer as f64),
                ValueRef::Real(real) => Ok(real),
                _ => Err(unknown(column)),
            }
        };
        let count = row.get::<_, i64>(1)?.cast_unsigned();
        Ok(Bucket { from_ms: row.get(0)?, count, min: number(2)?, max: number(3)?, mean: number(4)? })
    })?;
    rows.collect()
}

/// Has all segments looked through again: something else counts as old now.
pub(super) fn check_all(db: &Connection) -> Result<(), StoreError> {
    execute(db, "UPDATE reading_segments SET check_ms = 0 WHERE check_ms <> 0", []).map(drop)
}

/// Looks through one segment that may have something old in it. `None`: there is none.
pub(super) fn delete_old(db: &Connection, age: &ReadingAge) -> rusqlite::Result<Option<Step>> {
    let ReadingAge { now_ms, keep_ms } = *age;
    let next = "SELECT segment FROM reading_segments WHERE check_ms < ?1 ORDER BY check_ms, segment LIMIT 1";
    let segment: Option<i64> = db.prepare_cached(next)?.query_row([now_ms], |row| row.get(0)).optional()?;
    let Some(segment) = segment else { return Ok(None) };
    let (first, last) = rows_of(segment);
    let due = "at_ms + coalesce((SELECT keep_ms FROM sensors WHERE sensors.id = readings.sensor), ?3)";
    let delete = format!("DELETE FROM readings WHERE id BETWEEN ?1 AND ?2 AND {due} < ?4");
    let deleted = db.prepare_cached(&delete)?.execute(params![first, last, keep_ms, now_ms])? as u64;
    let left = format!("SELECT count(*), min({due}) FROM readings WHERE id BETWEEN ?1 AND ?2");
    let (count, next): (i64, Option<i64>) =
        db.prepare_cached(&left)?.query_row(params![first, last, keep_ms], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if count == 0 {
        db.prepare_cached("DELETE FROM reading_segments WHERE segment = ?1")?.execute([segment])?;
    } else {
        let next = next.unwrap_or(i64::MAX).max(now_ms);
        db.prepare_cached("UPDATE reading_segments SET check_ms = ?2 WHERE segment = ?1")?
            .execute(params![segment, next])?;
    }
    Ok(Some(Step { deleted, more: true }))
}

/// From when on the readings are that came first. Not until when: a device's clock may be ahead.
pub(super) const FIRST_READING: &str = "SELECT from_ms FROM reading_segments ORDER BY segment LIMIT 1";

/// Deletes the readings that came first, a segment of them, if they begin before a time.
pub(super) fn delete_before(db: &Connection, before_ms: i64) -> rusqlite::Result<u64> {
    let oldest = "SELECT segment FROM reading_segments WHERE from_ms < ?1 ORDER BY segment LIMIT 1";
    let segment: Option<i64> = db.prepare_cached(oldest)?.query_row([before_ms], |row| row.get(0)).optional()?;
    let Some(segment) = segment else { return Ok(0) };
    let (first, last) = rows_of(segment);
    db.prepare_cached("DELETE FROM reading_segments WHERE segment = ?1")?.execute([segment])?;
    let delete = "DELETE FROM readings WHERE id BETWEEN ?1 AND ?2";
    Ok(db.prepare_cached(delete)?.execute([first, last])? as u64)
}

fn rows_of(segment: i64) -> (i64, i64) {
    (segment << SEGMENT_BITS, ((segment + 1) << SEGMENT_BITS) - 1)
}
