//! What a handler may rely on.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tautline::{CloseCode, Group, Message, Server, Slow};
use tokio::time::{Instant, sleep};
use tracing::Level;

use crate::support::frames::{Frame, decode, messages};
use crate::support::logs::Logs;
use crate::support::sim::QUIET;
use crate::support::{SECOND, settle};
use crate::{echo, header, start, upgrade};

fn sixteen() -> Vec<Frame> {
    (0..16).map(|n| Frame::text(format!("message {n}"))).collect()
}

fn quiet() -> Server {
    Server::new().config(QUIET)
}

#[tokio::test]
async fn the_answer_to_the_handshake_arrives_in_one_piece_with_title_case_headers() {
    let server = start(Server::new(), echo).await;
    let mut client = server.dial().await;
    client.write(upgrade("")).await;
    client.read().await;
    let head = String::from_utf8(std::mem::take(&mut client.received)).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    assert_eq!(header(&head, "Upgrade"), Some("websocket"));
    assert_eq!(header(&head, "Connection"), Some("Upgrade"));
    assert_eq!(header(&head, "Sec-Websocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

#[tokio::test]
async fn messages_right_behind_the_handshake_are_received() {
    let server = start(quiet(), echo).await;
    for size in [1, 1_000, 5_000, 100_000] {
        let mut client = server.dial().await;
        let frames = [Frame::text("early"), Frame::binary(vec![7; size]), Frame::ping("p")];
        let bytes = [upgrade("").into_bytes(), frames.iter().flat_map(|f| f.bytes(tautline::Role::Client)).collect()];
        client.write(bytes.concat()).await;
        assert!(client.head().await.starts_with("HTTP/1.1 101 "));
        let mut received = client.frames(3).await;
        received.retain(|frame| !frame.is_control());
        assert_eq!(received, frames[..2]);
    }
}

#[tokio::test]
async fn a_message_in_the_segment_of_the_handshake_is_received_wherever_it_is_cut() {
    let server = start(quiet(), echo).await;
    let bytes = [upgrade("").into_bytes(), Frame::text("early").bytes(tautline::Role::Client)].concat();
    for cut in bytes.len() - 14..bytes.len() {
        let mut client = server.dial().await;
        client.write(&bytes[..cut]).await;
        settle().await;
        client.write(&bytes[cut..]).await;
        client.head().await;
        assert_eq!(client.frames(1).await, [Frame::text("early")], "cut at {cut}");
    }
}

#[tokio::test]
async fn replies_to_16_messages_of_one_segment_arrive_together() {
    let server = start(quiet(), echo).await;
    let mut client = server.open().await;
    for _ in 0..5 {
        client.send(&sixteen()).await;
        client.read().await;
        let (frames, _) = decode(tautline::Role::Server, &client.received);
        assert_eq!(frames, sixteen(), "all of them with the first read");
        client.received.clear();
    }
}

#[tokio::test(start_paused = true)]
async fn replies_leave_at_once_when_the_handler_then_waits_for_something_else() {
    let server = start(quiet(), |mut ws, _| async move {
        for _ in 0..5 {
            let message = ws.recv().await.unwrap();
            ws.send(message).await.unwrap();
        }
        pending::<()>().await;
    })
    .await;
    let mut client = server.open().await;
    let start = Instant::now();
    client.send(&sixteen()).await;
    assert_eq!(client.frames(5).await, sixteen()[..5]);
    assert_eq!(start.elapsed().as_millis(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_fed_leaves_when_the_handler_waits() {
    let server = start(quiet(), |mut ws, _| async move {
        ws.feed("fed").await.unwrap();
        ws.recv().await;
    })
    .await;
    assert_eq!(server.open().await.frames(1).await, [Frame::text("fed")]);
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_while_the_handler_sleeps() {
    let server = start(quiet(), |mut ws, _| async move {
        while ws.recv().await.is_some() {
            sleep(Duration::from_secs(3600)).await;
        }
    })
    .await;
    let mut client = server.open().await;
    client.send(&[Frame::text("sleep")]).await;
    settle().await;
    for n in 0..5 {
        client.send(&[Frame::ping([n])]).await;
        assert_eq!(client.frames(1).await, [Frame::pong([n])]);
    }
    client.send(&[Frame::close(1000, "")]).await;
    assert_eq!(client.frames(1).await, [Frame::close(1000, "")]);
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn a_handler_that_returns_closes_with_1000() {
    let server = start(quiet(), |mut ws, _| async move {
        ws.send("bye").await.unwrap();
        ws.feed("and this").await.unwrap();
    })
    .await;
    let mut client = server.open().await;
    let expected = [Frame::text("bye"), Frame::text("and this"), Frame::close(1000, "")];
    assert_eq!(client.frames(3).await, expected);
    client.send(&[Frame::close(1000, "")]).await;
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn a_handler_that_drops_its_connection_closes_with_1000_and_may_go_on() {
    let server = start(quiet(), |ws, _| async move {
        drop(ws);
        pending::<()>().await;
    })
    .await;
    assert_eq!(server.open().await.frames(1).await, [Frame::close(1000, "")]);
}

#[tokio::test]
async fn a_handler_may_close_with_a_code_of_its_own() {
    let server = start(quiet(), |mut ws, _| async move {
        ws.recv().await;
        let ended = ws.close(CloseCode::POLICY_VIOLATION, "not here").await;
        assert!(ended.is_clean());
    })
    .await;
    let mut client = server.open().await;
    client.send(&[Frame::text("x")]).await;
    assert_eq!(client.frames(1).await, [Frame::close(1008, "not here")]);
    client.send(&[Frame::close(1008, "")]).await;
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn a_handler_that_panics_closes_with_1011_and_is_logged() {
    for late in [false, true] {
        let logs = Logs::capture();
        let server = start(quiet(), move |mut ws, _| async move {
            if late {
                ws.recv().await;
                ws.feed("before").await.unwrap();
            }
            panic!("a mistake in a handler, as this test wants it");
        })
        .await;
        let mut client = server.open().await;
        client.send(&[Frame::text("x")]).await;
        let frames = client.frames(1 + usize::from(late)).await;
        assert_eq!(frames.last().unwrap().code(), Some(1011));
        client.send(&[Frame::close(1011, "")]).await;
        client.rest().await;
        settle().await;
        let lines = logs.with(&client.address.to_string());
        assert!(lines.len() == 1 && lines[0].level == Level::ERROR, "{lines:?}");
        // And others are served.
        server.open().await;
    }
}

#[tokio::test]
async fn a_handler_may_hand_the_halves_to_other_tasks() {
    let server = start(quiet(), |ws, _| async move {
        let (sender, mut receiver) = ws.split();
        let receiving = tokio::spawn(async move {
            while let Some(message) = receiver.recv().await {
                if sender.send(message).await.is_err() {
                    break;
                }
            }
        });
        let _ = receiving.await;
    })
    .await;
    let mut client = server.open().await;
    for _ in 0..3 {
        client.send(&sixteen()).await;
        assert_eq!(client.frames(16).await, sixteen());
    }
}

#[tokio::test]
async fn large_messages_go_both_ways() {
    let server = start(quiet(), echo).await;
    let mut client = server.open().await;
    let frame = Frame::binary((0..3_000_000_u32).flat_map(u32::to_be_bytes).collect::<Vec<_>>());
    let bytes = frame.bytes(tautline::Role::Client);
    let (mut reading, mut writing) = client.stream.split();
    let write = tokio::io::AsyncWriteExt::write_all(&mut writing, &bytes);
    let mut echoed = vec![0; frame.bytes(tautline::Role::Server).len()];
    let read = tokio::io::AsyncReadExt::read_exact(&mut reading, &mut echoed);
    let (written, read) = tokio::join!(write, read);
    written.unwrap();
    read.unwrap();
    assert!(echoed == frame.bytes(tautline::Role::Server));
}

#[tokio::test]
async fn a_handler_publishes_to_others_and_to_itself_in_order() {
    let group = Arc::new(Group::new(Slow::Disconnect));
    let everybody = group.clone();
    let server = start(quiet(), move |mut ws, _| {
        let everybody = everybody.clone();
        async move {
            let _membership = everybody.join(&ws.sender());
            while let Some(message) = ws.recv().await {
                everybody.publish(message);
            }
        }
    })
    .await;
    let mut clients = [server.open().await, server.open().await];
    while group.len() < 2 {
        tokio::task::yield_now().await;
    }
    for _ in 0..3 {
        clients[0].send(&sixteen()).await;
        for client in &mut clients {
            assert_eq!(messages(&client.frames(16).await), messages(&sixteen()));
        }
    }
    assert_eq!(group.total().sent, 96);
    let [first, second] = clients;
    drop(first);
    while group.len() > 1 {
        tokio::task::yield_now().await;
    }
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_published_leaves_at_once_when_it_then_waits_for_something_else() {
    let group = Arc::new(Group::new(Slow::Disconnect));
    let everybody = group.clone();
    let server = start(quiet(), move |mut ws, request| {
        let everybody = everybody.clone();
        async move {
            let _membership = everybody.join(&ws.sender());
            if request.path() == "/path" {
                pending::<()>().await;
            }
            for _ in 0..3 {
                everybody.publish(ws.recv().await.unwrap_or(Message::text("end")));
            }
            pending::<()>().await;
        }
    })
    .await;
    let mut listening = server.open().await;
    let mut talking = server.dial().await;
    talking.write(upgrade("").replace("/path", "/talk")).await;
    talking.head().await;
    settle().await;
    let start = Instant::now();
    talking.send(&sixteen()).await;
    assert_eq!(listening.frames(3).await, sixteen()[..3]);
    assert_eq!(talking.frames(3).await, sixteen()[..3]);
    assert_eq!(start.elapsed().as_millis(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_librarys_client_and_server_keep_each_other_alive() {
    let server = start(Server::new(), echo).await;
    let mut ws = tautline::connect(format!("ws://{}/", server.address)).await.unwrap();
    ws.send("hello").await.unwrap();
    assert_eq!(ws.recv().await, Some(Message::text("hello")));
    sleep(1_000 * SECOND).await;
    assert!(ws.ping().await.unwrap() < SECOND);
    ws.send("still").await.unwrap();
    assert_eq!(ws.recv().await, Some(Message::text("still")));
    assert!(ws.close(CloseCode::NORMAL, "").await.is_clean());
}
