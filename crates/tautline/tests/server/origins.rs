//! Which pages may connect (RFC 6455 §10.2).

use tautline::{Origins, Server};

use crate::{Running, echo, start, upgrade};

/// The status of the answer to a request for `host` from `origin`.
async fn status(server: &Running, host: &str, origin: Option<&str>) -> u16 {
    let origin = origin.map(|origin| format!("Origin: {origin}\r\n")).unwrap_or_default();
    let mut client = server.dial().await;
    client.write(upgrade(&origin).replace("Host: hub.test", &format!("Host: {host}"))).await;
    client.head().await[9..12].parse().unwrap()
}

#[tokio::test]
async fn by_default_files_loopback_and_the_same_host_are_allowed() {
    let server = start(Server::new(), echo).await;
    for (host, origin, expected) in [
        ("hub.test", None, 101),
        ("hub.test", Some("null"), 101),
        ("hub.test", Some("http://localhost"), 101),
        ("hub.test", Some("http://localhost:5500"), 101),
        ("hub.test", Some("http://127.0.0.1:8000"), 101),
        ("hub.test", Some("http://127.1.2.3"), 101),
        ("hub.test", Some("http://[::1]:8000"), 101),
        ("hub.test", Some("https://app.localhost"), 101),
        ("hub.test", Some("https://hub.test"), 101),
        ("hub.test", Some("https://HUB.test"), 101),
        ("hub.test:8765", Some("http://hub.test:8765"), 101),
        // A port is missing on one of the sides.
        ("hub.test:8765", Some("http://hub.test"), 101),
        ("hub.test", Some("https://hub.test:443"), 101),
        // http for wss.
        ("hub.test:443", Some("http://hub.test:443"), 101),
        ("192.168.1.5:8765", Some("http://192.168.1.5"), 101),
        // Not the same port, host, or anything.
        ("hub.test:8765", Some("http://hub.test:8000"), 403),
        ("hub.test", Some("https://evil.test"), 403),
        ("hub.test", Some("https://hub.test.evil.test"), 403),
        ("hub.test", Some("https://localhost.evil.test"), 403),
        ("hub.test", Some("https://evil.test/hub.test"), 403),
        ("hub.test", Some("https://hub.test@evil.test"), 403),
        ("hub.test", Some("http://128.0.0.1"), 403),
        ("hub.test", Some("file://"), 403),
    ] {
        assert_eq!(status(&server, host, origin).await, expected, "{origin:?} to {host}");
    }
}

#[tokio::test]
async fn a_list_allows_exactly_what_is_on_it_and_programs() {
    let list = Origins::List(vec!["https://app.test".into(), "https://other.test:8443".into()]);
    let server = start(Server::new().origins(list), echo).await;
    for (origin, expected) in [
        (None, 101),
        (Some("https://app.test"), 101),
        (Some("https://other.test:8443"), 101),
        (Some("http://app.test"), 403),
        (Some("https://other.test"), 403),
        (Some("https://hub.test"), 403),
        (Some("http://localhost"), 403),
        (Some("null"), 403),
    ] {
        assert_eq!(status(&server, "hub.test", origin).await, expected, "{origin:?}");
    }
}

#[tokio::test]
async fn any_allows_all() {
    let server = start(Server::new().origins(Origins::Any), echo).await;
    for origin in [None, Some("null"), Some("https://evil.test"), Some("chrome-extension://abc")] {
        assert_eq!(status(&server, "hub.test", origin).await, 101, "{origin:?}");
    }
}

#[tokio::test]
async fn the_log_names_the_option_that_would_permit_the_origin() {
    let server = start(Server::new(), echo).await;
    let answer = server.ask(upgrade("Origin: https://elsewhere.test\r\n")).await;
    assert_eq!(answer.status(), 403);
    assert_eq!(answer.log.len(), 1, "{:?}", answer.log);
    assert!(answer.log[0].text.contains("the option `origin"), "{:?}", answer.log);
}
