//! Everything that can go wrong between a device and its hub, at random: what the device saw acknowledged is stored, nothing is stored
//! twice, and when the network heals, everything arrives.

use std::time::Duration;

use super::world::{Diary, Faults, SECOND, TestLink, World};
use super::{Run, with_client};

/// Each of some minutes of virtual time.
const SEEDS: u64 = 40;

/// How often in a hundred steps, of which each takes a quarter of a second, what happens.
#[derive(Clone, Copy, Default)]
struct Rates {
    hub_kill: u32,
    device_kill: u32,
    cut: u32,
    refusing: u32,
    broken: u32,
    ended: u32,
    dropped: u32,
    command: u32,
}

struct Story {
    world: World,
    random: fastrand::Rng,
    rates: Rates,
    diary: Diary,
    commands: u32,
}

/// What ends a driver's life.
enum End {
    Never,
    /// The future is dropped.
    Dropped,
    /// The device loses everything.
    Killed,
}

impl Story {
    fn new(stream: bool, seed: u64, faults: Faults, rates: Rates) -> Self {
        let world = World::new(stream, seed);
        world.air.with(|air| {
            air.faults = faults;
            air.piece = if !stream || seed.is_multiple_of(2) { usize::MAX } else { 50 };
        });
        Self { world, random: fastrand::Rng::with_seed(seed), rates, diary: Diary::default(), commands: 0 }
    }

    /// Lives through so many steps, and then heals.
    fn live_and_check(mut self, steps: u32) {
        let mut left = steps;
        let mut link = self.world.link(self.random.u64(..));
        loop {
            let (world, diary) = (self.world.clone(), self.diary.clone());
            let mut end = End::Never;
            with_client(&world, &link, &diary, |run| end = self.live(&link, run, &mut left));
            match end {
                End::Never => break,
                End::Dropped => {}
                End::Killed => {
                    self.diary.restarted();
                    link = self.world.link(self.random.u64(..));
                }
            }
        }
        let stored = self.world.stored();
        assert!(stored.windows(2).all(|pair| pair[0] < pair[1]), "stored twice: {stored:?}");
        for value in self.diary.acknowledged() {
            assert!(stored.binary_search(&value).is_ok(), "{value} was acknowledged and is not stored");
        }
        if self.rates.device_kill == 0 {
            assert_eq!(stored, self.diary.read());
            assert_eq!(self.diary.acknowledged(), stored);
        }
        let hub = self.world.hub.borrow();
        assert!(hub.store.commands.iter().all(|(number, result)| *result == Some(*number)), "{:?}", hub.store.commands);
    }

    fn live(&mut self, link: &TestLink<'_>, run: &mut Run<'_>, left: &mut u32) -> End {
        while *left > 0 {
            *left -= 1;
            for _ in 0..self.random.u32(0..4) {
                self.diary.push(&self.world, link);
            }
            if self.happens(self.rates.command) {
                self.commands += 1;
                self.world.hub.borrow_mut().command(self.commands);
            }
            let step = Duration::from_millis(self.random.u64(0..500));
            assert!(self.world.run_for(step, run).is_none(), "it has not been stopped");
            self.misfortune();
            if self.happens(self.rates.dropped) {
                return End::Dropped;
            }
            if self.happens(self.rates.device_kill) {
                return End::Killed;
            }
        }
        let air = &self.world.air;
        air.with(|air| (air.faults, air.cut, air.refusing) = (Faults::default(), false, false));
        // Longer than the longest wait between attempts, and an attempt that hangs.
        self.world.run_for(300 * SECOND, run);
        assert_eq!(link.outstanding(), 0, "never acknowledged");
        End::Never
    }

    fn misfortune(&mut self) {
        if self.happens(self.rates.hub_kill) {
            self.world.hub.borrow_mut().kill(&mut self.random);
            self.world.air.with(|air| air.ended = true);
        }
        let (cut, refusing) = (self.happens(self.rates.cut), self.happens(self.rates.refusing));
        let (broken, ended) = (self.happens(self.rates.broken), self.happens(self.rates.ended));
        let mends = self.random.u32(0..10) == 0;
        self.world.air.with(|air| {
            air.cut = (air.cut || cut) && !mends;
            air.refusing = (air.refusing || refusing) && !mends;
            air.broken |= broken;
            air.ended |= ended;
        });
    }

    fn happens(&mut self, percent: u32) -> bool {
        self.random.u32(0..100) < percent
    }
}

fn each(stream: bool, faults: Faults, rates: Rates) {
    for seed in 0..SEEDS {
        Story::new(stream, seed, faults, rates).live_and_check(200);
    }
}

const BAD: Faults = Faults { loss: 20, duplicate: 10, delay: 400 };

#[test]
fn datagrams_that_are_lost_doubled_and_overtaken_lose_nothing() {
    each(false, BAD, Rates { command: 5, ..Rates::default() });
}

#[test]
fn terrible_networks_heal_too() {
    each(false, Faults { loss: 80, duplicate: 50, delay: 5_000 }, Rates::default());
}

#[test]
fn over_datagrams_the_hub_may_be_killed_at_any_time() {
    each(false, BAD, Rates { hub_kill: 4, refusing: 3, command: 5, ..Rates::default() });
}

#[test]
fn over_datagrams_the_device_may_be_killed_at_any_time() {
    each(false, BAD, Rates { device_kill: 4, command: 5, ..Rates::default() });
}

#[test]
fn over_datagrams_the_network_may_go_away_and_sockets_may_break() {
    each(false, BAD, Rates { cut: 3, refusing: 2, broken: 3, command: 5, ..Rates::default() });
}

#[test]
fn over_a_stream_the_hub_may_be_killed_at_any_time() {
    each(true, BAD, Rates { hub_kill: 4, refusing: 3, command: 5, ..Rates::default() });
}

#[test]
fn over_a_stream_the_device_may_be_killed_at_any_time() {
    each(true, BAD, Rates { device_kill: 4, command: 5, ..Rates::default() });
}

#[test]
fn over_a_stream_connections_may_be_cut_half_open_reset_and_ended() {
    each(true, BAD, Rates { cut: 3, refusing: 2, broken: 3, ended: 3, command: 5, ..Rates::default() });
}

#[test]
fn drivers_may_be_dropped_at_any_time() {
    for stream in [false, true] {
        each(stream, BAD, Rates { dropped: 10, command: 5, ..Rates::default() });
    }
}

#[test]
fn everything_at_once() {
    let rates = Rates { hub_kill: 2, device_kill: 2, cut: 2, refusing: 2, broken: 2, ended: 2, dropped: 2, command: 3 };
    for stream in [false, true] {
        each(stream, BAD, rates);
    }
}

#[test]
fn a_good_network_gets_everything_once() {
    // The last one's stream is in pieces.
    for (stream, seed) in [(false, 0), (true, 0), (true, 1)] {
        let story = Story::new(stream, seed, Faults::default(), Rates { command: 20, ..Rates::default() });
        let world = story.world.clone();
        story.live_and_check(100);
        assert_eq!(world.hub.borrow().store.hellos, 1);
        world.air.with(|air| assert_eq!(air.connections, 1));
    }
}
