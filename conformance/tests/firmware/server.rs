//! The small server of a board: other people's clients and ours, over the emulator's network.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tautline::{WebSocket, connect};
use tautline_conformance::peers::{Board, Emulator, Image, Language, binary, request, scenarios, text, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How many clients it takes.
const PLACES: usize = 3;

/// What is answered to a POST that is about nothing.
const POST_ANSWER: &str = r#"{"status": "success", "message": "Received your request."}"#;

/// Where nobody listens: these boards call nobody.
const NOBODY: u16 = 1;

/// A board that serves.
async fn serving(board: Board) -> Emulator {
    let mut emulator = board.start(Image::Trial, &[], NOBODY);
    let address = SocketAddr::new(board.address(), 80);
    emulator.prints(&format!("serving {PLACES} clients at {address}")).await;
    emulator
}

async fn ours(emulator: &Emulator, path: &str) -> WebSocket {
    let uri = format!("ws://127.0.0.1:{}{path}", emulator.port);
    within("our client's connection", connect(uri).into_future()).await.expect("a connection")
}

/// The next message, which is JSON.
async fn heard(ws: &mut WebSocket) -> Value {
    let message = within("a message", ws.recv()).await.expect("an open connection");
    serde_json::from_slice(message.as_bytes()).expect("JSON")
}

/// How late the light has been at worst, in microseconds, and how many edges it had.
async fn light(port: u16) -> (u64, u64) {
    let answer = request(port, "GET", "/light", "").await;
    let light: Value = serde_json::from_str(&answer.body).expect("JSON");
    (light["worst_us"].as_u64().expect("a number"), light["edges"].as_u64().expect("a number"))
}

async fn assert_punctual(port: u16) {
    let (worst, edges) = light(port).await;
    assert!(worst <= 10_000 && edges > 0, "{edges} edges, {worst} us late");
}

/// What the server answers to these bytes, until it ends the connection.
async fn raw(port: u16, bytes: &[u8]) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(bytes).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map(|_| answer)
    };
    within("an answer", exchange).await.expect("a connection")
}

async fn answers_http_as_a_server_of_the_labs(board: Board) {
    let mut emulator = serving(board).await;
    let port = emulator.port;
    let page = request(port, "GET", "/", "").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.body.ends_with("</html>\n"));
    for (path, body) in [("/", r#"{"id": 1}"#), ("/any/path", "hello"), ("/x", &text(10_000))] {
        let answer = request(port, "POST", path, body).await;
        assert_eq!((answer.status, &*answer.body), (200, POST_ANSWER), "{path}");
    }
    for (state, printed) in [("true", "lamp on"), ("false", "lamp off")] {
        let answer = request(port, "POST", "/lamp", state).await;
        assert_eq!((answer.status, &*answer.body), (200, state));
        emulator.prints(printed).await;
    }
    assert_punctual(port).await;
}

async fn refuses_what_is_wrong_with_the_right_status(board: Board) {
    let emulator = serving(board).await;
    let port = emulator.port;
    let statuses = [
        ("GET", "/nothing", "", 404),
        ("PUT", "/", "", 405),
        ("BREW", "/", "", 501),
        ("POST", "/lamp", "maybe", 422),
        ("POST", "/lamp", &text(65), 413),
        ("POST", "/", &text(65_537), 413),
    ];
    for (method, path, body, status) in statuses {
        assert_eq!(request(port, method, path, body).await.status, status, "{method} {path}");
    }
    let chunked = "Transfer-Encoding: chunked";
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let heads = [
        ("GET /\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\nHost: a\n\n".to_owned(), 400),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", text(2000)), 431),
        (format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n{chunked}\r\n\r\n0\r\n\r\n"), 400),
        (format!("POST / HTTP/1.1\r\nHost: a\r\n{chunked}\r\n\r\nx\r\n"), 400),
        ("POST /lamp HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\ntrue".to_owned(), 415),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{upgrade}\r\n{key}\r\nSec-WebSocket-Version: 8\r\n\r\n"), 426),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{upgrade}\r\nSec-WebSocket-Version: 13\r\n\r\n"), 400),
    ];
    for (head, status) in heads {
        let answer = raw(port, head.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head:?}: {answer:?}");
    }
    assert_punctual(port).await;
}

