//! What a review found: each of these once failed.

use crate::support::frames::Frame;
use crate::support::sim::open;
use crate::support::{SECOND, polled, settle, soon};
use crate::{noise, open_narrow};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tautline::{Group, Kind, Message, OpCode, Role, Slow};

#[tokio::test(start_paused = true)]
async fn pong_does_not_land_inside_a_large_frame() {
    let (mut ws, peer) = open(Role::Server);
    peer.send(&[Frame::ping("1"), Frame::text("a"), Frame::ping("2"), Frame::text("b")]);
    assert!(soon(ws.recv()).await.is_some());
    ws.send(noise(8192)).await.unwrap();
    assert!(soon(ws.recv()).await.is_some());
    ws.send("end").await.unwrap();
    settle().await;
    let frames = peer.all_frames();
    let big = frames.iter().find(|f| f.opcode == OpCode::Binary).unwrap();
    assert_eq!(big.payload, noise(8192), "{frames:?}");
}

#[tokio::test(start_paused = true)]
async fn violation_truncates_whole_frames() {
    let (mut ws, peer) = open(Role::Server);
    let mut bytes =
        crate::support::frames::bytes_of(Role::Client, &[Frame::ping("1"), Frame::text("a"), Frame::ping("2")]);
    bytes.extend_from_slice(&[0x83, 0x80, 0, 0, 0, 0]);
    peer.send_bytes(bytes);
    assert!(soon(ws.recv()).await.is_some());
    ws.send(noise(8192)).await.unwrap();
    assert!(soon(ws.recv()).await.is_none());
    settle().await;
    let frames = peer.all_frames();
    assert_eq!(frames.last().map(|f| f.opcode), Some(OpCode::Close), "{frames:?}");
}

#[tokio::test(start_paused = true)]
async fn small_messages_before_a_close_frame_are_not_lost() {
    let (mut ws, peer) = open(Role::Server);
    let mut frames: Vec<_> = (0..1500).map(|_| Frame::text("0123456789")).collect();
    frames.push(Frame::close(1000, ""));
    peer.send(&frames);
    tokio::time::sleep(SECOND).await; // the owner does something else
    let mut got = 0;
    while soon(ws.recv()).await.is_some() {
        got += 1;
    }
    assert_eq!(got, 1500);
}

#[tokio::test(start_paused = true)]
async fn close_deadline_is_known_to_the_keeper() {
    let (mut ws, peer) = open(Role::Server);
    peer.take_only(0);
    ws.send("stuck").await.unwrap();
    let mut r = pin!(ws.recv());
    settle().await;
    assert!(polled(1, &mut r).await.is_none());
    tokio::time::sleep(SECOND).await;
    peer.send(&[Frame::close(1000, "")]);
    settle().await; // the keeper has its turn first
    let got = tokio::time::timeout(Duration::from_secs(3600), r).await;
    assert!(got.is_ok(), "recv hangs");
}

#[tokio::test(start_paused = true)]
async fn drop_oldest_lets_the_new_one_in_if_old_ones_can_go() {
    let (ws, peer) = open_narrow(Role::Server, 1000);
    peer.take_only(0);
    let group = Arc::new(Group::new(Slow::DropOldest));
    let _m = group.join(&ws.sender());
    for _ in 0..80 {
        group.publish("0123456789");
    }
    group.publish("x".repeat(900));
    let d = group.publish("newest-one");
    assert_eq!(d.sent, 1, "{d:?}");
}

#[tokio::test(start_paused = true)]
async fn keep_latest_on_a_client_keeps_the_latest() {
    let (ws, peer) = open_narrow(Role::Client, 100);
    peer.take_only(0);
    let group = Arc::new(Group::new(Slow::KeepLatest));
    let _m = group.join(&ws.sender());
    for n in 0..20 {
        group.publish(format!("message {n:02} {}", "y".repeat(30)));
    }
    peer.take_all();
    settle().await;
    let frames = peer.all_frames();
    assert!(frames.last().unwrap().payload.starts_with(b"message 19"), "{frames:?}");
}

