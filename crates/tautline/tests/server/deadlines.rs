//! Slow and silent clients, and too many of them. In virtual time, over real sockets.

use tautline::{Limits, Server};
use tokio::time::{Instant, sleep};

use crate::support::frames::Frame;
use crate::support::logs::Logs;
use crate::support::{SECOND, settle, soon};
use crate::{echo, start, upgrade};

#[tokio::test(start_paused = true)]
async fn a_client_that_never_says_anything_meets_the_deadline() {
    let logs = Logs::capture();
    let server = start(Server::new(), echo).await;
    let start = Instant::now();
    let mut client = server.dial().await;
    assert_eq!(client.rest().await, b"");
    assert_eq!(start.elapsed().as_secs(), 10);
    settle().await;
    assert!(logs.with(&client.address.to_string()).len() <= 1);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_in_meets_the_same_deadline() {
    let logs = Logs::capture();
    let limits = Limits::DEFAULT.with_opening_timeout(4 * SECOND).unwrap();
    let server = start(Server::new().head_limits(limits), echo).await;
    let start = Instant::now();
    let mut client = server.dial().await;
    let request = upgrade("");
    let mut bytes = request.bytes();
    loop {
        tokio::select! {
            biased;
            n = client.stream.read_buf(&mut client.received) => {
                if n.unwrap_or(0) == 0 {
                    break;
                }
            }
            () = sleep(SECOND / 10) => {
                let byte = bytes.next().expect("cut off before the end");
                let _ = client.stream.write_all(&[byte]).await;
            }
        }
    }
    let took = start.elapsed();
    assert!((4 * SECOND..5 * SECOND).contains(&took), "{took:?}");
    let answer = String::from_utf8(client.received.clone()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\r\nConnection: close\r\n"), "{answer}");
    settle().await;
    assert_eq!(server.tally.refused()[3], ("opening", 1));
    assert_eq!(logs.with(&client.address.to_string()).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_idle_http_connection_meets_the_deadline_too() {
    let server = start(Server::new().http(|_| async { tautline::Response::new("".into()) }), echo).await;
    let mut client = server.dial().await;
    client.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    client.head().await;
    let start = Instant::now();
    assert_eq!(client.rest().await, b"", "nothing was asked, so nothing is answered");
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn an_open_connection_has_no_such_deadline() {
    let server = start(Server::new().config(crate::support::sim::QUIET), echo).await;
    let mut client = server.open().await;
    sleep(1_000 * SECOND).await;
    client.send(&[Frame::text("still")]).await;
    assert_eq!(client.frames(1).await, [Frame::text("still")]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_answer_pings_is_given_up() {
    let logs = Logs::capture();
    let server = start(Server::new(), echo).await;
    let mut client = server.open().await;
    let start = Instant::now();
    client.rest().await;
    let took = start.elapsed();
    assert!((30 * SECOND..=41 * SECOND).contains(&took), "{took:?}");
    settle().await;
    let lines = logs.with(&client.address.to_string());
    assert!(lines.len() == 1 && lines[0].text.contains("peer silent"), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn connections_over_the_limit_get_503_and_others_when_there_is_room_again() {
    let server = start(Server::new().max_connections(2).config(crate::support::sim::QUIET), echo).await;
    let first = server.open().await;
    let mut second = server.open().await;
    let answer = server.ask(upgrade("")).await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.header("Retry-After"), Some("5"));
    assert_eq!(answer.log.len(), 1, "{:?}", answer.log);
    // The others do not notice.
    second.send(&[Frame::text("x")]).await;
    assert_eq!(second.frames(1).await, [Frame::text("x")]);
    drop(first);
    settle().await;
    soon(async {
        loop {
            let mut client = server.dial().await;
            client.write(upgrade("")).await;
            if client.head().await.starts_with("HTTP/1.1 101 ") {
                return;
            }
            sleep(SECOND / 100).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_flood_over_the_limit_is_bounded() {
    let server = start(Server::new().max_connections(1).config(crate::support::sim::QUIET), echo).await;
    let _first = server.open().await;
    let mut flood = Vec::new();
    for _ in 0..100 {
        flood.push(server.dial().await);
    }
    settle().await;
    let mut closed = 0;
    for client in &mut flood {
        client.write("").await;
        let ended = tokio::time::timeout(SECOND / 1000, client.stream.read_buf(&mut client.received)).await;
        closed += usize::from(ended.is_ok());
    }
    assert!(closed >= 30, "{closed} of 100 were closed at once");
}

use tokio::io::{AsyncReadExt, AsyncWriteExt};
