//! When messages leave, and in how many writes.

use std::future::pending;

use tautline::{Message, Role, WebSocket};
use tokio::time::Instant;

use crate::support::frames::{Frame, messages};
use crate::support::settle;
use crate::support::sim::open;
use crate::{BOTH, noise};

/// The plain loop.
async fn echo(mut ws: WebSocket) {
    while let Some(message) = ws.recv().await {
        ws.send(message).await.unwrap();
    }
}

fn sixteen() -> Vec<Frame> {
    (0..16).map(|n| Frame::text(format!("message {n}"))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_lone_message_is_written_before_send_returns() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        settle().await;
        ws.send("now").await.unwrap();
        assert_eq!(peer.all_frames(), [Frame::text("now")]);
        assert_eq!(peer.writes(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn replies_to_16_messages_of_one_read_leave_in_one_write() {
    for role in BOTH {
        let (ws, peer) = open(role);
        tokio::spawn(echo(ws));
        for round in 1..=3 {
            peer.send(&sixteen());
            let frames = peer.wait_frames(16 * round).await;
            assert_eq!(messages(&frames[16 * (round - 1)..]), messages(&sixteen()));
            assert_eq!(peer.writes(), round);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lone_reply_is_not_delayed() {
    for role in BOTH {
        let (ws, peer) = open(role);
        tokio::spawn(echo(ws));
        let start = Instant::now();
        for round in 1..=3 {
            peer.send(&[Frame::text("ping")]);
            peer.wait_frames(round).await;
            assert_eq!(peer.writes(), round);
        }
        assert_eq!(start.elapsed().as_micros(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_come_one_by_one_are_answered_one_by_one() {
    let (ws, peer) = open(Role::Server);
    tokio::spawn(echo(ws));
    for frame in sixteen() {
        peer.send(&[frame]);
    }
    peer.wait_frames(16).await;
    assert_eq!(peer.writes(), 16, "a reply does not wait for a message that might come");
}

#[tokio::test(start_paused = true)]
async fn replies_leave_at_once_when_the_owner_then_waits_for_something_else() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        tokio::spawn(async move {
            for _ in 0..5 {
                let message = ws.recv().await.unwrap();
                ws.send(message).await.unwrap();
            }
            pending::<()>().await;
        });
        let start = Instant::now();
        peer.send(&sixteen());
        peer.wait_frames(5).await;
        assert_eq!(start.elapsed().as_micros(), 0, "within one pass of the run queue");
        assert_eq!(peer.writes(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_of_another_task_leaves_at_once_while_messages_are_outstanding() {
    let (mut ws, peer) = open(Role::Client);
    let sender = ws.sender();
    let owner = tokio::spawn(async move {
        ws.recv().await.unwrap();
        pending::<()>().await;
    });
    peer.send(&sixteen());
    settle().await;
    let start = Instant::now();
    tokio::spawn(async move { sender.send("from elsewhere").await });
    assert_eq!(peer.wait_frames(1).await, [Frame::text("from elsewhere")]);
    assert_eq!(start.elapsed().as_micros(), 0);
    owner.abort();
}

#[tokio::test(start_paused = true)]
async fn a_batch_larger_than_a_buffer_leaves_in_few_gathered_writes() {
    let (ws, peer) = open(Role::Server);
    tokio::spawn(echo(ws));
    let frames: Vec<_> = (0..14).map(|_| Frame::binary(noise(4_000))).collect();
    peer.send(&frames);
    assert_eq!(peer.wait_frames(14).await, frames);
    assert_eq!(peer.writes(), 1);
    assert!(peer.state().writes[0].slices > 1);
}

#[tokio::test(start_paused = true)]
async fn feed_waits_for_flush_and_leaves_in_one_write() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        for _ in 0..5 {
            ws.feed("fed").await.unwrap();
            assert_eq!(peer.writes(), 0);
        }
        assert!(ws.sender().queued() > 0);
        ws.flush().await.unwrap();
        assert_eq!(ws.sender().queued(), 0);
        assert_eq!(peer.all_frames(), vec![Frame::text("fed"); 5]);
        assert_eq!(peer.writes(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_fed_leaves_with_the_next_message_sent_in_order() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        ws.feed("first").await.unwrap();
        ws.send("second").await.unwrap();
        assert_eq!(peer.all_frames(), [Frame::text("first"), Frame::text("second")]);
        assert_eq!(peer.writes(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_fed_leaves_when_the_owner_waits_in_recv() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        ws.feed("fed").await.unwrap();
        tokio::spawn(async move { ws.recv().await });
        assert_eq!(peer.wait_frames(1).await, [Frame::text("fed")]);
    }
}

#[tokio::test(start_paused = true)]
async fn flush_with_nothing_queued_is_ready_at_once() {
    let (mut ws, peer) = open(Role::Server);
    ws.flush().await.unwrap();
    assert_eq!(peer.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_large_message_leaves_in_one_write_with_its_header() {
    for len in [4_097, 70_000, 5 << 20] {
        let (mut ws, peer) = open(Role::Server);
        let message = Message::binary(noise(len));
        ws.send(message.clone()).await.unwrap();
        assert_eq!(peer.writes(), 1);
        assert_eq!(peer.state().writes[0].slices, 2, "gathered, not copied");
        assert_eq!(messages(&peer.all_frames()), [message]);
        let (mut ws, peer) = open(Role::Client);
        ws.send(noise(len)).await.unwrap();
        assert_eq!(peer.writes(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn several_large_messages_are_gathered_too() {
    let (mut ws, peer) = open(Role::Server);
    for _ in 0..4 {
        ws.feed(noise(10_000)).await.unwrap();
    }
    ws.flush().await.unwrap();
    assert_eq!(peer.writes(), 1);
    assert_eq!(peer.all_frames(), vec![Frame::binary(noise(10_000)); 4]);
}

#[tokio::test(start_paused = true)]
async fn every_write_is_followed_by_a_flush_of_the_transport() {
    // TLS keeps what the socket did not take until it is flushed.
    let (mut ws, peer) = open(Role::Server);
    ws.send("small").await.unwrap();
    assert!(peer.state().flushes >= 1);
    let before = peer.state().flushes;
    ws.feed("fed").await.unwrap();
    ws.flush().await.unwrap();
    assert!(peer.state().flushes > before);
}
