//! The protocol's timers, in virtual time. The loop notices a deadline up to 8 ms late.

use std::time::Duration;

use tautline_proto::app::Message;
use tautline_proto::{CloseCode, Config, Ended, OpCode};

use super::support::{Call, Frame, Peer, QUIET, World, secs};

const CONFIG: Config =
    QUIET.ping_interval(Some(secs_const(20))).pong_timeout(secs_const(10)).close_timeout(secs_const(5));

const fn secs_const(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn pings(peer: &Peer) -> Vec<Frame> {
    peer.whole_frames().into_iter().filter(|frame| frame.opcode == OpCode::Ping).collect()
}

/// A client that has been pinged just now.
fn pinged() -> (World, Peer) {
    let mut world = World::echo().with_config(CONFIG);
    let peer = world.connect();
    for _ in 0..2100 {
        world.pass(Duration::from_millis(10));
        if !pings(&peer).is_empty() {
            return (world, peer);
        }
    }
    panic!("no ping after 21 s");
}

fn answer(peer: &Peer) {
    peer.pong(&pings(peer).pop().expect("a ping").payload);
}

#[test]
fn a_silent_client_is_pinged_once_an_interval() {
    let mut world = World::echo().with_config(CONFIG);
    let peer = world.connect();
    for _ in 0..200 {
        world.pass(secs(1));
        let sent = pings(&peer).len();
        if sent > 0 {
            answer(&peer);
            world.run();
        }
    }
    assert!((9..=10).contains(&pings(&peer).len()), "{}", pings(&peer).len());
    assert_eq!(world.ended(&peer), None);
    assert!(world.is_idle(&peer));
}

#[test]
fn the_latency_of_a_client_is_that_of_its_last_answer() {
    let (mut world, peer) = pinged();
    let latency = |world: &mut World| world.visit(|io| io.vitals(peer.id)).unwrap().latency;
    assert_eq!(latency(&mut world), None);
    world.pass(Duration::from_millis(250));
    answer(&peer);
    world.run();
    let first = latency(&mut world).expect("it has answered");
    // The ping left up to 10 ms before the test saw it.
    assert!((Duration::from_millis(250)..=Duration::from_millis(260)).contains(&first), "{first:?}");
    assert!(world.is_idle(&peer), "it costs no memory");
}

#[test]
fn a_client_that_does_not_answer_is_closed_when_its_time_is_over_and_not_before() {
    let (mut world, peer) = pinged();
    world.pass(Duration::from_millis(9900));
    assert_eq!(world.ended(&peer), None);
    world.pass(Duration::from_millis(120));
    assert_eq!(world.ended(&peer), Some(Ended::PeerSilent));
    world.assert_empty();
}

#[test]
fn any_byte_counts_as_a_sign_of_life() {
    let (mut world, peer) = pinged();
    for byte in super::support::frames::text("a slow message") {
        world.pass(secs(8));
        peer.send_bytes(&[byte]);
        world.run();
        assert_eq!(world.ended(&peer), None);
    }
}

#[test]
fn an_answer_that_is_here_already_counts_though_nobody_has_told_of_it() {
    let (mut world, peer) = pinged();
    world.pass(Duration::from_millis(9900));
    answer(&peer);
    // The time comes before the readiness: the wait for events timed out a moment before the pong came.
    world.now = world.now + Duration::from_millis(200);
    world.event_loop.set_now(world.now);
    world.event_loop.end_turn();
    assert_eq!(world.ended(&peer), None);
    world.pass(secs(5));
    assert_eq!(world.ended(&peer), None);
}

#[test]
fn a_program_that_stood_still_gives_its_clients_another_chance() {
    let (mut world, peer) = pinged();
    world.stand_still(secs(60));
    assert_eq!(world.ended(&peer), None);
    answer(&peer);
    world.pass(secs(9));
    assert_eq!(world.ended(&peer), None);
}

#[test]
fn a_client_that_does_not_answer_our_close_is_dropped_after_the_close_timeout() {
    let mut world = World::echo().with_config(CONFIG);
    let peer = world.connect();
    world.visit(|io| io.close(peer.id, CloseCode::NORMAL, ""));
    world.pass(Duration::from_millis(4900));
    assert_eq!(world.ended(&peer), None);
    assert!(!peer.dropped());
    world.pass(Duration::from_millis(120));
    assert_eq!(world.ended(&peer), Some(Ended::ClosedByUs { code: CloseCode::NORMAL, clean: false }));
    world.assert_empty();
}

#[test]
fn a_close_that_the_transport_does_not_take_is_given_up_after_the_close_timeout() {
    let mut world = World::echo().with_config(CONFIG);
    let peer = world.connect_blocked("something");
    world.visit(|io| io.close(peer.id, CloseCode::NORMAL, ""));
    world.pass(Duration::from_millis(4900));
    assert!(!peer.dropped());
    world.pass(Duration::from_millis(120));
    assert_eq!(world.ended(&peer), Some(Ended::ClosedByUs { code: CloseCode::NORMAL, clean: false }));
    world.assert_empty();
}

#[test]
fn a_reply_to_the_peers_close_that_the_transport_does_not_take_is_given_up_after_the_close_timeout() {
    let mut world = World::echo().with_config(CONFIG);
    let peer = world.connect_blocked("something");
    peer.close(CloseCode::NORMAL);
    world.pass(Duration::from_millis(4900));
    assert!(!peer.dropped());
    world.pass(Duration::from_millis(120));
    assert_eq!(world.ended(&peer), Some(Ended::ClosedByPeer { code: CloseCode::NORMAL, clean: false }));
    world.assert_empty();
}

#[test]
fn a_client_that_ends_while_its_answers_wait_has_ten_seconds_to_take_them() {
    // Whatever other timer of the connection is due meanwhile.
    for config in [QUIET, CONFIG, QUIET.ping_interval(Some(secs(2))).pong_timeout(secs(60))] {
        let mut world = World::echo().with_config(config);
        let peer = world.connect();
        peer.take_only(1);
        peer.send("question");
        peer.end();
        world.run();
        assert_eq!(world.ended(&peer), Some(Ended::TransportClosed), "reported at once");
        world.pass(Duration::from_millis(9900));
        assert!(!peer.dropped());
        peer.take_all();
        world.run();
        assert_eq!(peer.texts(), ["question"]);
        world.assert_empty();
    }
}

#[test]
fn a_client_that_ends_and_never_takes_its_answers_is_dropped() {
    let mut world = World::echo().with_config(CONFIG);
    let peer = world.connect();
    peer.take_only(1);
    peer.send("question");
    peer.end();
    world.pass(secs(11));
    world.assert_empty();
}

#[test]
fn an_end_in_the_turn_in_which_a_ping_is_due_costs_no_answer() {
    let mut world = World::echo().with_config(CONFIG);
    let peer = world.connect();
    world.pass(secs(9));
    // Anything is due between 10 and 20 s.
    world.now = world.now + secs(12);
    peer.send("question");
    peer.end();
    world.run();
    assert_eq!(peer.texts(), ["question"]);
    assert_eq!(world.ended(&peer), Some(Ended::TransportClosed));
    world.assert_empty();
}

#[test]
fn an_answer_that_moves_slowly_keeps_no_other_connection_waiting() {
    let mut world = World::new(|io, call| {
        if let Call::Open(id) = call {
            io.send(id, Message::Text("welcome"));
        }
    })
    .with_config(CONFIG);
    let peers: [Peer; 3] = world.connect_some();
    peers[1].take_only(0);
    for _ in 0..300 {
        world.pass(Duration::from_millis(100));
        for peer in [&peers[0], &peers[2]] {
            if !pings(peer).is_empty() {
                answer(peer);
            }
        }
    }
    assert_eq!(world.ended(&peers[0]), None);
    assert_eq!(world.ended(&peers[2]), None);
}