async fn echoes_whatever_comes(board: Board) {
    let emulator = serving(board).await;
    let mut ws = ours(&emulator, "/any/path?with=query").await;
    // The largest are some times as long as it has memory.
    for length in [0, 1, 125, 126, 127, 1000, 4096, 20_000] {
        ws.send(text(length)).await.expect("an open connection");
        assert_eq!(within("an echo", ws.recv()).await, Some(text(length).into()));
    }
    scenarios::close(ws).await;

    let uri = format!("ws://127.0.0.1:{}/", emulator.port);
    let mut theirs = Language::Python.client();
    let answer =
        theirs.open(json!({"uri": uri, "subprotocols": ["unknown", "echo_server"], "compression": true})).await;
    assert_eq!((&answer["subprotocol"], &answer["extensions"]), (&json!("echo_server"), &json!("")), "{answer}");
    theirs.send_fragments(&["Hello ".into(), "wörld ".into(), "".into(), "€😀".into()]).await;
    theirs.expect("Hello wörld €😀").await;
    theirs.send(binary(65_536)).await;
    theirs.expect(binary(65_536)).await;
    assert!(theirs.ping(b"are you there?").await >= 0.0);
    for n in 0..50 {
        theirs.send(text(n)).await;
    }
    for n in 0..50 {
        theirs.expect(text(n)).await;
    }
    assert_eq!(theirs.close(4321, "bye ñ").await.0, 4321);
    assert_punctual(emulator.port).await;
}

