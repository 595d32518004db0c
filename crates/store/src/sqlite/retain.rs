//! Deleting what is old, in steps that commits need not wait long for.

use std::cmp::min;

use rusqlite::{Connection, OptionalExtension, Params, TransactionBehavior, params};

use super::error::store_error;
use super::read::size;
use super::telemetry::{self, FIRST_READING};
use crate::backend::{Retention, Step};
use crate::error::StoreError;

/// How many rows a step deletes at most.
const ROWS: i64 = 500;

/// How many bytes of messages a step deletes at most, but for the first message.
const BYTES: u64 = 8 * 1024 * 1024;

/// How many free pages a step gives back to the file system: 4 MB.
const PAGES: i64 = 1000;

/// How many free pages stay for what comes next.
const SPARE_PAGES: i64 = 256;

/// Does the first thing that is to be done.
pub(super) fn step(connection: &mut Connection, retention: &Retention) -> Result<Step, StoreError> {
    first_step(connection, retention).map_err(store_error)
}

fn first_step(connection: &mut Connection, retention: &Retention) -> rusqlite::Result<Step> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let deleted = delete(&transaction, retention)?;
    let step = match &retention.readings {
        Some(age) if deleted == 0 => telemetry::delete_old(&transaction, age)?,
        _ => None,
    };
    transaction.commit()?;
    if let Some(step) = step.or((deleted > 0).then_some(Step { deleted, more: true })) {
        return Ok(step);
    }
    Ok(Step { deleted: 0, more: give_back(connection)? })
}

/// How many rows it has deleted; 0 if there is nothing to delete.
fn delete(db: &Connection, retention: &Retention) -> rusqlite::Result<u64> {
    let mut deleted = delete_dropped(db)?;
    if let Some(before) = retention.messages_before_ms.filter(|_| deleted == 0) {
        deleted = delete_messages(db, before, BYTES)?;
    }
    let by_age = [
        (retention.commands_before_ms, COMMANDS),
        (retention.connections_before_ms, CONNECTIONS),
        (retention.devices_before_ms, DEVICES),
        (retention.removed_documents_before_ms, REMOVED_DOCUMENTS),
    ];
    for (before, sql) in by_age {
        if let Some(before) = before.filter(|_| deleted == 0) {
            deleted = execute(db, sql, params![before, ROWS])?;
        }
    }
    if let Some(max) = retention.max_bytes.filter(|_| deleted == 0) {
        deleted = delete_oldest(db, max)?;
    }
    Ok(deleted)
}

const COMMANDS: &str = "DELETE FROM commands WHERE rowid IN (SELECT rowid FROM commands
    WHERE state NOT IN ('queued', 'sent') AND changed_ms < ?1 ORDER BY changed_ms LIMIT ?2)";
const CONNECTIONS: &str = "DELETE FROM connections WHERE id IN (SELECT id FROM connections
    WHERE closed_ms < ?1 ORDER BY closed_ms LIMIT ?2)";
const DEVICES: &str = "DELETE FROM devices WHERE rowid IN (SELECT rowid FROM devices
    WHERE last_seen_ms < ?1 ORDER BY last_seen_ms LIMIT ?2)";
const REMOVED_DOCUMENTS: &str = "DELETE FROM documents WHERE rowid IN (SELECT rowid FROM documents
    WHERE json IS NULL AND at_ms < ?1 ORDER BY at_ms LIMIT ?2)";

/// What is left of rooms that began anew or were dropped.
fn delete_dropped(db: &Connection) -> rusqlite::Result<u64> {
    let room: Option<i64> =
        db.query_row("SELECT room_id FROM dropped_rooms LIMIT 1", [], |row| row.get(0)).optional()?;
    let Some(room) = room else { return Ok(0) };
    let oldest = "SELECT id, octet_length(payload) FROM messages WHERE room_id = ?1 ORDER BY offset LIMIT ?2";
    let messages = delete_within(db, oldest, room, BYTES)?;
    if messages > 0 {
        return Ok(messages);
    }
    let sql = "DELETE FROM dedup WHERE room_id = ?1 AND offset <= coalesce(
               (SELECT offset FROM dedup WHERE room_id = ?1 ORDER BY offset LIMIT 1 OFFSET ?2), ?3)";
    let entries = execute(db, sql, params![room, ROWS - 1, i64::MAX])?;
    if entries > 0 {
        return Ok(entries);
    }
    execute(db, "DELETE FROM dropped_rooms WHERE room_id = ?1", [room])
}

