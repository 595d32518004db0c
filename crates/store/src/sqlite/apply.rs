//! Writes, as statements of a transaction.

use std::fmt::Display;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Params, ToSql, params};

use super::error::store_error;
use super::telemetry::{self, Touched};
use crate::error::StoreError;
use crate::record::{Command, CommandState, Connection as Ended, Device, Document, Kind, Message, Token, Twin};
use crate::write::Write;

/// Does one write. After an error the transaction is to be rolled back.
///
/// SQLite's integers are signed: an epoch, which may be any number, is stored as the signed one of the same bits.
pub(super) fn apply(db: &Connection, write: &Write, touched: &mut Touched) -> Result<(), StoreError> {
    write.check()?;
    match write {
        Write::OpenRoom { room, epoch, durable } => open_room(db, room, *epoch, *durable),
        Write::DropRoom { room } => drop_room(db, room),
        Write::Message(message) => add_message(db, message),
        Write::TrimRoom { room, below_offset } => trim_room(db, room, *below_offset),
        Write::TrimDedup { room, keep, since_ms } => trim_dedup(db, room, *keep, *since_ms),
        Write::SetCounter { name, value } => execute(
            db,
            "INSERT INTO counters (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            params![&**name, value],
        )
        .map(drop),
        Write::Document(document) => put_document(db, document),
        Write::Twin(twin) => put_twin(db, twin),
        Write::AddCommand(command) => add_command(db, command),
        Write::ChangeCommand { id, state, result, at_ms } => {
            let sql = "UPDATE commands SET state = ?2, result = ?3, changed_ms = ?4 WHERE id = ?1";
            let changed = execute(db, sql, params![&**id, state_name(*state), result, at_ms])?;
            if changed == 0 { Err(StoreError::Missing(format!("command {id}"))) } else { Ok(()) }
        }
        Write::AddToken(token) => add_token(db, token),
        Write::RevokeToken { id, at_ms } => {
            let sql = "UPDATE tokens SET revoked_ms = coalesce(revoked_ms, ?2) WHERE id = ?1";
            let changed = execute(db, sql, params![&**id, at_ms])?;
            if changed == 0 { Err(StoreError::Missing(format!("token {id}"))) } else { Ok(()) }
        }
        Write::Device(device) => see_device(db, device),
        Write::Connection(ended) => log_connection(db, ended),
        Write::DeviceKey(key) => telemetry::put_key(db, key),
        Write::ForgetPreviousKey { number, key } => execute(
            db,
            "UPDATE device_keys SET previous_key = NULL WHERE number = ?1 AND key = ?2",
            params![number, key.0],
        )
        .map(drop),
        Write::DeviceSession(session) => telemetry::put_session(db, session),
        Write::ForgetSession { device, session } => execute(
            db,
            "DELETE FROM device_sessions WHERE device = ?1 AND session = ?2",
            params![device, session.cast_signed()],
        )
        .map(drop),
        Write::ForgetSessions { before_ms, most } => telemetry::forget_sessions(db, *before_ms, *most),
        Write::Sensor(sensor) => telemetry::put_sensor(db, sensor),
        Write::Readings(readings) => telemetry::add_readings(db, readings, touched),
    }
}

pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Binary => "binary",
        Kind::Json => "json",
    }
}

pub(super) fn state_name(state: CommandState) -> &'static str {
    match state {
        CommandState::Queued => "queued",
        CommandState::Sent => "sent",
        CommandState::Done => "done",
        CommandState::Refused => "refused",
        CommandState::Expired => "expired",
        CommandState::Failed => "failed",
    }
}

fn open_room(db: &Connection, room: &str, epoch: u64, durable: bool) -> Result<(), StoreError> {
    let sql = "UPDATE rooms SET durable = ?3 WHERE name = ?1 AND epoch = ?2";
    if execute(db, sql, params![room, epoch.cast_signed(), durable])? > 0 {
        return Ok(());
    }
    drop_room(db, room)?;
    let sql = "INSERT INTO rooms (name, epoch, durable, last_offset) VALUES (?1, ?2, ?3, 0)";
    execute(db, sql, params![room, epoch.cast_signed(), durable]).map(drop)
}

