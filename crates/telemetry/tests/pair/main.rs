//! A device and a hub over a network of which everything can go wrong, in virtual time. Whatever happens: what the device saw
//! acknowledged is stored, nothing is stored twice, and when the network heals, everything arrives.

mod world;

use world::{Faults, World};

const MINUTE: u64 = 60_000;

/// Each of some minutes.
const SEEDS: u64 = 1_000;

#[test]
fn without_faults_everything_is_stored_and_nothing_sent_twice() {
    let mut world = World::new(1, Faults::default());
    for _ in 0..500 {
        world.push();
        world.run(100);
    }
    world.run(2_000);
    assert_eq!(world.device_outstanding(), 0);
    assert_eq!(world.stored_values(), (0..500).collect::<Vec<u32>>());
    assert_eq!(world.readings_received(), world.readings_stored(), "no copies");
}

#[test]
fn loss_duplication_and_reordering_lose_nothing_and_double_nothing() {
    for seed in 0..SEEDS {
        let faults = Faults { loss: 20, duplicate: 10, delay: 400, ..Faults::default() };
        World::new(seed, faults).live(200).heal_and_check();
    }
}

#[test]
fn terrible_networks_heal_too() {
    for seed in 0..SEEDS / 4 {
        let faults = Faults { loss: 80, duplicate: 50, delay: 5_000, ..Faults::default() };
        World::new(seed, faults).live(100).heal_and_check();
    }
}

#[test]
fn the_hub_may_be_killed_at_any_time() {
    for seed in 0..SEEDS {
        let faults = Faults { loss: 20, duplicate: 10, delay: 300, hub_kill: 20, ..Faults::default() };
        World::new(seed, faults).live(200).heal_and_check();
    }
}

#[test]
fn the_device_may_be_killed_at_any_time() {
    for seed in 0..SEEDS {
        let faults = Faults { loss: 20, duplicate: 10, delay: 300, device_kill: 20, ..Faults::default() };
        World::new(seed, faults).live(200).heal_and_check();
    }
}

#[test]
fn a_busy_hub_and_a_store_that_fails_lose_nothing() {
    for seed in 0..SEEDS {
        let faults = Faults { loss: 10, delay: 100, busy: 30, refuse: 0, failing_store: 10, ..Faults::default() };
        World::new(seed, faults).live(200).heal_and_check();
    }
}

#[test]
fn refused_readings_do_not_stop_the_others() {
    for seed in 0..SEEDS / 4 {
        let faults = Faults { loss: 20, duplicate: 10, delay: 100, refuse: 10, ..Faults::default() };
        World::new(seed, faults).live(100).heal_and_check();
    }
}

#[test]
fn an_attacker_who_records_replays_reflects_and_forges_changes_nothing() {
    for seed in 0..SEEDS {
        let faults = Faults {
            loss: 10,
            duplicate: 5,
            delay: 200,
            hub_kill: 5,
            device_kill: 5,
            attack: 100,
            ..Faults::default()
        };
        World::new(seed, faults).live(150).heal_and_check();
    }
}

#[test]
fn over_a_stream_only_interruptions_lose_anything() {
    for seed in 0..SEEDS {
        let faults = Faults { stream: true, delay: 200, interrupt: 30, hub_kill: 10, busy: 5, ..Faults::default() };
        World::new(seed, faults).live(200).heal_and_check();
    }
}

#[test]
fn everything_at_once() {
    for seed in 0..SEEDS {
        let faults = Faults {
            loss: 20,
            duplicate: 10,
            delay: 400,
            hub_kill: 10,
            device_kill: 10,
            busy: 10,
            refuse: 3,
            failing_store: 5,
            attack: 20,
            ..Faults::default()
        };
        World::new(seed, faults).live(200).heal_and_check();
    }
}

#[test]
fn without_keys_it_works_the_same() {
    for seed in 0..SEEDS / 4 {
        let faults = Faults { keyless: true, loss: 20, duplicate: 10, delay: 400, hub_kill: 10, ..Faults::default() };
        World::new(seed, faults).live(200).heal_and_check();
    }
}

#[test]
fn commands_are_carried_out_once_in_a_session_and_their_results_arrive() {
    for seed in 0..SEEDS {
        let faults =
            Faults { loss: 30, duplicate: 20, delay: 300, hub_kill: 50, attack: 20, quiet: 10, ..Faults::default() };
        let mut world = World::new(seed, faults);
        for _ in 0..20 {
            world.command();
            world.run(2_000);
        }
        world.heal_and_check();
        assert_eq!(world.commands_without_result(), 0, "seed {seed}");
    }
}

#[test]
fn commands_reach_a_device_that_restarts() {
    for seed in 0..SEEDS / 4 {
        let faults = Faults {
            loss: 30,
            duplicate: 20,
            delay: 300,
            device_kill: 100,
            hub_kill: 20,
            quiet: 10,
            ..Faults::default()
        };
        let mut world = World::new(seed, faults);
        for _ in 0..20 {
            world.command();
            world.push();
            world.run(2_000);
        }
        world.heal_and_check();
        assert_eq!(world.commands_without_result(), 0, "seed {seed}");
    }
}

#[test]
fn a_device_without_a_clock_learns_the_time_and_its_early_readings_get_theirs() {
    let mut world = World::new(3, Faults { delay: 50, ..Faults::default() });
    world.unplug();
    world.push(); // value 0, before anything is known
    world.run(MINUTE);
    world.plug();
    world.run(2 * MINUTE);
    world.push();
    world.run(MINUTE);
    for (value, at) in [(0, 0), (1, 3 * MINUTE)] {
        let off = world.time_of(value).abs_diff(world::EPOCH + at);
        assert!(off <= 100, "value {value} is {off} ms off");
    }
}

#[test]
fn a_quiet_device_gives_a_sign_of_life_in_time() {
    let mut world = World::new(4, Faults { quiet: 30, ..Faults::default() });
    world.run(10 * MINUTE);
    let longest = world.longest_silence();
    assert!((25_000..=31_000).contains(&longest), "{longest} ms");
}

#[test]
fn a_device_that_nobody_answers_asks_every_few_seconds() {
    let mut world = World::new(5, Faults::default());
    world.unplug();
    world.push();
    world.run(60 * MINUTE);
    let sent = world.messages_sent();
    assert!((250..=600).contains(&sent), "{sent} in an hour");
}
