//! Receivers whose queue is full. What each test queues is counted in bytes of frames: a text of up to 125 bytes and 2.

use std::iter;

use tautline_proto::app::{Delivery, Message, Sent, Slow};
use tautline_proto::{CloseCode, Ended};

use super::support::{Call, Peer, World, frames, secs};

const TOO_SLOW: Ended = Ended::ClosedByUs { code: CloseCode::TRY_AGAIN_LATER, clean: true };

fn publish(world: &mut World, peer: &Peer, text: &str, slow: Slow) -> Delivery {
    world.visit(|io| io.publish(&mut iter::once(peer.id), Message::Text(text), slow))
}

fn sent(sent: u64, dropped: u64) -> Delivery {
    Delivery { sent, dropped, ..Delivery::default() }
}

/// Texts of 8 bytes, 10 as frames.
fn text(number: u64) -> String {
    format!("{number:0>8}")
}

/// A world with a queue of 100 bytes, and a client that takes nothing and for which nothing waits.
fn blocked() -> (World, Peer) {
    let mut world = World::new(|_, _| {}).with_queue(100);
    let peer = world.connect();
    peer.hold(1);
    peer.take_only(0);
    // The transport itself holds a byte of the first frame, and then no more.
    (world, peer)
}

/// As [`blocked`], with 100 bytes of published messages from 1 to 10, of which the first has begun.
fn full() -> (World, Peer) {
    let (mut world, peer) = blocked();
    for number in 0..=10 {
        let delivery = publish(&mut world, &peer, &text(number), Slow::Disconnect);
        assert_eq!(delivery, sent(1, 0), "message {number}");
    }
    (world, peer)
}

fn taken(world: &mut World, peer: &Peer) -> Vec<String> {
    peer.take_all();
    world.run();
    peer.texts()
}

fn texts(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers.into_iter().map(text).collect()
}

#[test]
fn a_connection_whose_queue_is_full_is_closed_with_1013_behind_what_waits() {
    let mut world = World::new(|_, _| {}).with_queue(100);
    let peer = world.connect_blocked(&text(0));
    for number in 1..10 {
        assert_eq!(world.visit(|io| io.send(peer.id, Message::Text(&text(number)))), Sent::Queued);
    }
    assert_eq!(world.visit(|io| io.send(peer.id, Message::Text("too much"))), Sent::Closed);
    assert_eq!(world.visit(|io| io.send(peer.id, Message::Text("still"))), Sent::Closed);
    assert_eq!(taken(&mut world, &peer), texts(0..10));
    assert_eq!(peer.close_code(), Some(1013));
    peer.close(CloseCode::TRY_AGAIN_LATER);
    world.run();
    assert_eq!(world.ended(&peer), Some(TOO_SLOW));
    let counters = *world.event_loop.counters();
    assert_eq!((counters.disconnected, counters.messages_out, counters.dropped), (1, 10, 0));
    world.assert_empty();
}

#[test]
fn one_message_more_may_wait_whatever_its_size() {
    let mut world = World::new(|_, _| {}).with_queue(100);
    let peer = world.connect_blocked("x");
    let large = "l".repeat(100_000);
    assert_eq!(world.visit(|io| io.send(peer.id, Message::Text(&large))), Sent::Queued);
    assert_eq!(world.visit(|io| io.send(peer.id, Message::Text("y"))), Sent::Closed);
    assert_eq!(taken(&mut world, &peer), ["x", &large]);
}

#[test]
fn a_queue_within_one_call_of_the_app_is_full_as_well() {
    let mut world = World::new(|io, call| {
        if let Call::Message(id, _) = call {
            let sent: Vec<Sent> = (0..12).map(|number| io.send(id, Message::Text(&text(number)))).collect();
            assert_eq!(sent, [vec![Sent::Queued; 9], vec![Sent::Closed; 3]].concat());
        }
    })
    .with_queue(100);
    let peer = world.connect_blocked(&text(99));
    peer.send("go");
    world.run();
    assert_eq!(taken(&mut world, &peer).len(), 10);
    assert_eq!(peer.close_code(), Some(1013));
}