/// Only notes what is to be deleted: it may be much.
fn drop_room(db: &Connection, room: &str) -> Result<(), StoreError> {
    execute(db, "INSERT INTO dropped_rooms (room_id) SELECT id FROM rooms WHERE name = ?1", [room])?;
    execute(db, "DELETE FROM rooms WHERE name = ?1", [room]).map(drop)
}

fn add_message(db: &Connection, message: &Message) -> Result<(), StoreError> {
    let Message { room, epoch, offset, at_ms, from, message_id, kind, payload } = message;
    let offset = offset.cast_signed();
    let payload = match kind {
        Kind::Binary => ValueRef::Blob(payload),
        Kind::Text | Kind::Json => ValueRef::Text(payload),
    };
    let sql = "UPDATE rooms SET last_offset = ?3 WHERE name = ?1 AND epoch = ?2 AND last_offset < ?3 RETURNING id";
    let room_id = one(db, sql, params![&**room, epoch.cast_signed(), offset])?;
    let Some(room_id) = room_id else { return Err(refused_message(db, message)) };
    execute(
        db,
        "INSERT INTO messages (room_id, offset, at_ms, client, message_id, kind, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![room_id, offset, at_ms, &**from, message_id.as_deref(), kind_name(*kind), Borrowed(payload)],
    )?;
    let Some(message_id) = message_id.as_deref() else { return Ok(()) };
    execute(
        db,
        "INSERT INTO dedup (room_id, client, message_id, offset, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (room_id, client, message_id) DO UPDATE SET offset = excluded.offset, at_ms = excluded.at_ms",
        params![room_id, &**from, message_id, offset, at_ms],
    )
    .map(drop)
}

/// Finds out why no room took the message.
fn refused_message(db: &Connection, message: &Message) -> StoreError {
    let Message { room, epoch, offset, .. } = message;
    let sql = "SELECT epoch = ?2 FROM rooms WHERE name = ?1";
    match one(db, sql, params![&**room, epoch.cast_signed()]) {
        Ok(None) => StoreError::Missing(format!("room {room}")),
        Ok(Some(0)) => StoreError::Stale(format!("room {room} has another epoch than {epoch}")),
        Ok(Some(_)) => StoreError::Stale(format!("room {room} is past offset {offset}")),
        Err(error) => error,
    }
}

fn trim_room(db: &Connection, room: &str, below: u64) -> Result<(), StoreError> {
    let sql = "DELETE FROM messages WHERE room_id = (SELECT id FROM rooms WHERE name = ?1) AND offset < ?2";
    execute(db, sql, params![room, below.cast_signed()]).map(drop)
}

fn trim_dedup(db: &Connection, room: &str, keep: u64, since_ms: i64) -> Result<(), StoreError> {
    let Some(room_id) = one(db, "SELECT id FROM rooms WHERE name = ?1", [room])? else { return Ok(()) };
    execute(db, "DELETE FROM dedup WHERE room_id = ?1 AND at_ms < ?2", params![room_id, since_ms])?;
    // More than an i64 counts there are not.
    let keep = i64::try_from(keep).unwrap_or(i64::MAX);
    execute(
        db,
        "DELETE FROM dedup WHERE room_id = ?1 AND offset <=
         (SELECT offset FROM dedup WHERE room_id = ?1 ORDER BY offset DESC LIMIT 1 OFFSET ?2)",
        params![room_id, keep],
    )
    .map(drop)
}

fn put_document(db: &Connection, document: &Document) -> Result<(), StoreError> {
    let Document { room, name, version, json, at_ms } = document;
    let changed = execute(
        db,
        "INSERT INTO documents (room, name, version, json, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (room, name) DO UPDATE SET version = excluded.version, json = excluded.json, at_ms = excluded.at_ms
         WHERE excluded.version > version",
        params![&**room, &**name, version.cast_signed(), json.as_deref(), at_ms],
    )?;
    stale_unless(changed, format_args!("document {name} of room {room} is at version {version} or above"))
}

