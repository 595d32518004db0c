//! A token bucket.

/// A second, in nanoseconds.
pub(super) const SECOND: u64 = 1_000_000_000;

/// How much a bucket holds: what comes in this time.
const BURST: u64 = 5 * SECOND;

/// A bucket of tokens that come at a rate, as many as come in five seconds. All that has to be kept is when it will be full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    /// In nanoseconds since any beginning.
    full_at: u64,
}

impl Bucket {
    /// Takes a token. `rate` is how many come in a second; with 0 there is no limit.
    ///
    /// # Errors
    ///
    /// There is none now, but after so many nanoseconds.
    pub(super) fn take(&mut self, now: u64, rate: u32) -> Result<(), u64> {
        if rate == 0 {
            return Ok(());
        }
        let full_at = self.full_at.max(now) + SECOND / u64::from(rate);
        match full_at.checked_sub(now + BURST) {
            Some(wait) if wait > 0 => Err(wait),
            _ => {
                self.full_at = full_at;
                Ok(())
            }
        }
    }

    pub(super) fn is_full(&self, now: u64) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_seconds_worth_comes_at_once_and_the_rest_at_the_rate() {
        for rate in [1, 7, 100, 1_000_000] {
            let mut bucket = Bucket::default();
            let now = 3 * SECOND;
            let burst = (0..).take_while(|_| bucket.take(now, rate).is_ok()).count();
            assert!((5 * rate as usize..=5 * rate as usize + 5).contains(&burst), "{burst} of {rate}");
            let wait = bucket.take(now, rate).unwrap_err();
            assert!(wait > 0 && wait <= SECOND / u64::from(rate), "{wait}");
            assert_eq!(bucket.take(now + wait - 1, rate), Err(1));
            assert_eq!(bucket.take(now + wait, rate), Ok(()));
            assert!(!bucket.is_full(now + BURST));
            assert!(bucket.is_full(now + BURST + wait));
        }
    }

    #[test]
    fn without_a_rate_there_is_no_limit() {
        let mut bucket = Bucket::default();
        assert!((0..1000).all(|_| bucket.take(0, 0).is_ok()));
        assert!(bucket.is_full(0));
    }
}
