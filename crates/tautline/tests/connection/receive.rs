//! Receiving.

use tautline::{CloseCode, Config, Ended, Message, Role, Settings, Violation};
use tokio::time::timeout;

use crate::support::frames::{Frame, bytes_of};
use crate::support::sim::{QUIET, open, open_with};
use crate::support::{MS, SECOND, soon};
use crate::{BOTH, noise, text};

/// The role of the peer of `ours`.
fn peer_of(ours: Role) -> Role {
    if ours == Role::Client { Role::Server } else { Role::Client }
}

/// One of everything that a peer may send, and the messages in it.
fn mixture() -> (Vec<Frame>, Vec<Message>) {
    let large = noise(300);
    let frames = vec![
        Frame::text("one"),
        Frame::text("").unfinished(),
        Frame::ping("in between"),
        Frame::more("zw\u{e4}i").unfinished(),
        Frame::pong("unasked"),
        Frame::more(""),
        Frame::binary(&large),
        Frame::binary(""),
        // A character that is cut by the end of a fragment.
        Frame::text(b"tr\xc3").unfinished(),
        Frame::more(b"\xaas"),
        Frame::ping(""),
        Frame::binary(&large[..126]).unfinished(),
        Frame::more(&large[126..]),
    ];
    let messages = vec![
        Message::text("one"),
        Message::text("zw\u{e4}i"),
        Message::binary(large.clone()),
        Message::binary(""),
        Message::text("tr\u{ea}s"),
        Message::binary(large),
    ];
    (frames, messages)
}

#[tokio::test(start_paused = true)]
async fn a_message_in_one_frame_arrives() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        peer.send(&[Frame::text("h\u{e9}llo")]);
        assert_eq!(soon(ws.recv()).await, text("h\u{e9}llo"));
        peer.send(&[Frame::binary([0, 255])]);
        assert_eq!(soon(ws.recv()).await, Some(Message::binary(vec![0, 255])));
    }
}

