-- Version 1. Described in docs/reference/store.md. Never edited once released: a change is a further file.

-- Ids are never used again, so that what is left of a room that began anew cannot be taken for the new one's.
CREATE TABLE rooms (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    epoch INTEGER NOT NULL,
    durable INTEGER NOT NULL CHECK (durable IN (0, 1)),
    last_offset INTEGER NOT NULL
) STRICT;

-- Rooms whose messages and de-duplication entries are still to be deleted, bit by bit.
CREATE TABLE dropped_rooms (
    room_id INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    room_id INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    client TEXT NOT NULL,
    message_id TEXT,
    kind TEXT NOT NULL CHECK (kind IN ('text', 'binary', 'json')),
    payload ANY NOT NULL
) STRICT;
CREATE UNIQUE INDEX messages_by_offset ON messages (room_id, offset);
CREATE INDEX messages_by_time ON messages (at_ms);

CREATE TABLE dedup (
    room_id INTEGER NOT NULL,
    client TEXT NOT NULL,
    message_id TEXT NOT NULL,
    offset INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (room_id, client, message_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX dedup_by_offset ON dedup (room_id, offset);

CREATE TABLE counters (
    name TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE documents (
    room TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    json TEXT,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (room, name)
) STRICT;
CREATE INDEX documents_removed ON documents (at_ms) WHERE json IS NULL;

CREATE TABLE twins (
    device TEXT NOT NULL PRIMARY KEY,
    desired TEXT NOT NULL,
    desired_version INTEGER NOT NULL,
    reported TEXT NOT NULL,
    reported_version INTEGER NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE commands (
    id TEXT NOT NULL PRIMARY KEY,
    device TEXT NOT NULL,
    name TEXT NOT NULL,
    payload TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    state TEXT NOT NULL CHECK (state IN ('queued', 'sent', 'done', 'refused', 'expired', 'failed')),
    result TEXT,
    changed_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX commands_by_device ON commands (device, created_ms, id);
CREATE INDEX commands_pending ON commands (created_ms, id) WHERE state IN ('queued', 'sent');
CREATE INDEX commands_over ON commands (changed_ms) WHERE state NOT IN ('queued', 'sent');

CREATE TABLE tokens (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    permissions TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    revoked_ms INTEGER
) STRICT;

CREATE TABLE devices (
    id TEXT NOT NULL PRIMARY KEY,
    first_seen_ms INTEGER NOT NULL,
    last_seen_ms INTEGER NOT NULL,
    address TEXT NOT NULL,
    transport TEXT NOT NULL,
    certificate TEXT
) STRICT;
CREATE INDEX devices_by_time ON devices (last_seen_ms);

CREATE TABLE connections (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    device TEXT NOT NULL,
    room TEXT,
    opened_ms INTEGER NOT NULL,
    closed_ms INTEGER NOT NULL,
    peer TEXT NOT NULL,
    transport TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX connections_by_device ON connections (device, id);
CREATE INDEX connections_by_time ON connections (closed_ms);

-- For people: what was said where and when.
CREATE VIEW message_log AS
SELECT
    rooms.name AS room,
    messages.offset AS offset,
    strftime('%Y-%m-%dT%H:%M:%fZ', messages.at_ms / 1000.0, 'unixepoch') AS at,
    messages.client AS client,
    messages.kind AS kind,
    messages.payload AS payload
FROM messages JOIN rooms ON rooms.id = messages.room_id;
