//! Pings and pongs on connections that are busy otherwise.

use tautline_proto::app::Message;
use tautline_proto::{Ended, OpCode};

use super::support::{Call, Frame, Peer, QUIET, World, frames, secs};

fn of(peer: &Peer, opcode: OpCode) -> Vec<Vec<u8>> {
    let frames: Vec<Frame> = peer.frames();
    frames.into_iter().filter(|frame| frame.opcode == opcode).map(|frame| frame.payload).collect()
}

#[test]
fn a_ping_is_answered_with_its_payload() {
    let mut world = World::echo();
    let peer = world.connect();
    for payload in [&b""[..], b"x", &[0xff; 125]] {
        peer.ping(payload);
        world.run();
    }
    assert_eq!(of(&peer, OpCode::Pong), [&b""[..], b"x", &[0xff; 125]]);
    assert!(world.is_idle(&peer));
}

#[test]
fn answers_to_pings_keep_their_place_among_other_answers() {
    let mut world = World::echo();
    let peer = world.connect();
    let ping = |payload: &[u8]| frames::masked(OpCode::Ping, true, payload);
    peer.send_bytes(&[frames::text("a"), ping(b"1"), frames::text("b"), ping(b"2")].concat());
    world.run();
    let payloads: Vec<Vec<u8>> = peer.frames().into_iter().map(|frame| frame.payload).collect();
    assert_eq!(payloads, [b"a", b"1", b"b", b"2"]);
    assert_eq!(peer.writes(), 1);
}

#[test]
fn a_blocked_connection_answers_only_the_latest_of_many_pings() {
    let mut world = World::echo();
    let peer = world.connect_blocked("something");
    for number in 0..100 {
        peer.ping(&[number]);
        world.run();
    }
    peer.take_all();
    world.run();
    assert_eq!(of(&peer, OpCode::Pong), [[99]]);
    assert_eq!(peer.texts(), ["something"]);
    assert!(world.is_idle(&peer));
}

#[test]
fn pongs_that_wait_leave_in_the_order_of_their_pings() {
    let mut world = World::echo().with_queue(usize::MAX);
    let peer = world.connect();
    peer.take_only(10);
    let large = "l".repeat(100_000);
    world.visit(|io| io.send(peer.id, Message::Text(&large)));
    for number in 0..5 {
        peer.ping(&[number]);
        world.run();
        // Not to the end of the frame.
        peer.take(100);
        world.run();
    }
    peer.take_all();
    world.run();
    let pongs = of(&peer, OpCode::Pong);
    assert!(pongs.is_sorted(), "{pongs:?}");
    assert_eq!(pongs.last(), Some(&vec![4]));
}

#[test]
fn a_control_frame_of_one_connection_is_not_given_to_another() {
    let mut world = World::echo();
    let [a, b] = world.connect_some();
    a.take_only(0);
    a.send("x");
    a.ping(b"for a");
    b.send("y");
    world.run();
    b.ping(b"for b");
    world.run();
    a.take_all();
    world.run();
    assert_eq!(of(&a, OpCode::Pong), [b"for a"]);
    assert_eq!(of(&b, OpCode::Pong), [b"for b"]);
}

#[test]
fn a_pong_is_not_sent_behind_a_close_frame() {
    let mut world = World::new(|io, call| {
        if let Call::Message(id, _) = call {
            io.close(id, tautline_proto::CloseCode::NORMAL, "");
        }
    });
    let peer = world.connect();
    peer.send("close");
    peer.ping(b"too late");
    world.run();
    assert_eq!(of(&peer, OpCode::Pong), Vec::<Vec<u8>>::new());
    assert_eq!(peer.close_code(), Some(1000));
}

#[test]
fn a_ping_that_waits_behind_a_large_frame_on_a_slow_link_does_not_end_a_connection_that_moves() {
    let mut world = World::echo().with_config(QUIET.ping_interval(Some(secs(10))).pong_timeout(secs(5)));
    let peer = world.connect();
    peer.take_only(1000);
    let large = "l".repeat(1_000_000);
    world.visit(|io| io.send(peer.id, Message::Text(&large)));
    let (mut answered, mut passed) = (0, 0);
    while peer.wire().written.len() < 1_000_000 {
        // It takes 100 s.
        world.pass(secs(1));
        peer.take(10_000);
        world.run();
        for frame in peer.whole_frames().into_iter().filter(|frame| frame.opcode == OpCode::Ping).skip(answered) {
            peer.pong(&frame.payload);
            answered += 1;
        }
        passed += 1;
        assert_eq!(world.ended(&peer), None, "after {passed} s");
    }
    peer.take_all();
    world.run();
    assert!(peer.texts() == [large]);
}

#[test]
fn a_connection_that_takes_nothing_at_all_is_stuck_when_a_ping_has_waited_long_enough() {
    let mut world = World::echo().with_config(QUIET.ping_interval(Some(secs(10))).pong_timeout(secs(5)));
    let peer = world.connect_blocked("something");
    for _ in 0..16 {
        world.pass(secs(1));
        peer.send("still here");
    }
    assert_eq!(world.ended(&peer), Some(Ended::SendStuck));
    world.pass(secs(1));
    world.assert_empty();
}
