//! Devices that come and go, and a hub that does, call by call.

use tautline_rooms::{Command, CommandAnswer, CommandEffect, CommandSettings, CommandState, NewCommand, Timestamp};

use crate::support::{SECOND, World, answer, changed, command, sent};

#[test]
fn what_a_lost_connection_has_not_answered_is_delivered_again_with_the_same_id() {
    let mut world = World::new();
    world.connect(7);
    world.issue(1, "direct", None);
    world.issue(2, "kept", Some(60 * SECOND));
    world.stored("kept", true);
    world.drain();
    world.disconnect(7);
    assert_eq!(world.told(), [answer(2, CommandAnswer::Queued)], "the other one has an end that can be waited for");
    world.pass(5 * SECOND);
    world.connect(8);
    let again: Vec<_> = world.drain();
    let [CommandEffect::Send { to: 8, command: first, deadline }, CommandEffect::Send { to: 8, command: second, .. }] =
        &again[..]
    else {
        panic!("{again:?}")
    };
    assert_eq!((&*first.id, &*second.id), ("direct", "kept"));
    assert_eq!(*deadline, world.now + 25 * SECOND, "one timeout in all");
    world.result("direct", Ok("1"));
    assert!(world.told().contains(&answer(1, CommandAnswer::Done("1".into()))));
}

#[test]
fn what_a_lost_connection_has_not_answered_fails_when_the_device_stays_away() {
    let mut world = World::new();
    world.connect(7);
    world.issue(1, "direct", None);
    world.issue(2, "kept", Some(60 * SECOND));
    world.stored("kept", true);
    world.disconnect(7);
    world.drain();
    world.pass(30 * SECOND);
    assert_eq!(world.told(), [changed("direct", CommandState::Failed, None), answer(1, CommandAnswer::TimedOut)]);
    world.pass(30 * SECOND);
    assert_eq!(world.told(), [changed("kept", CommandState::Failed, None)]);
}

#[test]
fn an_answer_that_comes_by_another_connection_counts() {
    let mut world = World::new();
    world.connect(7);
    world.issue(1, "c1", Some(10 * SECOND));
    world.stored("c1", true);
    world.pass(11 * SECOND);
    world.drain();
    world.connect(8);
    assert_eq!(world.told(), [], "it is too late to deliver it again");
    world.result("c1", Ok("1"));
    assert_eq!(
        world.told(),
        [changed("c1", CommandState::Done, Some("1")), answer(1, CommandAnswer::Done("1".into()))]
    );
}

#[test]
fn only_the_latest_connection_of_a_device_counts() {
    let mut world = World::new();
    world.connect(7);
    world.connect(8);
    world.disconnect(7);
    world.issue(1, "c1", None);
    assert!(world.told().contains(&sent(8, "c1")));
}

#[test]
fn what_is_due_when_a_connection_ends_makes_no_room_on_it() {
    let mut world = World::with(CommandSettings { in_flight: 1, ..CommandSettings::default() });
    world.connect(7);
    world.keep("c1", 600 * SECOND);
    world.keep("c2", 600 * SECOND);
    world.drain();
    // Nobody has called `handle_timeout`.
    world.now = world.now + 30 * SECOND;
    world.connect(8);
    let over = [changed("c1", CommandState::Failed, None), answer(0, CommandAnswer::TimedOut)];
    let next = [changed("c2", CommandState::Sent, None), sent(8, "c2")];
    assert_eq!(world.told(), [over, next].concat());
}

#[test]
fn so_many_are_with_a_device_at_once_and_the_oldest_come_first() {
    let mut world = World::with(CommandSettings { in_flight: 2, ..CommandSettings::default() });
    for id in ["c1", "c2", "c3", "c4"] {
        world.keep(id, 600 * SECOND);
    }
    world.connect(7);
    assert_eq!(world.sent(), ["c1", "c2"]);
    world.issue(9, "direct", None);
    world.result("c2", Ok("1"));
    assert_eq!(world.sent(), ["c3"]);
    world.disconnect(7);
    world.connect(8);
    assert_eq!(world.sent(), ["c1", "c3"]);
    world.result("c1", Err("no"));
    world.result("c3", Ok("1"));
    assert_eq!(world.sent(), ["c4", "direct"]);
}

#[test]
fn one_that_waits_behind_others_for_too_long_is_told_that_it_was_not_delivered() {
    let mut world = World::with(CommandSettings { in_flight: 1, ..CommandSettings::default() });
    world.connect(7);
    world.keep("long", 600 * SECOND);
    world.drain();
    let issue = NewCommand { timeout: Some(SECOND), ..command(1, "short", None) };
    world.commands.issue(world.now, &issue);
    world.pass(SECOND);
    let told = [changed("short", CommandState::Queued, None), changed("short", CommandState::Expired, None)];
    assert_eq!(world.told(), [&told[..], &[answer(1, CommandAnswer::Expired)]].concat());
    world.pass(29 * SECOND);
    assert_eq!(world.told(), [changed("long", CommandState::Failed, None), answer(0, CommandAnswer::TimedOut)]);
}

#[test]
fn the_end_of_one_makes_room_for_the_next() {
    let mut world = World::with(CommandSettings { in_flight: 1, ..CommandSettings::default() });
    world.connect(7);
    world.keep("c1", 600 * SECOND);
    world.keep("c2", 600 * SECOND);
    assert_eq!(world.sent(), ["c1"]);
    world.pass(30 * SECOND);
    assert_eq!(world.sent(), ["c2"]);
}

#[test]
fn after_a_restart_what_is_kept_waits_again_and_everything_else_is_over() {
    let mut world = World::new();
    let soon = world.now + 60 * SECOND;
    for (id, expires, sent) in [
        ("direct", None, true),
        ("late", Some(world.now), false),
        ("sent", Some(soon), true),
        ("queued", Some(soon), false),
    ] {
        let command = Command {
            id: id.into(),
            device: "esp".into(),
            name: "led".into(),
            payload: "true".into(),
            created: Timestamp(1),
            expires,
        };
        world.commands.restore(world.now, command, sent);
    }
    let over = [changed("direct", CommandState::Failed, None), changed("late", CommandState::Expired, None)];
    assert_eq!(world.told(), over);
    let states: Vec<_> = world.commands.pending("esp").map(|(command, state)| (&*command.id, state)).collect();
    assert_eq!(states, [("sent", CommandState::Sent), ("queued", CommandState::Queued)]);
    world.connect(7);
    assert_eq!(world.sent(), ["sent", "queued"]);
    world.disconnect(7);
    world.pass(60 * SECOND);
    assert_eq!(
        world.told(),
        [changed("sent", CommandState::Failed, None), changed("queued", CommandState::Failed, None)]
    );
}
