//! WebSocket frames: oversized, endless, forbidden, and clients that are not there any more.

use std::time::Duration;

use tautline::{Config, Server};
use tautline_hub::Hub;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;

use super::{Arena, BINARY, CLOSE, CONTINUATION, FIN, Hostile, LIMIT, PING, TEXT, frame, header};
use crate::text;

/// The largest message here.
const LARGEST: usize = 64 * 1024;

fn strict() -> Hub {
    let config = Config::new().max_frame(LARGEST as u64).max_message(LARGEST as u64);
    Hub::new().server(Server::new().config(config))
}

#[tokio::test]
async fn messages_that_are_too_large_end_with_1009_however_they_come() {
    let mut arena = Arena::start(strict()).await;
    let part = vec![b'x'; LARGEST / 4];
    let fragments = |first: u8| {
        let rest = frame(CONTINUATION, &part).repeat(8);
        [frame(first, &part), rest].concat()
    };
    for bytes in [
        // Only announced: nothing of it has to come.
        header(FIN | TEXT, LARGEST as u64 + 1),
        header(FIN | BINARY, u64::MAX >> 1),
        header(BINARY, 1 << 40),
        frame(FIN | TEXT, &vec![b'x'; LARGEST + 1]),
        fragments(TEXT),
        fragments(BINARY),
    ] {
        for path in ["/rooms/calm/hostile", "/state/x", "/echo"] {
            let mut hostile = Hostile::open(&arena.hub, path).await;
            hostile.send(&bytes).await;
            assert_eq!(hostile.close_code().await, 1009, "{path}: {:?}", &bytes[..bytes.len().min(14)]);
        }
    }
    arena.is_well().await;
    arena.stop().await;
}

#[tokio::test]
async fn what_the_protocol_forbids_ends_with_its_code() {
    let mut arena = Arena::start(strict()).await;
    for (bytes, code) in [
        // Not masked, a reserved bit, a reserved opcode.
        (vec![FIN | TEXT, 1, b'x'], 1002),
        (frame(FIN | TEXT | 0x40, b"x"), 1002),
        (frame(FIN | 3, b"x"), 1002),
        (frame(FIN | CONTINUATION, b"x"), 1002),
        (frame(FIN | PING, &[0; 126]), 1002),
        (frame(PING, b"x"), 1002),
        (frame(FIN | CLOSE, &[3]), 1002),
        (frame(FIN | CLOSE, &1005_u16.to_be_bytes()), 1002),
        ([frame(TEXT, b"a"), frame(FIN | TEXT, b"b")].concat(), 1002),
        (frame(FIN | TEXT, b"\xff\xfe"), 1007),
        ([frame(TEXT, b"\xe2\x82"), frame(FIN | CONTINUATION, b"x")].concat(), 1007),
        // A length with its highest bit set.
        (header(FIN | BINARY, u64::MAX), 1002),
    ] {
        let mut hostile = Hostile::open(&arena.hub, "/rooms/calm/hostile").await;
        hostile.send(&bytes).await;
        assert_eq!(hostile.close_code().await, code, "{bytes:?}");
    }
    arena.is_well().await;
    arena.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fragments_without_content_cost_nothing_but_their_reading() {
    let mut arena = Arena::start(strict()).await;
    let mut hostile = Hostile::open(&arena.hub, "/rooms/calm/hostile").await;
    hostile.send(&frame(TEXT, b"a")).await;
    for _ in 0..100 {
        hostile.send(&frame(CONTINUATION, b"").repeat(1000)).await;
    }
    hostile.send(&frame(FIN | CONTINUATION, b"b")).await;
    for client in [&mut arena.innocent, &mut arena.other] {
        assert_eq!(text(client).await, "ab");
    }
    drop(hostile);
    arena.is_well().await;
    arena.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_pings_that_takes_no_answer_is_read_no_further_and_given_up() {
    let config = Config::new().ping_interval(Some(Duration::from_millis(500))).pong_timeout(Duration::from_secs(15));
    let mut arena = Arena::start(Hub::new().server(Server::new().config(config))).await;
    let mut hostile = Hostile::open(&arena.hub, "/rooms/calm/hostile").await;
    let pings = frame(FIN | PING, &[b'x'; 125]).repeat(1000);
    let flood = tokio::spawn(async move { while hostile.0.write_all(&pings).await.is_ok() {} });
    // Meanwhile the others have what they came for.
    for number in 0..100 {
        let message = format!("m{number}");
        arena.innocent.send(message.as_str()).await.unwrap();
        assert_eq!(text(&mut arena.other).await, message);
    }
    tokio::time::timeout(LIMIT, flood).await.expect("the hub ends it").unwrap();
    arena.is_well().await;
    arena.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_are_found_by_pings() {
    let config = Config::new().ping_interval(Some(Duration::from_millis(500))).pong_timeout(Duration::from_secs(15));
    let mut arena = Arena::start(Hub::new().server(Server::new().config(config))).await;
    let mut gone = Vec::new();
    for number in 0..50 {
        // It is there for its system, and answers nothing: as after a cable was cut.
        gone.push(Hostile::open(&arena.hub, &format!("/rooms/gone/{number}")).await);
    }
    arena.has("tautline_disconnects_total{cause=\"silent\"}", 50).await;
    arena.is_well().await;
    drop(gone);
    arena.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_end_the_closing_handshake_is_dropped_in_time() {
    let config = Config::new().close_timeout(Duration::from_millis(200));
    let mut arena = Arena::start(Hub::new().server(Server::new().config(config))).await;
    let mut stubborn = Hostile::open(&arena.hub, "/hello").await;
    // It greets, closes, and waits for an answer.
    stubborn.send(&frame(FIN | TEXT, b"me")).await;
    assert_eq!(stubborn.close_code().await, 1000, "and the end follows without one");
    arena.is_well().await;
    arena.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_reads_nothing_is_sent_away_and_the_others_get_everything() {
    let server = Server::new().send_queue(512 * 1024);
    let mut arena = Arena::start(Hub::new().server(server)).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut deaf = Hostile(socket.connect(arena.hub.address).await.unwrap());
    assert!(deaf.upgrade("/rooms/calm/deaf", "").await.starts_with("HTTP/1.1 101 "));
    let large = "x".repeat(60_000);
    for _ in 0..300 {
        arena.innocent.send(large.as_str()).await.unwrap();
        assert_eq!(text(&mut arena.other).await.len(), large.len());
    }
    arena.has("tautline_slow_disconnects_total", 1).await;
    drop(deaf);
    arena.is_well().await;
    arena.stop().await;
}