#[test]
fn a_slow_member_is_disconnected_and_counted_once() {
    let (mut world, peer) = full();
    let other = world.connect();
    let mut publish = |number| {
        let text = text(number);
        world.visit(|io| io.publish(&mut [peer.id, other.id].into_iter(), Message::Text(&text), Slow::Disconnect))
    };
    assert_eq!(publish(11), Delivery { sent: 1, disconnected: 1, ..Delivery::default() });
    assert_eq!(publish(12), Delivery { sent: 1, closed: 1, ..Delivery::default() });
    assert_eq!(taken(&mut world, &peer), texts(0..=10));
    assert_eq!(peer.close_code(), Some(1013));
    assert_eq!(other.texts(), texts([11, 12]));
    let counters = *world.event_loop.counters();
    assert_eq!((counters.disconnected, counters.messages_out, counters.dropped), (1, 13, 0));
}

#[test]
fn the_oldest_messages_make_room() {
    let (mut world, peer) = full();
    for number in 11..=13 {
        assert_eq!(publish(&mut world, &peer, &text(number), Slow::DropOldest), sent(1, 1), "message {number}");
    }
    // The first one had begun.
    assert_eq!(taken(&mut world, &peer), texts([0].into_iter().chain(4..=13)));
    let counters = *world.event_loop.counters();
    assert_eq!((counters.disconnected, counters.messages_out, counters.dropped), (0, 14, 3));
}

#[test]
fn a_queue_is_full_when_it_has_reached_its_limit() {
    let mut world = World::new(|_, _| {}).with_queue(100);
    let peer = world.connect();
    peer.take_only(0);
    for number in 0..10 {
        assert_eq!(publish(&mut world, &peer, &text(number), Slow::DropOldest), sent(1, 0), "message {number}");
    }
    assert_eq!(publish(&mut world, &peer, &text(10), Slow::DropOldest), sent(1, 1));
    assert_eq!(taken(&mut world, &peer), texts(1..=10));
}

#[test]
fn as_many_old_messages_go_as_the_limit_wants() {
    let (mut world, peer) = full();
    let long = "l".repeat(98);
    assert_eq!(publish(&mut world, &peer, &long, Slow::DropOldest), sent(1, 1));
    // 9 bytes of the first, 9 messages, and 100 bytes: all but the latest have to go.
    assert_eq!(publish(&mut world, &peer, &text(12), Slow::DropOldest), sent(1, 10));
    assert_eq!(taken(&mut world, &peer), [text(0), text(12)]);
}

#[test]
fn all_waiting_messages_give_way_to_the_latest() {
    let (mut world, peer) = full();
    assert_eq!(publish(&mut world, &peer, &text(11), Slow::KeepLatest), sent(1, 10));
    assert_eq!(publish(&mut world, &peer, &text(12), Slow::KeepLatest), sent(1, 0), "now there is room");
    assert_eq!(taken(&mut world, &peer), texts([0, 11, 12]));
    let counters = *world.event_loop.counters();
    assert_eq!((counters.messages_out, counters.dropped), (13, 10));
}

#[test]
fn several_publishes_of_one_turn_drop_exactly_what_they_say() {
    for slow in [Slow::DropOldest, Slow::KeepLatest] {
        for members in [1, 3] {
            let mut world = World::new(|_, _| {}).with_queue(100);
            let peers: Vec<Peer> = (0..members).map(|_| world.connect_blocked("begun")).collect();
            let delivery = world.visit(|io| {
                let mut delivery = Delivery::default();
                for number in 0..40 {
                    let mut to = peers.iter().map(|peer| peer.id);
                    delivery += io.publish(&mut to, Message::Text(&text(number)), slow);
                }
                delivery
            });
            assert_eq!(delivery.sent, 40 * members, "{slow:?}");
            let mut arrived = 0;
            for peer in &peers {
                let texts = taken(&mut world, peer);
                assert_eq!(texts[0], "begun", "{slow:?}: what was for one alone is not dropped");
                assert_eq!(*texts.last().unwrap(), text(39), "{slow:?}: the latest arrives");
                assert!(texts[1..].is_sorted(), "{slow:?}: in order");
                arrived += texts.len() as u64 - 1;
            }
            assert_eq!(arrived, delivery.sent - delivery.dropped, "{slow:?}: dropped exactly");
            assert_eq!(world.event_loop.counters().dropped, delivery.dropped);
            world.assert_turn_is_empty();
        }
    }
}

