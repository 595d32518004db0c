//! What a device may choose.

use crate::acknowledgement::WINDOW;

/// How a session behaves. Times are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    window: u32,
    least_retry: u32,
    linger: u32,
    resync: u32,
}

impl Config {
    /// For UDP: 64 messages on their way, sent again after 0.2 s at the earliest, readings leave at once, the time is asked
    /// for every hour.
    pub const DATAGRAM: Self = Self { window: WINDOW, least_retry: 200, linger: 0, resync: 3_600_000 };

    /// For TCP, which does not lose messages: as for UDP, but sent again after 10 s at the earliest.
    pub const STREAM: Self = Self { least_retry: 10_000, ..Self::DATAGRAM };

    /// At most so many messages are on their way, 1 to 64 (brought within). A message that is not acknowledged keeps its
    /// place in the outbox either way.
    pub const fn window(self, messages: u32) -> Self {
        let window = if messages == 0 {
            1
        } else if messages > WINDOW {
            WINDOW
        } else {
            messages
        };
        Self { window, ..self }
    }

    /// Nothing is sent again earlier than this, 1 to 60,000 ms (brought within).
    pub const fn least_retry(self, millis: u32) -> Self {
        let least_retry = if millis == 0 {
            1
        } else if millis > 60_000 {
            60_000
        } else {
            millis
        };
        Self { least_retry, ..self }
    }

    /// Readings wait this long for others, to leave in one message; 0: they do not wait. They leave earlier when the
    /// message is full.
    pub const fn linger(self, millis: u32) -> Self {
        Self { linger: millis, ..self }
    }

    /// The time is asked for again after this long; 0: never.
    pub const fn resync(self, millis: u32) -> Self {
        Self { resync: millis, ..self }
    }

    pub(crate) const fn window_size(&self) -> u32 {
        self.window
    }

    pub(crate) fn least_retry_millis(&self) -> u64 {
        self.least_retry.into()
    }

    pub(crate) fn linger_millis(&self) -> u64 {
        self.linger.into()
    }

    pub(crate) fn resync_millis(&self) -> u64 {
        self.resync.into()
    }
}
