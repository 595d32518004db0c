//! What becomes of a command, call by call.

use tautline_rooms::{CommandAnswer, CommandEffect, CommandProblem, CommandState};

use crate::support::{SECOND, World, answer, changed, sent};

#[test]
fn a_command_goes_to_a_device_that_is_there_and_its_answer_to_who_gave_it() {
    let mut world = World::new();
    world.connect(7);
    world.issue(1, "c1", None);
    let effects = world.drain();
    let [CommandEffect::Store { command }, CommandEffect::Changed { state: CommandState::Queued, .. }, rest @ ..] =
        &effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!((&*command.name, &*command.payload, command.expires), ("led", "true", None));
    let [CommandEffect::Changed { state: CommandState::Sent, .. }, CommandEffect::Send { to: 7, command, deadline }] =
        rest
    else {
        panic!("{rest:?}")
    };
    assert_eq!((&*command.id, *deadline), ("c1", world.now + 30 * SECOND));

    world.result("c1", Ok(r#"{"led":true}"#));
    let done = changed("c1", CommandState::Done, Some(r#"{"led":true}"#));
    assert_eq!(world.told(), [done, answer(1, CommandAnswer::Done(r#"{"led":true}"#.into()))]);
    assert_eq!(world.commands.poll_timeout(), None);
}

#[test]
fn a_refusal_is_told_with_its_reason() {
    let mut world = World::new();
    world.connect(7);
    world.issue(1, "c1", None);
    world.drain();
    world.result("c1", Err("no \"led\" here"));
    let refused = changed("c1", CommandState::Refused, Some(r#""no \"led\" here""#));
    assert_eq!(world.told(), [refused, answer(1, CommandAnswer::Refused("no \"led\" here".into()))]);
}

#[test]
fn a_command_that_is_not_kept_is_not_for_a_device_that_is_not_there() {
    let mut world = World::new();
    world.issue(1, "c1", None);
    assert_eq!(world.told(), [answer(1, CommandAnswer::NotConnected)]);
    world.connect(7);
    assert_eq!(world.told(), [], "nothing is left of it");
}

#[test]
fn a_command_that_is_kept_is_stored_before_anybody_hears_of_it() {
    let mut world = World::new();
    world.issue(1, "c1", Some(60 * SECOND));
    world.connect(7);
    let effects = world.drain();
    let [CommandEffect::Store { command }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(command.expires, Some(world.now + 60 * SECOND));
    assert_eq!(world.commands.pending("esp").count(), 0);
    world.disconnect(7);
    world.stored("c1", true);
    let queued = changed("c1", CommandState::Queued, None);
    assert_eq!(world.told(), [queued, answer(1, CommandAnswer::Queued)]);
    world.pass(59 * SECOND);
    world.connect(8);
    assert_eq!(world.told(), [changed("c1", CommandState::Sent, None), sent(8, "c1")]);
    world.result("c1", Ok("1"));
    assert_eq!(world.told(), [changed("c1", CommandState::Done, Some("1"))], "who gave it was answered already");
}

#[test]
fn a_command_that_could_not_be_stored_is_none() {
    let mut world = World::new();
    world.issue(1, "c1", Some(60 * SECOND));
    world.stored("c1", false);
    assert_eq!(world.told(), [answer(1, CommandAnswer::Rejected(CommandProblem::NotStored))]);
    world.connect(7);
    assert_eq!((world.told(), world.commands.poll_timeout()), (vec![], None));
}

#[test]
fn a_kept_command_for_a_device_that_is_there_is_answered_by_the_device() {
    let mut world = World::new();
    world.connect(7);
    world.issue(1, "c1", Some(60 * SECOND));
    assert_eq!(world.told(), [], "it is stored first");
    world.stored("c1", true);
    world.told();
    world.result("c1", Ok("1"));
    assert!(world.told().contains(&answer(1, CommandAnswer::Done("1".into()))));
}

#[test]
fn what_took_too_long_to_store_has_expired() {
    let mut world = World::new();
    world.issue(1, "c1", Some(SECOND));
    world.pass(SECOND);
    world.connect(7);
    world.stored("c1", true);
    let states = [changed("c1", CommandState::Queued, None), changed("c1", CommandState::Expired, None)];
    assert_eq!(world.told(), [&states[..], &[answer(1, CommandAnswer::Expired)]].concat());
}

#[test]
fn a_kept_command_expires_and_is_not_delivered_then() {
    let mut world = World::new();
    world.keep("c1", 60 * SECOND);
    assert_eq!(world.commands.poll_timeout(), Some(world.now + 60 * SECOND));
    // Nobody has called `handle_timeout`.
    world.now = world.now + 60 * SECOND;
    world.connect(7);
    assert_eq!(world.told(), [changed("c1", CommandState::Expired, None)]);
}

#[test]
fn a_device_that_does_not_answer_in_time_is_not_waited_for() {
    let mut world = World::new();
    world.connect(7);
    world.issue(1, "c1", None);
    world.drain();
    world.pass(30 * SECOND);
    assert_eq!(world.told(), [changed("c1", CommandState::Failed, None), answer(1, CommandAnswer::TimedOut)]);
    world.result("c1", Ok("1"));
    assert_eq!((world.told(), world.commands.ignored()), (vec![], 1), "it comes too late");
}

#[test]
fn answers_that_are_late_doubled_or_foreign_are_counted_and_change_nothing() {
    let mut world = World::new();
    world.connect(7);
    world.issue(1, "c1", None);
    world.keep("other", 60 * SECOND);
    world.drain();
    world.commands.result(world.now, "impostor", "c1", Ok("1"));
    world.result("nothing", Ok("1"));
    assert_eq!((world.told(), world.commands.ignored()), (vec![], 2));
    world.result("c1", Ok("1"));
    assert_eq!(world.told().len(), 2);
    world.result("c1", Ok("2"));
    assert_eq!((world.told(), world.commands.ignored()), (vec![], 3));
    // Nobody has called `handle_timeout`.
    world.now = world.now + 30 * SECOND;
    world.result("other", Ok("1"));
    let over = vec![changed("other", CommandState::Failed, None), answer(0, CommandAnswer::TimedOut)];
    assert_eq!((world.told(), world.commands.ignored()), (over, 4));
}

#[test]
fn an_answer_to_what_was_never_sent_does_not_count() {
    let mut world = World::new();
    world.keep("c1", 60 * SECOND);
    world.result("c1", Ok("1"));
    assert_eq!((world.told(), world.commands.ignored()), (vec![], 1));
}
