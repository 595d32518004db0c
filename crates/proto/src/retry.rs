//! What a client does after a connection has ended: one table, and the waiting time.
//!
//! | the connection ended with | next | why |
//! |---|---|---|
//! | close 1000 normal | stop | the server says that all is done |
//! | close 1001 going away | back off | the server shuts down; another one may take over |
//! | close 1008 policy violation | stop | the same client will be refused again |
//! | close 1009 too big | stop | the same message would end the next connection too |
//! | close 1011 internal error | back off | the server's fault, perhaps passing |
//! | close 1012 service restart | back off | it will be back |
//! | close 1013 try again later | back off | overloaded |
//! | close 4001 replaced | stop | another connection with this id is live; coming back would start a fight |
//! | HTTP 401, 403 | stop | the credentials or the origin are wrong |
//! | HTTP 409, 429, 503 | wait `Retry-After`, else back off | the server says when |
//! | anything else, no close frame, no connection | back off | networks fail and heal |

use core::time::Duration;

use crate::close::CloseCode;
use crate::time::{Instant, Micros};

/// What a client should do after a connection ended or could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Do not connect again without a person or a program deciding so.
    Stop,
    /// Connect again after a random, growing delay.
    BackOff,
    /// Connect again after the time that the server names in `Retry-After`; without one, as [`Next::BackOff`].
    RetryAfter,
}

impl Next {
    /// After a connection that ended with this close code ([`CloseCode::ABNORMAL`] if there was no close frame).
    pub const fn after_close(code: CloseCode) -> Self {
        match code {
            CloseCode::NORMAL | CloseCode::POLICY_VIOLATION | CloseCode::TOO_BIG | CloseCode::REPLACED => Self::Stop,
            _ => Self::BackOff,
        }
    }

    /// After an opening handshake that was answered with this HTTP status.
    pub const fn after_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::Stop,
            409 | 429 | 503 => Self::RetryAfter,
            _ => Self::BackOff,
        }
    }
}

/// How long to wait between attempts: exponential back-off with full jitter, forgotten after a stable connection.
///
/// The wait before attempt *n* is drawn evenly from zero to `initial * 2^n`, at most `max`. Drawing from the whole
/// range is what keeps a fleet that lost its server at one moment from coming back at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    initial: Micros,
    max: Micros,
    stable: Micros,
    attempt: u32,
    connected: Option<Instant>,
}

impl Backoff {
    /// Up to 1 s before the first retry, up to 60 s later on; a connection that held 30 s resets it.
    pub const DEFAULT: Self = Self::new(Duration::from_secs(1), Duration::from_secs(60), Duration::from_secs(30));

    /// `initial`: upper bound of the first wait; `max`: upper bound of every wait; `stable`: a connection that stays
    /// open this long resets the growth.
    pub const fn new(initial: Duration, max: Duration, stable: Duration) -> Self {
        let (initial, max, stable) = (Micros::of(initial), Micros::of(max), Micros::of(stable));
        Self { initial, max, stable, attempt: 0, connected: None }
    }

    /// A connection has been opened.
    pub fn connected(&mut self, now: Instant) {
        self.connected = Some(now);
    }

    /// A connection has ended or could not be opened: how long to wait before the next attempt.
    ///
    /// `random` is 32 random bits. With `retry_after` the wait is at least that long, and jittered on top, since a
    /// server tells many clients the same number.
    pub fn wait(&mut self, now: Instant, random: u32, retry_after: Option<Duration>) -> Duration {
        if self.connected.take().is_some_and(|since| now.since(since) >= self.stable) {
            self.attempt = 0;
        }
        // Beyond 2^20 times `initial`, `max` rules in any sensible setting.
        let doubled = self.attempt.min(20);
        self.attempt = self.attempt.saturating_add(1);
        // Compared in this way, nothing overflows.
        let bound = if self.initial.0 > self.max.0 >> doubled { self.max } else { Micros(self.initial.0 << doubled) };
        let least = retry_after.map_or(Micros(0), Micros::of);
        (Instant::ZERO + least + bound.jittered(random)).since(Instant::ZERO).duration()
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_table_is_as_documented() {
        for (code, next) in [
            (1000, Next::Stop),
            (1001, Next::BackOff),
            (1002, Next::BackOff),
            (1008, Next::Stop),
            (1009, Next::Stop),
            (1011, Next::BackOff),
            (1012, Next::BackOff),
            (1013, Next::BackOff),
            (4001, Next::Stop),
        ] {
            assert_eq!(Next::after_close(CloseCode::new(code).unwrap()), next, "{code}");
        }
        assert_eq!(Next::after_close(CloseCode::ABNORMAL), Next::BackOff);
        for (status, next) in [
            (401, Next::Stop),
            (403, Next::Stop),
            (409, Next::RetryAfter),
            (429, Next::RetryAfter),
            (503, Next::RetryAfter),
            (500, Next::BackOff),
            (404, Next::BackOff),
        ] {
            assert_eq!(Next::after_status(status), next, "{status}");
        }
    }

    #[test]
    fn the_upper_bound_doubles_up_to_the_maximum() {
        let mut backoff = Backoff::new(SECOND, 10 * SECOND, 30 * SECOND);
        for bound in [1, 2, 4, 8, 10, 10, 10] {
            let wait = backoff.wait(Instant::ZERO, u32::MAX, None);
            assert!(wait <= bound * SECOND && wait > bound * SECOND - Duration::from_micros(10), "{wait:?} of {bound}");
        }
    }

    #[test]
    fn jitter_covers_the_whole_range_from_zero() {
        assert_eq!(Backoff::default().wait(Instant::ZERO, 0, None), Duration::ZERO);
        assert_eq!(Backoff::default().wait(Instant::ZERO, 1 << 31, None), SECOND / 2);
    }

    #[test]
    fn only_a_stable_connection_resets_the_growth() {
        let mut backoff = Backoff::new(SECOND, 60 * SECOND, 30 * SECOND);
        let mut now = Instant::ZERO;
        for _ in 0..3 {
            backoff.connected(now);
            now = now + SECOND;
            backoff.wait(now, 0, None);
        }
        assert!(backoff.wait(now, u32::MAX, None) > 7 * SECOND);
        backoff.connected(now);
        assert!(backoff.wait(now + 30 * SECOND, u32::MAX, None) <= SECOND);
    }

    #[test]
    fn retry_after_is_a_lower_bound() {
        assert_eq!(Backoff::default().wait(Instant::ZERO, 0, Some(7 * SECOND)), 7 * SECOND);
        assert!(Backoff::default().wait(Instant::ZERO, u32::MAX, Some(7 * SECOND)) > 7 * SECOND);
    }
}
