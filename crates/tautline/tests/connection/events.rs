//! Events: data as it arrives, and what else happens.

use bytes::Bytes;
use tautline::{Chunk, CloseCode, Event, Kind, Message, OpCode, Role, WebSocket};
use tokio::time::timeout;

use crate::support::frames::Frame;
use crate::support::sim::open;
use crate::support::{MS, polled, settle, soon};
use crate::{BOTH, noise, text};

fn chunk(opcode: OpCode, fin: bool, payload_len: u64, offset: u64, data: &[u8]) -> Chunk {
    let kind = if opcode == OpCode::Binary { Kind::Binary } else { Kind::Text };
    Chunk { data: Bytes::copy_from_slice(data), kind, opcode, fin, payload_len, offset }
}

/// The next event, from the first byte on.
async fn event(ws: &mut WebSocket) -> Event {
    soon(ws.recv_event()).await.expect("an event")
}

/// Switches to events.
async fn by_event(ws: &mut WebSocket) {
    assert!(polled(1, ws.recv_event()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn frames_are_reported_one_by_one_with_opcode_length_and_offset() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        by_event(&mut ws).await;
        peer.send(&[
            Frame::text("whole"),
            Frame::text("a").unfinished(),
            Frame::ping("p"),
            Frame::more("bc").unfinished(),
            Frame::pong("q"),
            Frame::more(""),
            Frame::binary(""),
            Frame::close(1000, "bye"),
        ]);
        let expected = [
            Event::Data(chunk(OpCode::Text, true, 5, 0, b"whole")),
            Event::Data(chunk(OpCode::Text, false, 1, 0, b"a")),
            Event::Ping("p".into()),
            Event::Data(chunk(OpCode::Continuation, false, 2, 0, b"bc")),
            Event::Pong { payload: "q".into(), latency: None },
            Event::Data(chunk(OpCode::Continuation, true, 0, 0, b"")),
            Event::Data(chunk(OpCode::Binary, true, 0, 0, b"")),
            Event::Close { code: CloseCode::NORMAL, reason: "bye".into() },
        ];
        for expected in expected {
            assert_eq!(event(&mut ws).await, expected);
        }
        assert_eq!(soon(ws.recv_event()).await, None);
        assert_eq!(peer.all_frames(), [Frame::pong("p"), Frame::close(1000, "")]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_arrives_in_pieces_is_reported_in_pieces() {
    let (mut ws, peer) = open(Role::Client);
    by_event(&mut ws).await;
    let bytes = Frame::text("h\u{e9}llo").bytes(Role::Server);
    // Cut inside the character.
    peer.send_bytes(&bytes[..4]);
    assert_eq!(event(&mut ws).await, Event::Data(chunk(OpCode::Text, true, 6, 0, b"h\xc3")));
    peer.send_bytes(&bytes[4..]);
    let last = chunk(OpCode::Text, true, 6, 2, b"\xa9llo");
    assert!(last.is_last());
    assert_eq!(event(&mut ws).await, Event::Data(last));
}

#[tokio::test(start_paused = true)]
async fn a_message_larger_than_memory_should_be_arrives_in_pieces() {
    let payload = noise(1 << 20);
    let (mut ws, peer) = open(Role::Server);
    by_event(&mut ws).await;
    peer.state().max_read = 30_000;
    peer.send(&[Frame::binary(&payload)]);
    let mut received = Vec::new();
    loop {
        let Event::Data(chunk) = event(&mut ws).await else { panic!() };
        assert_eq!((chunk.offset, chunk.payload_len), (received.len() as u64, 1 << 20));
        assert!(chunk.data.len() <= 65_536);
        received.extend_from_slice(&chunk.data);
        if chunk.is_last() {
            break;
        }
    }
    assert!(received == payload);
}

#[tokio::test(start_paused = true)]
async fn our_pings_latency_comes_with_the_event() {
    let (ws, peer) = open(Role::Client);
    let (sender, mut receiver) = ws.split();
    assert!(polled(1, receiver.recv_event()).await.is_none());
    peer.answer_pings(30 * MS);
    let pinging = tokio::spawn(async move { sender.ping().await });
    let Some(Event::Pong { payload, latency: Some(latency) }) = soon(receiver.recv_event()).await else { panic!() };
    assert_eq!(payload.len(), 4);
    assert!((30 * MS..35 * MS).contains(&latency));
    assert_eq!(soon(pinging).await.unwrap(), Ok(latency));
}

#[tokio::test(start_paused = true)]
async fn what_arrived_before_the_first_call_is_reported_as_whole_messages() {
    let (mut ws, peer) = open(Role::Server);
    peer.send(&[Frame::text("a").unfinished(), Frame::more("b"), Frame::binary("c")]);
    tokio::time::sleep(crate::support::SECOND).await;
    assert_eq!(peer.unread(), 0);
    assert_eq!(event(&mut ws).await, Event::Data(chunk(OpCode::Text, true, 2, 0, b"ab")));
    assert_eq!(event(&mut ws).await, Event::Data(chunk(OpCode::Binary, true, 1, 0, b"c")));
    peer.send(&[Frame::text("d").unfinished()]);
    assert_eq!(event(&mut ws).await, Event::Data(chunk(OpCode::Text, false, 1, 0, b"d")));
}

// ---- mixed with recv ----

#[tokio::test(start_paused = true)]
async fn recv_goes_on_giving_whole_messages() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        by_event(&mut ws).await;
        peer.send(&[
            Frame::text(b"\xc3").unfinished(),
            Frame::ping("p"),
            Frame::more(b"\xa9").unfinished(),
            Frame::more("!"),
            Frame::binary("x"),
            Frame::ping("q"),
        ]);
        assert_eq!(soon(ws.recv()).await, text("\u{e9}!"));
        assert_eq!(event(&mut ws).await, Event::Data(chunk(OpCode::Binary, true, 1, 0, b"x")));
        assert_eq!(event(&mut ws).await, Event::Ping("q".into()));
        peer.send(&[Frame::text("last")]);
        assert_eq!(soon(ws.recv()).await, text("last"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_beginning_came_before_the_first_event_is_not_torn() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        peer.send(&[Frame::text(b"beg\xc3").unfinished()]);
        // `recv` has put half of it together when its owner turns to events.
        assert!(timeout(MS, ws.recv()).await.is_err());
        by_event(&mut ws).await;
        peer.send(&[Frame::more(b"\xa9n"), Frame::text("next")]);
        assert_eq!(event(&mut ws).await, Event::Data(chunk(OpCode::Text, true, 6, 0, "beg\u{e9}n".as_bytes())));
        assert_eq!(event(&mut ws).await, Event::Data(chunk(OpCode::Text, true, 4, 0, b"next")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_message_that_has_begun_before_the_first_event_is_not_torn() {
    let payload = noise(100_000);
    let (mut ws, peer) = open(Role::Server);
    let bytes = Frame::binary(&payload).bytes(Role::Client);
    peer.send_bytes(&bytes[..10_000]);
    assert!(timeout(MS, ws.recv()).await.is_err());
    by_event(&mut ws).await;
    peer.send_bytes(&bytes[10_000..]);
    let Event::Data(chunk) = event(&mut ws).await else { panic!() };
    assert!(chunk.data == payload && chunk.is_last());
}

#[tokio::test(start_paused = true)]
async fn a_message_that_recv_has_begun_with_among_events_is_not_torn() {
    let (mut ws, peer) = open(Role::Server);
    by_event(&mut ws).await;
    peer.send(&[Frame::text(b"beg\xc3").unfinished()]);
    assert!(timeout(MS, ws.recv()).await.is_err());
    peer.send(&[Frame::ping("p"), Frame::more(b"\xa9n"), Frame::text("next")]);
    assert_eq!(event(&mut ws).await, Event::Ping("p".into()));
    assert_eq!(event(&mut ws).await, Event::Data(chunk(OpCode::Text, true, 6, 0, "beg\u{e9}n".as_bytes())));
    assert_eq!(soon(ws.recv()).await, text("next"));
}

#[tokio::test(start_paused = true)]
async fn recv_does_not_give_the_rest_of_a_message_of_which_events_have_told_the_beginning() {
    // It would be half a message, and perhaps half a character.
    for role in BOTH {
        let (mut ws, peer) = open(role);
        by_event(&mut ws).await;
        peer.send(&[Frame::text(b"beg\xc3").unfinished(), Frame::more(b"\xa9n"), Frame::text("next")]);
        assert_eq!(event(&mut ws).await, Event::Data(chunk(OpCode::Text, false, 4, 0, b"beg\xc3")));
        assert_eq!(soon(ws.recv()).await, text("next"));
        peer.send_bytes(&Frame::text("\u{e9}").bytes(Role::Server)[..3]);
        if role == Role::Client {
            settle().await;
            let Event::Data(first) = event(&mut ws).await else { panic!() };
            assert_eq!(first.data, b"\xc3"[..]);
            peer.send_bytes(b"\xa9");
            peer.send(&[Frame::text("last")]);
            assert_eq!(soon(ws.recv()).await, text("last"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn events_are_bounded_while_nobody_asks_for_them() {
    let (mut ws, peer) = open(Role::Server);
    by_event(&mut ws).await;
    for _ in 0..5_000 {
        peer.send(&[Frame::ping(noise(100))]);
    }
    tokio::time::sleep(crate::support::SECOND).await;
    assert!(peer.unread() > 0);
    for _ in 0..5_000 {
        assert!(matches!(event(&mut ws).await, Event::Ping(_)));
    }
    assert_eq!(peer.unread(), 0);
    peer.send(&[Frame::binary("x")]);
    assert_eq!(soon(ws.recv()).await, Some(Message::binary("x")));
}
