//! Sensor data of the device's client, against the hub, which is killed meanwhile: what it has read is in the store once.

use std::time::Duration;

use rusqlite::Connection;
use rustix::process::Signal;
use tautline_conformance::peers::{
    Cable, Certificates, DEADLINE, Hub, Process, Scratch, bin, lasting_port, request, within, within_time,
};
use tautline_device::host::{HostClock, HostRandom, Tcp, Tls, Udp};
use tautline_device::telemetry::{
    Client, Command, Config, Event, FromHub, Identity, Key, Link, MAX_MESSAGE, Outcome, Sensor, Settings, Status, Type,
    Value,
};
use tautline_device::{Backoff, Clock, Connector};
use tokio::sync::mpsc;

use super::{Told, tls};

static SENSORS: [Sensor<'static>; 1] = [Sensor { index: 0, kind: Type::U32, name: "count", unit: "" }];

/// How often the hub is killed.
const KILLS: u32 = 3;

/// How many readings there are between two events.
const READINGS: u32 = 40;

type HostLink = Link<'static, embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex>;

/// A hub that takes sensor data, and keeps it.
struct Site {
    folder: Scratch,
    port: u16,
    /// Which devices may do without a key.
    keyless: &'static str,
    arguments: Vec<String>,
    hub: Hub,
}

impl Site {
    async fn start(keyless: &'static str, arguments: &[&str]) -> Self {
        let (folder, port) = (Scratch::new(), lasting_port());
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let hub = serve(&folder, port, keyless, &arguments).await;
        Self { folder, port, keyless, arguments, hub }
    }

    async fn kill(&mut self) {
        self.hub.process.signal(Signal::KILL);
        within("the hub's end", self.hub.process.exit()).await;
    }

    async fn again(&mut self) {
        self.hub = serve(&self.folder, self.port, self.keyless, &self.arguments).await;
    }

    /// A device's number, and its key.
    async fn add(&self, name: &str) -> (u32, Key) {
        let mut command = bin(&["device", "add", name, "--data"]);
        command.arg(self.folder.path());
        let lines = Process::spawn(command).success().await;
        let find =
            |start: &str| lines.iter().find_map(|line| line.strip_prefix(start)).expect("as documented").to_owned();
        let number = find("device ").split(' ').next().and_then(|number| number.parse().ok()).expect("a number");
        let digits = find("key ");
        let mut key = [0; 32];
        for (index, byte) in key.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).expect("hexadecimal digits");
        }
        (number, Key::new(&key))
    }

    /// What is stored, when the hub has ended.
    async fn stored(mut self) -> Vec<u32> {
        self.kill().await;
        let database = Connection::open(self.folder.path().join("tautline.db")).expect("a database");
        let sql = "SELECT value FROM readings JOIN sensors ON sensors.id = readings.sensor WHERE name = 'count' ORDER BY value";
        let mut statement = database.prepare(sql).expect("the schema that is documented");
        let rows = statement.query_map([], |row| row.get(0)).expect("readings");
        rows.collect::<Result<_, _>>().expect("numbers")
    }
}

async fn serve(folder: &Scratch, port: u16, keyless: &str, arguments: &[String]) -> Hub {
    let mut command = bin(&["serve", "--host", "127.0.0.1", "--port", "0", "--telemetry-port", &port.to_string()]);
    command.args(arguments).arg("--data").arg(folder.path()).env("TAUTLINE_TELEMETRY", "true");
    command.env("TAUTLINE_TELEMETRY_KEYLESS", keyless);
    Hub::started(command).await
}

