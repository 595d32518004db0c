//! Deadlines of very many connections.

use std::time::Duration;

use tautline_proto::Instant;

/// The grain: a deadline is noticed up to this much late, which no protocol timer minds.
const TICK: Duration = Duration::from_millis(8);

/// How many ticks the wheel covers: 32 s, longer than the usual ping interval. A later deadline is looked at once a
/// round.
const BUCKETS: usize = 4096;

const NONE: u32 = u32::MAX;
const OUT: u16 = u16::MAX;

/// A wheel of buckets, each a doubly linked list of slots. Setting and taking back cost the same however many there
/// are, and nothing is allocated but 10 bytes a slot.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// The tick up to which all buckets have been emptied.
    now: u64,
    first: Vec<u32>,
    /// One bit a bucket: whether there is something in it.
    filled: Vec<u64>,
    next: Vec<u32>,
    previous: Vec<u32>,
    bucket: Vec<u16>,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        Self {
            now: 0,
            first: vec![NONE; BUCKETS],
            filled: vec![0; BUCKETS / 64],
            next: Vec::new(),
            previous: Vec::new(),
            bucket: Vec::new(),
        }
    }

    /// Sees to it that `slot` comes up at `at` or earlier. A slot that comes up before its deadline is to be set again:
    /// so a deadline that keeps moving away costs nothing until the first one has passed.
    pub(crate) fn set(&mut self, slot: usize, at: Instant) {
        if slot >= self.bucket.len() {
            self.next.resize(slot + 1, NONE);
            self.previous.resize(slot + 1, NONE);
            self.bucket.resize(slot + 1, OUT);
        }
        // Rounded up, so that nothing comes up a little early and is set again for the same tick.
        let tick = at.as_micros().div_ceil(TICK.as_micros() as u64);
        let ahead = tick.saturating_sub(self.now).clamp(1, BUCKETS as u64 - 1);
        if self.bucket[slot] != OUT {
            if self.ahead(self.bucket[slot]) <= ahead {
                return;
            }
            self.remove(slot);
        }
        let bucket = ((self.now + ahead) % BUCKETS as u64) as usize;
        let first = self.first[bucket];
        self.next[slot] = first;
        self.previous[slot] = NONE;
        self.bucket[slot] = bucket as u16;
        if first != NONE {
            self.previous[first as usize] = slot as u32;
        }
        self.first[bucket] = slot as u32;
        self.filled[bucket / 64] |= 1 << (bucket % 64);
    }

    /// Takes a slot out.
    pub(crate) fn remove(&mut self, slot: usize) {
        let Some(&bucket) = self.bucket.get(slot).filter(|bucket| **bucket != OUT) else { return };
        let (next, previous) = (self.next[slot], self.previous[slot]);
        if next != NONE {
            self.previous[next as usize] = previous;
        }
        if previous != NONE {
            self.next[previous as usize] = next;
        } else {
            self.first[bucket as usize] = next;
            if next == NONE {
                self.filled[bucket as usize / 64] &= !(1 << (bucket % 64));
            }
        }
        self.bucket[slot] = OUT;
    }

    /// When something may come up next.
    pub(crate) fn next(&self) -> Option<Instant> {
        let start = ((self.now + 1) % BUCKETS as u64) as usize;
        // The first word is looked at twice: from `start` up at first, and at the end below it.
        for word in 0..=self.filled.len() {
            let at = (start / 64 + word) % self.filled.len();
            let mask = match word {
                0 => u64::MAX << (start % 64),
                _ => u64::MAX,
            };
            let bits = self.filled[at] & mask;
            if bits != 0 {
                let bucket = at * 64 + bits.trailing_zeros() as usize;
                let tick = self.now + self.ahead(bucket as u16);
                return Some(Instant::from_micros(tick * TICK.as_micros() as u64));
            }
        }
        None
    }

    /// Takes out everything that comes up by `now`.
    pub(crate) fn expire(&mut self, now: Instant, up: &mut Vec<usize>) {
        let tick = now.as_micros() / TICK.as_micros() as u64;
        // After a long sleep every bucket is due once.
        let from = self.now.max(tick.saturating_sub(BUCKETS as u64));
        for tick in from + 1..=tick {
            let bucket = (tick % BUCKETS as u64) as usize;
            let mut slot = std::mem::replace(&mut self.first[bucket], NONE);
            self.filled[bucket / 64] &= !(1 << (bucket % 64));
            while slot != NONE {
                up.push(slot as usize);
                self.bucket[slot as usize] = OUT;
                slot = self.next[slot as usize];
            }
        }
        self.now = self.now.max(tick);
    }

    /// How many ticks from now a bucket is emptied: 1 to `BUCKETS`.
    fn ahead(&self, bucket: u16) -> u64 {
        let now = (self.now % BUCKETS as u64) as usize;
        ((usize::from(bucket) + BUCKETS - now - 1) % BUCKETS + 1) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expired(wheel: &mut Wheel, millis: u64) -> Vec<usize> {
        let mut up = Vec::new();
        wheel.expire(Instant::from_millis(millis), &mut up);
        up.sort_unstable();
        up
    }

    #[test]
    fn a_deadline_comes_up_when_it_has_passed_and_within_a_tick() {
        let mut wheel = Wheel::new();
        wheel.set(3, Instant::from_millis(100));
        assert_eq!(wheel.next(), Some(Instant::from_millis(104)));
        assert!(expired(&mut wheel, 99).is_empty());
        assert_eq!(expired(&mut wheel, 104), [3]);
        assert!(expired(&mut wheel, 200_000).is_empty());
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn what_is_due_already_comes_up_at_the_next_tick() {
        let mut wheel = Wheel::new();
        expired(&mut wheel, 80);
        wheel.set(0, Instant::ZERO);
        assert_eq!(wheel.next(), Some(Instant::from_millis(88)));
        assert_eq!(expired(&mut wheel, 88), [0]);
    }

    #[test]
    fn an_earlier_deadline_moves_a_slot_and_a_later_one_does_not() {
        let mut wheel = Wheel::new();
        wheel.set(0, Instant::from_millis(80));
        wheel.set(0, Instant::from_millis(800));
        assert_eq!(expired(&mut wheel, 80), [0]);
        wheel.set(0, Instant::from_millis(800));
        wheel.set(0, Instant::from_millis(160));
        assert_eq!(expired(&mut wheel, 160), [0]);
        assert!(expired(&mut wheel, 900).is_empty());
    }

    #[test]
    fn a_removed_slot_leaves_its_neighbours() {
        for out in 0..3 {
            let mut wheel = Wheel::new();
            for slot in 0..3 {
                wheel.set(slot, Instant::from_millis(80));
            }
            wheel.remove(out);
            wheel.remove(out);
            wheel.remove(7);
            let left: Vec<_> = (0..3).filter(|slot| *slot != out).collect();
            assert_eq!(expired(&mut wheel, 80), left);
        }
    }

    #[test]
    fn a_deadline_beyond_the_wheel_comes_up_once_a_round() {
        let mut wheel = Wheel::new();
        wheel.set(0, Instant::from_millis(1_000_000));
        assert_eq!(wheel.next(), Some(Instant::from_millis(4095 * 8)));
        assert_eq!(expired(&mut wheel, 4095 * 8), [0]);
    }

    #[test]
    fn after_a_long_sleep_everything_comes_up_once() {
        let mut wheel = Wheel::new();
        for slot in 0..1000 {
            wheel.set(slot, Instant::from_millis(slot as u64 * 31));
        }
        assert_eq!(expired(&mut wheel, 10_000_000), (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn the_next_deadline_is_found_wherever_the_wheel_stands() {
        let mut wheel = Wheel::new();
        for now in (0..40_000).step_by(997) {
            expired(&mut wheel, now);
            for ahead in [1, 8, 500, 511, 512, 513, 20_000, 32_000] {
                let at = now + ahead;
                wheel.set(5, Instant::from_millis(at));
                let next = wheel.next().unwrap().as_micros() / 1000;
                assert!(next >= at && next <= at + 8, "at {now}: {at} is found at {next}");
                wheel.remove(5);
                assert_eq!(wheel.next(), None);
            }
        }
    }
}
