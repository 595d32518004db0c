//! Reads, each one statement and so one state of the database.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::types::{FromSqlError, Type, ValueRef};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::error::store_error;
use super::telemetry;
use crate::backend::Reader;
use crate::error::StoreError;
use crate::record::{
    self, Command, CommandState, Counter, Dedup, Device, Document, Kind, Message, PastConnection, Room, Token, Twin,
};
use crate::telemetry::{Bucket, DeviceKey, DeviceSession, PastReading, Readings, Sensor};

// The columns that the functions at the end expect.
macro_rules! select_commands {
    () => {
        "SELECT id, device, name, payload, created_ms, expires_ms, state, result, changed_ms FROM commands "
    };
}
macro_rules! select_devices {
    () => {
        "SELECT id, first_seen_ms, last_seen_ms, address, transport, certificate FROM devices "
    };
}
macro_rules! select_connections {
    () => {
        "SELECT id, device, room, opened_ms, closed_ms, peer, transport, reason FROM connections "
    };
}

/// A connection that only reads.
pub(super) struct SqliteReader {
    db: Connection,
}

impl SqliteReader {
    pub(super) fn new(db: Connection) -> Self {
        Self { db }
    }

    fn all<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        row: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let all = || self.db.prepare_cached(sql)?.query_map(parameters, row)?.collect::<Result<_, _>>();
        all().map_err(store_error)
    }

    fn one<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        row: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let one = || self.db.prepare_cached(sql)?.query_row(parameters, row).optional();
        one().map_err(store_error)
    }
}

impl Reader for SqliteReader {
    fn rooms(&mut self) -> Result<Vec<Room>, StoreError> {
        self.all(
            "SELECT name, epoch, durable, last_offset, (SELECT min(offset) FROM messages WHERE room_id = rooms.id)
             FROM rooms ORDER BY name",
            [],
            room,
        )
    }

    fn history(&mut self, room: &str, from: u64, messages: usize, bytes: usize) -> Result<Vec<Message>, StoreError> {
        // No offset is higher than an i64.
        let Ok(from) = i64::try_from(from) else { return Ok(Vec::new()) };
        let room: Arc<str> = room.into();
        let history = || {
            let mut statement = self.db.prepare_cached(
                "SELECT epoch, offset, at_ms, client, message_id, kind, payload
                 FROM messages JOIN rooms ON rooms.id = messages.room_id
                 WHERE rooms.name = ?1 AND offset >= ?2 ORDER BY offset LIMIT ?3",
            )?;
            let mut rows = statement.query(params![&*room, from, limit(messages)])?;
            let mut history = Vec::new();
            let mut left = bytes;
            while let Some(row) = rows.next()? {
                let size = bytes_of(row, 6)?.len();
                if size > left && !history.is_empty() {
                    break;
                }
                left = left.saturating_sub(size);
                history.push(message(row, room.clone())?);
            }
            Ok(history)
        };
        history().map_err(store_error)
    }

    fn dedup(&mut self, room: &str) -> Result<Vec<Dedup>, StoreError> {
        self.all(
            "SELECT client, message_id, offset, at_ms FROM dedup
             WHERE room_id = (SELECT id FROM rooms WHERE name = ?1) ORDER BY offset",
            [room],
            |row| {
                Ok(Dedup {
                    client: row.get(0)?,
                    message_id: row.get(1)?,
                    offset: unsigned(row, 2)?,
                    at_ms: row.get(3)?,
                })
            },
        )
    }

    fn counters(&mut self) -> Result<Vec<Counter>, StoreError> {
        self.all("SELECT name, value FROM counters ORDER BY name", [], |row| {
            Ok(Counter { name: row.get(0)?, value: row.get(1)? })
        })
    }

    fn documents(&mut self) -> Result<Vec<Document>, StoreError> {
        self.all("SELECT room, name, version, json, at_ms FROM documents ORDER BY room, name", [], |row| {
            Ok(Document {
                room: row.get(0)?,
                name: row.get(1)?,
                version: unsigned(row, 2)?,
                json: row.get(3)?,
                at_ms: row.get(4)?,
            })
        })
    }

