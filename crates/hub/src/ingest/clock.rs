//! What time it is.

use std::time::Instant;

use tautline_telemetry::MAX_TIME;

use crate::rooms::now_ms;

/// A time, by two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Now {
    /// By the calendar, in milliseconds since 1970 (UTC), below 2^48: what readings and devices are told. It may jump, back as well.
    pub(super) calendar_ms: u64,
    /// Milliseconds since the hub was started: what waits and silence are measured with.
    pub(super) ms: u64,
}

/// Both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now(self) -> Now {
        let calendar_ms = u64::try_from(now_ms()).unwrap_or_default().min(MAX_TIME);
        Now { calendar_ms, ms: u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX) }
    }
}
