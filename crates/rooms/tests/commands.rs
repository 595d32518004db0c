//! What commands do, call by call, in virtual time.

use std::time::Duration;

use tautline_rooms::{
    Command, CommandAnswer, CommandEffect, CommandProblem, CommandSettings, CommandState, Commands, Issue, Timestamp,
};

const SECOND: Duration = Duration::from_secs(1);

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
    let issue = Issue { timeout: Some(SECOND), ..command(1, "short", None) };
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
fn commands_are_bounded_by_device_and_in_all() {
    let mut world = World::with(CommandSettings { per_device: 2, commands: 3, ..CommandSettings::default() });
    let busy = |ticket| answer(ticket, CommandAnswer::Rejected(CommandProblem::Busy));
    world.keep("c1", 60 * SECOND);
    world.issue(2, "c2", Some(60 * SECOND));
    world.issue(3, "c3", Some(60 * SECOND));
    assert_eq!(world.told(), [busy(3)], "one that is being stored counts");
    for (ticket, device) in [(4, "second"), (5, "third")] {
        let id = format!("c{ticket}");
        world.commands.issue(world.now, &Issue { device, ..command(ticket, &id, Some(60 * SECOND)) });
    }
    assert_eq!(world.told(), [busy(5)]);
    world.stored("c2", false);
    world.told();
    world.issue(6, "c6", Some(60 * SECOND));
    assert_eq!(world.told(), [], "there is room again");
}

#[test]
fn what_cannot_be_a_command_is_rejected() {
    let mut world = World::new();
    world.connect(7);
    world.keep("c1", 60 * SECOND);
    world.drain();
    let (large, long) = (format!("\"{}\"", "x".repeat(16 * 1024)), "x".repeat(129));
    let good = || command(1, "c2", None);
    for (issue, problem) in [
        (Issue { id: "c1", ..good() }, CommandProblem::Exists),
        (Issue { id: "", ..good() }, CommandProblem::BadName),
        (Issue { device: &long, ..good() }, CommandProblem::BadName),
        (Issue { name: "a\0", ..good() }, CommandProblem::BadName),
        (Issue { payload: &large, ..good() }, CommandProblem::TooLarge),
        (Issue { timeout: Some(Duration::ZERO), ..good() }, CommandProblem::BadTime),
        (Issue { timeout: Some(601 * SECOND), ..good() }, CommandProblem::BadTime),
        (Issue { ttl: Some(Duration::ZERO), ..good() }, CommandProblem::BadTime),
        (Issue { ttl: Some(Duration::MAX), ..good() }, CommandProblem::BadTime),
    ] {
        world.commands.issue(world.now, &issue);
        assert_eq!(world.told(), [answer(1, CommandAnswer::Rejected(problem))]);
    }
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

#[test]
fn settings_out_of_bounds_are_named() {
    assert_eq!(CommandSettings::default().validate(), Ok(()));
    let wrong = CommandSettings { in_flight: 0, ..CommandSettings::default() };
    assert_eq!(wrong.validate().unwrap_err().to_string(), "`in_flight` must be at least 1");
}

/// Commands to the device `esp`.
struct World {
    commands: Commands,
    now: Timestamp,
}

/// What is told of an effect, in tests' words.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Answer(u64, CommandAnswer),
    Changed(String, CommandState, Option<String>),
    Sent(u64, String),
}

impl World {
    fn new() -> Self {
        Self::with(CommandSettings::default())
    }

    fn with(settings: CommandSettings) -> Self {
        settings.validate().unwrap();
        Self { commands: Commands::new(settings), now: Timestamp(1_000_000) }
    }

    fn connect(&mut self, connection: u64) {
        self.commands.device_connected(self.now, "esp", connection);
    }

    fn disconnect(&mut self, connection: u64) {
        self.commands.device_disconnected(self.now, "esp", connection);
    }

    fn issue(&mut self, ticket: u64, id: &str, ttl: Option<Duration>) {
        self.commands.issue(self.now, &command(ticket, id, ttl));
    }

    fn stored(&mut self, id: &str, stored: bool) {
        self.commands.stored(self.now, id, stored);
    }

    /// A command that is stored and waits, if the device is not there.
    fn keep(&mut self, id: &str, ttl: Duration) {
        self.issue(0, id, Some(ttl));
        self.stored(id, true);
        if self.commands.pending("esp").all(|(_, state)| state == CommandState::Queued) {
            self.drain();
        }
    }

    fn result(&mut self, id: &str, result: Result<&str, &str>) {
        self.commands.result(self.now, "esp", id, result);
    }

    /// Lets time pass, with everything that is due meanwhile.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.commands.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.commands.handle_timeout(self.now);
        }
        self.now = end;
    }

    fn drain(&mut self) -> Vec<CommandEffect> {
        std::iter::from_fn(|| self.commands.poll_effect()).collect()
    }

    /// Everything but what is to be stored.
    fn told(&mut self) -> Vec<Told> {
        let effects = self.drain().into_iter();
        effects
            .filter_map(|effect| match effect {
                CommandEffect::Answer { ticket, answer } => Some(Told::Answer(ticket, answer)),
                CommandEffect::Changed { command, state, result, .. } => {
                    Some(Told::Changed(command.id.to_string(), state, result.map(|json| json.to_string())))
                }
                CommandEffect::Send { to, command, .. } => Some(sent(to, &command.id)),
                CommandEffect::Store { .. } => None,
            })
            .collect()
    }

    /// The ids of the commands that were sent.
    fn sent(&mut self) -> Vec<String> {
        let told = self.told().into_iter();
        told.filter_map(|told| if let Told::Sent(_, id) = told { Some(id) } else { None }).collect()
    }
}

fn command(ticket: u64, id: &str, ttl: Option<Duration>) -> Issue<'_> {
    Issue { ticket, id, device: "esp", name: "led", payload: "true", timeout: None, ttl }
}

fn answer(ticket: u64, answer: CommandAnswer) -> Told {
    Told::Answer(ticket, answer)
}

fn changed(id: &str, state: CommandState, result: Option<&str>) -> Told {
    Told::Changed(id.into(), state, result.map(Into::into))
}

fn sent(to: u64, id: &str) -> Told {
    Told::Sent(to, id.into())
}
