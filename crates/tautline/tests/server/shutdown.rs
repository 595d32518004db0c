//! The end of a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tautline::{CloseCode, Ended, Server};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::support::frames::Frame;
use crate::support::logs::Logs;
use crate::support::{SECOND, settle, soon};
use crate::{echo, start, upgrade};

#[tokio::test(start_paused = true)]
async fn shutdown_closes_every_connection_with_1001_and_waits_for_the_handlers() {
    let ended = Arc::new(AtomicUsize::new(0));
    let counter = ended.clone();
    let server = start(Server::new(), move |mut ws, _| {
        let counter = counter.clone();
        async move {
            while ws.recv().await.is_some() {}
            let code = CloseCode::GOING_AWAY;
            assert_eq!(ws.ended(), Some(Ended::ClosedByUs { code, clean: true }));
            // It may finish what it has begun.
            sleep(SECOND).await;
            counter.fetch_add(1, Ordering::Relaxed);
        }
    })
    .await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(server.open().await);
    }
    let address = server.address;
    let done = server.stop();
    for client in &mut clients {
        assert_eq!(client.frames(1).await, [Frame::close(1001, "")]);
        client.send(&[Frame::close(1001, "")]).await;
        assert_eq!(client.rest().await, b"");
    }
    soon(done).await.unwrap().unwrap();
    assert_eq!(ended.load(Ordering::Relaxed), 5);
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test(start_paused = true)]
async fn the_code_at_shutdown_can_be_1012() {
    let server = start(Server::new().shutdown_code(CloseCode::SERVICE_RESTART), echo).await;
    let mut client = server.open().await;
    let done = server.stop();
    assert_eq!(client.frames(1).await, [Frame::close(1012, "")]);
    client.send(&[Frame::close(1012, "")]).await;
    soon(done).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn shutdown_of_an_idle_server_is_immediate() {
    let server = start(Server::new(), echo).await;
    let start = Instant::now();
    soon(server.stop()).await.unwrap().unwrap();
    assert_eq!(start.elapsed().as_millis(), 0);
}

#[tokio::test(start_paused = true)]
async fn clients_that_do_not_answer_the_close_frame_are_dropped_in_time() {
    let server = start(Server::new().drain_timeout(3 * SECOND), echo).await;
    let mut client = server.open().await;
    let start = Instant::now();
    soon(server.stop()).await.unwrap().unwrap();
    assert_eq!(start.elapsed().as_secs(), 3);
    assert_eq!(client.frames(1).await, [Frame::close(1001, "")]);
    assert_eq!(client.rest().await, b"");
}

#[tokio::test(start_paused = true)]
async fn handlers_that_are_stuck_are_aborted_in_time_and_counted_in_the_log() {
    let logs = Logs::capture();
    let server = Server::new().drain_timeout(3 * SECOND);
    let server = start(server, |ws, _| async move {
        std::future::pending::<()>().await;
        drop(ws);
    })
    .await;
    let mut clients = [server.open().await, server.open().await];
    let start = Instant::now();
    let done = server.stop();
    for client in &mut clients {
        client.frames(1).await;
        client.send(&[Frame::close(1001, "")]).await;
    }
    soon(done).await.unwrap().unwrap();
    assert_eq!(start.elapsed().as_secs(), 3);
    assert!(logs.with("connections=2").len() == 1, "{:?}", logs.lines());
}

#[tokio::test(start_paused = true)]
async fn an_idle_http_connection_does_not_hold_up_the_shutdown() {
    let server = start(Server::new().http(|_| async { tautline::Response::new("".into()) }), echo).await;
    let mut client = server.dial().await;
    client.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    client.head().await;
    let start = Instant::now();
    soon(server.stop()).await.unwrap().unwrap();
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_said_nothing_yet_does_not_hold_up_the_shutdown() {
    let server = start(Server::new(), echo).await;
    let mut silent = server.dial().await;
    let mut halfway = server.dial().await;
    halfway.write(&upgrade("")[..50]).await;
    settle().await;
    let start = Instant::now();
    soon(server.stop()).await.unwrap().unwrap();
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
    silent.rest().await;
    halfway.rest().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_being_answered_is_answered() {
    let server = Server::new().http(|_| async {
        sleep(2 * SECOND).await;
        tautline::Response::new("done".into())
    });
    let server = start(server, echo).await;
    let mut client = server.dial().await;
    client.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    settle().await;
    sleep(SECOND).await;
    let done = server.stop();
    assert!(client.head().await.starts_with("HTTP/1.1 200 "));
    soon(done).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn connections_outlive_a_server_future_that_is_dropped() {
    let server = start(Server::new(), echo).await;
    let mut client = server.open().await;
    server.done.abort();
    let _ = server.done.await;
    client.send(&[Frame::text("still served")]).await;
    assert_eq!(client.frames(1).await, [Frame::text("still served")]);
}
