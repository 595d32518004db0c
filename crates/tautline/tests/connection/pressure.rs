//! Back-pressure, in both directions: bounded memory, and nobody waits for ever.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use futures_sink::Sink;
use tautline::{Message, Role, SendError, Sender};
use tokio::time::{Instant, sleep};

use crate::support::frames::{Frame, messages};
use crate::support::sim::open;
use crate::support::{MS, SECOND, polled, settle, soon};
use crate::{BOTH, noise, open_narrow, text};

// ---- sending ----

#[tokio::test(start_paused = true)]
async fn send_waits_while_the_queue_is_full_and_goes_on_when_there_is_room() {
    for role in BOTH {
        let (ws, peer) = open_narrow(role, 1_000);
        peer.take_only(0);
        let sender = ws.sender();
        for _ in 0..2 {
            sender.send(noise(600)).await.unwrap();
        }
        let waiting = tokio::spawn(async move { sender.send("waits").await });
        sleep(100 * SECOND).await;
        assert!(!waiting.is_finished());
        let start = Instant::now();
        peer.take_all();
        soon(waiting).await.unwrap().unwrap();
        assert_eq!(start.elapsed().as_micros(), 0);
        let frames = peer.wait_frames(3).await;
        assert_eq!(frames, [Frame::binary(noise(600)), Frame::binary(noise(600)), Frame::text("waits")]);
    }
}