#[test]
fn what_was_sent_to_one_alone_is_never_dropped() {
    for slow in [Slow::DropOldest, Slow::KeepLatest] {
        let (mut world, peer) = blocked();
        let mut delivery = Delivery::default();
        for number in 0..40 {
            if [0, 2, 5].contains(&number) {
                assert_ne!(world.visit(|io| io.send(peer.id, Message::Text("mine"))), Sent::Closed);
            }
            delivery += publish(&mut world, &peer, &text(number), slow);
        }
        assert_eq!(delivery, Delivery { sent: 40, dropped: delivery.dropped, ..Delivery::default() }, "{slow:?}");
        let all = taken(&mut world, &peer);
        let (mine, published): (Vec<String>, Vec<String>) = all.into_iter().partition(|text| text == "mine");
        assert_eq!(mine.len(), 3, "{slow:?}");
        assert_eq!(published.len() as u64, 40 - delivery.dropped, "{slow:?}");
        assert_eq!(published.last(), Some(&text(39)), "{slow:?}");
    }
}

#[test]
fn a_new_message_is_dropped_if_only_what_was_sent_to_one_alone_waits() {
    for slow in [Slow::DropOldest, Slow::KeepLatest] {
        let (mut world, peer) = blocked();
        world.visit(|io| io.send(peer.id, Message::Text(&"m".repeat(120))));
        assert_eq!(publish(&mut world, &peer, "new", slow), sent(0, 1));
        assert_eq!(taken(&mut world, &peer), ["m".repeat(120)]);
        assert_eq!(world.event_loop.counters().dropped, 1);
    }
}

#[test]
fn large_messages_are_dropped_as_small_ones_are() {
    for (slow, dropped, kept) in [(Slow::DropOldest, 2, vec![0, 3, 4]), (Slow::KeepLatest, 2, vec![0, 3, 4])] {
        let mut world = World::new(|_, _| {}).with_queue(250_000);
        let peer = world.connect();
        peer.take_only(1);
        let large = |number: u8| (number as char).to_string().repeat(100_000);
        let mut delivery = Delivery::default();
        for number in b'0'..b'5' {
            delivery += publish(&mut world, &peer, &large(number), slow);
        }
        // 0 has begun. With 0, 1 and 2 the queue is full: 3 takes the place of 1, or of both.
        let dropped = if slow == Slow::DropOldest { dropped } else { 2 };
        assert_eq!(delivery, sent(5, dropped), "{slow:?}");
        let kept: Vec<String> = kept.into_iter().map(|number| large(b'0' + number)).collect();
        assert!(taken(&mut world, &peer) == kept, "{slow:?}");
    }
}

#[test]
fn a_queue_that_has_emptied_takes_as_much_as_before() {
    let (mut world, peer) = full();
    peer.take(usize::MAX);
    world.run();
    peer.take_only(0);
    for number in 0..10 {
        assert_eq!(publish(&mut world, &peer, &text(number), Slow::Disconnect), sent(1, 0));
    }
    assert_eq!(world.event_loop.counters().disconnected, 0);
}

#[test]
fn a_slow_client_that_never_takes_its_close_frame_is_dropped_in_the_end() {
    let (mut world, peer) = full();
    assert_eq!(publish(&mut world, &peer, "x", Slow::Disconnect).disconnected, 1);
    world.pass(secs(11));
    assert_eq!(world.ended(&peer), Some(Ended::ClosedByUs { code: CloseCode::TRY_AGAIN_LATER, clean: false }));
    world.assert_empty();
}

#[test]
fn a_client_that_is_not_blocked_gets_whatever_is_published() {
    let mut world = World::new(|_, _| {}).with_queue(0);
    let peer = world.connect();
    for number in 0..10 {
        assert_eq!(publish(&mut world, &peer, &text(number), Slow::Disconnect), sent(1, 0));
    }
    assert_eq!(peer.texts(), texts(0..10));
    peer.send_bytes(&frames::text("x"));
    world.run();
}