    fn twins(&mut self) -> Result<Vec<Twin>, StoreError> {
        self.all(
            "SELECT device, desired, desired_version, reported, reported_version, at_ms FROM twins ORDER BY device",
            [],
            |row| {
                Ok(Twin {
                    device: row.get(0)?,
                    desired: row.get(1)?,
                    desired_version: unsigned(row, 2)?,
                    reported: row.get(3)?,
                    reported_version: unsigned(row, 4)?,
                    at_ms: row.get(5)?,
                })
            },
        )
    }

    fn command(&mut self, id: &str) -> Result<Option<Command>, StoreError> {
        self.one(concat!(select_commands!(), "WHERE id = ?1"), [id], command)
    }

    fn pending_commands(&mut self) -> Result<Vec<Command>, StoreError> {
        self.all(concat!(select_commands!(), "WHERE state IN ('queued', 'sent') ORDER BY created_ms, id"), [], command)
    }

    fn commands(
        &mut self,
        device: &str,
        behind: Option<(i64, &str)>,
        limit: usize,
    ) -> Result<Vec<Command>, StoreError> {
        let limit = self::limit(limit);
        match behind {
            None => self.all(
                concat!(select_commands!(), "WHERE device = ?1 ORDER BY created_ms DESC, id DESC LIMIT ?2"),
                params![device, limit],
                command,
            ),
            Some((created_ms, id)) => self.all(
                concat!(
                    select_commands!(),
                    "WHERE device = ?1 AND (created_ms, id) < (?3, ?4) ORDER BY created_ms DESC, id DESC LIMIT ?2"
                ),
                params![device, limit, created_ms, id],
                command,
            ),
        }
    }

    fn tokens(&mut self) -> Result<Vec<Token>, StoreError> {
        self.all(
            "SELECT id, name, hash, permissions, created_ms, expires_ms, revoked_ms FROM tokens ORDER BY id",
            [],
            |row| {
                Ok(Token {
                    id: row.get(0)?,
                    name: row.get(1)?,
                    hash: row.get(2)?,
                    permissions: row.get(3)?,
                    created_ms: row.get(4)?,
                    expires_ms: row.get(5)?,
                    revoked_ms: row.get(6)?,
                })
            },
        )
    }

    fn device(&mut self, id: &str) -> Result<Option<Device>, StoreError> {
        self.one(concat!(select_devices!(), "WHERE id = ?1"), [id], device)
    }

    fn devices(&mut self, behind: Option<&str>, limit: usize) -> Result<Vec<Device>, StoreError> {
        // No id is before the empty one, which a device may have.
        match behind {
            None => self.all(concat!(select_devices!(), "ORDER BY id LIMIT ?1"), [self::limit(limit)], device),
            Some(behind) => self.all(
                concat!(select_devices!(), "WHERE id > ?2 ORDER BY id LIMIT ?1"),
                params![self::limit(limit), behind],
                device,
            ),
        }
    }

    fn connections(
        &mut self,
        device: Option<&str>,
        behind: Option<u64>,
        limit: usize,
    ) -> Result<Vec<PastConnection>, StoreError> {
        let behind = behind.map_or(i64::MAX, |number| i64::try_from(number).unwrap_or(i64::MAX));
        let limit = self::limit(limit);
        match device {
            None => self.all(
                concat!(select_connections!(), "WHERE id < ?1 ORDER BY id DESC LIMIT ?2"),
                params![behind, limit],
                connection,
            ),
            Some(device) => self.all(
                concat!(select_connections!(), "WHERE device = ?3 AND id < ?1 ORDER BY id DESC LIMIT ?2"),
                params![behind, limit, device],
                connection,
            ),
        }
    }

    fn device_keys(&mut self) -> Result<Vec<DeviceKey>, StoreError> {
        self.all(telemetry::KEYS, [], telemetry::key)
    }

