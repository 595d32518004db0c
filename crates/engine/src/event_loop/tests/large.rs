//! Messages that do not come in one read, and those that do not leave in one write.

use std::sync::{Arc, Mutex};

use tautline_proto::{CloseCode, Ended, OpCode, Violation};

use super::support::{Call, QUIET, World, frames, secs};

const MIB: usize = 1024 * 1024;

/// Bytes of which no two pieces are alike.
fn bytes(len: usize) -> Vec<u8> {
    (0..len as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn unlimited() -> World {
    World::echo().with_queue(usize::MAX)
}

#[test]
fn a_large_message_is_echoed_however_its_pieces_come() {
    let payload = bytes(MIB);
    for (pieces, in_frames_of) in [(1, MIB), (7, MIB), (1000, MIB), (1, 10_000), (333, 10_000), (50, 100_000), (5, 999)]
    {
        let mut world = unlimited();
        let peer = world.connect();
        let input = frames::fragmented(OpCode::Binary, &payload, in_frames_of);
        for piece in input.chunks(input.len().div_ceil(pieces)) {
            peer.send_bytes(piece);
            world.turn();
        }
        world.run();
        let all = peer.frames();
        assert!(all.len() == 1 && all[0].payload == payload, "{pieces} pieces, frames of {in_frames_of}");
        assert!(world.is_idle(&peer));
        world.assert_turn_is_empty();
    }
}

#[test]
fn a_message_of_16_mib_waits_for_a_blocked_client_without_another_copy() {
    let lies = Arc::new(Mutex::new(0));
    let seen = lies.clone();
    let mut world = World::new(move |io, call| {
        if let Call::Message(id, message) = call {
            *seen.lock().unwrap() = message.as_bytes().as_ptr() as usize;
            io.send(id, message);
        }
    });
    let peer = world.connect();
    peer.take_only(100_000);
    let payload = bytes(16 * MIB);
    for piece in frames::binary(&payload).chunks(300_000) {
        peer.send_bytes(piece);
        world.run();
    }
    assert_eq!(peer.wire().written.len(), 100_000);
    while peer.wire().written.len() < payload.len() {
        peer.take(3 * MIB);
        world.run();
    }
    let all = peer.frames();
    assert!(all.len() == 1 && all[0].payload == payload);
    let lies = *lies.lock().unwrap();
    let ours = lies..lies + payload.len();
    let elsewhere = peer.wire().slices.iter().filter(|(at, len)| *len > 100 && !ours.contains(at)).count();
    assert_eq!(elsewhere, 0, "every write was from where the app saw the message");
    assert!(world.is_idle(&peer), "all of it is given back");
}

#[test]
fn a_large_message_that_waits_is_not_changed_by_the_next_one() {
    let mut world = unlimited();
    let peer = world.connect();
    peer.take_only(0);
    let payloads = [bytes(MIB), bytes(MIB).into_iter().rev().collect(), vec![7; 2 * MIB], vec![8; 100_000]];
    for payload in &payloads {
        peer.send_bytes(&frames::binary(payload));
        world.run();
    }
    peer.take_all();
    world.run();
    let all: Vec<_> = peer.frames().into_iter().map(|frame| frame.payload).collect();
    assert!(all == payloads);
}

#[test]
fn a_shorter_message_has_nothing_of_the_longer_one_before_it() {
    let mut world = unlimited();
    let [a, b] = world.connect_some();
    a.send_bytes(&frames::binary(&vec![1; MIB]));
    world.run();
    let input = frames::fragmented(OpCode::Binary, &vec![2; 200_000], 90_000);
    for piece in input.chunks(70_000) {
        b.send_bytes(piece);
        world.run();
    }
    assert!(world.binaries_from(&b) == [vec![2; 200_000]]);
    assert!(b.frames()[0].payload == vec![2; 200_000]);
}

#[test]
fn a_text_may_be_cut_inside_a_character() {
    let text = "aé€😀".repeat(20_000);
    let whole = frames::fragmented(OpCode::Text, text.as_bytes(), usize::MAX);
    for step in [30_001, 65_537, 131_071] {
        let mut world = unlimited();
        let peer = world.connect();
        for piece in whole.chunks(step) {
            peer.send_bytes(piece);
            world.run();
        }
        assert!(world.texts_from(&peer) == [text.clone()], "pieces of {step}");
    }
    for size in [1, 2, 3, 5, 7] {
        let mut world = unlimited();
        let peer = world.connect();
        peer.send_bytes(&frames::fragmented(OpCode::Text, &text.as_bytes()[..1000], size));
        world.run();
        assert_eq!(world.texts_from(&peer), [&text[..1000]], "frames of {size}");
    }
}

#[test]
fn a_control_frame_between_the_frames_of_a_message_is_answered_before_the_message_is_complete() {
    let mut world = unlimited();
    let peer = world.connect();
    peer.send_bytes(&frames::masked(OpCode::Text, false, b"be"));
    peer.ping(b"?");
    world.run();
    assert_eq!(peer.frames().len(), 1);
    peer.send_bytes(&frames::masked(OpCode::Continuation, true, b"gun"));
    world.run();
    assert_eq!(peer.texts(), ["begun"]);
}

#[test]
fn large_texts_that_are_not_utf8_end_with_1007_as_early_as_it_shows() {
    let mut payload = "x".repeat(300_000).into_bytes();
    payload[150_000] = 0xff;
    for pieces in [1000, 40_000, usize::MAX] {
        let mut world = unlimited();
        let peer = world.connect();
        for piece in frames::masked(OpCode::Text, true, &payload)[..160_000].chunks(pieces) {
            peer.send_bytes(piece);
            world.run();
        }
        assert_eq!(peer.close_code(), Some(1007));
        assert_eq!(world.ended(&peer), Some(Ended::Violation(Violation::InvalidUtf8)));
    }
}

#[test]
fn what_follows_a_violation_inside_a_large_frame_is_discarded_and_not_kept() {
    let mut world = unlimited();
    let peer = world.connect();
    let mut payload = vec![b'x'; 8 * MIB];
    payload[100] = 0xff;
    let frame = frames::masked(OpCode::Text, true, &payload);
    for piece in frame[..2 * MIB].chunks(MIB / 2) {
        peer.send_bytes(piece);
        world.run();
    }
    assert_eq!(peer.close_code(), Some(1007));
    // Whatever else the peer sends until its time is over.
    for _ in 0..64 {
        peer.send_bytes(&payload[..MIB]);
        world.run();
        assert_eq!(peer.unread(), 0, "it is read and discarded");
    }
    assert!(world.assembled(&peer) <= MIB, "{} bytes are held", world.assembled(&peer));
    world.pass(secs(11));
    world.assert_empty();
}

#[test]
fn a_message_that_is_cut_short_by_our_close_is_not_delivered() {
    let mut world = unlimited();
    let peer = world.connect();
    let frame = frames::binary(&bytes(MIB));
    peer.send_bytes(&frame[..MIB / 2]);
    world.run();
    world.visit(|io| io.close(peer.id, CloseCode::NORMAL, ""));
    peer.send_bytes(&frame[MIB / 2..]);
    peer.close(CloseCode::NORMAL);
    world.run();
    assert_eq!(world.binaries_from(&peer), Vec::<Vec<u8>>::new());
    assert_eq!(world.ended(&peer), Some(Ended::ClosedByUs { code: CloseCode::NORMAL, clean: true }));
    world.assert_empty();
}

#[test]
fn a_message_over_the_limit_ends_with_1009_and_no_memory_is_taken_for_it() {
    let mut world = World::echo().with_config(QUIET.max_message(100_000));
    let peer = world.connect();
    peer.send_bytes(&frames::masked(OpCode::Binary, false, &[0; 90_000]));
    peer.send_bytes(&frames::masked(OpCode::Continuation, true, &[0; 10_001]));
    world.run();
    assert_eq!(peer.close_code(), Some(1009));
    assert_eq!(world.ended(&peer), Some(Ended::Violation(Violation::MessageTooBig)));
}

#[test]
fn memory_follows_what_has_come_and_not_what_is_announced() {
    let mut world = unlimited();
    let peer = world.connect();
    let frame = frames::binary(&bytes(16 * MIB));
    peer.send_bytes(&frame[..100]);
    world.run();
    assert!(world.assembled(&peer) <= 256 * 1024, "{}", world.assembled(&peer));
    peer.send_bytes(&frame[100..MIB]);
    world.run();
    assert!(world.assembled(&peer) <= 4 * MIB, "{}", world.assembled(&peer));
}
