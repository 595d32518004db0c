//! The device's client against other people's servers and against the hub.

#[path = "device/telemetry.rs"]
mod telemetry;

use std::process::Command;
use std::sync::Arc;

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use rustix::process::Signal;
use tautline::rustls::crypto::ring;
use tautline::rustls::pki_types::pem::PemObject;
use tautline::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tautline::rustls::{ClientConfig, RootCertStore};
use tautline_conformance::peers::{
    Certificates, Client as Peer, DEADLINE, Hub, Language, Process, Scratch, lasting_port, peer, request, text, tool,
    within, within_time,
};
use tautline_device::host::{HostClock, HostRandom, Tcp, Tls};
use tautline_device::rooms::{Incoming, Member, Room, SUBPROTOCOL};
use tautline_device::{
    Backoff, Client, Clock, Connector, Deflate, Event, Handler, Kind, Link, Message, Policy, Put, Settings, Stopped,
    Whole, WindowBits,
};
use tokio::sync::mpsc;

type HostLink<'m> = Link<'m, CriticalSectionRawMutex>;

/// What a device is told, in words.
struct Told(mpsc::UnboundedReceiver<String>);

impl Told {
    /// Passes over what comes until something begins so, and answers that.
    async fn until(&mut self, start: &str) -> String {
        let mut seen = Vec::new();
        let find = async {
            loop {
                let note = self.0.recv().await.expect("the device is running");
                if note.starts_with(start) {
                    return note;
                }
                seen.push(note);
            }
        };
        let found = tokio::time::timeout(2 * DEADLINE, find).await;
        found.unwrap_or_else(|_| panic!("never told {start:?}, but {seen:?}"))
    }
}

/// A device at this port, as far as its settings go: it tries again soon.
fn settings(port: u16) -> Settings<'static> {
    let ms = std::time::Duration::from_millis;
    Settings::new("127.0.0.1", port).backoff(Backoff::new(ms(20), ms(200), DEADLINE))
}

fn link() -> &'static HostLink<'static> {
    let memory = Box::leak(Box::new([0; 4096]));
    Box::leak(Box::new(Link::new(memory)))
}

/// Runs a device, with the buffers of a chip, beside `test`, and stops it then.
async fn run(
    connector: impl Connector,
    settings: &Settings<'_>,
    link: &HostLink<'_>,
    handler: impl Handler,
    test: impl Future<Output = ()>,
) {
    run_compressed(None, connector, settings, link, handler, test).await;
}

/// The same, with messages compressed in a window of so many bits.
async fn run_compressed(
    bits: Option<WindowBits>,
    mut connector: impl Connector,
    settings: &Settings<'_>,
    link: &HostLink<'_>,
    mut handler: impl Handler,
    test: impl Future<Output = ()>,
) {
    let (mut receive, mut transmit) = ([0; 1024], [0; 512]);
    let mut memory = vec![0; Deflate::memory(WindowBits::MAX, 256)];
    let mut deflate = Deflate::new(bits.unwrap_or(WindowBits::MIN), &mut memory);
    let client = Client::new(settings, link, &mut receive, &mut transmit);
    let mut client = if bits.is_some() { client.with_deflate(&mut deflate) } else { client };
    let (clock, mut random) = (HostClock::new(), HostRandom);
    let running = client.run(&mut connector, &clock, &mut random, &mut handler);
    let testing = async {
        test.await;
        link.stop();
    };
    let (stopped, ()) = within_time(10 * DEADLINE, "the test", async { tokio::join!(running, testing) }).await;
    assert_eq!(stopped, Stopped::Asked);
}

/// Without TLS.
fn tcp(port: u16) -> Tcp {
    Tcp::new("127.0.0.1", port)
}

/// A device that tells its messages, and that it is connected, closed or disconnected.
fn raw() -> (impl Handler, Told) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut whole = Whole::new(Box::leak(Box::new([0; 1 << 20])));
    let handler = move |event: Event<'_>| {
        let note = match event {
            Event::Connected(response) => {
                let compressed = if response.deflate().is_some() { " compressed" } else { "" };
                format!("connected {}{compressed}", response.subprotocol().unwrap_or("-"))
            }
            Event::Data(data) => match whole.push(&data) {
                Put::Incomplete => return,
                Put::TooLarge => "too large".into(),
                Put::Message(Kind::Text, bytes) => format!("text {}", String::from_utf8_lossy(bytes)),
                Put::Message(Kind::Binary, bytes) => format!("binary {bytes:?}"),
            },
            Event::Ping(_) => "ping".into(),
            Event::Pong { latency, .. } => format!("pong {}", latency.is_some()),
            Event::Error(cause) => format!("error {cause}"),
            Event::Closed { code, clean, .. } => format!("closed {} {clean}", code.as_u16()),
            Event::Disconnected { .. } => "disconnected".into(),
            _ => return,
        };
        // The test is over when nobody listens.
        let _ = sender.send(note);
    };
    (handler, Told(receiver))
}

