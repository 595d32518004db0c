//! `tautline simulate`, against a small hub and the real one.

mod hub;

use std::collections::HashMap;
use std::path::Path;
use std::process::Output;

use rustix::process::Signal;
use serde_json::Value as Json;
use tautline_store::{Readings, Settings, Store, Value};
use tautline_telemetry::{Command, Key, Status};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{LIMIT, Tautline, command, text};
use hub::{Hub, Setup};

const OPEN: fn() -> Setup = || Setup { keys: HashMap::new(), command: None };

/// Starts a fleet. It waits for acknowledgements longer than anything here takes: on a bad network a device that is out of luck waits
/// for a minute between two attempts.
fn start(arguments: &[&str]) -> JoinHandle<Output> {
    let mut command = command(&[&["simulate", "--drain", "4m"][..], arguments].concat());
    let output = command.output();
    tokio::spawn(async { timeout(10 * LIMIT, output).await.expect("it ends").unwrap() })
}

/// The summary of a fleet that has lost nothing.
fn summary(output: &Output) -> Json {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let summary: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["lost"], &summary["refused"]), (&0.into(), &0.into()), "{summary}");
    assert_eq!(summary["sent"], summary["acknowledged"]);
    assert!(summary["p50_ms"].as_f64().unwrap() <= summary["p99_ms"].as_f64().unwrap());
    summary
}

fn dump(directory: &TempDir) -> String {
    directory.path().join("dump").to_str().unwrap().to_owned()
}

/// Everything that was acknowledged is among these readings once, and there is nothing else.
fn assert_exactly_once(dump: &str, readings: Vec<(String, String, u64, Json)>) {
    let mut stored = HashMap::<_, u32>::new();
    let count = readings.len();
    for (device, sensor, at, value) in readings {
        *stored.entry((device, sensor, at, value.to_string())).or_default() += 1;
    }
    assert_eq!(stored.len(), count, "twice");
    let text = std::fs::read_to_string(dump).unwrap();
    for line in text.lines() {
        let line: Json = serde_json::from_str(line).unwrap();
        let times = line["or_ms"].as_array().into_iter().flatten().chain([&line["at_ms"]]);
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        let key = |at: &Json| (text("device"), text("sensor"), at.as_u64().unwrap(), line["value"].to_string());
        let found = times.filter_map(|at| stored.remove(&key(at))).next();
        assert_eq!(found, Some(1), "{line}");
    }
    assert!(stored.is_empty(), "never acknowledged: {stored:?}");
}

/// Kills the hub and starts it again a few times, while readings come.
async fn restart_often(hub: &mut Hub, every: usize) {
    for times in 1..=3 {
        hub.stored(times * every).await;
        hub.kill().await;
        hub.listen().await;
    }
}

#[tokio::test]
async fn over_a_bad_network_and_restarts_everything_arrives_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut hub = Hub::start(OPEN()).await;
    let (address, dump) = (hub.address.to_string(), dump(&directory));
    let network = ["--loss", "20%", "--duplicate", "10%", "--reorder", "20%", "--latency", "3", "--seed", "7"];
    let work = ["--devices", "20", "--count", "10", "--interval", "100", "--json", "--dump", &dump, "--hub", &address];
    let fleet = start(&[&work[..], &network].concat());
    restart_often(&mut hub, 250).await;
    let summary = summary(&fleet.await.unwrap());
    assert_eq!(summary["sent"], 20 * 10 * 6);
    assert!(
        summary["retransmitted"].as_u64().unwrap() > 0 && summary["reconnected"].as_u64().unwrap() > 0,
        "{summary}"
    );
    assert_exactly_once(&dump, std::mem::take(&mut hub.kept.lock().unwrap().readings));
}

#[tokio::test]
async fn over_tcp_restarts_and_storms_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut hub = Hub::start(OPEN()).await;
    let (address, dump) = (hub.address.to_string(), dump(&directory));
    let work = ["--devices", "20", "--count", "10", "--interval", "100", "--json", "--dump", &dump, "--hub", &address];
    let fleet = start(&[&work[..], &["--transport", "tcp", "--reconnect-storm=300ms"]].concat());
    restart_often(&mut hub, 250).await;
    let summary = summary(&fleet.await.unwrap());
    assert_eq!(summary["sent"], 20 * 10 * 6);
    assert!(summary["reconnected"].as_u64().unwrap() >= 20, "{summary}");
    assert_exactly_once(&dump, std::mem::take(&mut hub.kept.lock().unwrap().readings));
}

