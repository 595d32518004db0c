//! Asking clients whether they are still there. The loop notices a deadline up to 8 ms late.

use std::time::Duration;

use tautline_proto::app::{ConnectionId, Io};
use tautline_proto::{CloseCode, Ended, OpCode};

use super::support::{Call, Happened, Peer, QUIET, World, frames, secs, wire};

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// An app that says nothing.
fn silent() -> World {
    World::new(|_, _| {})
}

fn probe(world: &mut World, peer: &Peer, within: Duration) {
    let id = peer.id;
    world.visit(|io| io.probe(id, within));
}

fn pings(peer: &Peer) -> Vec<Vec<u8>> {
    let pings = peer.whole_frames().into_iter().filter(|frame| frame.opcode == OpCode::Ping);
    pings.map(|frame| frame.payload).collect()
}

fn answer(peer: &Peer) {
    peer.pong(pings(peer).last().expect("a ping"));
}

/// How often the app was told that a client is there.
fn alive(world: &World, peer: &Peer) -> usize {
    world.of(peer).iter().filter(|happened| **happened == Happened::Alive(peer.id)).count()
}

#[test]
fn a_client_that_answers_is_alive_once_and_at_once() {
    let mut world = silent();
    let peer = world.connect();
    probe(&mut world, &peer, secs(10));
    assert_eq!(pings(&peer).len(), 1, "in the same turn");
    world.pass(secs(1));
    assert_eq!(alive(&world, &peer), 0);
    answer(&peer);
    world.turn();
    assert_eq!(alive(&world, &peer), 1, "in the same turn");
    world.pass(secs(60));
    assert_eq!((alive(&world, &peer), world.ended(&peer), pings(&peer).len()), (1, None, 1));
    assert!(world.is_idle(&peer));
}

#[test]
fn a_silent_client_is_given_up_when_its_time_is_over_whatever_other_deadline_it_has() {
    for config in [QUIET, QUIET.ping_interval(Some(secs(20))).pong_timeout(secs(20))] {
        let mut world = silent().with_config(config);
        let peer = world.connect();
        let [other] = world.connect_some();
        world.pass(secs(5));
        probe(&mut world, &peer, secs(1));
        world.pass(millis(990));
        assert_eq!(world.ended(&peer), None);
        world.pass(millis(20));
        assert_eq!(world.ended(&peer), Some(Ended::PeerSilent));
        assert!(peer.dropped());
        assert_eq!((alive(&world, &peer), world.ended(&other)), (0, None));
    }
}

#[test]
fn whatever_arrives_is_an_answer() {
    let part = &frames::text("a message that has only begun")[..1];
    for bytes in [&frames::text("here")[..], &frames::binary(&[0; 70_000]), part] {
        let mut world = silent();
        let peer = world.connect();
        probe(&mut world, &peer, secs(1));
        peer.send_bytes(bytes);
        world.run();
        assert_eq!(alive(&world, &peer), 1);
        world.pass(secs(5));
        assert_eq!((alive(&world, &peer), world.ended(&peer)), (1, None));
    }
}

#[test]
fn the_message_for_which_the_app_asks_is_no_answer() {
    let mut world = World::new(|io, call| {
        if let Call::Message(id, _) = call {
            io.probe(id, secs(1));
        }
    });
    let [silent, alive_one] = world.connect_some();
    for peer in [&silent, &alive_one] {
        peer.send("are you there?");
        world.run();
        assert_eq!((pings(peer).len(), alive(&world, peer)), (1, 0));
    }
    answer(&alive_one);
    world.pass(secs(2));
    assert_eq!((alive(&world, &silent), world.ended(&silent)), (0, Some(Ended::PeerSilent)));
    assert_eq!((alive(&world, &alive_one), world.ended(&alive_one)), (1, None));
}

#[test]
fn an_answer_that_is_here_already_counts_though_nobody_has_told_of_it() {
    let mut world = silent();
    let peer = world.connect();
    probe(&mut world, &peer, secs(1));
    world.pass(millis(990));
    answer(&peer);
    // The time comes before the readiness.
    world.now = world.now + millis(100);
    world.event_loop.set_now(world.now);
    world.event_loop.end_turn();
    assert_eq!((alive(&world, &peer), world.ended(&peer)), (1, None));
}

#[test]
fn of_two_probes_the_earlier_deadline_counts_and_there_is_one_answer() {
    for (first, second) in [(1, 30), (30, 1)] {
        let mut world = silent();
        let [gone, there] = world.connect_some();
        for peer in [&gone, &there] {
            probe(&mut world, peer, secs(first));
            probe(&mut world, peer, secs(second));
            assert_eq!(pings(peer).len(), 1);
        }
        answer(&there);
        world.pass(millis(990));
        assert_eq!(world.ended(&gone), None);
        world.pass(millis(20));
        assert_eq!(world.ended(&gone), Some(Ended::PeerSilent));
        world.pass(secs(60));
        assert_eq!((alive(&world, &there), world.ended(&there)), (1, None));
    }
}

#[test]
fn a_client_may_be_asked_again_when_it_has_answered() {
    let mut world = World::new(|io, call| {
        if let Call::Alive(id) = call {
            io.probe(id, secs(1));
        }
    });
    let peer = world.connect();
    probe(&mut world, &peer, secs(1));
    for round in 1..=3 {
        answer(&peer);
        world.run();
        assert_eq!((alive(&world, &peer), pings(&peer).len()), (round, round + 1));
    }
    world.pass(secs(2));
    assert_eq!(world.ended(&peer), Some(Ended::PeerSilent));
}