/// A member of a room that tells what comes in.
fn member(room: Room<'static, 'static, CriticalSectionRawMutex>) -> (impl Handler, Told) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let handler = Member::new(room, Box::leak(Box::new([0; 4096])), move |incoming: Incoming<'_>| {
        if let Incoming::Command(command) = incoming {
            let result = if command.name == "led" { Ok(command.payload) } else { Err("no such lamp") };
            room.answer(command.id, result).expect("room for an answer");
        }
        let _ = sender.send(format!("{incoming:?}"));
    });
    (handler, Told(receiver))
}

/// A server of `tests/peers`.
async fn server(path: &str, arguments: &[&str]) -> (Process, u16) {
    let mut command = Command::new(tool("TAUTLINE_PYTHON"));
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(peer(path)).args(["--host", "127.0.0.1", "--port", "0"]);
    let mut process = Process::spawn({
        command.args(arguments);
        command
    });
    let port = process.listening().await;
    (process, port)
}

/// Everything that a server that echoes does.
async fn exchange(connector: impl Connector, port: u16, path: &'static str) {
    exchange_compressed(None, connector, port, path).await;
}

/// The same, with messages compressed in a window of so many bits.
async fn exchange_compressed(bits: Option<WindowBits>, connector: impl Connector, port: u16, path: &'static str) {
    let settings = settings(port).path(path);
    let link = link();
    let (handler, mut told) = raw();
    run_compressed(bits, connector, &settings, link, handler, async {
        let clock = HostClock::new();
        let later = || clock.now() + 2 * DEADLINE;
        assert_eq!(told.until("connected").await.ends_with("compressed"), bits.is_some());
        for length in [0, 1, 125, 126, 127, 1_000, 4_000] {
            let text = text(length);
            if text.len() <= 4_000 {
                link.send(Message::text(&text), &clock, later()).await.expect("room");
                assert_eq!(told.until("text").await, format!("text {text}"));
            }
        }
        link.send(Message::binary(&[0, 255, 128]), &clock, later()).await.expect("room");
        assert_eq!(told.until("binary").await, "binary [0, 255, 128]");
        let large = text(200_000);
        let mut stream = link.begin(Kind::Text).expect("the link is up");
        for piece in large.as_bytes().chunks(7_001) {
            stream.write(piece, &clock, later()).await.expect("the link takes it");
        }
        stream.finish(b"", &clock, later()).await.expect("the link takes it");
        assert!(told.until("text").await == format!("text {large}"));
        link.ping();
        assert_eq!(told.until("pong").await, "pong true");
    })
    .await;
}

#[tokio::test]
async fn python_websockets_echoes() {
    let (_process, port) = server("python/echo_server.py", &[]).await;
    exchange(tcp(port), port, "/").await;
}

#[tokio::test]
async fn python_websockets_pings_and_is_killed() {
    let (process, port) = server("python/echo_server.py", &["--ping-interval", "0.2"]).await;
    let link = link();
    let (handler, mut told) = raw();
    let settings = settings(port);
    run(tcp(port), &settings, link, handler, async {
        told.until("ping").await;
        process.signal(Signal::KILL);
        told.until("disconnected").await;
        // Nobody is there.
        told.until("error cannot connect").await;
    })
    .await;
}

#[tokio::test]
async fn uvicorn_that_ends_closes_with_1012_and_the_device_tries_again() {
    let (process, port) = server("python/fastapi_server.py", &[]).await;
    let link = link();
    let (handler, mut told) = raw();
    let settings = settings(port).path("/echo");
    run(tcp(port), &settings, link, handler, async {
        link.try_send(Message::text("x")).expect("room");
        told.until("text x").await;
        process.signal(Signal::TERM);
        assert_eq!(told.until("closed").await, "closed 1012 true");
        told.until("disconnected").await;
        told.until("error").await;
    })
    .await;
}

/// What a device trusts, and shows.
fn tls(certificates: &Certificates, shown: bool) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&certificates.ca).expect("a certificate")).expect("an authority");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions that the provider has")
        .with_root_certificates(roots);
    let own = || CertificateDer::from_pem_file(&certificates.client_cert).expect("a certificate");
    let key = || PrivateKeyDer::from_pem_file(&certificates.client_key).expect("a key");
    Arc::new(match shown {
        true => config.with_client_auth_cert(vec![own()], key()).expect("a certificate and its key"),
        false => config.with_no_client_auth(),
    })
}