#[tokio::test(start_paused = true)]
async fn keep_latest_behind_the_owners_messages() {
    let (ws, peer) = open_narrow(Role::Server, 100);
    peer.take_only(0);
    let group = Arc::new(Group::new(Slow::KeepLatest));
    let _m = group.join(&ws.sender());
    group.publish("old state");
    ws.sender().send("z".repeat(200)).await.unwrap();
    let d = group.publish("new state");
    peer.take_all();
    settle().await;
    let frames = peer.all_frames();
    assert!(
        frames.iter().any(|f| f.payload.ends_with(b"state")),
        "nothing of what was published arrived: {d:?} {frames:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn pong_overtakes_a_large_message_that_has_not_begun() {
    let (ws, peer) = open(Role::Server);
    peer.take_only(1);
    let s = ws.sender();
    s.send("aaaa").await.unwrap();
    s.send(noise(500_000)).await.unwrap();
    peer.send(&[Frame::ping("p")]);
    tokio::time::sleep(SECOND).await;
    peer.take_all();
    settle().await;
    let frames = peer.all_frames();
    assert_eq!(frames[1].opcode, OpCode::Pong, "{frames:?}");
    drop(ws);
}

#[tokio::test]
async fn a_publisher_out_of_budget_does_not_disconnect_a_fast_member() {
    // A current-thread runtime; the socket's buffers would take everything.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let group = Arc::new(Group::new(Slow::Disconnect));
    let g = group.clone();
    tokio::spawn(async move {
        let _ = tautline::serve(
            listener,
            move |mut ws, _| {
                let g = g.clone();
                async move {
                    let _m = g.join(&ws.sender());
                    while ws.recv().await.is_some() {}
                }
            },
            std::future::pending::<()>(),
        )
        .await;
    });
    let mut c = tautline::connect(format!("ws://{at}")).await.unwrap();
    while group.is_empty() {
        tokio::task::yield_now().await;
    }
    let mut total = tautline::Delivery::default();
    let msg = "m".repeat(1000);
    for _ in 0..1300 {
        total += group.publish(msg.as_str());
    }
    assert_eq!(total.disconnected, 0, "{total:?}");
    let _ = c.recv().await;
}

#[tokio::test(start_paused = true)]
async fn a_sink_is_busy_while_a_message_in_fragments_is_sent() {
    use futures_sink::Sink;
    let (ws, _peer) = open(Role::Server);
    let mut sink = ws.sender();
    std::future::poll_fn(|cx| std::pin::Pin::new(&mut sink).poll_ready(cx)).await.unwrap();
    let mut w = ws.sender().begin(Kind::Text).await.unwrap();
    w.write("x").await.unwrap();
    let r = std::pin::Pin::new(&mut sink).start_send(Message::text("y"));
    assert_ne!(r, Err(tautline::SendError::Closed));
    let _ = ws;
}

#[tokio::test(start_paused = true)]
async fn small_messages_before_a_violation_are_not_lost() {
    let (mut ws, peer) = open(Role::Server);
    let frames: Vec<_> = (0..1500).map(|_| Frame::text("0123456789")).collect();
    let mut bytes = crate::support::frames::bytes_of(Role::Client, &frames);
    bytes.extend_from_slice(&[0x83, 0x80, 0, 0, 0, 0]);
    peer.send_bytes(bytes);
    tokio::time::sleep(SECOND).await;
    let mut got = 0;
    while soon(ws.recv()).await.is_some() {
        got += 1;
    }
    assert_eq!(got, 1500);
}

#[tokio::test]
async fn a_426_closes_the_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(tautline::serve(listener, |_, _| async {}, std::future::pending::<()>()));
    let mut c = tokio::net::TcpStream::connect(at).await.unwrap();
    c.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut v = Vec::new();
    soon(c.read_to_end(&mut v)).await.unwrap();
    let text = String::from_utf8(v).unwrap();
    assert_eq!(text.matches("426 Upgrade").count(), 1, "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn publishing_from_many_threads_loses_and_reorders_nothing() {
    for _ in 0..5 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let group = Arc::new(Group::new(Slow::Disconnect));
        let g = group.clone();
        tokio::spawn(tautline::Server::new().send_queue(256 << 20).serve(
            listener,
            move |mut ws, _| {
                let g = g.clone();
                async move {
                    let _m = g.join(&ws.sender());
                    while let Some(m) = ws.recv().await {
                        g.publish(m);
                    }
                }
            },
            std::future::pending::<()>(),
        ));
        const N: usize = 8;
        const M: usize = 1500;
        let mut tasks = Vec::new();
        let mut all = Vec::new();
        for _ in 0..N {
            all.push(tautline::connect(format!("ws://{at}")).send_queue(64 << 20).await.unwrap());
        }
        while group.len() < N {
            tokio::task::yield_now().await;
        }
        for (i, ws) in all.into_iter().enumerate() {
            tasks.push(tokio::spawn(async move {
                let (s, mut r) = ws.split();
                let w = tokio::spawn(async move {
                    for k in 0..M {
                        s.send(format!("{i} {k}")).await.unwrap();
                    }
                    s
                });
                let mut next = [0usize; N];
                for _ in 0..N * M {
                    let m =
                        tokio::time::timeout(Duration::from_secs(10), r.recv()).await.expect("stalled").expect("ended");
                    let (a, b) = m.as_text().unwrap().split_once(' ').unwrap();
                    let a: usize = a.parse().unwrap();
                    let b: usize = b.parse().unwrap();
                    assert_eq!(next[a], b);
                    next[a] += 1;
                }
                drop(w.await.unwrap());
            }));
        }
        for t in tasks {
            t.await.unwrap();
        }
    }
}