fn link(config: Config, device: u32, name: &'static str, key: Option<Key>) -> &'static HostLink {
    let identity = Identity { device, name, firmware: "test", sensors: &SENSORS, key };
    let outbox = Box::leak(Box::new([0; 8192]));
    let link = Link::new(identity, config, outbox, &HostClock::new(), &mut HostRandom).expect("it fits");
    Box::leak(Box::new(link))
}

/// Runs a device that obeys switches, beside `test`, and stops it then.
async fn run(
    mut connector: impl Connector,
    settings: &Settings,
    link: &'static HostLink,
    test: impl AsyncFnOnce(HostClock, Told),
) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut handler = move |event: Event<'_>| {
        if let Event::Hub(FromHub::Command { number, command }) = event {
            let outcome = match command {
                Command::Switch { on, .. } => Outcome { status: Status::Done, value: Some(Value::Bool(on)) },
                _ => Outcome { status: Status::Refused, value: Some(Value::Text("no such thing")) },
            };
            assert_eq!(link.answer(number, &outcome), Ok(true));
        }
        // The test is over when nobody listens.
        let _ = sender.send(format!("{event:?}"));
    };
    let (mut receive, mut transmit) = ([0; MAX_MESSAGE], [0; MAX_MESSAGE]);
    let mut client = Client::new(settings, link, &mut receive, &mut transmit);
    let (clock, mut random) = (HostClock::new(), HostRandom);
    let running = client.run(&mut connector, &clock, &mut random, &mut handler);
    let testing = async {
        test(clock, Told(receiver)).await;
        link.stop();
    };
    within_time(20 * DEADLINE, "the test", async { tokio::join!(running, testing) }).await;
}

fn settings() -> Settings {
    Settings::new().backoff(Backoff::new(Duration::from_millis(20), Duration::from_millis(200), DEADLINE))
}

/// Reads a counter.
struct Counter {
    link: &'static HostLink,
    clock: HostClock,
    next: u32,
}

impl Counter {
    fn count(&mut self) {
        for _ in 0..READINGS {
            self.link.push(self.clock.now(), 0, Value::U32(self.next)).expect("room");
            self.next += 1;
        }
    }

    async fn acknowledged(&self) {
        assert!(self.link.flush(&self.clock, self.clock.now() + 4 * DEADLINE).await, "never acknowledged");
    }
}

