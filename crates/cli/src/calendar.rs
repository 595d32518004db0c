//! Times of the calendar, as the store has them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Now, in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    millis(SystemTime::now())
}

/// A time in milliseconds since 1970.
pub(crate) fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A time in milliseconds since 1970, for people.
pub(crate) fn words(ms: i64) -> String {
    tautline_identity::utc(UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or_default()))
}
