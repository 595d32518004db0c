//! When to send again, and how much at once.

use super::config::Config;
use crate::random::Random;

/// No wait is longer than this, in milliseconds.
pub(crate) const LONGEST: u64 = 60_000;
/// So many messages are on their way at first.
const FIRST_WINDOW: u32 = 8;
/// Until the first acknowledgement was measured.
const FIRST_RETRY: u64 = 1_000;

/// The measured time to an acknowledgement (RFC 6298 section 2), and the window that follows from losses.
#[derive(Clone, Debug)]
pub(crate) struct Pacing {
    least: u64,
    smoothed: Option<u64>,
    variation: u64,
    widest: u32,
    window: u32,
    /// Messages stored since the window last grew.
    credit: u32,
    /// Losses before this time belong to one that has been counted.
    recovering: u64,
    /// The hub is busy until then.
    hold: u64,
}

impl Pacing {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            least: config.least_retry_millis(),
            smoothed: None,
            variation: 0,
            widest: config.window_size(),
            window: FIRST_WINDOW.min(config.window_size()),
            credit: 0,
            recovering: 0,
            hold: 0,
        }
    }

    /// How many messages may be on their way.
    pub(crate) fn window(&self) -> u32 {
        self.window
    }

    /// Nothing but hello, results and time requests leaves before this time.
    pub(crate) fn hold(&self) -> u64 {
        self.hold
    }

    /// When a message that was sent `attempts` times, now for the last time, counts as lost.
    pub(crate) fn retry_at(&self, now: u64, attempts: u8, random: &mut Random) -> u64 {
        let base = self.retry();
        // The first time there is nobody to keep out of step with.
        let spread = if attempts <= 1 { base / 2 } else { base << attempts.min(10) };
        // Spread over what is left, so that the longest waits are not all the same.
        now.saturating_add(base + random.up_to(spread.min(LONGEST - base)))
    }

    /// A message that was sent once was acknowledged after this long (Karn's rule: the others say nothing).
    pub(crate) fn measured(&mut self, round_trip: u64) {
        let round_trip = round_trip.min(LONGEST);
        let Some(smoothed) = self.smoothed else {
            self.smoothed = Some(round_trip);
            self.variation = round_trip / 2;
            return;
        };
        self.variation = (3 * self.variation + smoothed.abs_diff(round_trip)) / 4;
        self.smoothed = Some((7 * smoothed + round_trip) / 8);
    }

    /// So many messages are stored that were not before.
    pub(crate) fn stored(&mut self, messages: u32) {
        self.credit = self.credit.saturating_add(messages);
        while self.credit >= self.window {
            self.credit -= self.window;
            if self.window < self.widest {
                self.window += 1;
            }
        }
    }

    /// A message was lost: half as many at once, but only once for those that were lost together.
    pub(crate) fn lost(&mut self, now: u64) {
        if now >= self.recovering {
            self.window = (self.window / 2).max(1);
            self.credit = 0;
            self.recovering = now.saturating_add(self.retry());
        }
    }

    /// The hub wants nothing for so long. Returns until when.
    pub(crate) fn busy(&mut self, now: u64, retry: u32, random: &mut Random) -> u64 {
        self.hold = busy_until(now, retry, random);
        self.window = 1;
        self.credit = 0;
        self.hold
    }

    fn retry(&self) -> u64 {
        let retry = self.smoothed.map_or(FIRST_RETRY, |smoothed| smoothed + 4 * self.variation.max(1));
        retry.clamp(self.least, LONGEST)
    }
}

/// The time given, and up to as long again: a hub tells many devices the same number.
pub(crate) fn busy_until(now: u64, retry: u32, random: &mut Random) -> u64 {
    let retry = u64::from(retry).clamp(1, LONGEST);
    now.saturating_add(retry + random.up_to(retry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_attempts_and_end_at_a_minute() {
        let (pacing, mut random) = (Pacing::new(&Config::DATAGRAM), Random::new(1));
        for attempts in 0..=u8::MAX {
            for _ in 0..20 {
                let at = pacing.retry_at(500, attempts, &mut random);
                let most = 500 + (1_000 + (1_000 << u32::from(attempts.min(10)))).min(LONGEST);
                assert!((1_500..=most).contains(&at), "{attempts}: {at}");
            }
        }
    }

    #[test]
    fn the_longest_waits_are_spread_too() {
        let (pacing, mut random) = (Pacing::new(&Config::DATAGRAM), Random::new(1));
        let waits: std::vec::Vec<u64> = (0..100).map(|_| pacing.retry_at(0, u8::MAX, &mut random)).collect();
        assert!(waits.iter().any(|&wait| wait < LONGEST / 4) && waits.iter().any(|&wait| wait > LONGEST / 4 * 3));
    }

    #[test]
    fn the_wait_follows_what_was_measured() {
        let mut pacing = Pacing::new(&Config::DATAGRAM);
        for _ in 0..50 {
            pacing.measured(400);
        }
        assert!((400..=420).contains(&pacing.retry()), "{}", pacing.retry());
        for _ in 0..50 {
            pacing.measured(1);
        }
        assert_eq!(pacing.retry(), 200, "the least");
    }

    #[test]
    fn losses_of_one_moment_halve_the_window_once_and_storing_widens_it() {
        let mut pacing = Pacing::new(&Config::DATAGRAM);
        pacing.lost(10);
        pacing.lost(10);
        assert_eq!(pacing.window(), 4);
        pacing.stored(4 + 5);
        assert_eq!(pacing.window(), 6);
        pacing.stored(100_000);
        assert_eq!(pacing.window(), 64);
        for at in 1..100 {
            pacing.lost(at * LONGEST);
        }
        assert_eq!(pacing.window(), 1);
    }

    #[test]
    fn busy_is_bounded_and_spread() {
        let (mut pacing, mut random) = (Pacing::new(&Config::DATAGRAM), Random::new(1));
        let until = pacing.busy(1_000, 500, &mut random);
        assert!((1_500..=2_000).contains(&until));
        assert!(pacing.busy(1_000, u32::MAX, &mut random) <= 1_000 + 2 * LONGEST);
        assert_eq!(pacing.window(), 1);
    }
}