/// A device sends while the hub is killed again and again, and obeys a command where `commands` says that the API can be asked.
async fn endures(connector: impl Connector, link: &'static HostLink, name: &str, mut site: Site, commands: bool) {
    let mut read = 0;
    run(connector, &settings(), link, async |clock, _told| {
        let mut counter = Counter { link, clock, next: 0 };
        for _ in 0..KILLS {
            counter.count();
            counter.acknowledged().await;
            if commands {
                let path = format!("/api/devices/{name}/commands");
                let command = |body: &'static str| request(site.hub.port, "POST", &path, body);
                let answer = command(r#"{"name": "switch", "payload": {"index": 0, "on": true}}"#).await;
                assert_eq!((answer.status, answer.body.contains("true")), (200, true), "{}", answer.body);
                let answer = command(r#"{"name": "door", "payload": 1}"#).await;
                assert_eq!((answer.status, answer.body.contains("no such thing")), (422, true), "{}", answer.body);
            }
            counter.count();
            site.kill().await;
            counter.count();
            site.again().await;
        }
        counter.acknowledged().await;
        let calendar = link.calendar(clock.now()).expect("the time is known");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        assert!(u128::from(calendar).abs_diff(now.as_millis()) < 30_000);
        read = counter.next;
    })
    .await;
    assert_eq!(site.stored().await, (0..read).collect::<Vec<_>>());
}

#[tokio::test]
async fn readings_by_udp_with_a_key_are_stored_once() {
    let site = Site::start("nowhere", &[]).await;
    let (number, key) = site.add("keyed").await;
    let link = link(Config::DATAGRAM, number, "keyed", Some(key));
    endures(Udp::new("127.0.0.1", site.port), link, "keyed", site, true).await;
}

#[tokio::test]
async fn readings_by_udp_without_a_key_are_stored_once() {
    let site = Site::start("loopback", &[]).await;
    let link = link(Config::DATAGRAM, 1_000_007, "bare", None);
    endures(Udp::new("localhost", site.port), link, "bare", site, true).await;
}

#[tokio::test]
async fn readings_by_tcp_with_a_key_are_stored_once() {
    let site = Site::start("nowhere", &[]).await;
    let (number, key) = site.add("keyed").await;
    let link = link(Config::STREAM, number, "keyed", Some(key));
    endures(Tcp::new("127.0.0.1", site.port), link, "keyed", site, true).await;
}

#[tokio::test]
async fn readings_by_tcp_without_a_key_are_stored_once() {
    let site = Site::start("loopback", &[]).await;
    let link = link(Config::STREAM, 1_000_007, "bare", None);
    endures(Tcp::new("127.0.0.1", site.port), link, "bare", site, true).await;
}

#[tokio::test]
async fn readings_by_tls_are_stored_once() {
    let certificates = Certificates::new();
    let [cert, key] = [&certificates.cert, &certificates.key].map(|path| path.display().to_string());
    let site = Site::start("nowhere", &["--ssl", "--ssl-certfile", &cert, "--ssl-keyfile", &key]).await;
    let (number, key) = site.add("keyed").await;
    let link = link(Config::STREAM, number, "keyed", Some(key));
    let connector = Tls::new("127.0.0.1", site.port, tls(&certificates, false)).expect("a name");
    endures(connector, link, "keyed", site, false).await;
}

#[tokio::test]
async fn a_device_that_shows_a_certificate_needs_no_key() {
    let certificates = Certificates::new();
    let [cert, key, ca] =
        [&certificates.cert, &certificates.key, &certificates.ca].map(|path| path.display().to_string());
    let asking =
        ["--ssl", "--ssl-certfile", &cert, "--ssl-keyfile", &key, "--ssl-ca-cert", &ca, "--ssl-certs-reqs", "1"];
    let site = Site::start("nowhere", &asking).await;
    // As the certificate says.
    let name = "Tautline's tests";
    let link = link(Config::STREAM, 1_000_007, name, None);
    let connector = Tls::new("127.0.0.1", site.port, tls(&certificates, true)).expect("a name");
    endures(connector, link, name, site, false).await;
}

#[tokio::test]
async fn a_cable_that_is_cut_loses_and_doubles_nothing() {
    let site = Site::start("loopback", &[]).await;
    let cable = Cable::to(site.port).await;
    let link = link(Config::STREAM, 1_000_007, "bare", None);
    let settings = settings().answer_timeout(Duration::from_secs(3));
    let mut read = 0;
    run(Tcp::new("127.0.0.1", cable.port), &settings, link, async |clock, mut told| {
        let mut counter = Counter { link, clock, next: 0 };
        counter.count();
        counter.acknowledged().await;
        cable.cut();
        counter.count();
        told.until("Disconnected { cause: Silent").await;
        counter.count();
        cable.mend();
        counter.acknowledged().await;
        read = counter.next;
    })
    .await;
    assert_eq!(site.stored().await, (0..read).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_device_with_a_wrong_key_learns_why_and_nothing_is_stored() {
    for udp in [true, false] {
        let site = Site::start("nowhere", &[]).await;
        let (number, _) = site.add("keyed").await;
        let link = link(Config::DATAGRAM, number, "keyed", Some(Key::new(&[1; 32])));
        let port = site.port;
        let test = async |clock, mut told: Told| {
            Counter { link, clock, next: 0 }.count();
            assert!(told.until("Hub(Hint(").await.contains("about: Hello"));
        };
        match udp {
            true => run(Udp::new("127.0.0.1", port), &settings(), link, test).await,
            false => run(Tcp::new("127.0.0.1", port), &settings(), link, test).await,
        }
        assert!(!link.is_open());
        assert_eq!(site.stored().await, [0; 0]);
    }
}
