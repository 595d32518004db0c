//! Cancel safety: every future is dropped after every number of polls, over a transport that gives and takes a few
//! bytes at a time and hesitates before each. Nothing may be lost or doubled, and the wire has to stay well-formed.

use std::time::Duration;

use tautline::{CloseCode, Ended, Event, Kind, Message, OpCode, Role, SendError, WebSocket};
use tokio::net::TcpListener;

use crate::support::frames::{Frame, messages};
use crate::support::sim::{Peer, open};
use crate::support::{MS, SECOND, polled, settle, soon};
use crate::{BOTH, noise, open_narrow};

/// Drops futures after a number of polls.
struct Cut {
    polls: usize,
    dropped: usize,
}

impl Cut {
    /// The result of `future`, unless it was dropped before it had one.
    async fn poll<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let result = polled(self.polls, future).await;
        self.dropped += usize::from(result.is_none());
        result
    }
}

/// Runs `scenario` with futures dropped after 0, 1, 2 ... polls, until none is dropped any more.
async fn at_every_poll(scenario: impl AsyncFn(&mut Cut)) {
    for polls in 0..1000 {
        let mut cut = Cut { polls, dropped: 0 };
        soon(scenario(&mut cut)).await;
        if cut.dropped == 0 {
            return;
        }
    }
    panic!("futures are still not ready after 1000 polls");
}

fn input() -> Vec<Frame> {
    vec![
        Frame::text("one"),
        Frame::ping("p1"),
        Frame::text(b"tw\xc3").unfinished(),
        Frame::ping("p2"),
        Frame::more(b"\xb6").unfinished(),
        Frame::more(""),
        Frame::binary(noise(130)),
        Frame::binary(""),
    ]
}

// ---- receiving ----

