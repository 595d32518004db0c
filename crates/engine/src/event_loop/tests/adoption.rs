//! Clients that are admitted, and what becomes of them.

use std::net::SocketAddr;

use tautline_proto::app::{Delivery, Message, Sent, Slow};
use tautline_proto::handshake::server::Rejection;
use tautline_proto::{CloseCode, Ended};

use super::support::{Call, Happened, World, echo, frames, secs, wire};

#[test]
fn what_was_read_behind_the_handshake_is_handled_though_nothing_is_announced() {
    let mut world = World::echo();
    let peer = world.connect_over(wire(), &[frames::text("1"), frames::text("2")].concat());
    assert_eq!(peer.texts(), ["1", "2"]);
    let expected = [Happened::Admit(peer.id), Happened::Open(peer.id)];
    assert_eq!(world.of(&peer)[..2], expected, "and after the connection has opened");
    assert!(world.is_idle(&peer));
}

#[test]
fn what_was_readable_before_the_connection_was_adopted_is_read() {
    let mut world = World::echo();
    let over = wire();
    over.1.send("1");
    over.1.send("2");
    let peer = world.connect_over(over, &[]);
    world.run();
    assert_eq!(peer.texts(), ["1", "2"]);
}

#[test]
fn what_lies_inside_the_transport_at_its_adoption_is_read_though_nothing_is_announced() {
    let mut world = World::echo();
    let over = wire();
    over.1.send("1");
    over.1.wire().inside = true;
    let peer = world.connect_over(over, &[]);
    assert_eq!(peer.texts(), ["1"]);
    peer.send("2");
    world.run();
    assert_eq!(peer.texts(), ["1", "2"]);
}

#[test]
fn a_frame_may_be_cut_by_the_end_of_what_was_read_behind_the_handshake() {
    let input = [frames::text("leftover"), frames::binary(&vec![1; 70_000])].concat();
    for cut in [1, 2, 5, 6, 7, 14, 15, 20, 30_000, input.len()] {
        let mut world = World::echo();
        let over = wire();
        over.1.send_bytes(&input[cut..]);
        let peer = world.connect_over(over, &input[..cut]);
        world.run();
        assert_eq!(peer.frames().len(), 2, "cut at {cut}");
    }
}

