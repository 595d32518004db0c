//! Bad requests: one answer each, and one line in the log that names the client.

use tautline::{Limits, Server};
use tracing::Level;

use crate::support::frames::Frame;
use crate::support::logs::Logs;
use crate::support::settle;
use crate::{Answer, echo, start, upgrade};

/// A request with one line in place of another.
fn with(line: &str, other: &str) -> String {
    let request = upgrade("");
    assert!(request.contains(line));
    request.replace(line, other)
}

async fn answer(server: Server, request: impl AsRef<[u8]>) -> Answer {
    start(server, echo).await.ask(request).await
}

fn check_log(answer: &Answer, request: &str) {
    assert_eq!(answer.log.len(), 1, "one line for {request:.70?}: {:?}", answer.log);
    assert_eq!(answer.log[0].level, Level::INFO);
}

#[tokio::test]
async fn each_bad_websocket_request_gets_the_right_answer_and_one_line_in_the_log() {
    let server = start(Server::new(), echo).await;
    for (request, status) in [
        (with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), 400),
        (with("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ=="), 400),
        (with("Sec-WebSocket-Version: 13\r\n", ""), 400),
        (with("Version: 13", "Version: x"), 400),
        (with("Version: 13", "Version: 8"), 426),
        (with("Host: hub.test\r\n", ""), 400),
        (with("hub.test", "hub test"), 400),
        (with("hub.test", "hub.test\r\nHost: hub.test"), 400),
        (with("GET", "POST"), 405),
        (with("GET", "HEAD"), 405),
        (with("HTTP/1.1", "HTTP/1.0"), 505),
        (upgrade("Sec-WebSocket-Protocol: \r\n"), 400),
        (upgrade("Sec-WebSocket-Protocol: a, a\r\n"), 400),
        (upgrade("Sec-WebSocket-Extensions: ;\r\n"), 400),
        (upgrade("Content-Length: 5\r\n"), 400),
        (upgrade("Transfer-Encoding: chunked\r\n"), 400),
        (upgrade("Origin: https://elsewhere.test\r\n"), 403),
        (upgrade(&format!("X: {}\r\n", "x".repeat(17_000))), 431),
        (upgrade(&"X: y\r\n".repeat(65)), 431),
        (with("/path", &format!("/{}", "x".repeat(9_000))), 414),
    ] {
        let answer = server.ask(&request).await;
        if request.starts_with("HEAD") {
            assert!(answer.text.starts_with("HTTP/1.1 405 "), "{}", answer.text);
        } else {
            assert_eq!(answer.status(), status, "{request}\n{}", answer.text);
        }
        check_log(&answer, &request);
    }
}

#[tokio::test]
async fn what_is_not_http_gets_one_answer_at_most_and_one_line_in_the_log() {
    let server = start(Server::new(), echo).await;
    for request in [
        "SSH-2.0-OpenSSH_9\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03 a TLS client hello\r\n\r\n",
        "GET / HTTP/3.7\r\n\r\n",
        "GET / HTTP/1.1\r\nHost hub.test\r\n\r\n",
        "GET /\u{7f} HTTP/1.1\r\nHost: h\r\n\r\n",
        "\r\n\r\n\r\n\0",
    ] {
        let answer = server.ask(request).await;
        assert!(answer.text.is_empty() || answer.status() == 400, "{request:?}: {}", answer.text);
        check_log(&answer, request);
    }
    assert_eq!(server.tally.refused()[4], ("bad_http", 6));
}

#[tokio::test]
async fn a_head_far_over_the_limits_is_refused_before_it_is_complete() {
    let server = start(Server::new(), echo).await;
    for request in [format!("GET /{} HTTP/1.1", "x".repeat(60_000)), upgrade(&"X: yyyyyyyyyy\r\n".repeat(5_000))] {
        let answer = server.ask(&request[..request.len() - 2]).await;
        assert!(matches!(answer.status(), 414 | 431), "{}", answer.text);
        check_log(&answer, &request);
    }
}

#[tokio::test]
async fn another_version_is_told_which_one_is_spoken() {
    let answer = answer(Server::new(), with("Version: 13", "Version: 7")).await;
    assert_eq!(answer.header("Sec-Websocket-Version"), Some("13"));
    assert_eq!(answer.header("Upgrade"), Some("websocket"));
}

