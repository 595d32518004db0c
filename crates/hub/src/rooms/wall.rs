//! The time of day, from a driver's clock.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tautline_proto::Instant;
use tautline_rooms::Timestamp;

/// Takes the time of day once and counts on from there, so that it never goes back.
pub(crate) struct Wall {
    clock: Box<dyn Fn() -> SystemTime + Send>,
    began: Option<(Instant, Timestamp)>,
}

impl fmt::Debug for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wall").field("began", &self.began).finish_non_exhaustive()
    }
}

impl Wall {
    pub(crate) fn new(clock: impl Fn() -> SystemTime + Send + 'static) -> Self {
        Self { clock: Box::new(clock), began: None }
    }

    /// The time of day at a time of the driver's.
    pub(crate) fn at(&mut self, now: Instant) -> Timestamp {
        let (then, timestamp) = *self.began.get_or_insert_with(|| {
            let since_1970 = (self.clock)().duration_since(UNIX_EPOCH).unwrap_or_default();
            (now, Timestamp(0) + since_1970)
        });
        timestamp + now.saturating_duration_since(then)
    }

    /// The same, for those who cannot begin.
    pub(crate) fn now(&self, now: Instant) -> Timestamp {
        self.began.map_or(Timestamp::default(), |(then, timestamp)| timestamp + now.saturating_duration_since(then))
    }

    /// The driver's time at a time of day.
    pub(crate) fn instant(&self, at: Timestamp, now: Instant) -> Instant {
        match self.began {
            // A timer that comes a millisecond early would have to be set again.
            Some((then, timestamp)) => then + at.since(timestamp) + Duration::from_millis(1),
            None => now,
        }
    }
}

/// Now, as the store counts time.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// As the store counts time.
pub(crate) fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

/// A time of the store's.
pub(crate) fn timestamp(at_ms: i64) -> Timestamp {
    Timestamp(at_ms.try_into().unwrap_or(0))
}
