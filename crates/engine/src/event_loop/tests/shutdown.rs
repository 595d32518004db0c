//! The end of a loop.

use tautline_proto::app::Message;
use tautline_proto::handshake::server::Rejection;
use tautline_proto::{CloseCode, Ended};

use super::support::{Call, Happened, Peer, World, echo, frames, secs, wire};

const AWAY: CloseCode = CloseCode::GOING_AWAY;

#[test]
fn a_drain_closes_every_connection_with_the_code_and_waits_for_the_replies() {
    let mut world = World::echo();
    let peers: [Peer; 5] = world.connect_some();
    world.turn_with(|event_loop| event_loop.drain(AWAY));
    assert!(!world.event_loop.is_empty());
    for peer in &peers {
        assert_eq!(peer.close_code(), Some(1001));
        peer.close(AWAY);
    }
    world.run();
    for peer in &peers {
        assert_eq!(world.ended(peer), Some(Ended::ClosedByUs { code: AWAY, clean: true }));
    }
    assert_eq!(world.event_loop.drop_all(), 0);
    world.assert_empty();
}

#[test]
fn what_is_queued_at_a_drain_still_leaves() {
    let mut world = World::echo();
    let blocked = world.connect_blocked("queued");
    let slow = world.connect();
    slow.take_only(50_000);
    let large = "l".repeat(200_000);
    world.visit(|io| io.send(slow.id, Message::Text(&large)));
    world.turn_with(|event_loop| event_loop.drain(AWAY));
    world.pass(secs(3));
    for peer in [&blocked, &slow] {
        peer.take_all();
        world.run();
        assert_eq!(peer.close_code(), Some(1001));
        peer.close(AWAY);
    }
    world.run();
    assert_eq!(blocked.texts(), ["queued"]);
    assert!(slow.texts() == [large]);
    world.assert_empty();
}

#[test]
fn what_is_sent_in_the_turn_of_a_drain_leaves_before_the_close_frame() {
    let mut world = World::echo();
    let peer = world.connect();
    peer.send("last");
    world.turn_with(|event_loop| event_loop.drain(AWAY));
    assert_eq!(peer.texts(), ["last"]);
    assert_eq!(peer.close_code(), Some(1001));
}

#[test]
fn nobody_is_admitted_during_a_drain() {
    let mut world = World::echo();
    world.turn_with(|event_loop| event_loop.drain(AWAY));
    assert_eq!(world.try_admit(0, "/", None), Err(Rejection::new(503)));
    assert_eq!(world.record.take(), []);
    world.assert_empty();
}

#[test]
fn a_client_that_was_admitted_before_a_drain_is_opened_and_closed() {
    let mut world = World::echo();
    let id = world.admit();
    world.turn_with(|event_loop| event_loop.drain(AWAY));
    assert!(!world.event_loop.is_empty(), "it is waited for");
    let peer = world.adopt(id, wire(), &frames::text("not heard"));
    world.run();
    assert_eq!(world.of(&peer), [Happened::Admit(id), Happened::Open(id)]);
    assert_eq!(peer.close_code(), Some(1001));
    peer.close(AWAY);
    world.run();
    assert_eq!(world.ended(&peer), Some(Ended::ClosedByUs { code: AWAY, clean: true }));
    world.assert_empty();
}

#[test]
fn a_connection_that_is_closing_already_keeps_its_code_at_a_drain() {
    let mut world = World::echo();
    let peer = world.connect();
    world.visit(|io| io.close(peer.id, CloseCode::POLICY_VIOLATION, ""));
    world.turn_with(|event_loop| event_loop.drain(AWAY));
    assert_eq!(peer.close_code(), Some(1008));
}

#[test]
fn whoever_is_left_is_dropped_and_every_app_hears_of_it() {
    let mut world = World::echo();
    let silent = world.connect();
    let blocked = world.connect_blocked("queued");
    let broke_a_rule = world.connect();
    broke_a_rule.send_bytes(b"\xff");
    let admitted = world.admit();
    world.run();
    world.turn_with(|event_loop| event_loop.drain(AWAY));
    assert_eq!(world.event_loop.drop_all(), 4);
    for peer in [&silent, &blocked] {
        assert_eq!(world.ended(peer), Some(Ended::ClosedByUs { code: AWAY, clean: false }));
    }
    assert!(matches!(world.ended(&broke_a_rule), Some(Ended::Violation(_))));
    let all = world.record.all();
    let closed = all.iter().filter(|happened| matches!(happened, Happened::Closed(id, _) if *id == admitted));
    assert_eq!(closed.count(), 1);
    world.assert_empty();
}

#[test]
fn everything_can_be_dropped_without_a_drain_and_in_the_middle_of_anything() {
    let mut world = World::new(|io, call| match call {
        Call::Closed(id, _) => {
            // What an app does then is of no use, and of no harm.
            io.send(id, Message::Text("x"));
            io.close(id, AWAY, "");
            io.set_timer(1, io.now());
        }
        call => echo(io, call),
    });
    let peers: [Peer; 6] = world.connect_some();
    peers[0].take_only(0);
    peers[0].send_bytes(&(0..1000).flat_map(|n: u32| frames::text(&format!("{n:0>100}"))).collect::<Vec<_>>());
    peers[1].send_bytes(&frames::binary(&vec![0; 1_000_000])[..500_000]);
    peers[2].close(CloseCode::NORMAL);
    peers[2].take_only(0);
    peers[3].send_bytes(b"\x81\x01x");
    peers[4].take_only(0);
    peers[4].send("question");
    peers[4].end();
    world.turn();
    world.event_loop.drop_all();
    for peer in &peers {
        let told = world.of(peer).into_iter().filter(|happened| matches!(happened, Happened::Closed(..))).count();
        assert_eq!(told, 1);
    }
    world.assert_empty();
}