fn put_twin(db: &Connection, twin: &Twin) -> Result<(), StoreError> {
    let Twin { device, desired, desired_version, reported, reported_version, at_ms } = twin;
    let changed = execute(
        db,
        "INSERT INTO twins (device, desired, desired_version, reported, reported_version, at_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (device) DO UPDATE SET desired = excluded.desired, desired_version = excluded.desired_version,
             reported = excluded.reported, reported_version = excluded.reported_version, at_ms = excluded.at_ms
         WHERE excluded.desired_version >= desired_version AND excluded.reported_version >= reported_version
             AND (excluded.desired_version > desired_version OR excluded.reported_version > reported_version)",
        params![
            &**device,
            &**desired,
            desired_version.cast_signed(),
            &**reported,
            reported_version.cast_signed(),
            at_ms
        ],
    )?;
    stale_unless(changed, format_args!("the twin of {device} is past versions {desired_version}, {reported_version}"))
}

fn add_command(db: &Connection, command: &Command) -> Result<(), StoreError> {
    let Command { id, device, name, payload, created_ms, expires_ms, state, result, changed_ms } = command;
    let added = execute(
        db,
        "INSERT INTO commands (id, device, name, payload, created_ms, expires_ms, state, result, changed_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
        params![&**id, &**device, name, payload, created_ms, expires_ms, state_name(*state), result, changed_ms],
    )?;
    if added == 0 { Err(StoreError::Exists(format!("a command {id}"))) } else { Ok(()) }
}

fn add_token(db: &Connection, token: &Token) -> Result<(), StoreError> {
    let Token { id, name, hash, permissions, created_ms, expires_ms, revoked_ms } = token;
    let added = execute(
        db,
        "INSERT INTO tokens (id, name, hash, permissions, created_ms, expires_ms, revoked_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
        params![&**id, name, hash, permissions, created_ms, expires_ms, revoked_ms],
    )?;
    if added == 0 { Err(StoreError::Exists(format!("a token {id}, or one with its hash"))) } else { Ok(()) }
}

fn see_device(db: &Connection, device: &Device) -> Result<(), StoreError> {
    let Device { id, first_seen_ms, last_seen_ms, address, transport, certificate } = device;
    execute(
        db,
        "INSERT INTO devices (id, first_seen_ms, last_seen_ms, address, transport, certificate)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET
             first_seen_ms = min(first_seen_ms, excluded.first_seen_ms),
             last_seen_ms = max(last_seen_ms, excluded.last_seen_ms),
             address = iif(excluded.last_seen_ms >= last_seen_ms, excluded.address, address),
             transport = iif(excluded.last_seen_ms >= last_seen_ms, excluded.transport, transport),
             certificate = iif(excluded.last_seen_ms >= last_seen_ms, excluded.certificate, certificate)",
        params![&**id, first_seen_ms, last_seen_ms, address, transport, certificate],
    )
    .map(drop)
}

fn log_connection(db: &Connection, ended: &Ended) -> Result<(), StoreError> {
    let Ended { device, room, opened_ms, closed_ms, peer, transport, reason } = ended;
    execute(
        db,
        "INSERT INTO connections (device, room, opened_ms, closed_ms, peer, transport, reason)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![&**device, room.as_deref(), opened_ms, closed_ms, peer, transport, reason],
    )
    .map(drop)
}

/// Bytes that are bound without a copy.
pub(super) struct Borrowed<'a>(pub(super) ValueRef<'a>);

impl ToSql for Borrowed<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.0))
    }
}

/// How many rows it has changed.
pub(super) fn execute(db: &Connection, sql: &str, parameters: impl Params) -> Result<usize, StoreError> {
    db.prepare_cached(sql).and_then(|mut statement| statement.execute(parameters)).map_err(store_error)
}

/// The number that it gives back, if it gives one.
pub(super) fn one(db: &Connection, sql: &str, parameters: impl Params) -> Result<Option<i64>, StoreError> {
    let mut statement = db.prepare_cached(sql).map_err(store_error)?;
    statement.query_row(parameters, |row| row.get(0)).optional().map_err(store_error)
}

fn stale_unless(changed: usize, what: impl Display) -> Result<(), StoreError> {
    if changed == 0 { Err(StoreError::Stale(what.to_string())) } else { Ok(()) }
}