async fn counts_for_all_who_watch(board: Board) {
    let emulator = serving(board).await;
    let mut clients = Vec::new();
    for count in 1..=PLACES {
        clients.push(ours(&emulator, "/counter").await);
        for client in &mut clients {
            assert_eq!(heard(client).await, json!({"type": "users", "count": count}));
        }
        assert_eq!(heard(&mut clients[count - 1]).await, json!({"type": "state", "value": 0}));
    }
    for (who, action, value) in [(0, "plus", 1), (1, "plus", 2), (2, "minus", 1)] {
        clients[who].send(format!(r#"{{"action": "{action}"}}"#)).await.expect("an open connection");
        for client in &mut clients {
            assert_eq!(heard(client).await, json!({"type": "state", "value": value}));
        }
    }
    clients[0].send("nonsense").await.expect("an open connection");
    scenarios::close(clients.remove(0)).await;
    assert_eq!(heard(&mut clients[0]).await, json!({"type": "users", "count": PLACES - 1}));
}

async fn refuses_a_client_too_many_and_serves_it_when_there_is_a_place(board: Board) {
    let emulator = serving(board).await;
    let port = emulator.port;
    let mut clients = Vec::new();
    for _ in 0..PLACES {
        clients.push(ours(&emulator, "/").await);
    }
    let answer = Language::Python.client().connect(json!(format!("ws://127.0.0.1:{port}/"))).await;
    assert_eq!(answer["status"], 503, "{answer}");
    // The one socket for such clients may still be busy with the last one.
    let refusal = within("a refusal", async {
        loop {
            if let Some(answer) = page(port).await {
                break answer;
            }
        }
    })
    .await;
    assert!(refusal.starts_with("HTTP/1.1 503 ") && refusal.contains("\r\nRetry-After: 5\r\n"), "{refusal}");
    // The others have not noticed.
    for client in &mut clients {
        client.send("here").await.expect("an open connection");
        assert_eq!(within("an echo", client.recv()).await, Some("here".into()));
    }
    scenarios::close(clients.pop().expect("a client")).await;
    let mut client = within("a place", async {
        loop {
            if let Ok(client) = connect(format!("ws://127.0.0.1:{port}/")).await {
                break client;
            }
        }
    })
    .await;
    client.send("at last").await.expect("an open connection");
    assert_eq!(within("an echo", client.recv()).await, Some("at last".into()));
}

async fn serves_by_ipv4_and_ipv6_at_once(board: Board) {
    let mut emulator = serving(board).await;
    // DHCP may take its time.
    emulator.prints("clients at 10.0.2.15:80").await;
    let mut by_ipv6 = ours(&emulator, "/counter").await;
    assert_eq!(heard(&mut by_ipv6).await, json!({"type": "users", "count": 1}));
    let uri = format!("ws://127.0.0.1:{}/counter", emulator.ipv4_port);
    let mut by_ipv4 = within("our client's connection", connect(uri).into_future()).await.expect("a connection");
    assert_eq!(heard(&mut by_ipv6).await, json!({"type": "state", "value": 0}));
    assert_eq!(heard(&mut by_ipv6).await, json!({"type": "users", "count": 2}));
    by_ipv4.send(r#"{"action": "plus"}"#).await.expect("an open connection");
    assert_eq!(heard(&mut by_ipv6).await, json!({"type": "state", "value": 1}));
}

async fn blinks_on_while_clients_hammer_it(board: Board) {
    let emulator = serving(board).await;
    hammer(&emulator).await;
}

/// Two clients that never wait and one that asks for the page again and again; the light blinks on.
pub(super) async fn hammer(emulator: &Emulator) {
    let port = emulator.port;
    let echo = async || {
        let mut ws = ours(emulator, "/").await;
        for round in 0..20 {
            for length in 0..20 {
                ws.send(binary(50 * length)).await.expect("an open connection");
            }
            for length in 0..20 {
                assert_eq!(within("an echo", ws.recv()).await, Some(binary(50 * length).into()), "round {round}");
            }
        }
        scenarios::close(ws).await;
    };
    let pages = async {
        for _ in 0..30 {
            while !is_served(port).await {}
        }
    };
    tokio::join!(echo(), echo(), within("thirty pages", pages));
    assert_punctual(port).await;
}

async fn is_served(port: u16) -> bool {
    page(port).await.is_some_and(|answer| answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("</html>\n"))
}

/// What is answered to somebody who asks for the page. A stack without a backlog refuses who comes between a socket's last connection
/// and its next one, and each of ours has its own socket: then it is nothing.
async fn page(port: u16) -> Option<String> {
    let exchange = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map(|_| answer)
    };
    let answer: std::io::Result<String> = exchange.await;
    answer.ok().filter(|answer| !answer.is_empty())
}

on! { riscv, Board::RISCV,
    answers_http_as_a_server_of_the_labs
    refuses_what_is_wrong_with_the_right_status
    echoes_whatever_comes
    counts_for_all_who_watch
    refuses_a_client_too_many_and_serves_it_when_there_is_a_place
    blinks_on_while_clients_hammer_it
}

on! { arm, Board::ARM,
    answers_http_as_a_server_of_the_labs
    refuses_what_is_wrong_with_the_right_status
    echoes_whatever_comes
    counts_for_all_who_watch
    refuses_a_client_too_many_and_serves_it_when_there_is_a_place
    blinks_on_while_clients_hammer_it
}

on! { riscv_ipv6, Board::RISCV.by_ipv6(),
    answers_http_as_a_server_of_the_labs
    echoes_whatever_comes
    refuses_a_client_too_many_and_serves_it_when_there_is_a_place
    serves_by_ipv4_and_ipv6_at_once
    blinks_on_while_clients_hammer_it
}

on! { riscv_routed_ipv6, Board::RISCV.by_routed_ipv6(),
    answers_http_as_a_server_of_the_labs
}

on! { arm_ipv6, Board::ARM.by_ipv6(),
    answers_http_as_a_server_of_the_labs
    echoes_whatever_comes
    refuses_a_client_too_many_and_serves_it_when_there_is_a_place
    serves_by_ipv4_and_ipv6_at_once
    blinks_on_while_clients_hammer_it
}

on! { arm_routed_ipv6, Board::ARM.by_routed_ipv6(),
    answers_http_as_a_server_of_the_labs
}