    fn device_sessions(&mut self) -> Result<Vec<DeviceSession>, StoreError> {
        self.all(telemetry::SESSIONS, [], telemetry::session)
    }

    fn sensors(&mut self) -> Result<Vec<Sensor>, StoreError> {
        self.all(telemetry::SENSORS, [], telemetry::sensor)
    }

    fn readings(
        &mut self,
        of: &Readings,
        behind: Option<(i64, u64)>,
        count: usize,
    ) -> Result<Vec<PastReading>, StoreError> {
        telemetry::readings(&self.db, of, behind, limit(count)).map_err(store_error)
    }

    fn buckets(&mut self, of: &Readings, every_ms: i64, count: usize) -> Result<Vec<Bucket>, StoreError> {
        telemetry::buckets(&self.db, of, every_ms.max(1), limit(count)).map_err(store_error)
    }

    fn size(&mut self) -> Result<u64, StoreError> {
        size(&self.db).map_err(store_error)
    }
}

/// The bytes of the pages that are in use.
pub(super) fn size(db: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT (page_count - freelist_count) * page_size
               FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
    db.prepare_cached(sql)?.query_row([], |row| unsigned(row, 0))
}

fn room(row: &Row<'_>) -> rusqlite::Result<Room> {
    let oldest: Option<i64> = row.get(4)?;
    Ok(Room {
        name: row.get(0)?,
        epoch: row.get::<_, i64>(1)?.cast_unsigned(),
        durable: row.get(2)?,
        last_offset: unsigned(row, 3)?,
        oldest_offset: oldest.map(|_| unsigned(row, 4)).transpose()?,
    })
}

fn message(row: &Row<'_>, room: Arc<str>) -> rusqlite::Result<Message> {
    Ok(Message {
        room,
        epoch: row.get::<_, i64>(0)?.cast_unsigned(),
        offset: unsigned(row, 1)?,
        at_ms: row.get(2)?,
        from: row.get(3)?,
        message_id: row.get(4)?,
        kind: match row.get_ref(5)?.as_str()? {
            "text" => Kind::Text,
            "binary" => Kind::Binary,
            "json" => Kind::Json,
            _ => return Err(unknown(5)),
        },
        payload: Bytes::copy_from_slice(bytes_of(row, 6)?),
    })
}

fn command(row: &Row<'_>) -> rusqlite::Result<Command> {
    Ok(Command {
        id: row.get(0)?,
        device: row.get(1)?,
        name: row.get(2)?,
        payload: row.get(3)?,
        created_ms: row.get(4)?,
        expires_ms: row.get(5)?,
        state: match row.get_ref(6)?.as_str()? {
            "queued" => CommandState::Queued,
            "sent" => CommandState::Sent,
            "done" => CommandState::Done,
            "refused" => CommandState::Refused,
            "expired" => CommandState::Expired,
            "failed" => CommandState::Failed,
            _ => return Err(unknown(6)),
        },
        result: row.get(7)?,
        changed_ms: row.get(8)?,
    })
}

fn device(row: &Row<'_>) -> rusqlite::Result<Device> {
    Ok(Device {
        id: row.get(0)?,
        first_seen_ms: row.get(1)?,
        last_seen_ms: row.get(2)?,
        address: row.get(3)?,
        transport: row.get(4)?,
        certificate: row.get(5)?,
    })
}

fn connection(row: &Row<'_>) -> rusqlite::Result<PastConnection> {
    Ok(PastConnection {
        number: unsigned(row, 0)?,
        connection: record::Connection {
            device: row.get(1)?,
            room: row.get(2)?,
            opened_ms: row.get(3)?,
            closed_ms: row.get(4)?,
            peer: row.get(5)?,
            transport: row.get(6)?,
            reason: row.get(7)?,
        },
    })
}

/// A payload: text is there as text, so that people can read it.
fn bytes_of<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<&'a [u8]> {
    match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Ok(bytes),
        _ => Err(unknown(column)),
    }
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

/// Something in the file that this program does not write.
pub(super) fn unknown(column: usize) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(FromSqlError::InvalidType))
}

fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
