//! One message for many.

use std::iter;

use tautline_proto::OpCode;
use tautline_proto::app::{ConnectionId, Delivery, Message, Slow};

use super::support::{Call, Peer, World, frames};
use crate::encoded::Encoded;

/// An app with one room: publishes every text to all, and answers the sender if it begins with "?".
fn room() -> World {
    let mut all = Vec::new();
    World::new(move |io, call| match call {
        Call::Open(id) => all.push(id),
        Call::Closed(id, _) => all.retain(|member| *member != id),
        Call::Message(id, message @ Message::Text(text)) => {
            io.publish(&mut all.iter().copied(), message, Slow::Disconnect);
            if text.starts_with('?') {
                io.send(id, Message::Text("!"));
            }
        }
        _ => {}
    })
}

fn sent(sent: u64) -> Delivery {
    Delivery { sent, ..Delivery::default() }
}

/// Where the bytes lay that were given to a transport's writes.
fn where_from(peer: &Peer) -> Vec<(usize, usize)> {
    peer.wire().slices.clone()
}

#[test]
fn a_message_for_many_is_encoded_once_and_written_once_to_each() {
    let mut world = room();
    let members: [Peer; 5] = world.connect_some();
    members[0].send("hello");
    world.run();
    let first = where_from(&members[0]);
    assert_eq!(first.len(), 1);
    for member in &members {
        assert_eq!(member.texts(), ["hello"]);
        assert_eq!(member.writes(), 1);
        assert_eq!(where_from(member), first, "the same bytes");
    }
    world.assert_turn_is_empty();
}

#[test]
fn everything_that_is_published_in_a_turn_leaves_in_one_write_to_each() {
    let mut world = room();
    let members: [Peer; 4] = world.connect_some();
    members[0].send_bytes(&[frames::text("a"), frames::text("b")].concat());
    members[2].send("c");
    world.turn_with(|event_loop| {
        let message = Encoded::new(Message::Text("d"));
        event_loop.publish(&mut members.iter().map(|member| member.id), &message, Slow::Disconnect);
    });
    let first = where_from(&members[0]);
    for member in &members {
        assert_eq!(member.texts(), ["a", "b", "c", "d"]);
        assert_eq!(member.writes(), 1);
        assert_eq!(where_from(member), first, "the same bytes");
    }
}

#[test]
fn an_answer_leaves_with_what_is_published_and_in_its_place() {
    let mut world = room();
    let [a, b, c] = world.connect_some();
    a.send("?1");
    b.send("?2");
    world.run();
    assert_eq!(a.texts(), ["?1", "!", "?2"]);
    assert_eq!(b.texts(), ["?1", "?2", "!"]);
    assert_eq!(c.texts(), ["?1", "?2"]);
    assert_eq!([a.writes(), b.writes(), c.writes()], [1, 1, 1]);
}

#[test]
fn what_is_published_when_others_leave_joins_what_the_turn_has_published_before() {
    let mut all = Vec::new();
    let mut world = World::new(move |io, call| match call {
        Call::Open(id) => all.push(id),
        Call::Closed(id, _) => {
            all.retain(|member| *member != id);
            io.publish(&mut all.iter().copied(), Message::Text("left"), Slow::Disconnect);
        }
        Call::Message(id, message) => {
            io.publish(&mut all.iter().copied(), message, Slow::Disconnect);
            io.send(id, Message::Text("!"));
        }
        _ => {}
    });
    // One leaves before and one after the message, so that one of them is looked at later than who sent it.
    let [first, stays, last] = world.connect_some();
    first.reset();
    stays.send("?");
    last.reset();
    world.run();
    assert_eq!(stays.texts(), ["?", "!", "left", "left"]);
    assert_eq!(stays.writes(), 1);
}

#[test]
fn a_turn_can_publish_more_than_a_turn_holds() {
    let mut world = World::new(|_, _| {}).with_queue(usize::MAX);
    let members: [Peer; 3] = world.connect_some();
    members[1].take_only(100_000);
    let text = |number: u32| format!("{number:0>10000}");
    let delivery = world.visit(|io| {
        let mut delivery = Delivery::default();
        for number in 0..100 {
            let mut to = members.iter().map(|member| member.id);
            delivery += io.publish(&mut to, Message::Text(&text(number)), Slow::Disconnect);
        }
        delivery
    });
    assert_eq!(delivery, sent(300));
    members[1].take_all();
    world.run();
    let all: Vec<String> = (0..100).map(text).collect();
    assert!(members.iter().all(|member| member.texts() == all));
    world.assert_turn_is_empty();
}