#[test]
fn a_client_that_takes_nothing_is_given_up_in_time_as_stuck() {
    let mut world = silent();
    let peer = world.connect_blocked("something");
    probe(&mut world, &peer, secs(1));
    world.pass(millis(990));
    assert_eq!(world.ended(&peer), None);
    world.pass(millis(20));
    assert_eq!(world.ended(&peer), Some(Ended::SendStuck));
    assert!(peer.dropped());
}

#[test]
fn a_client_that_takes_what_waits_is_asked_behind_the_frame_that_has_begun() {
    let mut world = silent();
    let peer = world.connect_blocked("something");
    peer.take(3);
    world.run();
    probe(&mut world, &peer, secs(1));
    world.pass(millis(900));
    peer.take_all();
    world.run();
    assert_eq!((peer.texts(), pings(&peer).len()), (vec!["something".into()], 1));
    answer(&peer);
    world.pass(secs(1));
    assert_eq!((alive(&world, &peer), world.ended(&peer)), (1, None));
}

#[test]
fn a_client_that_takes_nothing_and_is_heard_is_alive() {
    let mut world = silent();
    let peer = world.connect_blocked("something");
    probe(&mut world, &peer, secs(1));
    peer.send("here");
    world.pass(secs(5));
    assert_eq!((alive(&world, &peer), world.ended(&peer)), (1, None));
}

/// A client that sends faster than it takes the answers, and is read no further.
fn paused() -> (World, Peer) {
    let mut world = World::echo();
    let peer = world.connect();
    peer.take_only(0);
    let text = frames::text(&"x".repeat(100));
    for _ in 0..2 {
        peer.send_bytes(&text.repeat(500));
        world.run();
    }
    assert!(peer.unread() > 0, "paused");
    (world, peer)
}

#[test]
fn a_paused_client_that_takes_nothing_is_stuck() {
    let (mut world, peer) = paused();
    probe(&mut world, &peer, secs(1));
    world.pass(millis(1020));
    assert_eq!(world.ended(&peer), Some(Ended::SendStuck));
}

#[test]
fn a_paused_client_is_not_given_up_for_the_answer_that_nobody_reads() {
    let (mut world, peer) = paused();
    probe(&mut world, &peer, secs(2));
    peer.take(5000);
    world.run();
    answer(&peer);
    world.pass(secs(3));
    assert_eq!((alive(&world, &peer), world.ended(&peer)), (0, None));
    peer.take_all();
    world.run();
    assert_eq!((alive(&world, &peer), world.ended(&peer)), (1, None));
}

#[test]
fn a_closing_connection_is_not_probed_and_its_end_is_the_only_answer() {
    let probing = |io: &mut dyn Io, id: ConnectionId| io.probe(id, secs(1));
    let closing = |io: &mut dyn Io, id: ConnectionId| io.close(id, CloseCode::NORMAL, "");
    for order in [[probing, closing], [closing, probing]] {
        let mut world = silent();
        let peer = world.connect();
        world.visit(|io| order.map(|act| act(io, peer.id)));
        peer.send("still here");
        world.pass(secs(5));
        assert_eq!((alive(&world, &peer), world.ended(&peer)), (0, None));
        peer.close(CloseCode::NORMAL);
        world.run();
        assert_eq!(world.ended(&peer), Some(Ended::ClosedByUs { code: CloseCode::NORMAL, clean: true }));
        assert_eq!(alive(&world, &peer), 0);
        world.assert_empty();
    }
}

#[test]
fn an_answer_to_which_the_app_closes_is_not_reported() {
    let mut world = World::new(|io, call| {
        if let Call::Message(id, _) = call {
            io.close(id, CloseCode::NORMAL, "");
        }
    });
    let peer = world.connect();
    probe(&mut world, &peer, secs(1));
    peer.send("here");
    world.run();
    assert_eq!((alive(&world, &peer), peer.close_code()), (0, Some(1000)));
}

#[test]
fn a_connection_that_is_gone_or_was_never_there_is_not_probed() {
    let mut world = silent();
    let gone = world.connect();
    gone.reset();
    world.run();
    // Has its place now.
    let peer = world.connect();
    assert_eq!(peer.slot(), gone.slot());
    probe(&mut world, &gone, secs(1));
    world.visit(|io| io.probe(ConnectionId(u64::MAX), secs(1)));
    world.pass(secs(5));
    assert_eq!((peer.frames(), world.ended(&peer)), (vec![], None));
    assert_eq!(world.ended(&gone), Some(Ended::TransportFailed));
}

#[test]
fn a_client_whose_handshake_is_not_answered_is_asked_when_it_is() {
    for within in [[1, 30], [30, 1]] {
        let mut world = silent();
        let (gone, there) = (world.admit(), world.admit());
        for id in [gone, there] {
            world.visit(|io| within.map(|within| io.probe(id, secs(within))));
        }
        world.pass(secs(5));
        let gone = world.adopt(gone, wire(), &frames::text("sent before"));
        let there = world.adopt(there, wire(), &[]);
        world.run();
        assert_eq!((pings(&gone).len(), pings(&there).len()), (1, 1));
        answer(&there);
        world.pass(millis(990));
        assert_eq!((alive(&world, &gone), world.ended(&gone)), (0, None));
        world.pass(millis(20));
        assert_eq!(world.ended(&gone), Some(Ended::PeerSilent));
        assert_eq!((alive(&world, &there), world.ended(&there)), (1, None));
    }
}

#[test]
fn a_program_that_stood_still_gives_its_clients_another_chance() {
    let mut world = silent();
    let peer = world.connect();
    probe(&mut world, &peer, secs(1));
    world.stand_still(secs(60));
    assert_eq!(world.ended(&peer), None);
    answer(&peer);
    world.pass(secs(5));
    assert_eq!((alive(&world, &peer), world.ended(&peer)), (1, None));
}