#[tokio::test]
async fn python_websockets_with_certificates_of_both_sides_echoes() {
    let certificates = Certificates::new();
    let [cert, key, ca] =
        [&certificates.cert, &certificates.key, &certificates.ca].map(|path| path.display().to_string());
    let arguments = ["--ssl-cert", &cert, "--ssl-key", &key, "--ssl-ca", &ca];
    let (_process, port) = server("python/echo_server.py", &arguments).await;
    for host in ["localhost", "127.0.0.1"] {
        exchange(Tls::new(host, port, tls(&certificates, true)).expect("a name"), port, "/").await;
    }
    // Without a certificate it is refused, and tries again.
    let anonymous = Tls::new("localhost", port, tls(&certificates, false)).expect("a name");
    let (link, (handler, mut told)) = (link(), raw());
    run(anonymous, &settings(port), link, handler, async {
        told.until("error").await;
        told.until("error").await;
        assert!(!link.is_open());
    })
    .await;
    // A server of another authority is none.
    let stranger = Tls::new("localhost", port, tls(&Certificates::new(), true)).expect("a name");
    let (link, (handler, mut told)) = (self::link(), raw());
    run(stranger, &settings(port), link, handler, async {
        assert_eq!(told.until("error").await, "error TLS: the server's certificate is from another authority");
    })
    .await;
}

#[tokio::test]
async fn fastapi_echoes() {
    let (_process, port) = server("python/fastapi_server.py", &[]).await;
    exchange(tcp(port), port, "/echo").await;
}

#[tokio::test]
async fn the_hub_echoes() {
    let hub = Hub::app("echo").await;
    exchange(tcp(hub.port), hub.port, "/").await;
}

#[tokio::test]
async fn python_websockets_fastapi_and_the_hub_compress_in_windows_of_every_size() {
    let (_python, python) = server("python/echo_server.py", &[]).await;
    let (_fastapi, fastapi) = server("python/fastapi_server.py", &[]).await;
    for bits in [9, 12, 15] {
        let bits = WindowBits::new(bits);
        exchange_compressed(bits, tcp(python), python, "/").await;
        exchange_compressed(bits, tcp(fastapi), fastapi, "/echo").await;
    }
    for how in ["context-takeover", "no-context-takeover"] {
        let hub = Hub::start_on(0, &["--app", "echo", "--compression", how, "--compression-window", "10"]).await;
        for bits in [8, 9, 15] {
            exchange_compressed(WindowBits::new(bits), tcp(hub.port), hub.port, "/").await;
        }
    }
}

#[tokio::test]
async fn a_member_of_a_room_that_compresses_publishes_and_is_told() {
    let hub = Hub::start_on(0, &["--compression", "context-takeover", "--compression-window", "9"]).await;
    let mut page = Peer::connected(Language::Python, &hub.uri("/rooms/lab/page")).await;
    let settings = settings(hub.port).path("/rooms/lab/{client_id}").client_id("esp").subprotocols(&[SUBPROTOCOL]);
    let link = link();
    let room = Room::new(link, 1);
    let (handler, mut told) = member(room);
    run_compressed(WindowBits::new(9), tcp(hub.port), &settings, link, handler, async {
        told.until("Welcome").await;
        for turn in 0..20 {
            let number = room.publish_text(&format!("said {turn}"), Policy::DropNewest).expect("room");
            told.until(&format!("Acknowledged {{ number: {number} }}")).await;
            page.expect(format!("said {turn}")).await;
            page.send(format!("answered {turn}")).await;
            assert!(told.until("Message").await.contains(&format!("answered {turn}")));
        }
    })
    .await;
}

#[tokio::test]
async fn the_relay_of_the_labs_works_as_it_is() {
    let hub = Hub::start().await;
    let mut page = Peer::connected(Language::Python, &hub.uri("/page")).await;
    let port = hub.port;
    let settings = settings(port).client_id("esp 32");
    let link = link();
    let (handler, mut told) = raw();
    run(tcp(port), &settings, link, handler, async {
        assert_eq!(told.until("connected").await, "connected -");
        link.try_send(Message::text("SOS")).expect("room");
        page.expect("SOS").await;
        page.send("on").await;
        assert_eq!(told.until("text").await, "text on");
        // The same id again, while it is connected.
        link.reconnect();
        told.until("connected").await;
        page.send("off").await;
        assert_eq!(told.until("text").await, "text off");
    })
    .await;
}

