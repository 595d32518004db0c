//! Timers of apps.

use std::time::Duration;

use tautline_proto::Instant;
use tautline_proto::app::Io;

use super::support::{Call, Happened, World, frames, secs};

fn fired(world: &World) -> Vec<u64> {
    let timer = |happened| if let Happened::Timer(timer) = happened { Some(timer) } else { None };
    world.record.take().into_iter().filter_map(timer).collect()
}

#[test]
fn timers_come_in_the_order_of_their_times_and_then_as_they_were_set() {
    let mut world = World::echo();
    world.visit(|io| {
        for (timer, after) in [(1, 60), (2, 20), (3, 40), (4, 1), (5, 50), (6, 20)] {
            io.set_timer(timer, io.now() + secs(after));
        }
        io.set_timer(5, io.now() + secs(80));
        io.cancel_timer(4);
        io.cancel_timer(99);
    });
    assert_eq!(world.event_loop.next_timeout(), Some(world.now + secs(20)));
    world.pass(Duration::from_millis(19_999));
    assert_eq!(fired(&world), []);
    world.pass(Duration::from_millis(1));
    assert_eq!(fired(&world), [2, 6]);
    world.pass(secs(100));
    assert_eq!(fired(&world), [3, 1, 5]);
    assert_eq!(world.event_loop.next_timeout(), None);
}

#[test]
fn a_timer_may_take_the_next_one_back_though_that_is_due() {
    let mut world = World::new(|io, call| {
        if let Call::Timer(1) = call {
            io.cancel_timer(2);
        }
    });
    world.visit(|io| [1, 2, 3].map(|timer| io.set_timer(timer, io.now() + secs(1))));
    world.pass(secs(2));
    assert_eq!(fired(&world), [1, 3]);
}

#[test]
fn a_timer_that_is_set_for_now_or_before_comes_and_the_loop_does_not_sleep() {
    let mut world = World::echo();
    let now = world.now;
    world.visit(|io| {
        io.set_timer(1, now);
        io.set_timer(2, Instant::ZERO);
    });
    // In the same turn, or in the next one, which is at once.
    if world.event_loop.next_timeout().is_some() {
        assert!(world.event_loop.next_timeout() <= Some(now));
        world.turn();
    }
    assert_eq!(fired(&world), [2, 1]);
}

#[test]
fn a_timer_that_sets_itself_for_now_starves_nobody() {
    let mut world = World::new(|io, call| match call {
        Call::Timer(timer) => io.set_timer(timer, io.now()),
        call => super::support::echo(io, call),
    });
    let peer = world.connect();
    world.visit(|io| io.set_timer(1, io.now()));
    fired(&world);
    for number in 0..10 {
        peer.send(&number.to_string());
        world.turn();
        assert_eq!(peer.frames().len(), number + 1);
        assert_eq!(world.event_loop.next_timeout(), Some(world.now), "it does not sleep");
    }
    assert_eq!(fired(&world).len(), 10, "once a turn");
}

#[test]
fn what_a_timer_sends_leaves_in_the_same_turn() {
    let mut to = None;
    let mut world = World::new(move |io, call| match call {
        Call::Open(id) => to = Some(id),
        Call::Timer(timer) => {
            io.send(to.unwrap(), tautline_proto::app::Message::Text(&timer.to_string()));
        }
        _ => {}
    });
    let peer = world.connect();
    world.visit(|io| [1, 2].map(|timer| io.set_timer(timer, io.now() + secs(1))));
    world.now = world.now + secs(1);
    world.turn();
    assert_eq!(peer.texts(), ["1", "2"]);
    assert_eq!(peer.writes(), 1);
}

#[test]
fn a_timer_at_the_end_of_time_never_comes() {
    let mut world = World::echo();
    world.visit(|io| io.set_timer(1, Instant::from_micros(u64::MAX)));
    world.pass(secs(1_000_000));
    assert_eq!(fired(&world), []);
}

#[test]
fn each_app_has_timers_of_its_own() {
    use super::support::{Record, Recorder};
    let mut world = World::echo();
    let record = Record::default();
    world.event_loop.host(Box::new(Recorder { record: record.clone(), act: |_: &mut dyn Io, _: Call<'_>| {} }));
    world.turn_with(|event_loop| {
        event_loop.visit(0, |_, io| io.set_timer(1, io.now() + secs(1)));
        event_loop.visit(1, |_, io| io.set_timer(1, io.now() + secs(2)));
        event_loop.visit(1, |_, io| io.set_timer(2, io.now() + secs(3)));
        event_loop.visit(0, |_, io| io.cancel_timer(2));
    });
    world.pass(secs(1));
    assert_eq!((fired(&world), record.take()), (vec![1], vec![]));
    world.pass(secs(5));
    assert_eq!((fired(&world), record.take()), (vec![], vec![Happened::Timer(1), Happened::Timer(2)]));
}

#[test]
fn timers_go_on_when_all_connections_are_gone() {
    let mut world = World::echo();
    let peer = world.connect();
    world.visit(|io| io.set_timer(1, io.now() + secs(1)));
    peer.send_bytes(&frames::text("x"));
    peer.reset();
    world.pass(secs(2));
    assert_eq!(fired(&world), [1]);
}
