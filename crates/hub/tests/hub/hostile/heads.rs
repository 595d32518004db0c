//! Heads of requests: slow, oversized, ambiguous, and paths that lead elsewhere.

use tautline_hub::Hub;

use super::{Arena, Hostile};
use crate::api::{exchange, request};

#[tokio::test]
async fn heads_that_do_not_end_are_answered_with_408() {
    let mut arena = Arena::start(Hub::new()).await;
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut client = Hostile::dial(&arena.hub).await;
        client.send(b"GET /api/rooms HTTP/1.1\r\nHost: localhost\r\nX: ").await;
        slow.push(client);
    }
    // While they wait the others are served, and after their time they go.
    assert_eq!(request(&arena.hub, "GET", "/api/rooms", "", "").await.status, 200);
    tokio::time::pause();
    for client in &mut slow {
        assert_eq!(client.status().await, 408);
    }
    tokio::time::resume();
    assert_eq!(arena.counted("tautline_refused_connections_total{reason=\"opening\"}").await, 100);
    arena.is_well().await;
    arena.stop().await;
}

#[tokio::test]
async fn clients_that_say_nothing_are_closed() {
    let mut arena = Arena::start(Hub::new()).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(Hostile::dial(&arena.hub).await);
    }
    tokio::time::pause();
    for (i, client) in silent.iter_mut().enumerate() {
        assert_eq!(client.rest().await, b"", "{i}");
    }
    tokio::time::resume();
    arena.is_well().await;
    arena.stop().await;
}

#[tokio::test]
async fn oversized_heads_are_refused_whatever_they_ask_for() {
    let mut arena = Arena::start(Hub::new()).await;
    let many = "X: y\r\n".repeat(100);
    let large = format!("X: {}\r\n", "x".repeat(20_000));
    let long = format!("/{}", "x".repeat(9_000));
    let longer = format!("/{}", "x".repeat(70_000));
    for (path, headers, status) in
        [("/api/rooms", &*many, 431), ("/api/rooms", &*large, 431), (&*long, "", 404), (&*longer, "", 431)]
    {
        let answer = request(&arena.hub, "GET", path, headers, "").await;
        assert_eq!(answer.status, status, "{path:.20} {headers:.20}");
        assert!(answer.body.len() < 2000, "it is not sent back");
    }
    for (path, headers, status) in [("/esp", &*many, "431"), ("/esp", &*large, "431"), (&*long, "", "414")] {
        let head = Hostile::dial(&arena.hub).await.upgrade(path, headers).await;
        assert_eq!(&head[9..12], status, "{path:.20} {headers:.20}");
    }
    arena.is_well().await;
    arena.stop().await;
}

#[tokio::test]
async fn requests_that_could_be_read_in_two_ways_are_refused() {
    let mut arena = Arena::start(Hub::new()).await;
    let begin = "POST /api/state/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let hidden = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for lines in [
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "X: a\r\n folded\r\n",
        "X: a\0b\r\n",
        "X\r\n",
    ] {
        let answer = exchange(&arena.hub, format!("{begin}{lines}\r\n0\r\n\r\n{hidden}").as_bytes()).await;
        assert_eq!(answer.status, 400, "{lines:?}");
        assert!(!answer.body.contains("HTTP/1.1"), "one answer to {lines:?}: {}", answer.body);
    }
    arena.is_well().await;
    arena.stop().await;
}

#[tokio::test]
async fn paths_lead_nowhere_but_to_what_there_is() {
    let mut arena = Arena::start(Hub::new()).await;
    for path in [
        "/../../../../etc/passwd",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%5c..%5cwindows%5cwin.ini",
        "/hub.css/../../Cargo.toml",
        "/hub.css%00.html",
        "//etc/passwd",
        "/./hub.css",
        "/api/../hub.css",
        "/api/rooms/../../hub.css",
        "/api/%2e%2e/hub.css",
        "http://localhost/../etc/passwd",
        "/tautline-data/tautline.db",
    ] {
        let answer = request(&arena.hub, "GET", path, "", "").await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.body.contains("root:") && !answer.body.contains("[package]"), "{path}: {}", answer.body);
    }
    arena.is_well().await;
    arena.stop().await;
}
