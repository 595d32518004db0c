//! What the hub has counted, in the text form that Prometheus reads.
//!
//! Written out here rather than by a library: the numbers live elsewhere, and are only added up when somebody asks. There is
//! no label for a device or a room, since there may be a hundred thousand of them.

use std::fmt::{Display, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use tautline_engine::Counters;

use crate::ingest;

/// Version 0.0.4 of the form.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that was counted, at one time.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) started: SystemTime,
    pub(crate) connections: u64,
    /// What each event loop has counted.
    pub(crate) loops: Vec<Counters>,
    /// How many clients have left, by cause.
    pub(crate) ends: [(&'static str, u64); 8],
    /// How many requests were answered, by method and class of the status.
    pub(crate) requests: Vec<(&'static str, &'static str, u64)>,
    /// How many connections and handshakes were refused, by reason.
    pub(crate) refused: Vec<(&'static str, u64)>,
    /// How many rooms and members there are, if that is known.
    pub(crate) rooms: Option<(usize, usize)>,
    pub(crate) store: Option<tautline_store::Counters>,
    pub(crate) ingest: Option<ingest::Snapshot>,
}

/// The metrics as text.
pub(crate) fn render(snapshot: &Snapshot) -> String {
    let Snapshot { started, connections, loops, ends, requests, refused, rooms, store, ingest } = snapshot;
    let mut text = Text { text: String::with_capacity(4096), name: "" };
    let sum = |of: fn(&Counters) -> u64| loops.iter().map(of).sum::<u64>();
    text.gauge("tautline_build_info", "Which hub this is.");
    text.labelled("version", env!("CARGO_PKG_VERSION"), 1);
    text.gauge("process_start_time_seconds", "When the hub was started, in seconds since 1970 (UTC).");
    text.sample(started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
    text.gauge("tautline_connections", "WebSocket connections that are open.");
    text.sample(connections);
    text.gauge("tautline_event_loops", "Threads that carry connections.");
    text.sample(loops.len());
    text.counter("tautline_connections_opened_total", "WebSocket connections that were opened.");
    text.sample(sum(|counters| counters.opened));
    text.counter("tautline_connections_closed_total", "WebSocket connections that have ended.");
    text.sample(sum(|counters| counters.closed));
    text.counter("tautline_messages_received_total", "Messages received by WebSocket.");
    text.sample(sum(|counters| counters.messages_in));
    text.counter("tautline_messages_sent_total", "Messages written or queued, one for each receiver.");
    text.sample(sum(|counters| counters.messages_out));
    text.counter("tautline_messages_dropped_total", "Published messages dropped because a receiver was slow.");
    text.sample(sum(|counters| counters.dropped));
    text.counter("tautline_received_bytes_total", "Bytes read from WebSocket connections, without those of TLS.");
    text.sample(sum(|counters| counters.bytes_in));
    text.counter("tautline_sent_bytes_total", "Bytes written to WebSocket connections, without those of TLS.");
    text.sample(sum(|counters| counters.bytes_out));
    text.counter(
        "tautline_slow_disconnects_total",
        "Connections closed because they were too slow for what was published.",
    );
    text.sample(sum(|counters| counters.disconnected));
    text.counter("tautline_disconnects_total", "Clients of rooms and shared numbers that have left, by cause.");
    for (cause, count) in ends {
        text.labelled("cause", cause, count);
    }
    text.counter("tautline_http_requests_total", "Requests answered by HTTP, by method and class of the status.");
    for (method, status, count) in requests {
        text.labelled_twice([("method", method), ("status", status)], count);
    }
    text.counter("tautline_refused_connections_total", "Connections and WebSockets that were refused, by reason.");
    for (reason, count) in refused {
        text.labelled("reason", reason, count);
    }
    text.counter("tautline_app_panics_total", "Failures in the hub's own code. Each is a bug.");
    text.sample(sum(|counters| counters.panics));
    if let Some((rooms, members)) = rooms {
        text.gauge("tautline_rooms", "Rooms that there are.");
        text.sample(rooms);
        text.gauge("tautline_room_members", "Clients in all rooms.");
        text.sample(members);
    }
    if let Some(ingest::Snapshot { counters, devices }) = ingest {
        text.gauge(
            "tautline_telemetry_devices",
            "Devices that have sent readings over UDP or TCP since the hub was started.",
        );
        text.sample(devices);
        text.counter("tautline_telemetry_readings_total", "Readings taken over UDP and TCP.");
        text.sample(counters.readings);
        text.counter("tautline_telemetry_duplicates_total", "Messages of devices that had come before.");
        text.sample(counters.duplicates);
        text.counter("tautline_telemetry_busy_total", "Messages of devices that were put off because too much waited.");
        text.sample(counters.busy);
        text.counter("tautline_telemetry_refused_total", "What came over UDP and TCP and was refused, by reason.");
        text.labelled("reason", "not_a_message", counters.malformed);
        for (reason, count) in counters.refusals() {
            text.labelled("reason", &reason, count);
        }
    }
    if let Some(store) = store {
        text.counter("tautline_store_commits_total", "Transactions that were committed.");
        text.sample(store.commits);
        text.counter(
            "tautline_store_submissions_total",
            "Changes that were given to the store and are done, by result.",
        );
        text.labelled("result", "committed", store.committed);
        text.labelled("result", "failed", store.failed);
        text.counter("tautline_store_deleted_rows_total", "Rows that were deleted because they were old, or too many.");
        text.sample(store.deleted);
        text.gauge("tautline_store_waiting", "Changes that wait to be committed.");
        text.sample(store.waiting);
        text.gauge("tautline_store_waiting_bytes", "Bytes of changes that wait to be committed.");
        text.sample(store.waiting_bytes);
    }
    text.text
}

/// Families of samples, one after the other. Nothing in them has characters that would have to be escaped.
struct Text {
    text: String,
    /// Of the family that is being written.
    name: &'static str,
}

impl Text {
    fn gauge(&mut self, name: &'static str, help: &str) {
        self.family(name, "gauge", help);
    }

    fn counter(&mut self, name: &'static str, help: &str) {
        self.family(name, "counter", help);
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.name = name;
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, value: impl Display) {
        let _ = writeln!(self.text, "{} {value}", self.name);
    }

    fn labelled(&mut self, label: &str, is: &str, value: impl Display) {
        let _ = writeln!(self.text, "{}{{{label}=\"{is}\"}} {value}", self.name);
    }

    fn labelled_twice(&mut self, [(label, is), (other, other_is)]: [(&str, &str); 2], value: impl Display) {
        let _ = writeln!(self.text, "{}{{{label}=\"{is}\",{other}=\"{other_is}\"}} {value}", self.name);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::watch::Watch;

    #[test]
    fn every_sample_stands_behind_the_head_of_its_family() {
        let mut counters = Counters::default();
        counters.messages_in = 7;
        let text = render(&Snapshot {
            started: UNIX_EPOCH + Duration::from_millis(1500),
            connections: 3,
            loops: vec![counters, counters],
            ends: Watch::default().ends(),
            requests: vec![("GET", "2xx", 3)],
            refused: vec![("server_full", 1)],
            rooms: Some((1, 2)),
            store: Some(tautline_store::Counters::default()),
            ingest: Some(ingest::Snapshot { counters: ingest::Counters::default(), devices: 1 }),
        });
        assert!(text.ends_with('\n'));
        let (mut name, mut names) = ("", BTreeSet::new());
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                name = help.split(' ').next().unwrap();
                assert!(names.insert(name), "{name} twice");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (of, kind) = kind.split_once(' ').unwrap();
                assert_eq!((of, kind == "counter"), (name, name.ends_with("_total")), "{line}");
            } else {
                let (sample, value) = line.rsplit_once(' ').unwrap();
                assert_eq!(sample.split('{').next(), Some(name));
                assert!(value.parse::<f64>().is_ok(), "{line}");
            }
        }
        for line in ["process_start_time_seconds 1.5", "tautline_connections 3", "tautline_messages_received_total 14"]
        {
            assert!(text.lines().any(|l| l == line), "{line}");
        }
        assert!(text.contains("tautline_disconnects_total{cause=\"silent\"} 0\n"));
        assert!(text.contains("tautline_http_requests_total{method=\"GET\",status=\"2xx\"} 3\n"));
    }
}