#[tokio::test]
async fn by_http_and_websocket_readings_are_in_the_store_of_the_hub() {
    let directory = tempfile::tempdir().unwrap();
    let (data, dump) = (directory.path().join("data"), dump(&directory));
    let (hub, address) = Tautline::serve(&["serve", "--port", "0", "--data", data.to_str().unwrap()]).await;
    let mut dumped = String::new();
    for transport in ["http", "ws"] {
        let work = ["--devices", "5", "--count", "4", "--interval", "50", "--json", "--dump", &dump, "--hub", &address];
        let others = ["--transport", transport, "--name", transport];
        let summary = summary(&start(&[&work[..], &others].concat()).await.unwrap());
        assert_eq!(summary["acknowledged"], 5 * 4 * 6);
        dumped += &std::fs::read_to_string(&dump).unwrap();
    }
    std::fs::write(&dump, dumped).unwrap();
    hub.signal(Signal::TERM);
    assert_eq!(hub.end().await.0, Some(0));
    assert_exactly_once(&dump, stored(&data));
}

/// All readings of a store.
fn stored(data: &Path) -> Vec<(String, String, u64, Json)> {
    let store = Store::open(data, Settings::new()).unwrap();
    let mut all = Vec::new();
    for sensor in store.read(|reader| reader.sensors()).unwrap() {
        let of = Readings { sensor: sensor.id, from_ms: 0, to_ms: 1 << 48 };
        for reading in store.read(|reader| reader.readings(&of, None, 10_000)).unwrap() {
            let value = match reading.value {
                Value::Integer(integer) if &*sensor.name == "door" => (integer == 1).into(),
                Value::Integer(integer) => integer.into(),
                Value::Real(real) => real.into(),
                Value::Text(text) => text.into_string().into(),
                Value::Bytes(_) => panic!("no simulated sensor reads bytes"),
            };
            let at = u64::try_from(reading.at_ms).unwrap();
            all.push((sensor.device.to_string(), sensor.name.to_string(), at, value));
        }
    }
    all
}

#[tokio::test]
async fn devices_do_what_they_are_told_and_say_so() {
    for (command, expected) in [
        (Command::Interval { sensor: 255, interval: 20 }, Status::Done),
        (Command::Switch { index: 0, on: true }, Status::Done),
        (Command::Set { key: "colour", value: None }, Status::Refused),
    ] {
        let hub = Hub::start(Setup { command: Some(command), ..OPEN() }).await;
        // At their own interval they would take many minutes.
        let interval = if matches!(command, Command::Interval { .. }) { "2000" } else { "30" };
        let work = ["--devices", "3", "--count", "30", "--interval", interval, "--json"];
        let address = hub.address.to_string();
        let summary = summary(&start(&[&work[..], &["--hub", &address]].concat()).await.unwrap());
        assert_eq!(summary["commands"], 3);
        let kept = hub.kept.lock().unwrap();
        assert!(
            kept.results.len() == 3 && kept.results.iter().all(|(_, status)| *status == expected),
            "{:?}",
            kept.results
        );
        let heating = kept.readings.iter().any(|(_, _, _, value)| value == "heating");
        assert_eq!(heating, matches!(command, Command::Switch { .. }));
    }
}

#[tokio::test]
async fn keys_come_from_what_device_add_writes() {
    let directory = tempfile::tempdir().unwrap();
    let add = |name: &'static str| {
        let mut command = command(&["device", "add", name, "--data", directory.path().join(name).to_str().unwrap()]);
        async move { command.output().await.unwrap().stdout }
    };
    let (right, wrong) = (add("right").await, add("wrong").await);
    let file = directory.path().join("fleet").to_str().unwrap().to_owned();
    let digits = text(&right).lines().find_map(|line| line.strip_prefix("key ")).unwrap();
    let key: Vec<_> = (0..32).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap()).collect();
    let keys = HashMap::from([(1, Key::new(&key.try_into().unwrap()))]);
    let hub = Hub::start(Setup { keys, ..OPEN() }).await;
    let address = hub.address.to_string();
    let work = ["--count", "2", "--interval", "20", "--json", "--hub", &address, "--key-file", &file];

    std::fs::write(&file, &right).unwrap();
    assert_eq!(summary(&start(&work).await.unwrap())["acknowledged"], 2 * 6);
    assert_eq!(hub.kept.lock().unwrap().readings[0].0, "right");

    std::fs::write(&file, &wrong).unwrap();
    let mut refused = command(&[&["simulate", "--drain", "2s"], &work[..]].concat());
    let refused = timeout(LIMIT, refused.output()).await.unwrap().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let error = text(&refused.stderr);
    assert!(
        error.contains("12 of 12 readings were never acknowledged") && error.contains("the key is not right"),
        "{error}"
    );
}

