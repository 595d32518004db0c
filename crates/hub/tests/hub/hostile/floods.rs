//! Floods of connections and requests, up to the limits and beyond.

use serde_json::json;
use tautline::{AddressLimits, Server};
use tautline_hub::Hub;
use tokio::net::TcpSocket;

use super::{Arena, FIN, Hostile, TEXT, frame};
use crate::api::{get, look, post};

/// How many connections an address has there: enough for what the test itself does.
#[cfg(target_os = "linux")]
const PLACES: u32 = 20;

/// One who comes from another address of this machine, as Linux has them.
#[cfg(target_os = "linux")]
async fn from(arena: &Arena, host: u8) -> Hostile {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, host], 0).into()).unwrap();
    Hostile(socket.connect(arena.hub.address).await.unwrap())
}

#[tokio::test]
async fn a_flood_of_connections_is_refused_and_who_is_there_stays() {
    let mut arena = Arena::start(Hub::new().server(Server::new().max_connections(20))).await;
    let mut flood = Vec::new();
    for number in 0..18 {
        flood.push(Hostile::open(&arena.hub, &format!("/rooms/flood/{number}")).await);
    }
    for _ in 0..20 {
        let mut late = Hostile::dial(&arena.hub).await;
        let head = late.upgrade("/rooms/flood/late", "").await;
        assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("Retry-After: 5"), "{head}");
    }
    // Those who are there do not notice.
    arena.innocent.send("still here").await.unwrap();
    assert_eq!(crate::text(&mut arena.other).await, "still here");
    drop(flood);
    // Whoever asks is refused as well, until they are gone.
    while !get(&arena.hub, "/metrics").await.body.contains("\ntautline_connections 2\n") {}
    arena.is_well().await;
    assert!(arena.counted("tautline_refused_connections_total{reason=\"server_full\"}").await >= 20);
    arena.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_address_has_so_many_connections_as_long_as_they_are_open() {
    let limits = AddressLimits::new().connections(PLACES).rate(0).loopback(true);
    let mut arena = Arena::start(Hub::new().server(Server::new().address_limits(limits))).await;
    let mut held = Vec::new();
    for number in 0..PLACES {
        let mut hostile = from(&arena, 66).await;
        let head = hostile.upgrade(&format!("/rooms/flood/{number}"), "").await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        held.push(hostile);
    }
    // They were handed over to the event loops, and count all the same.
    for _ in 0..10 {
        let head = from(&arena, 66).await.upgrade("/rooms/flood/more", "").await;
        assert!(head.starts_with("HTTP/1.1 429 ") && head.contains("Retry-After: 5"), "{head}");
    }
    assert_eq!(arena.counted("tautline_refused_connections_total{reason=\"address_full\"}").await, 10);
    assert_eq!(arena.counted("tautline_connections").await, 2 + u64::from(PLACES));
    let head = from(&arena, 67).await.upgrade("/rooms/flood/other", "").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "another address: {head}");
    // Each way in which a connection ends gives its place back.
    let code = 1000_u16.to_be_bytes();
    held[0].send(&frame(FIN | super::CLOSE, &code)).await;
    assert_eq!(held[0].close_code().await, 1000);
    held[1].send(&frame(FIN | TEXT, b"\xff")).await;
    assert_eq!(held[1].close_code().await, 1007);
    held.clear();
    arena.has("tautline_connections", 2).await;
    for number in 0..PLACES {
        let mut hostile = from(&arena, 66).await;
        let head = hostile.upgrade(&format!("/rooms/flood/{number}"), "").await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        held.push(hostile);
    }
    let head = from(&arena, 66).await.upgrade("/rooms/flood/more", "").await;
    assert!(head.starts_with("HTTP/1.1 429 "), "and it is as many as before: {head}");
    drop(held);
    arena.is_well().await;
    arena.stop().await;
}

#[tokio::test]
async fn an_address_that_changes_things_too_fast_has_to_wait_and_may_look() {
    let limits = AddressLimits::new().rate(1).loopback(true);
    let mut arena = Arena::start(Hub::new().request_limits(limits)).await;
    let plus = json!({"action": "plus"});
    let mut done = 0;
    let refused = loop {
        let answer = post(&arena.hub, "/api/state/x", &plus).await;
        if answer.status != 200 {
            break answer;
        }
        done += 1;
        assert!(done < 1000, "it is never refused");
    };
    assert!(done >= 5, "{done}");
    refused.problem(429, "too-many");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(look(&arena.hub, "/api/state/x").await["value"], done, "who is refused changes nothing");
    let counted = "tautline_http_requests_total{method=\"POST\",status=\"4xx\"}";
    assert_eq!(arena.counted(counted).await, 1);
    arena.is_well().await;
    arena.stop().await;
}

#[tokio::test]
async fn listeners_without_end_are_refused_beyond_64() {
    let mut arena = Arena::start(Hub::new()).await;
    let mut listeners = Vec::new();
    for _ in 0..64 {
        let mut listener = Hostile::dial(&arena.hub).await;
        listener.send(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        let mut status = [0; 12];
        tokio::io::AsyncReadExt::read_exact(&mut listener.0, &mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 200");
        listeners.push(listener);
    }
    let refused = get(&arena.hub, "/api/events").await;
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.header("retry-after").is_some());
    arena.is_well().await;
    drop(listeners);
    arena.stop().await;
}
