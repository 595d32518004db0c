//! Sensor data over UDP and TCP: the Python programs of the labs, and those who are no devices.

mod connections;
mod encrypted;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tautline_hub::{Encryption, Hub, Ingest, Keyless};
use tautline_store::{DeviceKey, Secret, Settings, Store, Value, Write};
use tautline_telemetry::device::{Config, Event, Identity, Session};
use tautline_telemetry::{
    Address, Body, Command, Hello, Key, MAX_MESSAGE, Message, Outcome, Readings, Record, Sensor, Status, Time, Type,
    Value as Reading,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::{Instant, timeout};

use crate::Running;
use crate::api::{get, look, post};

const LIMIT: Duration = Duration::from_secs(30);
const KEY: [u8; 32] = [0xa5; 32];

struct Lab {
    hub: Running,
    store: Store,
    /// Of both, at the same port.
    port: SocketAddr,
}

impl Lab {
    async fn start(store: Store, host: &str, keyless: Keyless) -> Self {
        Self::start_as(Hub::new(), store, host, keyless, Encryption::Off).await
    }

    async fn start_as(hub: Hub, store: Store, host: &str, keyless: Keyless, tls: Encryption) -> Self {
        let tcp = TcpListener::bind((host, 0)).await.unwrap();
        let port = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind(port).await.unwrap();
        let ingest = Ingest { udp: vec![udp], tcp: vec![tcp], keyless, tls };
        Self { hub: Running::start(hub.store(store.clone()).ingest(ingest)).await, store, port }
    }

    /// Runs one of the programs, which ends when the hub has stored what it sent.
    async fn python(&self, program: &str, device: &str, key: &str) {
        self.python_with(program, device, key, "").await;
    }

    /// The same, with a further argument unless it is empty.
    async fn python_with(&self, program: &str, device: &str, key: &str, further: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/python").join(program);
        let (host, port) = (self.port.ip().to_string(), self.port.port().to_string());
        let mut python = tokio::process::Command::new("python3");
        python.arg(path).args([&*host, &*port, device, key, "3", "0"]);
        if !further.is_empty() {
            python.arg(further);
        }
        python.stdout(Stdio::piped()).kill_on_drop(true);
        let output = timeout(LIMIT, python.output()).await.expect("it ends").expect("python3 is there");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "stored 1\nstored 2\nstored 3\n");
    }

    /// The readings that the store has, all of one sensor.
    fn stored(&self) -> Vec<f64> {
        let of = tautline_store::Readings { sensor: 1, from_ms: 0, to_ms: i64::MAX };
        let readings = self.store.read(|reader| reader.readings(&of, None, 1000)).unwrap();
        let value = |reading: tautline_store::PastReading| match reading.value {
            Value::Real(value) => value,
            other => panic!("{other:?}"),
        };
        readings.into_iter().map(value).collect()
    }

    /// Waits until a metric has this value.
    async fn counts(&self, metric: &str) {
        let counted = async {
            while !get(&self.hub, "/metrics").await.body.lines().any(|line| line == metric) {
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, counted).await.unwrap_or_else(|_| panic!("no `{metric}`"));
    }
}

fn memory() -> Store {
    Store::in_memory(Settings::new()).unwrap()
}

fn with_key() -> Store {
    let store = memory();
    let (number, name, key) = (7, "kitchen".into(), Secret(KEY));
    let key = DeviceKey { number, name, key, previous: None, created_ms: 0, revoked_ms: None };
    store.submit(vec![Write::DeviceKey(key)], |result| result.unwrap()).unwrap();
    store.flush();
    store
}

#[tokio::test]
async fn the_programs_of_the_labs_over_udp_and_tcp_and_both_versions_of_ip() {
    for host in ["127.0.0.1", "::1"] {
        let lab = Lab::start(memory(), host, Keyless::Loopback).await;
        lab.python("telemetry_udp.py", "1", "").await;
        lab.python("telemetry_tcp.py", "1", "").await;
        assert_eq!(lab.stored().len(), 6);
        let sensors = look(&lab.hub, "/api/devices/python/sensors").await;
        assert_eq!(
            (&sensors["sensors"][0]["name"], &sensors["sensors"][0]["unit"]),
            (&"temperature".into(), &"Cel".into())
        );
        let readings = look(&lab.hub, "/api/devices/python/readings?from=-60000").await;
        assert_eq!(readings["series"][0]["points"].as_array().unwrap().len(), 6);
        lab.hub.stop().await;
    }
}

#[tokio::test]
async fn with_a_key_nobody_else_can_speak_for_a_device() {
    let lab = Lab::start(with_key(), "127.0.0.1", Keyless::Nowhere).await;
    let key: String = KEY.iter().map(|byte| format!("{byte:02x}")).collect();
    lab.python("telemetry_udp.py", "7", &key).await;
    lab.python("telemetry_tcp.py", "7", &key).await;
    assert_eq!(lab.stored().len(), 6);
    let readings = look(&lab.hub, "/api/devices/kitchen/readings?from=-60000").await;
    assert_eq!(readings["series"][0]["points"].as_array().unwrap().len(), 6, "its name is that of the key");

    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let other = Key::new(&[1; 32]);
    for (device, key) in [(7, Some(&other)), (7, None), (8, Some(&other)), (8, None)] {
        let sent = hello(device, key);
        socket.send_to(&sent, lab.port).await.unwrap();
        let mut answer = [0; MAX_MESSAGE];
        let length = timeout(LIMIT, socket.recv(&mut answer)).await.unwrap().unwrap();
        assert!(answer[3] == 0x86 && length <= sent.len(), "an error, and not a longer one");
    }
    socket.send_to(b"GET / HTTP/1.1\r\n", lab.port).await.unwrap();
    socket.send_to(&[0; 1201], lab.port).await.unwrap();
    lab.counts(r#"tautline_telemetry_refused_total{reason="not_authentic"} 2"#).await;
    lab.counts(r#"tautline_telemetry_refused_total{reason="unknown_device"} 2"#).await;
    lab.counts(r#"tautline_telemetry_refused_total{reason="not_a_message"} 2"#).await;
    assert_eq!(lab.stored().len(), 6);
    lab.hub.stop().await;
}

#[tokio::test]
async fn what_is_no_message_ends_a_connection_and_others_go_on() {
    let lab = Lab::start(memory(), "127.0.0.1", Keyless::Loopback).await;
    let mut good = TcpStream::connect(lab.port).await.unwrap();
    let mut bad = TcpStream::connect(lab.port).await.unwrap();
    bad.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    let ended = timeout(LIMIT, bad.read_to_end(&mut rest)).await.unwrap();
    assert!(ended.is_err() || rest.is_empty(), "{rest:?}");
    // Byte by byte, it is a message all the same.
    for byte in hello(3, None) {
        good.write_all(&[byte]).await.unwrap();
    }
    let mut welcome = [0; 54];
    timeout(LIMIT, good.read_exact(&mut welcome)).await.unwrap().unwrap();
    assert_eq!(welcome[..4], *b"TL\x01\x81");
    lab.hub.stop().await;
}

#[tokio::test]
async fn who_forges_on_a_connection_is_told_and_sent_away() {
    let lab = Lab::start(with_key(), "127.0.0.1", Keyless::Nowhere).await;
    let mut forger = TcpStream::connect(lab.port).await.unwrap();
    forger.write_all(&hello(7, Some(&Key::new(&[1; 32])))).await.unwrap();
    let mut told = Vec::new();
    timeout(LIMIT, forger.read_to_end(&mut told)).await.unwrap().unwrap();
    assert_eq!(told[..4], *b"TL\x01\x86");
    lab.hub.stop().await;
}

/// A device over UDP that does what it is told until it is told to stop.
async fn obedient(port: SocketAddr, key: [u8; 32]) -> Vec<String> {
    let sensors = [Sensor { index: 3, kind: Type::F32, name: "temperature", unit: "Cel" }];
    let identity = Identity { device: 7, name: "kitchen", firmware: "", sensors: &sensors, key: Some(Key::new(&key)) };
    let began = Instant::now();
    let now = || began.elapsed().as_millis() as u64;
    let mut device = Session::new(0, identity, Config::DATAGRAM, 99, 1, vec![0; 1000]).unwrap();
    device.push(0, 3, Reading::F32(21.0)).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(port).await.unwrap();
    let mut done = Vec::new();
    loop {
        let mut bytes = [0; MAX_MESSAGE];
        while let Some(length) = device.poll_transmit(now(), &mut bytes) {
            socket.send(&bytes[..length]).await.unwrap();
        }
        if done.last().is_some_and(|last: &String| last.contains("stop")) {
            return done;
        }
        let due = device.poll_timeout().map_or(1000, |at| at.saturating_sub(now()));
        let Ok(received) = timeout(Duration::from_millis(due), socket.recv(&mut bytes)).await else { continue };
        let (message, _) = Message::parse(&bytes[..received.unwrap()]).unwrap();
        if let Ok(Some(Event::Command { number, command })) = device.receive(now(), &message) {
            done.push(format!("{command:?}"));
            let refused = matches!(command, Command::Switch { .. });
            let (status, value) = match refused {
                true => (Status::Refused, Reading::Text("there is no switch")),
                false => (Status::Done, Reading::I8(5)),
            };
            device.answer(number, &Outcome { status, value: Some(value) }).unwrap();
        }
    }
}

#[tokio::test]
async fn commands_reach_a_device_over_udp_and_come_back_with_their_result() {
    let lab = Lab::start(with_key(), "127.0.0.1", Keyless::Nowhere).await;
    let target = "/api/devices/kitchen/commands";
    // Kept for it until it has come.
    let kept = json!({"name": "led", "payload": {"on": true}, "ttl_seconds": 60});
    assert_eq!(post(&lab.hub, target, &kept).await.status, 202);
    let device = tokio::spawn(obedient(lab.port, KEY));
    lab.counts("tautline_telemetry_devices 1").await;
    let answered = async {
        let command = json!({"name": "interval", "payload": {"ms": 250, "sensor": "temperature"}});
        loop {
            // It is connected as soon as its first readings are there.
            let answer = post(&lab.hub, target, &command).await;
            if answer.status != 409 {
                return answer.json();
            }
        }
    };
    let answer = timeout(LIMIT, answered).await.unwrap();
    assert_eq!((&answer["state"], &answer["result"]), (&json!("done"), &json!(5)));
    let detail = post(&lab.hub, target, &json!({"name": "switch", "payload": true})).await;
    assert_eq!(detail.problem(422, "refused-by-device"), "there is no switch");
    let bad = post(&lab.hub, target, &json!({"name": "x", "payload": {"a": 1, "b": 2}})).await;
    assert!(bad.problem(422, "refused-by-device").contains("no JSON"));
    post(&lab.hub, target, &json!({"name": "stop"})).await;
    let done = timeout(LIMIT, device).await.unwrap().unwrap();
    assert_eq!(
        done,
        [
            r#"Set { key: "led", value: Some(Bool(true)) }"#,
            "Interval { sensor: 3, interval: 250 }",
            "Switch { index: 0, on: true }",
            r#"Set { key: "stop", value: None }"#,
        ]
    );
    lab.hub.stop().await;
}

fn hello(device: u32, key: Option<&Key>) -> Vec<u8> {
    hello_as("somebody", device, key)
}

fn hello_as(name: &str, device: u32, key: Option<&Key>) -> Vec<u8> {
    let sensors = [Sensor { index: 0, kind: Type::F64, name: "temperature", unit: "" }];
    let hello = Hello { last_command: 0, name, firmware: "", sensors: (&sensors[..]).into() };
    let mut bytes = [0; MAX_MESSAGE];
    let address = Address { device, session: 1, link: 0 };
    let length = Body::Hello(hello).encode(address, 1, key, &mut bytes).unwrap();
    bytes[..length].to_vec()
}

/// A reading of a keyless device, which has said hello and got this answer.
fn reading(welcome: &[u8], sequence: u32) -> Vec<u8> {
    let address = Message::parse(welcome).unwrap().0.header().address;
    let record = [Record { offset: 0, sensor: 0, value: Reading::F64(21.5) }];
    let readings = Readings { time: Time::Age(0), records: (&record[..]).into() };
    let mut bytes = [0; MAX_MESSAGE];
    let length = Body::Readings(readings).encode(address, sequence, None, &mut bytes).unwrap();
    bytes[..length].to_vec()
}

/// The next message of the hub's; empty at the end.
async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut message = vec![0; 8];
    match timeout(LIMIT, stream.read_exact(&mut message)).await.expect("in time") {
        Ok(_) => {}
        // By TLS without a farewell, or with a reset where something was left unread.
        Err(_) => return Vec::new(),
    }
    message.resize(usize::from(u16::from_be_bytes([message[6], message[7]])), 0);
    timeout(LIMIT, stream.read_exact(&mut message[8..])).await.unwrap().unwrap();
    message
}

/// Says something, and hears what the hub says to it.
async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), message: &[u8]) -> Vec<u8> {
    stream.write_all(message).await.unwrap();
    stream.flush().await.unwrap();
    answer(stream).await
}
