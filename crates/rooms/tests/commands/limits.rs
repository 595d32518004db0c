//! What commands are kept within.

use std::time::Duration;

use tautline_rooms::{CommandAnswer, CommandProblem, CommandSettings, NewCommand};

use crate::support::{SECOND, World, answer, command};

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
        world.commands.issue(world.now, &NewCommand { device, ..command(ticket, &id, Some(60 * SECOND)) });
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
        (NewCommand { id: "c1", ..good() }, CommandProblem::Exists),
        (NewCommand { id: "", ..good() }, CommandProblem::BadName),
        (NewCommand { device: &long, ..good() }, CommandProblem::BadName),
        (NewCommand { name: "a\0", ..good() }, CommandProblem::BadName),
        (NewCommand { payload: &large, ..good() }, CommandProblem::TooLarge),
        (NewCommand { timeout: Some(Duration::ZERO), ..good() }, CommandProblem::BadTime),
        (NewCommand { timeout: Some(601 * SECOND), ..good() }, CommandProblem::BadTime),
        (NewCommand { ttl: Some(Duration::ZERO), ..good() }, CommandProblem::BadTime),
        (NewCommand { ttl: Some(Duration::MAX), ..good() }, CommandProblem::BadTime),
    ] {
        world.commands.issue(world.now, &issue);
        assert_eq!(world.told(), [answer(1, CommandAnswer::Rejected(problem))]);
    }
}

#[test]
fn settings_out_of_bounds_are_named() {
    assert_eq!(CommandSettings::default().validate(), Ok(()));
    let wrong = CommandSettings { in_flight: 0, ..CommandSettings::default() };
    assert_eq!(wrong.validate().unwrap_err().to_string(), "`in_flight` must be at least 1");
}