#[test]
fn a_large_message_is_written_from_where_it_lies_to_all_also_to_those_who_take_it_later() {
    let mut world = World::new(|_, _| {}).with_queue(usize::MAX);
    let members: [Peer; 4] = world.connect_some();
    members[2].take_only(0);
    members[3].take_only(70_000);
    let payload: Vec<u8> = (0..1024 * 1024u32).map(|at| (at / 7) as u8).collect();
    let delivery = world.visit(|io| {
        io.publish(&mut members.iter().map(|member| member.id), Message::Binary(&payload), Slow::Disconnect)
    });
    assert_eq!(delivery, sent(4));
    members[2].take_all();
    members[3].take_all();
    world.run();
    let frame = 1024 * 1024 + 10;
    let ends = |peer: &Peer| where_from(peer).into_iter().filter(|(_, len)| *len > 0).map(|(at, len)| at + len);
    let end = ends(&members[0]).next().unwrap();
    for member in &members {
        let all = member.frames();
        assert_eq!(all.len(), 1);
        assert!(all[0].opcode == OpCode::Binary && all[0].payload == payload);
        assert!(ends(member).all(|at| at == end), "one copy of it for everybody");
        assert_eq!(member.wire().writes.iter().sum::<usize>(), frame);
    }
}

#[test]
fn what_blocked_members_get_in_a_turn_is_shared_and_stays_in_order() {
    let mut world = World::new(|_, _| {}).with_queue(usize::MAX);
    let members: [Peer; 6] = world.connect_some();
    for (room, member) in members.iter().enumerate().skip(1) {
        member.take_only((room - 1) * 777);
    }
    let text = |number: u32| format!("{number:0>1000}");
    for turn in 0..5 {
        world.visit(|io| {
            for number in turn * 10..turn * 10 + 10 {
                io.publish(&mut members.iter().map(|member| member.id), Message::Text(&text(number)), Slow::Disconnect);
                if number == 33 {
                    io.send(members[4].id, Message::Text("for you alone"));
                }
            }
        });
    }
    for member in &members {
        member.take_all();
    }
    world.run();
    for (index, member) in members.iter().enumerate() {
        let mut all: Vec<String> = (0..50).map(text).collect();
        if index == 4 {
            all.insert(34, "for you alone".into());
        }
        assert_eq!(member.texts(), all);
    }
    world.assert_turn_is_empty();
}

#[test]
fn receivers_that_are_gone_are_counted_as_closed() {
    let mut world = room();
    let [a, b] = world.connect_some();
    b.reset();
    world.run();
    let to = [a.id, b.id, ConnectionId(0), ConnectionId(u64::MAX)];
    let delivery = world.visit(|io| io.publish(&mut to.into_iter(), Message::Text("x"), Slow::Disconnect));
    assert_eq!(delivery, Delivery { sent: 1, closed: 3, ..Delivery::default() });
    assert_eq!(a.texts(), ["x"]);
}

#[test]
fn a_receiver_that_closes_is_counted_as_closed_whatever_waits_for_it() {
    for slow in [Slow::Disconnect, Slow::DropOldest, Slow::KeepLatest] {
        let mut world = World::new(|_, _| {}).with_queue(4);
        let peer = world.connect_blocked("more than its queue holds");
        peer.close(tautline_proto::CloseCode::NORMAL);
        world.run();
        if peer.unread() > 0 {
            // A driver that does not read a client whose queue is full cannot know.
            continue;
        }
        let delivery = world.visit(|io| io.publish(&mut iter::once(peer.id), Message::Text("x"), slow));
        assert_eq!(delivery, Delivery { closed: 1, ..Delivery::default() }, "{slow:?}");
        assert_eq!(world.event_loop.counters().disconnected, 0, "it was not for being slow");
    }
}

#[test]
fn a_receiver_that_is_named_twice_gets_the_message_twice() {
    let mut world = room();
    let peer = world.connect();
    let delivery = world.visit(|io| io.publish(&mut iter::repeat_n(peer.id, 2), Message::Text("x"), Slow::Disconnect));
    assert_eq!(delivery, sent(2));
    assert_eq!(peer.texts(), ["x", "x"]);
}

#[test]
fn a_publish_to_nobody_leaves_nothing() {
    let mut world = room();
    for len in [1, 100_000] {
        let message = vec![0; len];
        let delivery = world.visit(|io| io.publish(&mut iter::empty(), Message::Binary(&message), Slow::Disconnect));
        assert_eq!(delivery, Delivery::default());
    }
    world.assert_turn_is_empty();
}

#[test]
fn an_iterator_of_receivers_that_panics_harms_nobody() {
    let mut world = room();
    let peer = world.connect();
    let id = peer.id;
    world.turn_with(|event_loop| {
        event_loop.visit(0, |_, io| {
            let mut to = iter::once(id).chain(iter::from_fn(|| panic!("on purpose")));
            io.publish(&mut to, Message::Text("x"), Slow::Disconnect);
        });
    });
    world.visit(|io| io.send(id, Message::Text("y")));
    assert_eq!(peer.texts().last().map(String::as_str), Some("y"));
    world.assert_turn_is_empty();
    assert_eq!(world.event_loop.counters().panics, 1);
}
