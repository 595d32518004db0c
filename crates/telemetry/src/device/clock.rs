//! The time of the calendar, for a device that has no clock of it.

use crate::header::MAX_TIME;

/// An answer that took longer, in milliseconds, says too little about the time.
const LONGEST_EXCHANGE: u64 = 10_000;

/// What the hub said, against the device's own clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    /// The calendar's time less the device's, in milliseconds.
    ahead: Option<i64>,
}

impl Clock {
    /// The time of the calendar at a time of the device's.
    pub(crate) fn calendar(&self, at: u64) -> Option<u64> {
        let time = i64::try_from(at).ok()?.checked_add(self.ahead?)?;
        Some(u64::try_from(time).unwrap_or(0).min(MAX_TIME))
    }

    /// The hub's time came, asked for at `asked`: the way back is taken to be half of the whole. Returns how long the
    /// whole took, if it counts.
    pub(crate) fn learn(&mut self, now: u64, asked: u64, time: u64) -> Option<u64> {
        let exchange = now.saturating_sub(asked);
        if exchange > LONGEST_EXCHANGE {
            return None;
        }
        let hub = i64::try_from(time.saturating_add(exchange / 2)).ok()?;
        self.ahead = hub.checked_sub(i64::try_from(now).ok()?);
        Some(exchange)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_exchange_is_the_way_back() {
        let mut clock = Clock::default();
        assert_eq!(clock.calendar(5), None);
        assert_eq!(clock.learn(1_000, 800, 1_700_000_000_000), Some(200));
        assert_eq!(clock.calendar(1_000), Some(1_700_000_000_100));
        assert_eq!(clock.calendar(0), Some(1_699_999_999_100), "before it was known");
    }

    #[test]
    fn a_slow_answer_says_nothing() {
        let mut clock = Clock::default();
        assert_eq!(clock.learn(10_001, 0, 5), None);
        assert_eq!(clock.calendar(0), None);
    }

    #[test]
    fn times_at_the_ends_do_not_overflow() {
        let mut clock = Clock::default();
        clock.learn(0, 0, MAX_TIME);
        assert_eq!(clock.calendar(u64::MAX >> 1), None);
        assert_eq!(clock.calendar(1 << 60), Some(MAX_TIME));
        clock.learn(100, 100, 0);
        assert_eq!(clock.calendar(7), Some(0));
        assert_eq!(clock.learn(u64::MAX, u64::MAX, 0), None, "no clock shows this");
    }
}