#[tokio::test(start_paused = true)]
async fn many_messages_in_one_read_arrive_in_order() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        let (frames, messages) = mixture();
        peer.send(&frames);
        for message in messages {
            assert_eq!(soon(ws.recv()).await, Some(message));
        }
        assert_eq!(peer.state().reads, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn messages_cut_at_every_byte_arrive_whole() {
    for role in BOTH {
        let (frames, messages) = mixture();
        let bytes = bytes_of(peer_of(role), &frames);
        for cut in 1..bytes.len() {
            let (mut ws, peer) = open(role);
            peer.send_bytes(&bytes[..cut]);
            peer.send_bytes(&bytes[cut..]);
            for message in &messages {
                assert_eq!(soon(ws.recv()).await.as_ref(), Some(message), "cut at {cut}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_arrive_byte_by_byte_are_put_together() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        peer.crumble(1);
        let (frames, messages) = mixture();
        peer.send(&frames);
        for message in messages {
            assert_eq!(soon(ws.recv()).await, Some(message));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pings_between_the_fragments_of_a_message_are_answered() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        peer.send(&[Frame::text("a").unfinished(), Frame::ping("x"), Frame::more("b").unfinished()]);
        let receiving = tokio::spawn(async move { (ws.recv().await, ws) });
        assert_eq!(peer.wait_frames(1).await, [Frame::pong("x")]);
        peer.send(&[Frame::ping("y"), Frame::more("c")]);
        let (message, ws) = soon(receiving).await.unwrap();
        assert_eq!(message, text("abc"));
        assert_eq!(peer.wait_frames(2).await, [Frame::pong("x"), Frame::pong("y")]);
        drop(ws);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_of_5_mib_arrives_however_it_is_cut() {
    let payload = noise(5 << 20);
    for role in BOTH {
        for chunk in [usize::MAX, 1_000_003, 16 * 1024 + 1] {
            let (mut ws, peer) = open(role);
            peer.state().max_read = chunk;
            peer.send(&[Frame::text("before"), Frame::binary(&payload), Frame::text("behind")]);
            assert_eq!(soon(ws.recv()).await, text("before"));
            let message = soon(ws.recv()).await.unwrap();
            assert!(message.as_bytes() == payload, "in reads of {chunk}");
            assert_eq!(soon(ws.recv()).await, text("behind"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_message_takes_few_reads() {
    let payload = noise(5 << 20);
    let (mut ws, peer) = open(Role::Server);
    peer.send(&[Frame::binary(&payload)]);
    soon(ws.recv()).await.unwrap();
    // One of the common buffer, then ever larger ones to where the message is put together.
    assert!(peer.state().reads <= 8, "{} reads", peer.state().reads);
}

#[tokio::test(start_paused = true)]
async fn a_large_message_in_fragments_with_pings_between_arrives() {
    let payload = noise(200_000);
    let (mut ws, peer) = open(Role::Server);
    peer.state().max_read = 10_000;
    let cuts = [0, 50_000, 50_001, 150_000, 200_000];
    for (index, cut) in cuts.windows(2).enumerate() {
        let piece = &payload[cut[0]..cut[1]];
        let frame = if index == 0 { Frame::binary(piece) } else { Frame::more(piece) };
        let frame = if index + 2 == cuts.len() { frame } else { frame.unfinished() };
        peer.send(&[frame, Frame::ping([index as u8])]);
    }
    assert!(soon(ws.recv()).await.unwrap().as_bytes() == payload);
    let pongs = [Frame::pong([0]), Frame::pong([1]), Frame::pong([2]), Frame::pong([3])];
    assert_eq!(peer.wait_frames(4).await, pongs);
}

#[tokio::test(start_paused = true)]
async fn a_message_holds_no_more_memory_than_twice_its_size() {
    for len in [1, 100, 5_000, 20_000, 70_000] {
        let (mut ws, peer) = open(Role::Server);
        let payload = noise(len);
        let (half, rest) = payload.split_at(len / 2);
        peer.send(&[
            Frame::text("neighbour"),
            Frame::binary(&payload),
            Frame::binary(half).unfinished(),
            Frame::more(rest),
            Frame::text("neighbour"),
        ]);
        assert_eq!(soon(ws.recv()).await, text("neighbour"));
        for _ in 0..2 {
            let bytes = soon(ws.recv()).await.unwrap().into_bytes();
            assert_eq!(bytes, payload);
            // Nobody else holds its memory, and there is not much more of it.
            let held = bytes.try_into_mut().expect("a buffer of its own").capacity();
            assert!(held <= 2 * len, "{held} bytes for a message of {len}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_read_behind_the_handshake_is_received() {
    use std::sync::Arc;
    use tautline::{Info, Stream, WebSocket};
    let leftover = bytes_of(Role::Client, &[Frame::text("early"), Frame::text("and cut")]);
    for cut in 0..leftover.len() {
        let (stream, peer) = crate::support::sim::link(Role::Client);
        let (first, rest) = leftover.split_at(cut);
        peer.send_bytes(rest);
        let settings = Arc::new(Settings::new().protocol(QUIET));
        let mut ws = WebSocket::start(Stream::other(stream), Role::Server, settings, first, Info::default());
        assert_eq!(soon(ws.recv()).await, text("early"), "cut at {cut}");
        assert_eq!(soon(ws.recv()).await, text("and cut"), "cut at {cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn messages_before_a_violation_are_received_and_then_none() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        peer.send(&[Frame::text("fine"), Frame::more("of nothing"), Frame::text("ignored")]);
        assert_eq!(soon(ws.recv()).await, text("fine"));
        assert_eq!(soon(ws.recv()).await, None);
        assert_eq!(ws.ended(), Some(Ended::Violation(Violation::UnexpectedContinuation)));
        assert_eq!(soon(ws.recv()).await, None, "and it stays so");
        assert_eq!(peer.wait_close().await.code(), Some(1002));
    }
}

#[tokio::test(start_paused = true)]
async fn each_violation_ends_the_connection_with_its_code() {
    let small = || Settings::new().protocol(QUIET.max_frame(1000).max_message(2000).max_fragments(3));
    let masked = |frame: Frame| frame.bytes(Role::Client);
    let unmasked = |frame: Frame| frame.bytes(Role::Server);
    let raw = |first: u8, rest: &[u8]| [&[first], rest].concat();
    let fragments = |frames: &[Frame]| bytes_of(Role::Client, frames);
    let part = |frame: Frame| frame.unfinished();
    for (bytes, violation, code) in [
        (unmasked(Frame::text("x")), Violation::NotMasked, 1002),
        (raw(0xc1, &[0x80, 0, 0, 0, 0]), Violation::ReservedBit, 1002),
        (raw(0x83, &[0x80, 0, 0, 0, 0]), Violation::ReservedOpCode, 1002),
        (raw(0x82, &[0xfe, 0, 125]), Violation::LengthNotMinimal, 1002),
        (raw(0x82, &[0xff, 0x80, 0, 0, 0, 0, 1, 0, 0]), Violation::LengthTooLarge, 1002),
        (masked(part(Frame::ping("x"))), Violation::FragmentedControl, 1002),
        (raw(0x89, &[0xfe, 0, 126]), Violation::ControlTooLong, 1002),
        (masked(Frame::more("x")), Violation::UnexpectedContinuation, 1002),
        (fragments(&[part(Frame::text("x")), Frame::text("y")]), Violation::ExpectedContinuation, 1002),
        (masked(Frame::text(b"\xff")), Violation::InvalidUtf8, 1007),
        (masked(Frame::text(b"\xc3")), Violation::InvalidUtf8, 1007),
        (fragments(&[part(Frame::text(b"\xc3")), Frame::more("x")]), Violation::InvalidUtf8, 1007),
        (masked(Frame::new(tautline::OpCode::Close, "x")), Violation::TruncatedCloseCode, 1002),
        (masked(Frame::close(1005, "")), Violation::InvalidCloseCode, 1002),
        (masked(Frame::new(tautline::OpCode::Close, b"\x03\xe8\xff")), Violation::InvalidCloseReason, 1007),
        (masked(Frame::binary(noise(1001))), Violation::FrameTooBig, 1009),
        (
            fragments(&[part(Frame::binary(noise(999))), part(Frame::more(noise(999))), Frame::more("abc")]),
            Violation::MessageTooBig,
            1009,
        ),
        (
            fragments(&[part(Frame::text("1")), part(Frame::more("2")), part(Frame::more("3")), Frame::more("4")]),
            Violation::TooManyFragments,
            1009,
        ),
    ] {
        let (mut ws, peer) = open_with(Role::Server, small());
        peer.send_bytes(bytes);
        assert_eq!(soon(ws.recv()).await, None, "{violation}");
        assert_eq!(ws.ended(), Some(Ended::Violation(violation)));
        let close = peer.wait_close().await;
        assert_eq!((close.code(), close.reason()), (Some(code), violation.as_str()));
    }
    let (mut ws, peer) = open(Role::Client);
    peer.send_bytes(masked(Frame::text("x")));
    assert_eq!(soon(ws.recv()).await, None);
    assert_eq!(ws.ended(), Some(Ended::Violation(Violation::Masked)));
    assert_eq!(peer.wait_close().await.code(), Some(1002));
}

#[tokio::test(start_paused = true)]
async fn wrong_text_is_refused_before_the_rest_of_it_has_come() {
    for len in [1_000, 100_000] {
        let (mut ws, peer) = open(Role::Server);
        let mut payload = vec![b'a'; len];
        payload[len / 2] = 0xff;
        let bytes = Frame::text(&payload).bytes(Role::Client);
        // The last byte never comes.
        peer.send_bytes(&bytes[..bytes.len() - 1]);
        assert_eq!(soon(ws.recv()).await, None);
        assert_eq!(ws.ended(), Some(Ended::Violation(Violation::InvalidUtf8)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_over_the_limit_is_refused_by_its_header() {
    let (mut ws, peer) = open_with(Role::Server, Settings::new().protocol(QUIET.max_message(10)));
    peer.send(&[Frame::text("0123456789")]);
    assert_eq!(soon(ws.recv()).await, text("0123456789"));
    peer.send_bytes(&Frame::text("0123456789a").bytes(Role::Client)[..6]);
    assert_eq!(soon(ws.recv()).await, None);
    assert_eq!(peer.wait_close().await.code(), Some(1009));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_only_announces_a_large_message_costs_no_large_buffer() {
    // Nothing to measure from outside but that it works: 16 MiB announced, a little sent, then the end.
    let (mut ws, peer) = open(Role::Server);
    let bytes = Frame::binary(vec![0; 1 << 20]).bytes(Role::Client);
    peer.send_bytes([&[0x82, 0xff], &(16_u64 << 20).to_be_bytes()[..], &bytes[10..5_000]].concat());
    peer.end();
    assert_eq!(soon(ws.recv()).await, None);
    assert_eq!(ws.ended(), Some(Ended::TransportClosed));
}

#[tokio::test(start_paused = true)]
async fn messages_behind_a_close_frame_are_ignored() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        peer.send(&[Frame::text("last"), Frame::close(1000, "done"), Frame::text("late"), Frame::ping("late")]);
        assert_eq!(soon(ws.recv()).await, text("last"));
        assert_eq!(soon(ws.recv()).await, None);
        peer.send(&[Frame::text("later still")]);
        assert_eq!(soon(ws.recv()).await, None);
        assert_eq!(peer.wait_frames(1).await, [Frame::close(1000, "")]);
        assert_eq!(ws.close_reason().as_deref(), Some("done"));
        assert_eq!(ws.ended(), Some(Ended::ClosedByPeer { code: CloseCode::NORMAL, clean: true }));
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_of_the_transport_without_a_close_frame_is_told() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        peer.send(&[Frame::text("last"), Frame::text("half a mess").unfinished()]);
        peer.end();
        assert_eq!(soon(ws.recv()).await, text("last"));
        assert_eq!(soon(ws.recv()).await, None);
        assert_eq!(ws.ended(), Some(Ended::TransportClosed));
        peer.wait_dropped().await;
        assert_eq!(peer.frames(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_the_transport_is_told() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        peer.send(&[Frame::text("last")]);
        peer.reset();
        assert_eq!(soon(ws.recv()).await, text("last"));
        assert_eq!(soon(ws.recv()).await, None);
        assert_eq!(ws.ended(), Some(Ended::TransportFailed));
        peer.wait_dropped().await;
    }
}

#[tokio::test(start_paused = true)]
async fn recv_that_timed_out_has_lost_nothing() {
    let (mut ws, peer) = open(Role::Server);
    let bytes = Frame::text("slowly").bytes(Role::Client);
    for byte in bytes {
        assert!(timeout(SECOND, ws.recv()).await.is_err());
        peer.send_bytes([byte]);
    }
    assert_eq!(timeout(MS, ws.recv()).await, Ok(text("slowly")));
}

#[test]
fn the_limits_are_those_that_were_documented() {
    assert_eq!(Settings::DEFAULT_SEND_QUEUE, 1 << 20);
    assert_eq!(Config::new(), Config::default());
}
