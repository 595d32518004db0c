//! What was refused, and how much of it is logged.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::bucket::Bucket;

/// How many connections and handshakes a server has refused, by reason. Clones are handles to the same.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<[AtomicU64; REASONS.len()]>);

/// Why something was refused. Each is a place in [`REASONS`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Refused {
    /// The server has as many connections as it may.
    ServerFull,
    /// The client's address has.
    AddressFull,
    /// Too many have come from the client's address in a short time.
    AddressRate,
    /// TLS failed, or the client has not asked for anything in time.
    Opening,
    /// It is not HTTP, or a head that is too large.
    BadHttp,
    /// A WebSocket was asked for and refused.
    Handshake,
}

/// The reasons' names, as metrics have them.
const REASONS: [&str; 6] = ["server_full", "address_full", "address_rate", "opening", "bad_http", "handshake"];

impl Tally {
    pub(super) fn count(&self, refused: Refused) {
        self.0[refused as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Each reason and its count: `server_full` and `address_full`, there are too many connections; `address_rate`, too many
    /// have come from an address in a short time; `opening`, TLS failed, or no request has come in time; `bad_http`, what came
    /// was none, or too large; `handshake`, a WebSocket was asked for and refused.
    pub fn refused(&self) -> [(&'static str, u64); REASONS.len()] {
        std::array::from_fn(|index| (REASONS[index], self.0[index].load(Ordering::Relaxed)))
    }
}

/// Lines in the log about something that may happen thousands of times in a second: five at once, and one in a second.
#[derive(Debug)]
pub(super) struct Lines {
    start: Instant,
    /// What is left, and how often it has happened since the last line.
    state: Mutex<(Bucket, u32)>,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), state: Mutex::default() }
    }

    /// It has happened. Answers, if there is to be a line, how often it did since the last one.
    pub(super) fn due(&self) -> Option<u32> {
        let now = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (bucket, times) = &mut *state;
        *times = times.saturating_add(1);
        bucket.take(now, 1).is_ok().then(|| std::mem::take(times))
    }
}