#[tokio::test]
async fn a_member_publishes_is_acknowledged_and_misses_nothing() {
    let hub = Hub::start().await;
    let mut page = Peer::connected(Language::Python, &hub.uri("/rooms/lab/page")).await;
    let port = hub.port;
    let settings = settings(port).path("/rooms/lab/{client_id}").client_id("esp").subprotocols(&[SUBPROTOCOL]);
    let link = link();
    let room = Room::new(link, 0x1234_5678);
    let (handler, mut told) = member(room);
    run(tcp(port), &settings, link, handler, async {
        assert!(told.until("Welcome").await.contains("client: \"esp\", room: \"lab\", recovered: None"));
        let number = room.publish_data("{\"celsius\": 21.5}", Policy::DropNewest).expect("room");
        told.until(&format!("Acknowledged {{ number: {number} }}")).await;
        page.expect(r#"{"celsius": 21.5}"#).await;
        page.send("gr\u{fc}\u{df} \"dich\"\n").await;
        assert!(told.until("Message").await.contains("Text(\"grüß \\\"dich\\\"\\n\")"));
        for turn in 0..5 {
            link.reconnect();
            // It may be lost, or be on its way, or come before the device has gone: it is told once.
            let missed = format!("missed {turn}");
            page.send(missed.clone()).await;
            let told_it = told.until("Message").await;
            assert!(told_it.contains(&missed), "{told_it}");
            let said = room.publish_text(&format!("said {turn}"), Policy::DropNewest).expect("room");
            told.until(&format!("Acknowledged {{ number: {said} }}")).await;
            page.expect(format!("said {turn}")).await;
        }
    })
    .await;
}

#[tokio::test]
async fn commands_from_the_api_are_carried_out_and_answered() {
    let hub = Hub::start().await;
    let port = hub.port;
    let settings = settings(port).path("/rooms/lab/{client_id}").client_id("esp").subprotocols(&[SUBPROTOCOL]);
    let link = link();
    let (handler, mut told) = member(Room::new(link, 1));
    run(tcp(port), &settings, link, handler, async {
        told.until("Welcome").await;
        let command = |body: &'static str| request(hub.port, "POST", "/api/devices/esp/commands", body);
        let answer = command(r#"{"name": "led", "payload": {"on": true}}"#).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.body.contains(r#""on": true"#), "{}", answer.body);
        let answer = command(r#"{"name": "door"}"#).await;
        assert_eq!(answer.status, 422, "{}", answer.body);
        assert!(answer.body.contains("no such lamp"), "{}", answer.body);
    })
    .await;
}

#[tokio::test]
async fn it_comes_back_to_a_hub_that_was_killed_and_what_waited_arrives_once() {
    let mut hub = Hub::start_on(lasting_port(), &[]).await;
    let port = hub.port;
    let settings = settings(port).path("/rooms/lab/{client_id}").client_id("esp").subprotocols(&[SUBPROTOCOL]);
    let link = link();
    let room = Room::new(link, 1);
    let (handler, mut told) = member(room);
    run(tcp(port), &settings, link, handler, async {
        told.until("Welcome").await;
        for turn in 0..5 {
            hub.process.signal(Signal::KILL);
            within("the hub's end", hub.process.exit()).await;
            let number = room.publish_text(&format!("kept {turn}"), Policy::DropNewest).expect("room");
            hub = Hub::start_on(port, &[]).await;
            let mut page = Peer::connected(Language::Python, &hub.uri("/rooms/lab/page")).await;
            told.until("Welcome").await;
            told.until(&format!("Acknowledged {{ number: {number} }}")).await;
            // It may have been published before the page came; the next one is not.
            room.publish_text(&format!("new {turn}"), Policy::DropNewest).expect("room");
            loop {
                let message = page.recv().await;
                if message == format!("new {turn}").into() {
                    break;
                }
                assert_eq!(message, format!("kept {turn}").into());
            }
        }
    })
    .await;
}

#[tokio::test]
async fn readings_by_websocket_are_stored() {
    let folder = Scratch::new();
    let data = folder.path().display().to_string();
    let hub = Hub::start_on(0, &["--data", &data]).await;
    let link = link();
    let (handler, mut told) = raw();
    let settings = settings(hub.port).path("/readings/{client_id}").client_id("kitchen");
    run(tcp(hub.port), &settings, link, handler, async {
        link.try_send(Message::text(r#"{"readings": {"temperature": 21.5}}"#)).expect("room");
        let answer = told.until("text").await;
        assert!(answer.contains(r#""stored":1"#) || answer.contains(r#""stored": 1"#), "{answer}");
    })
    .await;
    let answer = request(hub.port, "GET", "/api/devices/kitchen/readings", "").await;
    assert!(answer.body.contains("21.5"), "{}", answer.body);
}
