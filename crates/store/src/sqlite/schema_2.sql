-- Version 2: sensor data. Described in docs/reference/store.md.

CREATE TABLE device_keys (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    key BLOB NOT NULL CHECK (length(key) = 32),
    previous_key BLOB CHECK (length(previous_key) = 32),
    created_ms INTEGER NOT NULL,
    revoked_ms INTEGER
) STRICT;

CREATE TABLE device_sessions (
    device INTEGER NOT NULL,
    session INTEGER NOT NULL,
    highest INTEGER NOT NULL,
    bitmap INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (device, session)
) STRICT, WITHOUT ROWID;

CREATE TABLE sensors (
    id INTEGER PRIMARY KEY,
    device TEXT NOT NULL,
    name TEXT NOT NULL,
    unit TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('boolean', 'number', 'text', 'bytes')),
    keep_ms INTEGER,
    UNIQUE (device, name)
) STRICT;

-- In the order of arrival. The index groups those of one sensor within a segment, 4,096 rows that arrived together, so that a
-- commit touches few of its pages however many sensors there are.
CREATE TABLE readings (
    id INTEGER PRIMARY KEY,
    sensor INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    value ANY NOT NULL
) STRICT;
CREATE INDEX readings_by_segment ON readings (id >> 12, sensor);

-- Which times the readings of a segment have, and when one of them will be too old.
CREATE TABLE reading_segments (
    segment INTEGER PRIMARY KEY,
    from_ms INTEGER NOT NULL,
    to_ms INTEGER NOT NULL,
    check_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX reading_segments_to_check ON reading_segments (check_ms);

-- For people: what was measured when.
CREATE VIEW reading_log AS
SELECT
    sensors.device AS device,
    sensors.name AS sensor,
    strftime('%Y-%m-%dT%H:%M:%fZ', readings.at_ms / 1000.0, 'unixepoch') AS at,
    readings.value AS value,
    sensors.unit AS unit
FROM readings JOIN sensors ON sensors.id = readings.sensor;
