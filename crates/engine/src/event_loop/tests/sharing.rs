//! Many connections of one loop: none starves, and none is taken for another.

use std::collections::HashSet;

use tautline_proto::CloseCode;
use tautline_proto::app::{ConnectionId, Delivery, Message, Sent, Slow};

use super::support::{Call, Happened, Peer, Record, Recorder, World, echo, frames, wire};
use crate::encoded::Encoded;
use crate::event_loop::slot_of;

#[test]
fn a_client_with_endless_input_keeps_no_other_waiting() {
    let mut world = World::new(|io, call| {
        if let Call::Message(id, Message::Text(text)) = call {
            io.send(id, Message::Text(text));
        }
    });
    let [flood, other] = world.connect_some();
    let much: Vec<u8> = (0..100).flat_map(|_| frames::binary(&vec![0; 100_000])).collect();
    flood.send_bytes(&much);
    world.turn();
    let left = flood.unread();
    assert!(left > much.len() / 2, "a turn takes about a mebibyte, and {left} are left");
    for turn in 1..=3 {
        other.send("hello");
        world.turn();
        assert_eq!(other.frames().len(), turn, "answered in the turn");
        assert!(world.event_loop.is_busy(), "no wait for events: nobody announces what is there");
    }
    world.run();
    assert_eq!(world.binaries_from(&flood).len(), 100);
    assert!(!world.event_loop.is_busy());
}

#[test]
fn several_clients_with_endless_input_take_turns() {
    let mut world = World::new(|_, _| {});
    let floods: [Peer; 3] = world.connect_some();
    let much: Vec<u8> = (0..60).flat_map(|_| frames::binary(&vec![0; 100_000])).collect();
    for flood in &floods {
        flood.send_bytes(&much);
    }
    while floods.iter().any(|flood| flood.unread() > 0) {
        let before: Vec<usize> = floods.iter().map(Peer::unread).collect();
        world.turn();
        for (flood, before) in floods.iter().zip(before) {
            assert!(flood.unread() < before || before == 0, "each gets on in each turn");
        }
    }
    world.run();
    assert!(floods.iter().all(|flood| world.binaries_from(flood).len() == 60));
}

#[test]
fn a_client_that_goes_while_it_has_more_input_than_a_turn_takes_leaves_nothing() {
    let mut world = World::new(|io, call| {
        if let Call::Message(id, _) = call {
            io.close(id, CloseCode::NORMAL, "");
        }
    });
    let flood = world.connect();
    flood.send_bytes(&(0..60).flat_map(|_| frames::binary(&vec![0; 100_000])).collect::<Vec<_>>());
    world.turn();
    world.event_loop.drop_all();
    assert!(flood.dropped());
    let newcomer = world.connect_over(wire(), &[]);
    assert_eq!(newcomer.slot(), flood.slot());
    world.run();
    assert_eq!(world.of(&newcomer), [Happened::Admit(newcomer.id), Happened::Open(newcomer.id)]);
}

#[test]
fn ids_are_never_used_twice_though_slots_are() {
    let mut world = World::echo();
    let (mut ids, mut slots) = (HashSet::new(), HashSet::new());
    for round in 0..1000 {
        let peer = world.connect();
        assert!(ids.insert(peer.id));
        slots.insert(slot_of(peer.id));
        if round % 3 > 0 {
            peer.reset();
            world.run();
        }
        world.try_admit(0, "/refused", None).unwrap_err();
    }
    assert!(slots.len() < 400);
}

#[test]
fn the_id_of_a_connection_that_is_gone_does_nothing_to_the_one_in_its_place() {
    let mut world = World::echo();
    let gone = world.connect();
    gone.reset();
    world.run();
    let peer = world.connect();
    assert_eq!(slot_of(peer.id), slot_of(gone.id));
    for (id, closed) in [(gone.id, 1), (ConnectionId(gone.id.0 ^ 1 << 20), 1), (ConnectionId(0), 1)] {
        world.visit(|io| {
            assert_eq!(io.send(id, Message::Text("x")), Sent::Closed);
            assert_eq!(io.send(id, Message::Binary(&[0; 100_000])), Sent::Closed);
            for len in [1, 100_000] {
                let message = vec![0; len];
                let delivery = io.publish(&mut std::iter::once(id), Message::Binary(&message), Slow::Disconnect);
                assert_eq!(delivery, Delivery { closed, ..Delivery::default() });
            }
            io.close(id, CloseCode::NORMAL, "");
            assert_eq!(io.peer(id), None);
        });
        world.turn_with(|event_loop| {
            event_loop.abandon(id);
            event_loop.close(id, CloseCode::NORMAL, "");
            event_loop.publish(&mut std::iter::once(id), &Encoded::new(Message::Text("x")), Slow::Disconnect);
        });
    }
    peer.send("mine");
    world.run();
    assert_eq!(peer.texts(), ["mine"]);
    assert_eq!(world.ended(&peer), None);
    assert_eq!(world.event_loop.counters().messages_out, 1);
}

#[test]
fn readiness_for_a_slot_without_a_connection_does_nothing() {
    let mut world = World::echo();
    let peer = world.connect();
    let admitted = world.admit();
    world.turn_with(|event_loop| {
        for slot in [slot_of(admitted), slot_of(peer.id), 5000, usize::MAX >> 1] {
            event_loop.readable(slot, true);
            event_loop.writable(slot);
        }
    });
    peer.send("x");
    world.run();
    assert_eq!(peer.texts(), ["x"]);
    world.turn_with(|event_loop| event_loop.abandon(admitted));
}

#[test]
fn each_connection_belongs_to_the_app_that_admitted_it() {
    let mut world = World::echo();
    let record = Record::default();
    world.event_loop.host(Box::new(Recorder { record: record.clone(), act: echo }));
    let id = world.try_admit(1, "/", None).unwrap();
    let other = world.adopt(id, wire(), &frames::text("other"));
    let peer = world.connect_over(wire(), &frames::text("mine"));
    world.run();
    assert_eq!((peer.texts(), other.texts()), (vec!["mine".into()], vec!["other".into()]));
    assert!(world.of(&other).is_empty());
    assert_eq!(record.all().len(), 3);
    assert_eq!(world.of(&peer).len(), 3);
}

#[test]
fn what_is_counted_is_what_happened() {
    let mut world = World::echo();
    let [a, b] = world.connect_some();
    a.send("12345");
    world.run();
    world.visit(|io| io.publish(&mut [a.id, b.id].into_iter(), Message::Text("123"), Slow::Disconnect));
    b.reset();
    world.run();
    let counters = *world.event_loop.counters();
    assert_eq!((counters.opened, counters.closed), (2, 1));
    assert_eq!((counters.messages_in, counters.messages_out), (1, 3));
    assert_eq!((counters.bytes_in, counters.bytes_out), (11, 7 + 5 + 5));
    assert_eq!(counters.writes, 3);
    assert!(counters.turns >= 5);
    assert_eq!((counters.dropped, counters.disconnected, counters.panics), (0, 0, 0));
}

#[test]
fn random_numbers_are_not_all_the_same() {
    let mut world = World::echo();
    let numbers: HashSet<u32> = world.visit(|io| (0..100).map(|_| io.random()).collect());
    assert!(numbers.len() > 90);
}