#[tokio::test]
async fn ctrl_c_ends_the_readings_and_waits_for_what_was_sent() {
    let hub = Hub::start(OPEN()).await;
    let address = hub.address.to_string();
    for transport in ["udp", "tcp"] {
        let arguments = ["simulate", "--for", "1h", "--interval", "20", "--transport", transport, "--hub", &address];
        let mut fleet = Tautline::start(&arguments);
        let before = hub.kept.lock().unwrap().readings.len();
        hub.stored(before + 100).await;
        fleet.signal(Signal::INT);
        assert!(fleet.line().await.starts_with("sent "));
        assert!(fleet.line().await.starts_with("acknowledged "));
        assert_eq!(fleet.line().await, "lost                   0  readings never acknowledged");
        assert_eq!(fleet.end().await.0, Some(0));
    }
}

#[tokio::test]
async fn without_a_hub_it_says_so_after_a_bounded_time() {
    // A port that is taken by nobody who speaks.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    for transport in ["udp", "tcp", "http", "ws"] {
        let arguments = ["simulate", "--drain", "300ms", "--count", "1", "--interval", "10", "--devices", "2"];
        let mut command = command(&[&arguments[..], &["--transport", transport, "--hub", &address]].concat());
        let output = timeout(LIMIT, command.output()).await.expect("it ends").unwrap();
        assert_eq!(output.status.code(), Some(1));
        let expected =
            format!("error: 12 of 12 readings were never acknowledged: is there a hub at {transport}://{address}?\n");
        assert_eq!(text(&output.stderr), expected);
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_said_before_anything_is_sent() {
    for (arguments, word) in [
        (&["--transport", "quic"][..], "tcp, udp, http and ws"),
        (&["--transport", "tcp", "--loss", "20%"], "--transport udp"),
        (&["--tls"], "--transport tcp"),
        (&["--transport", "tcp", "--ca", "/nowhere/ca.crt"], "/nowhere/ca.crt"),
        (&["--loss", "2"], "0% to 100%"),
        (&["--count", "1", "--for", "1s"], "cannot be used with"),
        (&["--for", "soon"], "ms, s, m or h"),
        (&["--devices", "0"], "--devices"),
        (&["--key-file", "/nowhere"], "`tautline device add`"),
        (&["--hub", "no such host"], "--hub"),
    ] {
        let mut command = command(&[&["simulate"], arguments].concat());
        let output = timeout(LIMIT, command.output()).await.expect("it ends").unwrap();
        let error = text(&output.stderr);
        let status = if ["--hub", "--ca"].iter().any(|word| arguments.contains(word)) { 1 } else { 2 };
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {error}");
        assert!(error.lines().count() == 1 && error.contains(word), "{error}");
    }
}

#[tokio::test]
async fn with_tls_readings_reach_a_hub_that_takes_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let here = |arguments: &[&str]| {
        let mut command = command(arguments);
        command
            .current_dir(directory.path())
            .env("TAUTLINE_TELEMETRY", "true")
            .env("TAUTLINE_TELEMETRY_TLS", "required");
        command
    };
    let refused = here(&["serve", "--port", "0"]).output().await.unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("[telemetry] requires TLS"), "{}", text(&refused.stderr));

    assert!(here(&["cert", "--srv=127.0.0.1"]).output().await.unwrap().status.success());
    let mut hub = Tautline::spawn(&mut here(&["serve", "--ssl", "--port", "0", "--telemetry-port", "0"]));
    let mut log = BufReader::new(&mut hub.stderr).lines();
    let address = timeout(LIMIT, async {
        loop {
            let line = log.next_line().await.unwrap().expect("it still runs");
            if line.contains("sensor data is taken over UDP and TCP with TLS") {
                let line: Json = serde_json::from_str(&line).unwrap();
                return line["address"].as_str().unwrap().to_owned();
            }
        }
    });
    let address = address.await.unwrap();
    let work = ["--transport", "tcp", "--devices", "3", "--count", "4", "--interval", "20", "--hub", &address];
    let trusting = ["--ca", "tls/ca/ca.crt", "--drain", "4m", "--json"];
    let fleet = here(&[&["simulate"], &work[..], &trusting].concat()).output().await.unwrap();
    assert_eq!(summary(&fleet)["acknowledged"], 3 * 4 * 6);
    // Without TLS, and without trust.
    for other in [&[][..], &["--tls"]] {
        let fleet = here(&[&["simulate", "--drain", "300ms"], &work[..], other].concat()).output().await.unwrap();
        assert_eq!(fleet.status.code(), Some(1));
    }
    hub.signal(Signal::TERM);
    assert_eq!(hub.end().await.0, Some(0));
}