fn delete_messages(db: &Connection, before_ms: i64, bytes: u64) -> rusqlite::Result<u64> {
    let oldest = "SELECT id, octet_length(payload) FROM messages WHERE at_ms < ?1 ORDER BY at_ms, id LIMIT ?2";
    delete_within(db, oldest, before_ms, bytes)
}

/// Deletes the messages that `sql` selects (id and size), but no more than `bytes` of them after the first one.
fn delete_within(db: &Connection, sql: &str, which: i64, bytes: u64) -> rusqlite::Result<u64> {
    let mut ids = Vec::new();
    let mut left = bytes;
    let mut select = db.prepare_cached(sql)?;
    let mut rows = select.query(params![which, ROWS])?;
    while let Some(row) = rows.next()? {
        let size = row.get::<_, i64>(1)?.unsigned_abs();
        if size > left && !ids.is_empty() {
            break;
        }
        left = left.saturating_sub(size);
        ids.push(row.get::<_, i64>(0)?);
    }
    let mut delete = db.prepare_cached("DELETE FROM messages WHERE id = ?1")?;
    for id in &ids {
        delete.execute([id])?;
    }
    Ok(ids.len() as u64)
}

/// Deletes the oldest messages, commands that are over, connections and readings, if everything takes up more than `max` bytes: all up
/// to one time, so that none of them loses what is newer than what another one keeps.
fn delete_oldest(db: &Connection, max: u64) -> rusqlite::Result<u64> {
    let excess = size(db)?.saturating_sub(max);
    if excess == 0 {
        return Ok(0);
    }
    let bytes = min(excess, BYTES);
    let last = |sql| db.query_row(sql, [ROWS - 1], |row| row.get::<_, i64>(0)).optional();
    let first_reading = db.query_row(FIRST_READING, [], |row| row.get(0)).optional()?;
    let ends = [last_message(db, bytes)?, last(LAST_COMMAND)?, last(LAST_CONNECTION)?, first_reading];
    // If none of them ends a step, all of it is one step.
    let before = ends.into_iter().flatten().min().map_or(i64::MAX, |last| last.saturating_add(1));
    let mut deleted = delete_messages(db, before, bytes)?;
    deleted += execute(db, COMMANDS, params![before, ROWS])?;
    deleted += execute(db, CONNECTIONS, params![before, ROWS])?;
    deleted += telemetry::delete_before(db, before)?;
    Ok(deleted)
}

// The time of the last entry that a step may delete, if there are as many.
const LAST_COMMAND: &str = "SELECT changed_ms FROM commands
    WHERE state NOT IN ('queued', 'sent') ORDER BY changed_ms LIMIT 1 OFFSET ?1";
const LAST_CONNECTION: &str = "SELECT closed_ms FROM connections ORDER BY closed_ms LIMIT 1 OFFSET ?1";

/// The same for messages, where bytes count as well.
fn last_message(db: &Connection, bytes: u64) -> rusqlite::Result<Option<i64>> {
    let mut select =
        db.prepare_cached("SELECT at_ms, octet_length(payload) FROM messages ORDER BY at_ms, id LIMIT ?1")?;
    let mut rows = select.query([ROWS])?;
    let (mut last, mut count, mut sum) = (None, 0, 0);
    while let Some(row) = rows.next()? {
        sum += row.get::<_, i64>(1)?.unsigned_abs();
        if sum > bytes && last.is_some() {
            return Ok(last);
        }
        last = Some(row.get(0)?);
        count += 1;
    }
    Ok(last.filter(|_| count == ROWS))
}

/// Makes the file smaller by some of its free pages. Whether there are more.
fn give_back(db: &Connection) -> rusqlite::Result<bool> {
    let free = || db.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0));
    let before = free()?;
    if before <= SPARE_PAGES {
        return Ok(false);
    }
    let mut vacuum = db.prepare(&format!("PRAGMA incremental_vacuum({})", min(PAGES, before - SPARE_PAGES)))?;
    // It gives back a page with every step.
    let mut rows = vacuum.query([])?;
    while rows.next()?.is_some() {}
    let after = free()?;
    // Not for ever, where a database was made by hand without auto_vacuum.
    Ok(after > SPARE_PAGES && after < before)
}

fn execute(db: &Connection, sql: &str, parameters: impl Params) -> rusqlite::Result<u64> {
    Ok(db.prepare_cached(sql)?.execute(parameters)? as u64)
}
