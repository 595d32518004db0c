//! What is answered by HTTP, as raw bytes.

use std::time::Duration;

use tautline_hub::AppName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Running;

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Sends a request and reads until the server ends the connection.
async fn exchange(hub: &Running, request: &[u8]) -> Answer {
    let mut tcp = TcpStream::connect(hub.address).await.unwrap();
    tcp.write_all(request).await.unwrap();
    answer(&mut tcp).await
}

async fn answer(tcp: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), tcp.read_to_end(&mut bytes)).await.expect("in time").unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

async fn request(hub: &Running, method: &str, path: &str) -> Answer {
    exchange(hub, format!("{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").as_bytes()).await
}

const POST_BODY: &str = r#"{"status": "success", "message": "Received your request."}"#;

fn post(path: &str, body: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[tokio::test]
async fn a_post_on_any_path_gets_the_exact_answer() {
    let hub = Running::all().await;
    for path in ["/", "/counter", "/any/path?x=1"] {
        let answer = exchange(&hub, &post(path, r#"{"temperature": 21.5}"#)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, POST_BODY), "{path}");
        assert_eq!(answer.header("Content-Type"), Some("application/json"));
        assert_eq!(answer.header("Connection"), Some("close"));
        assert_eq!(answer.header("Content-Length"), Some(POST_BODY.len().to_string().as_str()));
    }
    let chunked = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    assert_eq!(exchange(&hub, chunked).await.body, POST_BODY);
    assert_eq!(exchange(&hub, b"POST / HTTP/1.0\r\n\r\n").await.body, POST_BODY, "without a body too");
    hub.stop().await;
}

#[tokio::test]
async fn a_post_is_answered_only_when_its_body_has_arrived() {
    let hub = Running::all().await;
    let mut tcp = TcpStream::connect(hub.address).await.unwrap();
    tcp.write_all(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab").await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(200), tcp.read_u8()).await;
    assert!(early.is_err(), "an answer before the body's end");
    tcp.write_all(b"cd").await.unwrap();
    assert_eq!(answer(&mut tcp).await.body, POST_BODY);
    hub.stop().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let hub = Running::all().await;
    assert_eq!(exchange(&hub, &post("/", &"x".repeat(64 * 1024))).await.status, 200);
    let answer = exchange(&hub, &post("/", &"x".repeat(64 * 1024 + 1))).await;
    assert_eq!((answer.status, answer.header("Connection")), (413, Some("close")));
    assert!(answer.body.contains("65536 bytes"), "{}", answer.body);
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let chunked = format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n");
    assert_eq!(exchange(&hub, chunked.as_bytes()).await.status, 413);
    hub.stop().await;
}

#[tokio::test]
async fn the_page_and_its_parts_are_served() {
    let hub = Running::all().await;
    for (path, kind, part) in [
        ("/", "text/html; charset=utf-8", "<title>Tautline hub</title>"),
        ("/hub.css", "text/css; charset=utf-8", "prefers-color-scheme"),
        ("/hub.js", "text/javascript; charset=utf-8", "WebSocket"),
    ] {
        let answer = request(&hub, "GET", path).await;
        assert_eq!((answer.status, answer.header("Content-Type")), (200, Some(kind)));
        assert!(answer.body.contains(part) && answer.head.contains("default-src 'self'"), "{path}");
        let head = request(&hub, "HEAD", path).await;
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        assert_eq!(head.header("Content-Length"), Some(answer.body.len().to_string().as_str()));
    }
    hub.stop().await;
}

#[tokio::test]
async fn health_is_told_whatever_app_is_served() {
    for hub in [Running::all().await, Running::only(AppName::Counter).await, Running::only(AppName::Post).await] {
        let answer = request(&hub, "GET", "/healthz").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
        hub.stop().await;
    }
}

#[tokio::test]
async fn what_is_not_there_is_answered_with_help() {
    let hub = Running::all().await;
    let missing = request(&hub, "GET", "/nothing").await;
    assert_eq!(missing.status, 404);
    assert!(missing.body.contains("/counter"), "{}", missing.body);

    for path in ["/counter", "/counter/"] {
        let websocket = request(&hub, "GET", path).await;
        assert_eq!((websocket.status, websocket.header("Upgrade")), (426, Some("websocket")));
        assert!(websocket.body.contains("tautline connect ws://HOST:PORT/counter"), "{}", websocket.body);
    }

    for method in ["PUT", "DELETE", "OPTIONS"] {
        let refused = request(&hub, method, "/").await;
        assert_eq!((refused.status, refused.header("Allow")), (405, Some("GET, HEAD, POST")));
    }
    hub.stop().await;
}

#[tokio::test]
async fn one_app_alone_answers_http_as_what_it_is() {
    let counter = Running::only(AppName::Counter).await;
    assert_eq!(request(&counter, "GET", "/any").await.status, 426);
    let refused = request(&counter, "POST", "/any").await;
    assert_eq!((refused.status, refused.header("Allow")), (405, Some("GET, HEAD")));
    counter.stop().await;

    let post_only = Running::only(AppName::Post).await;
    assert_eq!(exchange(&post_only, &post("/any", "x")).await.body, POST_BODY);
    let refused = request(&post_only, "GET", "/").await;
    assert_eq!((refused.status, refused.header("Allow")), (405, Some("POST")));
    post_only.stop().await;
}
