//! The labs' programs, each pair in both directions: the original server with our clients, our servers with the original
//! client, byte for byte the same conversations. The pages are in `browser.rs`.
//!
//! The originals have fixed ports, so only one of these tests runs at a time.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tautline::{CloseCode, ConnectError, Ended, Message, WebSocket, connect};
use tautline_conformance::peers::{Client, Language, Port, Process, Received, bin, patient, peer, tool, udp, within};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

static PORTS: Mutex<()> = Mutex::const_new(());

const HELLO: Port = Port::Tcp(8765);
const CLOCK: Port = Port::Tcp(5678);
const COUNTER: Port = Port::Tcp(6789);
const RELAY: Port = Port::Tcp(8000);
const TCP_ECHO: Port = Port::Tcp(65432);
const UDP_ECHO: Port = Port::Udp(65432);
const DATAGRAMS: Port = Port::Udp(5005);

/// The right to use these ports, which are free.
async fn ports(ports: &[Port]) -> MutexGuard<'static, ()> {
    let guard = PORTS.lock().await;
    ports.iter().for_each(|port| port.assert_free());
    guard
}

// ---- The programs.

fn python(variable: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(tool(variable));
    // What it prints is wanted now.
    command.arg("-u").args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// One of the originals, under the Python that it was written for.
fn original(name: &str) -> Process {
    Process::spawn(python("TAUTLINE_PYTHON_SEEDS", &[&peer("seeds").join(name).display().to_string()]))
}

/// An original server on its port.
async fn original_server(name: &str, port: Port) -> Process {
    let process = original(name);
    port.taken_by(&process).await;
    process
}

/// One of our examples.
fn example(name: &str, arguments: &[&str]) -> Process {
    let mut command = Command::new(Path::new(&tool("TAUTLINE_EXAMPLES")).join(name));
    command.args(arguments);
    Process::spawn(command)
}

/// One of our servers on its port.
async fn started(process: Process, port: Port) -> Process {
    port.taken_by(&process).await;
    process
}

/// All of the labs' servers at once.
async fn labs() -> Process {
    let mut process = Process::spawn(bin(&["labs"]));
    for port in [HELLO, CLOCK, COUNTER, TCP_ECHO, UDP_ECHO, DATAGRAMS] {
        port.taken_by(&process).await;
    }
    process.find(|line| line.starts_with("udp-receiver ").then_some(())).await;
    process
}

const LABS: [Port; 6] = [HELLO, CLOCK, COUNTER, TCP_ECHO, UDP_ECHO, DATAGRAMS];

async fn ours(uri: &str) -> WebSocket {
    let opened = within("our client's connection", connect(uri).into_future()).await;
    opened.unwrap_or_else(|error| panic!("{uri}: {error}"))
}

async fn recv(ws: &mut WebSocket) -> String {
    match within("a message", ws.recv()).await {
        Some(Message::Text(text)) => text.to_string(),
        other => panic!("not a text but {other:?}; {:?}", ws.ended()),
    }
}

// ---- Hello.

#[tokio::test]
async fn original_hello_server_greets_our_clients() {
    let _ports = ports(&[HELLO]).await;
    let mut server = original_server("hello_server.py", HELLO).await;

    let mut ws = ours("ws://localhost:8765").await;
    ws.send("Íñigo").await.expect("an open connection");
    assert_eq!(recv(&mut ws).await, "Hello Íñigo!");
    assert_eq!(within("the end", ws.recv()).await, None);
    assert_eq!(ws.ended(), Some(Ended::ClosedByPeer { code: CloseCode::NORMAL, clean: true }));
    assert_eq!([server.line().await, server.line().await], ["< Íñigo", "> Hello Íñigo!"]);

    let mut client = example("hello_client", &[]);
    client.write_line("Ada").await;
    assert_eq!(client.success().await, ["What's your name? > Ada", "< Hello Ada!"]);

    let mut client = Process::spawn(bin(&["connect", "ws://localhost:8765"]));
    client.write_line("Bob").await;
    assert_eq!(client.line().await, "Hello Bob!");
    client.success().await;
}

#[tokio::test]
async fn our_hello_servers_greet_the_original_client() {
    let _ports = ports(&LABS).await;
    for server in ["labs", "serve", "example"] {
        let _server = match server {
            "labs" => labs().await,
            "serve" => started(Process::spawn(bin(&["serve", "--app", "hello", "--port", "8765"])), HELLO).await,
            _ => started(example("hello_server", &[]), HELLO).await,
        };
        // As its authors ran it, and as it runs today.
        for variable in ["TAUTLINE_PYTHON_SEEDS", "TAUTLINE_PYTHON"] {
            let script = peer("seeds/hello_client.py").display().to_string();
            let mut client = Process::spawn(python(variable, &[&script]));
            client.write_line("Ada Lovelace").await;
            assert_eq!(
                client.success().await,
                ["What's your name? > Ada Lovelace", "< Hello Ada Lovelace!"],
                "{server}"
            );
        }
        // And it is closed as the original closes.
        let mut client = Client::connected(Language::Python, "ws://localhost:8765").await;
        client.send("Eve").await;
        client.expect("Hello Eve!").await;
        assert_eq!(client.receive().await, Received::Closed(1000, String::new()));
    }
}

// ---- Clock.

/// Whether this is a time as the original's `utcnow().isoformat() + "Z"`: `2026-11-20T11:19:54.171174Z`.
fn is_time(text: &str) -> bool {
    let fits = |text: &str, pattern: &str| {
        text.len() == pattern.len()
            && text.bytes().zip(pattern.bytes()).all(|(c, p)| if p == b'0' { c.is_ascii_digit() } else { c == p })
    };
    // Python leaves a fraction of zero out.
    fits(text, "0000-00-00T00:00:00.000000Z") || fits(text, "0000-00-00T00:00:00Z")
}

async fn clock_ticks(uri: &str) {
    let mut ws = ours(uri).await;
    let mut times = Vec::new();
    for _ in 0..3 {
        let time = recv(&mut ws).await;
        assert!(is_time(&time), "{time:?}");
        times.push(time);
    }
    assert!(times.is_sorted(), "{times:?}");
    let ended = within("a closing handshake", ws.close(CloseCode::NORMAL, "")).await;
    assert!(ended.is_clean(), "{ended}");
}

#[tokio::test]
async fn the_original_clock_and_ours_tick_alike() {
    let _ports = ports(&LABS).await;
    {
        let _server = original_server("clock_server.py", CLOCK).await;
        clock_ticks("ws://127.0.0.1:5678/").await;
        let mut client = example("reconnecting_client", &[]);
        client.find(|line| line.strip_prefix("< ").is_some_and(is_time).then_some(())).await;
        client.find(|line| line.strip_prefix("< ").is_some_and(is_time).then_some(())).await;
    }
    {
        let _server = labs().await;
        clock_ticks("ws://127.0.0.1:5678/").await;
    }
    let _server = started(example("clock_server", &[]), CLOCK).await;
    clock_ticks("ws://127.0.0.1:5678/").await;
}

// ---- Counter.

/// A conversation of three clients with a counter on the lab's port: what each hears.
async fn counter_conversation() -> Vec<Vec<String>> {
    const URI: &str = "ws://127.0.0.1:6789/";
    let mut clients: Vec<(WebSocket, Vec<String>)> = Vec::new();
    for newcomer in 0..3 {
        clients.push((ours(URI).await, Vec::new()));
        // Everybody hears of it; itself also the state.
        for (index, (ws, heard)) in clients.iter_mut().enumerate() {
            heard.push(recv(ws).await);
            if index == newcomer {
                heard.push(recv(ws).await);
            }
        }
    }
    // As pages and as Python write it.
    let actions = [r#"{"action":"plus"}"#, r#"{"action": "plus"}"#, r#"{"action":"minus"}"#];
    for (turn, action) in actions.iter().cycle().take(9).enumerate() {
        clients[turn % 3].0.send(*action).await.expect("an open connection");
        for (ws, heard) in &mut clients {
            heard.push(recv(ws).await);
        }
    }
    for _ in 0..4 {
        clients[0].0.send(r#"{"action": "minus"}"#).await.expect("an open connection");
        for (ws, heard) in &mut clients {
            heard.push(recv(ws).await);
        }
    }
    let mut conversation = Vec::new();
    while let Some((mut ws, heard)) = clients.pop() {
        let ended = within("a closing handshake", ws.close(CloseCode::NORMAL, "")).await;
        assert!(ended.is_clean(), "{ended}");
        conversation.push(heard);
        for (ws, heard) in &mut clients {
            heard.push(recv(ws).await);
        }
    }
    conversation
}

#[tokio::test]
async fn the_original_counter_and_ours_say_the_same() {
    let _ports = ports(&LABS).await;
    let original = {
        let _server = original_server("counter_server.py", COUNTER).await;
        counter_conversation().await
    };
    assert_eq!(original[2][..2], [r#"{"type": "users", "count": 1}"#, r#"{"type": "state", "value": 0}"#]);
    assert_eq!(original[2].last().map(String::as_str), Some(r#"{"type": "users", "count": 1}"#));
    assert!(original[0].contains(&r#"{"type": "state", "value": -1}"#.to_owned()));
    {
        let _server = labs().await;
        assert_eq!(counter_conversation().await, original);
    }
    {
        let _server = started(example("counter_server", &[]), COUNTER).await;
        assert_eq!(counter_conversation().await, original);
    }
    let _server = started(Process::spawn(bin(&["serve", "--app", "counter", "--port", "6789"])), COUNTER).await;
    assert_eq!(counter_conversation().await, original);
}

#[tokio::test]
async fn our_event_client_shows_what_both_counters_do() {
    let _ports = ports(&LABS).await;
    for server in ["original", "labs"] {
        let _server = match server {
            "original" => original_server("counter_server.py", COUNTER).await,
            _ => labs().await,
        };
        let mut passive = example("event_client", &["--silence", "60"]);
        assert_eq!(passive.line().await, "CONNECTED");
        for expected in [
            "DATA opcode=1 payload_len=29 data_len=29 offset=0",
            r#"     {"type": "users", "count": 1}"#,
            "     type=users count=1",
            "DATA opcode=1 payload_len=29 data_len=29 offset=0",
            r#"     {"type": "state", "value": 0}"#,
            "     type=state value=0",
        ] {
            assert_eq!(passive.line().await, expected, "{server}");
        }
        let mut active = example("event_client", &["--every", "0.1", "plus"]);
        passive.find(|line| (line == "     type=users count=2").then_some(())).await;
        passive.find(|line| (line == "     type=state value=3").then_some(())).await;
        active.find(|line| (line == "     type=state value=3").then_some(())).await;
        drop(active);
        passive.find(|line| (line == "     type=users count=1").then_some(())).await;
    }
}

// ---- Echo over TCP and UDP, datagrams.

#[tokio::test]
async fn tcp_echo_in_both_directions() {
    let _ports = ports(&LABS).await;
    // The original server takes one client.
    let mut server = original_server("tcp_echo_server.py", TCP_ECHO).await;
    assert_eq!(example("tcp_echo_client", &[]).success().await, [r#"Received "Hola, mundo""#]);
    assert!(server.line().await.starts_with("Conectado  ('127.0.0.1', "));
    server.success().await;

    for ours in ["echo", "labs", "example"] {
        let _server = match ours {
            "echo" => started(Process::spawn(bin(&["echo", "tcp", "--port", "65432"])), TCP_ECHO).await,
            "labs" => labs().await,
            _ => started(example("tcp_echo_server", &[]), TCP_ECHO).await,
        };
        // Ours go on after the first.
        for _ in 0..2 {
            assert_eq!(original("tcp_echo_client.py").success().await, ["Recibido  b'Hola, mundo'"], "{ours}");
        }
        assert_eq!(example("tcp_echo_client", &[]).success().await, [r#"Received "Hola, mundo""#]);
    }
}

#[tokio::test]
async fn datagrams_in_both_directions() {
    let _ports = ports(&LABS).await;
    let mut receiver = started(original("udp_receiver.py"), DATAGRAMS).await;
    assert!(example("udp_sender", &[]).success().await.is_empty());
    assert_eq!(receiver.line().await, "b'Hola, mundo!'");
    receiver.success().await;

    let mut receiver = started(example("udp_receiver", &[]), DATAGRAMS).await;
    original("udp_sender.py").success().await;
    assert_eq!(receiver.line().await, r#""Hola, mundo!""#);
    receiver.success().await;

    let mut labs = labs().await;
    original("udp_sender.py").success().await;
    let line = labs.line().await;
    assert!(line.starts_with("udp-receiver: ") && line.ends_with(": Hola, mundo!"), "{line}");
}

#[tokio::test]
async fn udp_echo_for_everybody() {
    let _ports = ports(&LABS).await;
    for ours in ["echo", "labs", "example"] {
        let _server = match ours {
            "echo" => started(Process::spawn(bin(&["echo", "udp", "--port", "65432"])), UDP_ECHO).await,
            "labs" => labs().await,
            _ => started(example("udp_echo_server", &[]), UDP_ECHO).await,
        };
        let shown = example("udp_echo_client", &[]).success().await;
        assert!(shown[0].starts_with(r#"Received "Hola, mundo" from "#), "{ours}: {shown:?}");
        for length in [0, 1, 512, 1400, 9000, 60_000] {
            let socket = udp().await;
            let sent = tautline_conformance::peers::binary(length);
            socket.send_to(&sent, "127.0.0.1:65432").await.expect("a datagram leaves");
            let mut buffer = vec![0; 65_536];
            let received = within("a datagram", socket.recv_from(&mut buffer)).await.expect("a datagram comes");
            assert!(buffer[..received.0] == sent, "{length} bytes of {ours}");
        }
    }
}

// ---- The device project's relay.

/// A conversation of three clients with a relay on port 8000.
async fn relay_conversation(refusal: u16) {
    let mut clients = [
        ours("ws://127.0.0.1:8000/1001").await,
        ours("ws://127.0.0.1:8000/1002").await,
        ours("ws://127.0.0.1:8000/4000000000").await,
    ];
    // Whose handshake is answered may not be among the others yet, and would miss what they say.
    let question = Message::from("is everybody there?");
    let [asking, others @ ..] = &mut clients;
    for other in others {
        loop {
            asking.send(question.clone()).await.expect("an open connection");
            if timeout(Duration::from_millis(200), other.recv()).await.is_ok() {
                break;
            }
        }
    }
    let sent: [Message; 4] = ["SOS".into(), vec![0, 255].into(), "copied ñ".into(), vec![7; 70_000].into()];
    for (turn, message) in sent.into_iter().enumerate() {
        let sender = turn % 3;
        clients[sender].send(message.clone()).await.expect("an open connection");
        for (index, client) in clients.iter_mut().enumerate() {
            if index != sender {
                let mut told = within("a message", client.recv()).await;
                // Asked more than once.
                while told.as_ref() == Some(&question) {
                    told = within("a message", client.recv()).await;
                }
                assert!(told == Some(message.clone()));
            }
        }
    }
    let refused = within("an answer", connect("ws://127.0.0.1:8000/1001").into_future()).await;
    let Err(ConnectError::Refused(refused)) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.status().as_u16(), refusal);
    for ws in &mut clients {
        let ended = within("a closing handshake", ws.close(CloseCode::NORMAL, "")).await;
        assert!(ended.is_clean(), "{ended}");
    }
}

#[tokio::test]
async fn the_devices_relay_and_ours_pass_on_alike() {
    let _ports = ports(&[RELAY]).await;
    {
        // The README's line, and then its other way to start.
        let options = ["--host", "127.0.0.1", "--port", "8000", "--ws-ping-interval", "10", "--ws-ping-timeout", "10"];
        let mut command = python("TAUTLINE_PYTHON", &["-m", "uvicorn", "server:app", "--workers", "1"]);
        command.args(options).args(["--log-level", "info"]).current_dir(peer("standins"));
        let _server = started(Process::spawn(command), RELAY).await;
        relay_conversation(403).await;
    }
    {
        let script = peer("standins/server.py").display().to_string();
        let mut server = Process::spawn(python("TAUTLINE_PYTHON", &[&script, "--host", "127.0.0.1"]));
        assert_eq!(server.listening().await, 8000);
        relay_conversation(403).await;
    }
    {
        let _server = started(example("relay_server", &[]), RELAY).await;
        relay_conversation(409).await;
    }
    let _server = started(Process::spawn(patient(bin(&["serve", "--app", "relay"]))), RELAY).await;
    relay_conversation(409).await;
}

/// Stop the server under a client that comes back, and start it again.
#[tokio::test]
async fn our_client_comes_back_to_the_devices_relay() {
    let _ports = ports(&[RELAY]).await;
    let script = peer("standins/server.py").display().to_string();
    let start = || Process::spawn(python("TAUTLINE_PYTHON", &[&script, "--host", "127.0.0.1"]));
    let mut server = start();
    server.listening().await;
    let mut client = example("reconnecting_client", &["ws://127.0.0.1:8000/7"]);
    client.find(|line| line.starts_with("connected to ").then_some(())).await;
    server.signal(Signal::INT);
    server.exit().await;
    client.find(|line| line.contains("attempt 1 in ").then_some(())).await;
    let mut server = start();
    server.listening().await;
    client.find(|line| line.starts_with("connected to ").then_some(())).await;
    let mut ws = ours("ws://127.0.0.1:8000/8").await;
    ws.send("again").await.expect("an open connection");
    client.find(|line| (line == "< again").then_some(())).await;
}
