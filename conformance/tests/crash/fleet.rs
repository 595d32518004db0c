//! A fleet on a bad network, while the hub is killed: what a device saw acknowledged is in the database, once, and nothing else is.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::Value as Stored;
use rusqlite::{Connection, OpenFlags};
use rustix::process::Signal;
use serde_json::Value;
use tautline_conformance::peers::{Hub, Process, Scratch, bin, lasting_port, within_time};
use tokio::time::sleep;

/// How many devices are in each of the three fleets.
const DEVICES: usize = 20;

/// Milliseconds between two readings of a sensor.
const INTERVAL: &str = "250";

const BAD: [&str; 8] = ["--loss", "20%", "--duplicate", "10%", "--reorder", "20%", "--latency", "2"];

/// What TCP has instead.
const STORMY: [&str; 3] = ["--transport", "tcp", "--reconnect-storm=1500ms"];

/// After so many bytes of what was acknowledged, at most, comes the next kill: some seconds.
const LONGEST_LIFE: u64 = 300_000;

/// Time for everything, for each kill. A device that is out of luck waits for long between two attempts.
const PATIENCE: Duration = Duration::from_secs(20);

/// For what is not acknowledged at the end.
const DRAIN: Duration = Duration::from_secs(240);

/// Readings that are the same but for their times: device, sensor, value.
type Same = (String, String, String);

#[tokio::test]
async fn what_a_fleet_saw_acknowledged_is_stored_once() {
    // Devices take longer to come back than other clients.
    let kills = super::kills().div_ceil(3);
    within_time(PATIENCE * (kills as u32 + 1) + DRAIN, "the whole run", run(kills)).await;
}

async fn run(kills: u64) {
    let scratch = Scratch::new();
    let data = scratch.path().join("data");
    let port = lasting_port();
    let (udp_keys, tcp_keys) = (keys(&scratch, "udp").await, keys(&scratch, "tcp").await);
    let mut hub = serve(&data, port).await;
    let devices = DEVICES.to_string();
    let fleets = [
        Fleet::start(&scratch, "bare", port, &[&BAD[..], &["--devices", &devices]].concat()),
        Fleet::start(&scratch, "keyed", port, &[&BAD[..], &["--key-file", &udp_keys]].concat()),
        Fleet::start(&scratch, "stormy", port, &[&STORMY[..], &["--key-file", &tcp_keys]].concat()),
    ];

    // Any sequence will do that meets the hub at different moments.
    let mut life = 1;
    for number in 0..kills {
        life = life * 48271 % 0x7fff_ffff;
        if number % 3 == 2 {
            // While most devices come back.
            progress(&fleets, |more| more.iter().sum::<u64>() > 0).await;
        } else {
            let enough = life % LONGEST_LIFE;
            progress(&fleets, |more| more.iter().all(|more| *more > 0) && more.iter().sum::<u64>() >= enough).await;
        }
        kill(hub).await;
        hub = serve(&data, port).await;
    }
    progress(&fleets, |more| more.iter().all(|more| *more > 0)).await;
    fleets.iter().for_each(|fleet| fleet.process.signal(Signal::INT));
    let mut seen = Vec::new();
    for fleet in fleets {
        seen.extend(fleet.end(kills).await);
    }
    // What it has said to be stored does not depend on how it ends.
    kill(hub).await;
    assert_once(seen, stored(&data.join("tautline.db")));
}

/// A hub on these data, with this port for readings.
async fn serve(data: &Path, port: u16) -> Hub {
    let mut command = bin(&["serve", "--host", "127.0.0.1", "--port", "0", "--telemetry-port", &port.to_string()]);
    command.arg("--data").arg(data).env("TAUTLINE_TELEMETRY", "true");
    Hub::started(command).await
}

async fn kill(mut hub: Hub) {
    hub.process.signal(Signal::KILL);
    hub.process.exit().await;
}

/// A file with the keys of as many devices as are in a fleet.
async fn keys(scratch: &Scratch, name: &str) -> String {
    let mut command = bin(&["device", "add"]);
    command.args((1..=DEVICES).map(|number| format!("{name}-{number}"))).arg("--data").arg(scratch.path().join("data"));
    let lines = Process::spawn(command).success().await;
    let file = scratch.write(&format!("{name}.keys"), lines.join("\n"));
    file.to_str().expect("UTF-8").to_owned()
}