#[test]
fn more_than_a_read_takes_may_have_been_read_behind_the_handshake() {
    let mut world = World::echo().with_queue(usize::MAX);
    let leftover: Vec<u8> = (0..40_000).flat_map(|number| frames::text(&number.to_string())).collect();
    assert!(leftover.len() > 256 * 1024);
    let peer = world.connect_over(wire(), &leftover);
    world.run();
    assert_eq!(peer.texts(), (0..40_000).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[test]
fn leftover_input_waits_for_a_client_that_does_not_take_what_it_gets_first() {
    let mut world = World::new(|io, call| match call {
        Call::Open(id) => assert_eq!(io.send(id, Message::Binary(&[0; 100_000])), Sent::Queued),
        call => echo(io, call),
    });
    let over = wire();
    over.1.take_only(10);
    let peer = world.connect_over(over, &(0..100).flat_map(|n| frames::text(&n.to_string())).collect::<Vec<_>>());
    peer.send("last");
    world.run();
    peer.take_all();
    world.run();
    let mut expected: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    expected.push("last".into());
    assert_eq!(peer.texts(), expected);
    assert_eq!(peer.close_code(), None);
}

#[test]
fn a_client_that_ended_before_it_was_adopted_is_opened_served_and_closed() {
    let mut world = World::echo();
    let over = wire();
    over.1.send("bye");
    over.1.end();
    let peer = world.connect_over(over, &[]);
    world.run();
    assert_eq!(world.texts_from(&peer), ["bye"]);
    assert_eq!(peer.texts(), ["bye"]);
    assert_eq!(world.ended(&peer), Some(Ended::TransportClosed));
    world.assert_empty();
}

#[test]
fn a_client_that_is_gone_before_it_was_adopted_is_closed_once() {
    let mut world = World::echo();
    let over = wire();
    over.1.reset();
    let peer = world.connect_over(over, &[]);
    world.run();
    assert_eq!(world.ended(&peer), Some(Ended::TransportFailed));
    world.assert_empty();
}

#[test]
fn a_client_that_is_admitted_and_never_adopted_is_closed_once() {
    let mut world = World::echo();
    let id = world.admit();
    assert!(!world.event_loop.is_empty());
    for _ in 0..2 {
        world.turn_with(|event_loop| {
            event_loop.abandon(id);
            event_loop.abandon(id);
        });
    }
    let happened = world.record.take();
    assert_eq!(happened.iter().filter(|happened| matches!(happened, Happened::Closed(..))).count(), 1);
    assert!(matches!(happened.last(), Some(Happened::Closed(closed, _)) if *closed == id));
    world.assert_empty();
    let counters = world.event_loop.counters();
    assert_eq!((counters.opened, counters.closed), (0, 0), "it was no connection");
}

#[test]
fn what_is_sent_to_a_client_whose_handshake_is_not_answered_arrives_when_it_is() {
    let mut world = World::echo();
    let other = world.connect();
    let id = world.admit();
    assert_eq!(world.visit(|io| io.send(id, Message::Text("1"))), Sent::Queued);
    let delivery = world.visit(|io| io.publish(&mut [id, other.id].into_iter(), Message::Text("2"), Slow::Disconnect));
    assert_eq!(delivery, Delivery { sent: 2, ..Delivery::default() });
    world.visit(|io| io.publish(&mut [id].into_iter(), Message::Text(&"3".repeat(50_000)), Slow::Disconnect));
    let peer = world.adopt(id, wire(), &frames::text("4"));
    world.run();
    assert_eq!(peer.texts(), ["1", "2", &"3".repeat(50_000), "4"]);
    assert_eq!(other.texts(), ["2"]);
    assert!(world.of(&peer).contains(&Happened::Drained(id)));
    assert!(world.is_idle(&peer));
    world.assert_turn_is_empty();
}

#[test]
fn a_client_may_be_closed_before_its_handshake_is_answered() {
    let mut world = World::echo();
    let id = world.admit();
    world.visit(|io| io.send(id, Message::Text("welcome")));
    world.visit(|io| io.close(id, CloseCode::POLICY_VIOLATION, ""));
    assert_eq!(world.visit(|io| io.send(id, Message::Text("x"))), Sent::Closed);
    let peer = world.adopt(id, wire(), &frames::text("not heard"));
    world.run();
    assert_eq!(peer.texts(), ["welcome"]);
    assert_eq!(peer.close_code(), Some(1008));
    peer.close(CloseCode::POLICY_VIOLATION);
    world.run();
    assert_eq!(world.texts_from(&peer), Vec::<String>::new());
    assert_eq!(world.ended(&peer), Some(Ended::ClosedByUs { code: CloseCode::POLICY_VIOLATION, clean: true }));
    world.assert_empty();
}

#[test]
fn a_client_that_was_closed_and_whose_handshake_is_never_answered_is_given_up() {
    let mut world = World::echo();
    let id = world.admit();
    world.visit(|io| io.close(id, CloseCode::NORMAL, ""));
    world.pass(secs(11));
    world.assert_empty();
    let peer = world.adopt(id, wire(), &[]);
    world.run();
    assert!(peer.dropped());
    assert_eq!(world.of(&peer).iter().filter(|happened| matches!(happened, Happened::Closed(..))).count(), 1);
}

#[test]
fn a_queue_that_is_full_before_the_handshake_is_answered_closes_with_1013() {
    let mut world = World::echo();
    let id = world.admit();
    for _ in 0..10 {
        assert_eq!(world.visit(|io| io.send(id, Message::Text(&"x".repeat(98)))), Sent::Queued);
    }
    assert_eq!(world.visit(|io| io.send(id, Message::Text("x"))), Sent::Closed);
    let peer = world.adopt(id, wire(), &[]);
    world.run();
    assert_eq!(peer.texts().len(), 10);
    assert_eq!(peer.close_code(), Some(1013));
}

#[test]
fn a_client_is_adopted_once() {
    let mut world = World::echo();
    let peer = world.connect();
    let (sim, second) = wire();
    world.turn_with(|event_loop| event_loop.adopt(peer.id, None, sim, frames::text("x")));
    assert!(second.dropped());
    peer.send("mine");
    world.run();
    assert_eq!(peer.texts(), ["mine"]);
}

#[test]
fn an_open_connection_is_not_abandoned() {
    let mut world = World::echo();
    let peer = world.connect();
    world.turn_with(|event_loop| event_loop.abandon(peer.id));
    peer.send("still here");
    world.run();
    assert_eq!(peer.texts(), ["still here"]);
}

#[test]
fn a_refused_client_is_not_heard_of_again() {
    let mut world = World::echo();
    assert_eq!(world.try_admit(0, "/refused", None), Err(Rejection::new(409)));
    world.run();
    assert_eq!(world.record.take(), []);
    world.assert_empty();
}

#[test]
fn an_app_that_does_not_exist_admits_nobody() {
    let mut world = World::echo();
    assert!(world.try_admit(9, "/", None).is_err());
    world.assert_empty();
}

#[test]
fn a_connection_of_a_client_that_was_abandoned_is_dropped() {
    let mut world = World::echo();
    let id = world.admit();
    world.event_loop.abandon(id);
    let peer = world.adopt(id, wire(), &frames::text("x"));
    world.run();
    assert!(peer.dropped());
    assert_eq!(world.texts_from(&peer), Vec::<String>::new());
    assert!(world.ended(&peer).is_none_or(|ended| !ended.is_clean()));
    world.assert_empty();
}

#[test]
fn the_address_of_a_client_is_known_while_it_is_there() {
    let address = "192.0.2.1:1234".parse().unwrap();
    let mut world = World::echo();
    let id = world.try_admit(0, "/", Some(address)).unwrap();
    assert_eq!(world.visit(|io| io.peer(id)), Some(address), "admitted");
    let peer = world.adopt(id, wire(), &[]);
    assert_eq!(world.visit(|io| io.peer(id)), Some(address), "open");
    peer.reset();
    world.run();
    assert_eq!(world.visit(|io| io.peer(id)), None, "gone");
}

#[test]
fn the_end_of_a_connection_is_told_once_however_it_ends_and_only_of_those_that_were_adopted() {
    let address = |host: u8| SocketAddr::from(([192, 0, 2, host], 1234));
    let mut world = World::echo();
    let mut connect = |host| {
        let id = world.try_admit(0, "/", Some(address(host))).unwrap();
        world.adopt_from(Some(address(host)), id, wire(), &[])
    };
    let [reset, closed, _open] = [1, 2, 3].map(&mut connect);
    let ends = world.ends.clone();
    let told = || std::mem::take(&mut *ends.lock().unwrap());
    reset.reset();
    world.run();
    assert_eq!(told(), [address(1)]);
    closed.close(CloseCode::NORMAL);
    world.run();
    assert_eq!(told(), [address(2)]);
    let abandoned = world.try_admit(0, "/", Some(address(4))).unwrap();
    world.event_loop.abandon(abandoned);
    world.run();
    assert_eq!(told(), []);
    // One that comes too late has never been open, but whoever has accepted it has counted it.
    world.adopt_from(Some(address(4)), abandoned, wire(), &[]);
    world.run();
    assert_eq!(told(), [address(4)]);
    assert_eq!(world.event_loop.drop_all(), 1);
    assert_eq!(told(), [address(3)]);
}