#[tokio::test]
async fn another_method_is_told_which_one_is_allowed() {
    assert_eq!(answer(Server::new(), with("GET", "PUT")).await.header("Allow"), Some("GET"));
}

#[tokio::test]
async fn a_refusal_says_why_and_closes_the_connection() {
    let answer = answer(Server::new(), with("Version: 13", "Version: x")).await;
    assert_eq!(answer.header("Connection"), Some("close"));
    assert_eq!(answer.header("Content-Type"), Some("text/plain; charset=utf-8"));
    assert!(answer.text.ends_with("malformed Sec-WebSocket-Version header\n"), "{}", answer.text);
    assert!(answer.log[0].text.contains("malformed Sec-WebSocket-Version header"));
    assert!(answer.log[0].text.contains("status=400"));
}

#[tokio::test]
async fn limits_of_the_head_can_be_set() {
    let limits = Limits::DEFAULT.with_max_head(300).unwrap().with_max_target(20).unwrap().with_max_headers(8).unwrap();
    let server = start(Server::new().head_limits(limits), echo).await;
    for (request, status, option) in [
        (upgrade(&format!("X: {}\r\n", "x".repeat(200))), 431, "max_head"),
        (upgrade("A: b\r\nC: d\r\nE: f\r\nG: h\r\n"), 431, "max_headers"),
        (with("/path", "/a-longer-path-than-allowed"), 414, "max_target"),
    ] {
        let answer = server.ask(&request).await;
        assert_eq!(answer.status(), status, "{}", answer.text);
        assert_eq!(answer.log.len(), 1);
        // What the parser itself refuses cannot name it.
        let text = &answer.log[0].text;
        assert!(text.contains(option) || text.contains("bad HTTP connection"), "{text}");
    }
    drop(server.open().await);
}

#[tokio::test]
async fn what_is_not_for_a_websocket_gets_426() {
    for request in [
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".to_owned(),
        "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi".to_owned(),
        with("Upgrade: websocket", "Upgrade: h2c").replace("Connection: Upgrade", "Connection: Upgrade, close"),
        // A proxy has removed what is meant for one hop.
        with("Connection: Upgrade", "Connection: close"),
    ] {
        let answer = answer(Server::new(), &request).await;
        assert_eq!(answer.status(), 426, "{request}");
        assert_eq!(answer.header("Upgrade"), Some("websocket"));
        assert!(answer.log.len() <= 1, "{:?}", answer.log);
    }
}

#[tokio::test]
async fn a_client_that_breaks_the_protocol_is_told_and_logged_once() {
    let logs = Logs::capture();
    let server = start(Server::new(), echo).await;
    let mut client = server.open().await;
    client.send(&[Frame::text("fine")]).await;
    client.write(Frame::text("not masked").bytes(tautline::Role::Server)).await;
    let frames = client.frames(2).await;
    assert_eq!((&frames[0], frames[1].code()), (&Frame::text("fine"), Some(1002)));
    assert_eq!(client.rest().await, b"");
    let address = client.address.to_string();
    drop(client);
    while logs.with(&address).is_empty() {
        tokio::task::yield_now().await;
    }
    settle().await;
    let lines = logs.with(&address);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].text.contains("client frame not masked"), "{lines:?}");
}

#[tokio::test]
async fn a_client_that_vanishes_is_logged_once() {
    let logs = Logs::capture();
    let server = start(Server::new(), echo).await;
    let mut client = server.open().await;
    client.send(&[Frame::text("here")]).await;
    client.frames(1).await;
    let address = client.address.to_string();
    drop(client);
    while logs.with(&address).is_empty() {
        tokio::task::yield_now().await;
    }
    settle().await;
    assert_eq!(logs.with(&address).len(), 1);
}

#[tokio::test]
async fn a_good_connection_is_not_logged_above_debug() {
    let logs = Logs::capture();
    let server = start(Server::new(), echo).await;
    let mut client = server.open().await;
    client.send(&[Frame::text("x"), Frame::close(1000, "")]).await;
    client.rest().await;
    settle().await;
    assert_eq!(logs.lines().len(), 0, "{:?}", logs.lines());
}