/// Waits until this is true of how many bytes of acknowledged readings each fleet has written since now.
async fn progress(fleets: &[Fleet], mut is_enough: impl FnMut(&[u64]) -> bool) {
    let written = || fleets.iter().map(Fleet::written);
    let before: Vec<u64> = written().collect();
    while !is_enough(&written().zip(&before).map(|(now, before)| now - before).collect::<Vec<_>>()) {
        sleep(Duration::from_millis(5)).await; // nothing tells
    }
}

/// A running `tautline simulate`, until it is interrupted.
struct Fleet {
    process: Process,
    dump: PathBuf,
}

impl Fleet {
    fn start(scratch: &Scratch, name: &str, port: u16, options: &[&str]) -> Self {
        let dump = scratch.path().join(format!("{name}.dump"));
        let mut command = bin(&["simulate", "--for", "24h", "--interval", INTERVAL, "--json"]);
        command.args(options).arg("--hub").arg(format!("127.0.0.1:{port}")).arg("--dump").arg(&dump);
        command.arg("--drain").arg(format!("{}s", DRAIN.as_secs()));
        Self { process: Process::spawn(command), dump }
    }

    /// Bytes of acknowledged readings, but for the last few thousand.
    fn written(&self) -> u64 {
        fs::metadata(&self.dump).map_or(0, |file| file.len())
    }

    /// The lines of all readings that it saw acknowledged, when it has lost none and something was in the way.
    async fn end(self, kills: u64) -> Vec<Value> {
        let summary = self.process.success_within(2 * DRAIN).await.concat();
        let summary: Value = serde_json::from_str(&summary).expect("JSON");
        assert_eq!((&summary["lost"], &summary["refused"]), (&0.into(), &0.into()), "{summary}");
        assert!(summary["reconnected"].as_u64() > Some(kills), "{summary}");
        // What a connection took along is little, and may be nothing.
        assert!(summary["transport"] == "tcp" || summary["retransmitted"].as_u64() > Some(kills), "{summary}");
        let text = fs::read_to_string(&self.dump).expect("a dump");
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(Some(lines.len() as u64), summary["sent"].as_u64(), "{summary}");
        lines
    }
}

/// The times of all readings in a database, however its hub has ended.
fn stored(file: &Path) -> HashMap<Same, Vec<i64>> {
    let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE).expect("a database");
    let sound: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a check");
    assert_eq!(sound, "ok");
    let sql = "SELECT device, name, kind, at_ms, value FROM readings JOIN sensors ON sensors.id = readings.sensor";
    let mut statement = database.prepare(sql).expect("the schema that is documented");
    let rows = statement.query_map([], |row| {
        let value = match (row.get::<_, String>(2)?.as_str(), row.get(4)?) {
            ("boolean", Stored::Integer(number @ 0..=1)) => (number == 1).into(),
            ("number", Stored::Integer(number)) => number.into(),
            ("number", Stored::Real(number)) => number.into(),
            ("text", Stored::Text(text)) => Value::from(text),
            other => panic!("no sensor of the fleet has measured {other:?}"),
        };
        Ok(((row.get(0)?, row.get(1)?, value.to_string()), row.get(3)?))
    });
    let mut readings = HashMap::<Same, Vec<i64>>::new();
    for row in rows.expect("readings") {
        let (same, at) = row.expect("a reading");
        readings.entry(same).or_default().push(at);
    }
    readings
}

/// Each line has a reading of its own, and no reading is left.
fn assert_once(mut lines: Vec<Value>, mut stored: HashMap<Same, Vec<i64>>) {
    // Lines that know exactly which one is theirs choose first; one without a time was given one by the hub.
    let rank = |line: &Value| (line["at_ms"].is_null(), line["or_ms"].as_array().map_or(0, Vec::len));
    lines.sort_by_key(rank);
    for line in lines {
        let text = |name: &str| line[name].as_str().expect("text").to_owned();
        let times = stored.get_mut(&(text("device"), text("sensor"), line["value"].to_string()));
        let is_its = |at: &i64| {
            let others = line["or_ms"].as_array().into_iter().flatten();
            line["at_ms"].is_null() || others.chain([&line["at_ms"]]).any(|time| time.as_i64() == Some(*at))
        };
        let found = times.and_then(|times| Some(times.swap_remove(times.iter().position(is_its)?)));
        assert!(found.is_some(), "acknowledged, and not stored: {line}");
    }
    stored.retain(|_, times| !times.is_empty());
    let some: Vec<_> = stored.iter().take(10).collect();
    assert!(some.is_empty(), "{} were stored twice, or never acknowledged: {some:?}", stored.len());
}
