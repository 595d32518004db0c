//! Halves, clones, and the traits of `futures`.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use futures_core::Stream as _;
use futures_sink::Sink;
use tautline::{CloseCode, Ended, Info, Message, Receiver, Role, SendError, Sender, Settings, Stream, WebSocket};
use tokio::io::duplex;

use crate::support::frames::{Frame, messages};
use crate::support::sim::{QUIET, open};
use crate::support::{SECOND, settle, soon};
use crate::{BOTH, noise, text};

/// A client and a server joined by a pipe that holds so many bytes.
fn pair(pipe: usize) -> (WebSocket, WebSocket) {
    let (client, server) = duplex(pipe);
    let settings = || Arc::new(Settings::new().protocol(QUIET));
    let start = |stream, role| WebSocket::start(Stream::other(stream), role, settings(), &[], Info::default());
    (start(client, Role::Client), start(server, Role::Server))
}

#[test]
fn handles_can_go_to_other_threads() {
    fn send_and_sync<T: Send + Sync + 'static>() {}
    send_and_sync::<WebSocket>();
    send_and_sync::<Sender>();
    send_and_sync::<Receiver>();
    send_and_sync::<tautline::EndWatch>();
}

#[tokio::test(start_paused = true)]
async fn two_tasks_send_and_receive_at_once() {
    let (client, server) = pair(100);
    let (to_server, mut from_server) = client.split();
    let (to_client, mut from_client) = server.split();
    let send = |sender: Sender| {
        tokio::spawn(async move {
            for n in 0..200_usize {
                sender.send(noise(n * 7)).await.unwrap();
            }
            sender
        })
    };
    let sending = [send(to_server), send(to_client)];
    let receiving = tokio::spawn(async move {
        for n in 0..200 {
            assert_eq!(from_client.recv().await, Some(Message::binary(noise(n * 7))));
        }
    });
    for n in 0..200 {
        assert_eq!(from_server.recv().await, Some(Message::binary(noise(n * 7))));
    }
    receiving.await.unwrap();
    for task in sending {
        task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn messages_of_many_tasks_do_not_interleave() {
    for role in BOTH {
        let (ws, peer) = open(role);
        peer.crumble(501);
        let tasks: Vec<_> = (0..8_u8)
            .map(|task| {
                let sender = ws.sender();
                tokio::spawn(async move {
                    for n in 0..40_u8 {
                        let len = usize::from(n) * 150;
                        sender.send([vec![task, n], vec![task; len]].concat()).await.unwrap();
                        if n % 7 == 0 {
                            tokio::task::yield_now().await;
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            soon(task).await.unwrap();
        }
        soon(ws.sender().flush()).await.unwrap();
        let mut next = [0; 8];
        for message in messages(&peer.all_frames()) {
            let bytes = message.as_bytes();
            let (task, n) = (bytes[0], bytes[1]);
            assert_eq!(n, next[usize::from(task)], "in the order of each task");
            next[usize::from(task)] += 1;
            assert!(bytes.len() == 2 + usize::from(n) * 150 && bytes[2..].iter().all(|&byte| byte == task));
        }
        assert_eq!(next, [40; 8]);
    }
}

#[tokio::test(start_paused = true)]
async fn messages_of_many_threads_do_not_interleave() {
    let (ws, peer) = open(Role::Server);
    let threads: Vec<_> = (0..4_u8)
        .map(|thread| {
            let sender = ws.sender();
            std::thread::spawn(move || {
                for n in 0..100 {
                    sender.try_send(vec![thread; n * 10]).unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let messages = messages(&peer.wait_frames(400).await);
    assert!(messages.iter().all(|message| message.as_bytes().windows(2).all(|pair| pair[0] == pair[1])));
}

#[tokio::test(start_paused = true)]
async fn control_frames_work_whichever_half_is_used() {
    for role in BOTH {
        // Only the receiver is used.
        let (ws, peer) = open(role);
        let (sender, mut receiver) = ws.split();
        let receiving = tokio::spawn(async move { receiver.recv().await });
        peer.send(&[Frame::ping("1")]);
        assert_eq!(peer.wait_frames(1).await, [Frame::pong("1")]);
        receiving.abort();
        drop(sender);
        // Only the sender is used.
        let (ws, peer) = open(role);
        let (sender, _receiver) = ws.split();
        sender.send("x").await.unwrap();
        peer.send(&[Frame::ping("2")]);
        assert_eq!(peer.wait_frames(2).await, [Frame::text("x"), Frame::pong("2")]);
        peer.send(&[Frame::close(1000, "")]);
        peer.wait_close().await;
        assert_eq!(sender.send("y").await, Err(SendError::Closed));
        assert!(matches!(sender.ended(), Some(Ended::ClosedByPeer { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn the_receiving_half_alone_keeps_the_connection_open() {
    let (ws, peer) = open(Role::Client);
    let (sender, mut receiver) = ws.split();
    drop(sender);
    peer.send(&[Frame::text("still")]);
    assert_eq!(soon(receiver.recv()).await, text("still"));
    assert_eq!(peer.frames(), []);
    drop(receiver);
    assert_eq!(peer.wait_close().await.code(), Some(1001));
}

#[tokio::test(start_paused = true)]
async fn the_end_is_told_to_both_halves() {
    let (ws, peer) = open(Role::Client);
    let (sender, mut receiver) = ws.split();
    let receiving = tokio::spawn(async move { (receiver.recv().await, receiver.ended()) });
    let pinging = tokio::spawn({
        let sender = sender.clone();
        async move { sender.ping().await }
    });
    settle().await;
    peer.send(&[Frame::close(1001, "")]);
    let ended = Some(Ended::ClosedByPeer { code: CloseCode::GOING_AWAY, clean: true });
    assert_eq!(soon(receiving).await.unwrap(), (None, ended));
    assert_eq!(soon(pinging).await.unwrap(), Err(SendError::Closed));
    assert_eq!(sender.ended(), ended);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_learns_at_once_when_a_senders_write_fails() {
    let (ws, peer) = open(Role::Client);
    let (sender, mut receiver) = ws.split();
    let receiving = tokio::spawn(async move { (receiver.recv().await, receiver.ended()) });
    settle().await;
    peer.fail_writes(std::io::ErrorKind::BrokenPipe);
    settle().await;
    let start = tokio::time::Instant::now();
    let _ = sender.send("x").await;
    assert_eq!(soon(receiving).await.unwrap(), (None, Some(Ended::TransportFailed)));
    assert!(start.elapsed() < SECOND);
}

#[tokio::test(start_paused = true)]
async fn close_of_one_handle_ends_recv_of_another() {
    let (client, mut server) = pair(1_000);
    let (sender, mut receiver) = client.split();
    let receiving = tokio::spawn(async move { receiver.recv().await });
    let serving = tokio::spawn(async move { server.recv().await });
    assert!(soon(sender.close(CloseCode::NORMAL, "")).await.is_clean());
    assert_eq!(soon(receiving).await.unwrap(), None);
    assert_eq!(soon(serving).await.unwrap(), None);
}

// ---- Stream and Sink ----

async fn next(ws: &mut (impl futures_core::Stream<Item = Message> + Unpin)) -> Option<Message> {
    poll_fn(|cx| Pin::new(&mut *ws).poll_next(cx)).await
}

async fn put<S: Sink<Message, Error = SendError> + Unpin>(ws: &mut S, message: &str) -> Result<(), SendError> {
    poll_fn(|cx| Pin::new(&mut *ws).poll_ready(cx)).await?;
    Pin::new(ws).start_send(Message::text(message))
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_a_stream_of_messages() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        let receiving = tokio::spawn(async move {
            let mut received = Vec::new();
            while let Some(message) = next(&mut ws).await {
                received.push(message);
            }
            received
        });
        peer.send(&[Frame::text("one"), Frame::text("two")]);
        settle().await;
        peer.send(&[Frame::text("three").unfinished()]);
        settle().await;
        peer.send(&[Frame::more("!"), Frame::close(1000, "")]);
        let expected = ["one", "two", "three!"].map(Message::text);
        assert_eq!(soon(receiving).await.unwrap(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_waits_is_told_without_delay() {
    let (mut ws, peer) = open(Role::Client);
    let receiving = tokio::spawn(async move {
        while next(&mut ws).await.is_some() {}
        tokio::time::Instant::now()
    });
    settle().await;
    let start = tokio::time::Instant::now();
    for _ in 0..10 {
        peer.send(&[Frame::text("x")]);
        settle().await;
    }
    peer.send(&[Frame::close(1000, "")]);
    assert_eq!(soon(receiving).await.unwrap() - start, std::time::Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_receiving_half_is_a_stream_too() {
    let (ws, peer) = open(Role::Server);
    let (_sender, mut receiver) = ws.split();
    peer.send(&[Frame::text("x")]);
    assert_eq!(soon(next(&mut receiver)).await, text("x"));
    assert_eq!(receiver.size_hint(), (0, None));
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_a_sink_that_writes_when_it_is_flushed() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        put(&mut ws, "one").await.unwrap();
        put(&mut ws, "two").await.unwrap();
        assert_eq!(peer.writes(), 0);
        poll_fn(|cx| Pin::new(&mut ws).poll_flush(cx)).await.unwrap();
        assert_eq!(peer.all_frames(), [Frame::text("one"), Frame::text("two")]);
        assert_eq!(peer.writes(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_closes_with_1000_and_waits_for_the_reply() {
    let (mut ws, peer) = open(Role::Client);
    put(&mut ws, "last").await.unwrap();
    let closing = tokio::spawn(async move {
        poll_fn(|cx| Pin::new(&mut ws).poll_close(cx)).await.unwrap();
        let again = put(&mut ws, "late").await;
        (ws.ended(), again)
    });
    assert_eq!(peer.wait_frames(2).await, [Frame::text("last"), Frame::close(1000, "")]);
    settle().await;
    assert!(!closing.is_finished());
    peer.send(&[Frame::close(1000, "")]);
    let ended = Some(Ended::ClosedByUs { code: CloseCode::NORMAL, clean: true });
    assert_eq!(soon(closing).await.unwrap(), (ended, Err(SendError::Closed)));
}

#[tokio::test(start_paused = true)]
async fn a_sink_is_not_ready_while_a_message_in_fragments_is_sent() {
    let (ws, peer) = open(Role::Server);
    let mut writer = ws.sender().begin(tautline::Kind::Text).await.unwrap();
    writer.write("a").await.unwrap();
    let mut sender = ws.sender();
    let putting = tokio::spawn(async move {
        put(&mut sender, "b").await?;
        poll_fn(|cx| Pin::new(&mut sender).poll_flush(cx)).await
    });
    settle().await;
    assert!(!putting.is_finished());
    writer.finish("").await.unwrap();
    soon(putting).await.unwrap().unwrap();
    assert_eq!(peer.all_frames(), [Frame::text("a").unfinished(), Frame::more(""), Frame::text("b")]);
}
