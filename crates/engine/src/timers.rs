//! Which timer is due next.

use std::collections::{BTreeMap, HashMap};

use tautline_proto::Instant;

/// An app's timers. Those that are due at the same time come in the order in which they were set.
#[derive(Debug, Default)]
pub struct Timers {
    due: BTreeMap<Key, u64>,
    keys: HashMap<u64, Key>,
    next: u64,
}

/// When a timer is due, and a number that grows with each one that is set.
type Key = (Instant, u64);

impl Timers {
    /// Sets a timer, or moves it.
    pub fn set(&mut self, timer: u64, at: Instant) {
        self.cancel(timer);
        let key = (at, self.next);
        self.next += 1;
        self.due.insert(key, timer);
        self.keys.insert(timer, key);
    }

    /// Takes a timer back.
    pub fn cancel(&mut self, timer: u64) {
        if let Some(key) = self.keys.remove(&timer) {
            self.due.remove(&key);
        }
    }

    /// When the next timer is due.
    pub fn next(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Stands for the timers that are set now, and not those that will be set later.
    pub fn batch(&self) -> Batch {
        Batch(self.next)
    }

    /// Takes the next timer of a batch that is due at `now`. Without the batch, an app that sets a timer for now in every
    /// timer would never let go.
    pub fn pop(&mut self, now: Instant, batch: Batch) -> Option<u64> {
        let mut due = self.due.range(..=(now, u64::MAX));
        let (_, &timer) = due.find(|((_, number), _)| *number < batch.0)?;
        self.cancel(timer);
        Some(timer)
    }
}

/// See [`Timers::batch`].
#[derive(Clone, Copy, Debug)]
pub struct Batch(u64);

#[cfg(test)]
mod tests {
    use super::*;

    fn due(timers: &mut Timers, now: u64) -> Vec<u64> {
        let batch = timers.batch();
        std::iter::from_fn(|| timers.pop(Instant::from_millis(now), batch)).collect()
    }

    #[test]
    fn timers_come_in_the_order_of_their_times_and_then_as_they_were_set() {
        let mut timers = Timers::default();
        for (timer, at) in [(1, 30), (2, 10), (3, 20), (4, 10)] {
            timers.set(timer, Instant::from_millis(at));
        }
        assert_eq!(timers.next(), Some(Instant::from_millis(10)));
        assert!(due(&mut timers, 9).is_empty());
        assert_eq!(due(&mut timers, 20), [2, 4, 3]);
        assert_eq!(due(&mut timers, 1000), [1]);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_timer_that_is_set_again_moves() {
        let mut timers = Timers::default();
        timers.set(1, Instant::from_millis(10));
        timers.set(1, Instant::from_millis(30));
        timers.set(2, Instant::from_millis(20));
        assert_eq!(due(&mut timers, 1000), [2, 1]);
    }

    #[test]
    fn a_cancelled_timer_does_not_come() {
        let mut timers = Timers::default();
        timers.set(1, Instant::from_millis(10));
        timers.cancel(1);
        timers.cancel(2);
        assert!(due(&mut timers, 1000).is_empty());
    }

    #[test]
    fn a_timer_set_meanwhile_waits_for_the_next_batch() {
        let mut timers = Timers::default();
        let now = Instant::from_millis(10);
        timers.set(1, now);
        let batch = timers.batch();
        assert_eq!(timers.pop(now, batch), Some(1));
        timers.set(1, Instant::ZERO);
        assert_eq!(timers.pop(now, batch), None);
        assert_eq!(due(&mut timers, 10), [1]);
    }
}