#[tokio::test(start_paused = true)]
async fn feed_waits_too() {
    let (ws, peer) = open_narrow(Role::Server, 100);
    peer.take_only(0);
    let sender = ws.sender();
    sender.feed(noise(100)).await.unwrap();
    assert!(polled(1, sender.feed("x")).await.is_none());
    peer.take_all();
    soon(sender.feed("y")).await.unwrap();
    soon(sender.flush()).await.unwrap();
    assert_eq!(peer.all_frames(), [Frame::binary(noise(100)), Frame::text("y")]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_of_no_bytes_takes_one_message_at_a_time() {
    let (ws, peer) = open_narrow(Role::Server, 0);
    peer.take_only(0);
    ws.sender().send("one").await.unwrap();
    assert!(polled(1, ws.sender().send("two")).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn send_within_gives_up_in_time_and_has_sent_nothing() {
    for role in BOTH {
        let (mut ws, peer) = open_narrow(role, 10);
        peer.take_only(3);
        ws.send("fills the queue").await.unwrap();
        let start = Instant::now();
        assert_eq!(ws.send_within(3 * SECOND, "late").await, Err(SendError::TimedOut));
        assert_eq!(start.elapsed().as_secs(), 3);
        peer.take_all();
        ws.send_within(3 * SECOND, "in time").await.unwrap();
        ws.flush().await.unwrap();
        assert_eq!(peer.all_frames(), [Frame::text("fills the queue"), Frame::text("in time")]);
    }
}

#[tokio::test(start_paused = true)]
async fn try_send_does_not_wait() {
    let (ws, peer) = open_narrow(Role::Server, 10);
    let sender = ws.sender();
    peer.take_only(3);
    sender.try_send("fills the queue").unwrap();
    assert_eq!(sender.try_send("no room"), Err(SendError::Busy));
    peer.take_all();
    sender.try_send("room").unwrap();
    assert_eq!(peer.wait_frames(2).await, [Frame::text("fills the queue"), Frame::text("room")]);
    sender.start_close(tautline::CloseCode::NORMAL, "");
    assert_eq!(sender.try_send("closed"), Err(SendError::Closed));
}

#[tokio::test(start_paused = true)]
async fn no_more_is_queued_than_the_limit_and_one_message() {
    for role in BOTH {
        let (ws, peer) = open_narrow(role, 5_000);
        peer.take_only(0);
        for task in 0..20 {
            let sender = ws.sender();
            tokio::spawn(async move {
                for _ in 0..100 {
                    sender.send(noise(100 * task)).await.unwrap();
                }
            });
        }
        for step in 0..200 {
            settle().await;
            let queued = ws.sender().queued();
            assert!(queued <= 5_000 + 1_900 + 14, "{queued} bytes");
            peer.take_only(1_000 + step);
        }
        peer.take_all();
        assert_eq!(messages(&peer.wait_frames(2_000).await).len(), 2_000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_pings_and_does_not_read_costs_no_memory() {
    for room in [0, 1_000] {
        let (mut ws, peer) = open(Role::Server);
        peer.take_only(room);
        ws.send(noise(5_000)).await.unwrap();
        let before = ws.sender().queued();
        for n in 0..10_000_u32 {
            peer.send(&[Frame::ping([[0; 100].as_slice(), &n.to_be_bytes()].concat())]);
            if n % 100 == 0 {
                settle().await;
            }
        }
        sleep(SECOND).await;
        assert_eq!(peer.unread(), 0);
        assert!(ws.sender().queued() <= before + 2 * 127, "{} bytes", ws.sender().queued());
        // The latest one is answered, after what had begun.
        peer.take_all();
        let last = [[0; 100].as_slice(), &9_999_u32.to_be_bytes()].concat();
        peer.until(|state| state.written.ends_with(&last)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn everybody_who_waits_for_room_gets_it() {
    for role in BOTH {
        let (ws, peer) = open_narrow(role, 10);
        peer.take_only(0);
        ws.sender().send("fills the queue").await.unwrap();
        let tasks: Vec<_> = (0..50)
            .map(|n| {
                let sender = ws.sender();
                tokio::spawn(async move { sender.send(format!("message {n}")).await })
            })
            .collect();
        settle().await;
        peer.take_all();
        for task in tasks {
            soon(task).await.unwrap().unwrap();
        }
        assert_eq!(peer.wait_frames(51).await.len(), 51);
    }
}

/// The room that one task finds and uses up to write must not be hidden from those who waited for it.
#[tokio::test(start_paused = true)]
async fn those_who_wait_are_told_whoever_wrote() {
    type Act = fn(Sender);
    let acts: [(&str, Act); 4] = [
        ("send", |sender| drop(tokio::spawn(async move { sender.send("other").await }))),
        ("flush", |sender| drop(tokio::spawn(async move { sender.flush().await }))),
        ("ping", |sender| drop(tokio::spawn(async move { sender.ping().await }))),
        ("publish", |sender| {
            sender.publish(&tautline::Published::new("other"), tautline::Slow::Disconnect);
        }),
    ];
    for (name, act) in acts {
        let (ws, peer) = open_narrow(Role::Server, 10);
        peer.take_only(0);
        ws.sender().send("fills the queue").await.unwrap();
        let waiter = |flush: bool| {
            let sender = ws.sender();
            tokio::spawn(async move { if flush { sender.flush().await } else { sender.send("waited").await } })
        };
        let waiting = [waiter(false), waiter(true), waiter(false)];
        settle().await;
        // Whoever acts comes before anybody who is woken by the transport.
        peer.take_all();
        if name == "publish" {
            act(ws.sender());
        } else {
            let sender = ws.sender();
            let now = async {
                match name {
                    "send" => drop(polled(1, sender.send("other")).await),
                    "flush" => drop(polled(1, sender.flush()).await),
                    _ => drop(polled(1, sender.ping()).await),
                }
            };
            now.await;
        }
        let start = Instant::now();
        for task in waiting {
            soon(task).await.unwrap().unwrap();
        }
        assert!(start.elapsed() < MS, "{name}: {:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn flush_waits_for_the_transport_to_be_flushed() {
    let (mut ws, peer) = open(Role::Server);
    peer.hold_flush();
    ws.send("held inside, as TLS does").await.unwrap();
    let flushing = tokio::spawn(async move { ws.flush().await });
    settle().await;
    assert!(!flushing.is_finished());
    let start = Instant::now();
    peer.take_all();
    soon(flushing).await.unwrap().unwrap();
    assert_eq!(start.elapsed().as_micros(), 0);
}

#[tokio::test(start_paused = true)]
async fn sinks_in_several_tasks_all_get_room() {
    let (ws, peer) = open_narrow(Role::Server, 10);
    peer.take_only(0);
    ws.sender().send("fills the queue").await.unwrap();
    let tasks: Vec<_> = (0..5)
        .map(|n| {
            let mut sender = ws.sender();
            tokio::spawn(async move {
                poll_fn(|cx| Pin::new(&mut sender).poll_ready(cx)).await?;
                Pin::new(&mut sender).start_send(Message::text(format!("message {n}")))?;
                poll_fn(|cx| Pin::new(&mut sender).poll_flush(cx)).await
            })
        })
        .collect();
    settle().await;
    let start = Instant::now();
    peer.take_all();
    for task in tasks {
        soon(task).await.unwrap().unwrap();
    }
    assert!(start.elapsed() < MS, "{:?}", start.elapsed());
    assert_eq!(peer.all_frames().len(), 6);
}

// ---- receiving ----

#[tokio::test(start_paused = true)]
async fn reading_ahead_is_bounded_while_nobody_receives() {
    for role in BOTH {
        for len in [0, 100, 5_000, 60_000] {
            let (mut ws, peer) = open(role);
            let count = 4_000_000 / (len + 500);
            for n in 0..count as u32 {
                peer.send(&[Frame::binary([noise(len), n.to_be_bytes().to_vec()].concat())]);
            }
            sleep(60 * SECOND).await;
            let read = peer.state().bytes_read;
            assert!(peer.unread() > 0, "the peer has to wait");
            assert!(read <= 200_000, "{read} bytes were read ahead, in messages of {len}");
            // And nothing is lost.
            for n in 0..count as u32 {
                let message = soon(ws.recv()).await.unwrap();
                assert!(message.as_bytes().ends_with(&n.to_be_bytes()) && message.len() == len + 4);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn empty_messages_are_bounded_too() {
    let (_ws, peer) = open(Role::Server);
    for _ in 0..5_000 {
        peer.send(&[Frame::text("")]);
    }
    sleep(SECOND).await;
    assert!(peer.unread() >= 6 * 3_000, "{} bytes unread", peer.unread());
}

#[tokio::test(start_paused = true)]
async fn reading_ahead_goes_on_when_there_is_room_again() {
    let (mut ws, peer) = open(Role::Server);
    for _ in 0..20 {
        peer.send(&[Frame::binary(noise(20_000))]);
    }
    peer.send(&[Frame::ping("last")]);
    sleep(SECOND).await;
    assert!(peer.unread() > 0);
    // The owner comes back now and then for a single message.
    for _ in 0..20 {
        assert_eq!(soon(ws.recv()).await.map(|message| message.len()), Some(20_000));
        sleep(SECOND).await;
    }
    assert_eq!(peer.unread(), 0);
    assert_eq!(peer.frames(), [Frame::pong("last")]);
}

#[tokio::test(start_paused = true)]
async fn a_close_frame_behind_unread_data_is_found_once_we_close() {
    let (ws, peer) = open(Role::Server);
    for _ in 0..50 {
        peer.send(&[Frame::binary(noise(20_000))]);
    }
    sleep(SECOND).await;
    assert!(peer.unread() > 0);
    let (sender, _receiver) = ws.split();
    let start = Instant::now();
    let closing = tokio::spawn(async move { sender.close(tautline::CloseCode::NORMAL, "").await });
    peer.wait_close().await;
    peer.send(&[Frame::close(1000, "")]);
    assert!(soon(closing).await.unwrap().is_clean());
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn data_is_discarded_when_the_receiver_is_gone() {
    let (ws, peer) = open(Role::Server);
    let (sender, receiver) = ws.split();
    drop(receiver);
    for _ in 0..50 {
        peer.send(&[Frame::binary(noise(20_000))]);
    }
    peer.send(&[Frame::ping("still here?")]);
    assert_eq!(peer.wait_frames(1).await, [Frame::pong("still here?")]);
    assert_eq!(peer.unread(), 0);
    sender.send("yes").await.unwrap();
    assert_eq!(peer.wait_frames(2).await[1], Frame::text("yes"));
}

#[tokio::test(start_paused = true)]
async fn receiving_and_sending_do_not_wait_for_each_other() {
    // The plain loop against a peer that does not read: it stops, and goes on where it was.
    let (mut ws, peer) = open_narrow(Role::Server, 1_000);
    peer.take_only(0);
    tokio::spawn(async move {
        while let Some(message) = ws.recv().await {
            ws.send(message).await.unwrap();
        }
    });
    for _ in 0..100 {
        peer.send(&[Frame::binary(noise(10_000))]);
    }
    sleep(Duration::from_secs(30)).await;
    assert!(peer.unread() > 500_000, "the peer has to wait, too");
    peer.take_all();
    assert_eq!(peer.wait_frames(100).await, vec![Frame::binary(noise(10_000)); 100]);
}

#[tokio::test(start_paused = true)]
async fn a_read_ahead_message_is_there_at_once() {
    let (mut ws, peer) = open(Role::Client);
    peer.send(&[Frame::text("early")]);
    sleep(SECOND).await;
    assert_eq!(peer.unread(), 0);
    assert_eq!(polled(1, ws.recv()).await, Some(text("early")));
}