#[tokio::test(start_paused = true)]
async fn recv_loses_nothing() {
    for role in BOTH {
        at_every_poll(async |cut| {
            let (mut ws, peer) = open(role);
            peer.crumble(3);
            peer.send(&input());
            let mut received = Vec::new();
            for _ in 0..4 {
                let message = match cut.poll(ws.recv()).await {
                    Some(message) => message,
                    None => ws.recv().await,
                };
                received.push(message.unwrap());
            }
            assert_eq!(received, messages(&input()), "{} polls", cut.polls);
            assert_eq!(peer.wait_frames(2).await, [Frame::pong("p1"), Frame::pong("p2")]);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn recv_loses_nothing_when_it_is_always_dropped_and_the_connection_reads_on_by_itself() {
    for polls in 1..10 {
        let (mut ws, peer) = open(Role::Server);
        peer.crumble(3);
        peer.send(&input());
        let mut received = Vec::new();
        while received.len() < 4 {
            match polled(polls, ws.recv()).await {
                Some(message) => received.push(message.unwrap()),
                None => tokio::time::sleep(100 * MS).await,
            }
        }
        assert_eq!(received, messages(&input()));
    }
}

#[tokio::test(start_paused = true)]
async fn recv_loses_nothing_of_a_large_message() {
    let payload = noise(120_000);
    for polls in 0..20 {
        let (mut ws, peer) = open(Role::Server);
        peer.crumble(7_000);
        peer.send(&[Frame::binary(&payload), Frame::text("behind")]);
        let first = match polled(polls, ws.recv()).await {
            Some(message) => message,
            None => soon(ws.recv()).await,
        };
        assert!(first.unwrap().as_bytes() == payload, "{polls} polls");
        assert_eq!(soon(ws.recv()).await, Some(Message::text("behind")));
    }
}

/// What an event tells, with the pieces of a message put together.
fn note(events: &mut Vec<(OpCode, Vec<u8>)>, event: Event) {
    let (opcode, bytes) = match event {
        Event::Data(chunk) if chunk.offset > 0 => {
            return events.last_mut().expect("a first piece").1.extend(&chunk.data);
        }
        Event::Data(chunk) => (chunk.opcode, chunk.data.to_vec()),
        Event::Ping(payload) => (OpCode::Ping, payload.to_vec()),
        Event::Pong { payload, .. } => (OpCode::Pong, payload.to_vec()),
        Event::Close { code, .. } => (OpCode::Close, code.as_u16().to_be_bytes().to_vec()),
    };
    events.push((opcode, bytes));
}

#[tokio::test(start_paused = true)]
async fn recv_event_loses_nothing() {
    for role in BOTH {
        at_every_poll(async |cut| {
            let (mut ws, peer) = open(role);
            // From the first call on.
            assert!(polled(1, ws.recv_event()).await.is_none());
            peer.crumble(3);
            let sent = [input(), vec![Frame::close(1000, "")]].concat();
            peer.send(&sent);
            let mut events = Vec::new();
            loop {
                let event = match cut.poll(ws.recv_event()).await {
                    Some(event) => event,
                    None => ws.recv_event().await,
                };
                match event {
                    Some(event) => note(&mut events, event),
                    None => break,
                }
            }
            let expected: Vec<_> = sent.into_iter().map(|frame| (frame.opcode, frame.payload)).collect();
            assert_eq!(events, expected, "{} polls", cut.polls);
        })
        .await;
    }
}

// ---- sending ----

fn outgoing() -> Vec<Message> {
    vec![
        Message::text("one"),
        Message::binary(""),
        Message::binary(noise(200)),
        Message::text("two"),
        Message::binary(noise(5_000)),
        Message::text("three"),
    ]
}

/// A connection that takes few bytes at a time and queues few.
fn narrow(role: Role) -> (WebSocket, Peer) {
    let (ws, peer) = open_narrow(role, 10);
    peer.crumble(97);
    (ws, peer)
}

/// Everything that was sent, and nothing else, has to be on the wire.
async fn check(mut ws: WebSocket, peer: Peer, sent: Vec<Message>) {
    ws.flush().await.unwrap();
    assert_eq!(messages(&peer.all_frames()), sent);
}

#[tokio::test(start_paused = true)]
async fn send_sends_a_message_whole_or_not_at_all() {
    for role in BOTH {
        at_every_poll(async |cut| {
            let (mut ws, peer) = narrow(role);
            let mut sent = Vec::new();
            for message in outgoing() {
                if let Some(result) = cut.poll(ws.send(message.clone())).await {
                    result.unwrap();
                    sent.push(message);
                }
            }
            check(ws, peer, sent).await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn send_within_sends_a_message_whole_or_not_at_all() {
    at_every_poll(async |cut| {
        let (mut ws, peer) = narrow(Role::Server);
        let mut sent = Vec::new();
        for message in outgoing() {
            if let Some(result) = cut.poll(ws.send_within(SECOND, message.clone())).await {
                result.unwrap();
                sent.push(message);
            }
        }
        check(ws, peer, sent).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn feed_queues_a_message_whole_or_not_at_all() {
    for role in BOTH {
        at_every_poll(async |cut| {
            let (mut ws, peer) = narrow(role);
            let mut sent = Vec::new();
            for message in outgoing() {
                if let Some(result) = cut.poll(ws.feed(message.clone())).await {
                    result.unwrap();
                    sent.push(message);
                }
            }
            check(ws, peer, sent).await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn flush_that_is_dropped_writes_on() {
    for role in BOTH {
        at_every_poll(async |cut| {
            let (mut ws, peer) = open(role);
            peer.crumble(97);
            for message in outgoing() {
                ws.feed(message).await.unwrap();
                cut.poll(ws.flush()).await.unwrap_or(Ok(())).unwrap();
            }
            check(ws, peer, outgoing()).await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn begin_that_is_dropped_begins_nothing() {
    at_every_poll(async |cut| {
        let (ws, peer) = narrow(Role::Server);
        // Another message in fragments, which `begin` has to wait for.
        let mut other = ws.sender().begin(Kind::Binary).await.unwrap();
        other.write(noise(500)).await.unwrap();
        let finishing = tokio::spawn(async move {
            settle().await;
            other.finish(noise(300)).await
        });
        let mut sent = vec![Message::binary([noise(500), noise(300)].concat())];
        if let Some(writer) = cut.poll(ws.sender().begin(Kind::Text)).await {
            writer.unwrap().finish("mine").await.unwrap();
            sent.push(Message::text("mine"));
        }
        finishing.await.unwrap().unwrap();
        ws.sender().send("behind").await.unwrap();
        sent.push(Message::text("behind"));
        check(ws, peer, sent).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn write_sends_a_piece_whole_or_not_at_all() {
    for role in BOTH {
        at_every_poll(async |cut| {
            let (ws, peer) = narrow(role);
            let mut writer = ws.sender().begin(Kind::Binary).await.unwrap();
            let mut sent = Vec::new();
            for piece in outgoing() {
                if let Some(result) = cut.poll(writer.write(piece.clone().into_bytes())).await {
                    result.unwrap();
                    sent.extend(piece.into_bytes());
                }
            }
            writer.finish("end").await.unwrap();
            sent.extend(b"end");
            check(ws, peer, vec![Message::binary(sent)]).await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn finish_that_is_dropped_closes_with_1011() {
    at_every_poll(async |cut| {
        let (ws, peer) = narrow(Role::Server);
        let mut writer = ws.sender().begin(Kind::Binary).await.unwrap();
        writer.write(noise(1_000)).await.unwrap();
        match cut.poll(writer.finish(noise(1_000))).await {
            Some(result) => {
                result.unwrap();
                check(ws, peer, vec![Message::binary([noise(1_000), noise(1_000)].concat())]).await;
            }
            None => {
                assert_eq!(peer.wait_close().await.code(), Some(1011));
                assert_eq!(peer.all_frames()[0], Frame::binary(noise(1_000)).unfinished());
                assert_eq!(peer.all_frames().len(), 2);
            }
        }
    })
    .await;
}

// ---- control frames ----

#[tokio::test(start_paused = true)]
async fn ping_can_be_dropped_and_repeated() {
    for role in BOTH {
        at_every_poll(async |cut| {
            let (mut ws, peer) = open(role);
            peer.answer_pings(Duration::ZERO);
            peer.crumble(2);
            for _ in 0..3 {
                cut.poll(ws.ping()).await.unwrap_or(Ok(MS)).unwrap();
            }
            ws.ping().await.unwrap();
            ws.send("behind").await.unwrap();
            ws.flush().await.unwrap();
            assert_eq!(peer.all_frames().last(), Some(&Frame::text("behind")));
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn close_goes_on_when_it_is_dropped() {
    for role in BOTH {
        at_every_poll(async |cut| {
            let (mut ws, peer) = open(role);
            peer.crumble(3);
            ws.feed(noise(40)).await.unwrap();
            let answering = tokio::spawn({
                let peer = peer.clone();
                async move {
                    peer.wait_close().await;
                    peer.send(&[Frame::close(1000, "")]);
                    peer.end();
                }
            });
            let first = cut.poll(ws.close(CloseCode::NORMAL, "over")).await;
            let expected = Ended::ClosedByUs { code: CloseCode::NORMAL, clean: true };
            if cut.polls > 0 {
                // Nobody asks any more.
                peer.wait_dropped().await;
                assert_eq!(peer.all_frames(), [Frame::binary(noise(40)), Frame::close(1000, "over")]);
                assert_eq!(first.unwrap_or(expected), expected);
                assert_eq!(ws.ended(), Some(expected));
            }
            answering.abort();
        })
        .await;
    }
}

// ---- opening ----

#[tokio::test]
async fn a_dropped_wait_for_the_next_connection_is_taken_up_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}", listener.local_addr().unwrap());
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = count.clone();
    let handler = move |mut ws: WebSocket, _| {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async move { while ws.recv().await.is_some() {} }
    };
    tokio::spawn(tautline::serve(listener, handler, std::future::pending::<()>()));
    at_every_poll(async |cut| {
        let before = count.load(std::sync::atomic::Ordering::Relaxed);
        let mut link = tautline::connect(&uri).reconnecting();
        let mut ws = match cut.poll(link.next()).await {
            Some(ws) => ws,
            None => link.next().await,
        }
        .unwrap();
        ws.send("hello").await.unwrap();
        ws.close(CloseCode::NORMAL, "").await;
        assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), before + 1, "one connection, not two");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_send_that_was_dropped_while_it_waited_does_not_go_out_later() {
    let (ws, peer) = open_narrow(Role::Server, 0);
    peer.take_only(0);
    let sender = ws.sender();
    sender.send("first").await.unwrap();
    assert!(polled(1, sender.send("dropped")).await.is_none());
    assert_eq!(sender.send_within(SECOND, "timed out").await, Err(SendError::TimedOut));
    peer.take_all();
    sender.send("last").await.unwrap();
    sender.flush().await.unwrap();
    assert_eq!(peer.all_frames(), [Frame::text("first"), Frame::text("last")]);
}
