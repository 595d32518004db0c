//! Lines in the log about what may happen thousands of times in a second, by those who are no devices above all.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How often there is a line for the same reason at most, in milliseconds.
const EVERY: u64 = 60_000;

/// What there was to complain about, by reason.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<BTreeMap<&'static str, Reason>>);

#[derive(Debug, Default)]
struct Reason {
    /// How often since the last line.
    times: u64,
    /// When there may be a line again.
    due_ms: u64,
}

impl Complaints {
    /// It has happened. Answers, if there is to be a line, how often it did since the last one.
    pub(super) fn note(&self, now_ms: u64, reason: &'static str) -> Option<u64> {
        let mut reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = reasons.entry(reason).or_default();
        known.times += 1;
        (known.due_ms <= now_ms).then(|| {
            known.due_ms = now_ms + EVERY;
            std::mem::take(&mut known.times)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_line_a_minute_for_each_reason() {
        let complaints = Complaints::default();
        assert_eq!(complaints.note(0, "a"), Some(1));
        assert!((0..1000).all(|at| complaints.note(at, "a").is_none()));
        assert_eq!(complaints.note(5, "b"), Some(1));
        assert_eq!(complaints.note(60_000, "a"), Some(1001));
        assert_eq!(complaints.note(60_001, "a"), None);
    }
}
