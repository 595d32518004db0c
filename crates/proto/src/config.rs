//! Limits and timers of a connection.

use core::time::Duration;

use crate::time::Micros;
use crate::violation::Violation;

/// Limits and timers of a connection. One value serves any number of connections, by reference.
///
/// The setters are `const` and panic on values out of bounds, so that a `static` configuration is checked when it is
/// compiled.
///
/// ```
/// use core::time::Duration;
/// use tautline_proto::Config;
///
/// static CONFIG: Config = Config::new().max_message(64 * 1024).ping_interval(Some(Duration::from_secs(10)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    pub(crate) max_frame: u64,
    pub(crate) max_message: u64,
    pub(crate) max_fragments: u32,
    pub(crate) ping_interval: Option<Micros>,
    pub(crate) pong_timeout: Micros,
    pub(crate) close_timeout: Micros,
}

impl Config {
    /// The shortest interval or timeout that can be set.
    pub const MIN_DURATION: Duration = Duration::from_millis(1);
    /// The longest interval or timeout that can be set: a year.
    pub const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 3600);

    /// The defaults, which each setter names.
    pub const fn new() -> Self {
        Self {
            max_frame: 16 * 1024 * 1024,
            max_message: 16 * 1024 * 1024,
            max_fragments: 262_144,
            ping_interval: Some(Micros(20_000_000)),
            pong_timeout: Micros(20_000_000),
            close_timeout: Micros(10_000_000),
        }
    }

    /// The largest payload of one frame, in bytes. Default 16 MiB; any value is allowed. A larger frame ends the
    /// connection with 1009 as soon as its header has arrived.
    ///
    /// The core itself holds no payload whatever this is; a driver that assembles messages holds up to
    /// [`max_message`](Self::max_message) a connection.
    pub const fn max_frame(mut self, bytes: u64) -> Self {
        self.max_frame = bytes;
        self
    }

    /// The largest message, all its frames together, in bytes. Default 16 MiB; any value is allowed. A larger one
    /// ends the connection with 1009 as soon as a frame's header shows it.
    pub const fn max_message(mut self, bytes: u64) -> Self {
        self.max_message = bytes;
        self
    }

    /// How many bytes a message may have: see [`max_message`](Self::max_message).
    pub const fn message_limit(&self) -> u64 {
        self.max_message
    }

    /// The largest number of frames of one message. Default 262,144; at least 1. One more ends the connection with
    /// 1009. It bounds the time that a peer can take with empty fragments.
    pub const fn max_fragments(mut self, frames: u32) -> Self {
        assert!(frames >= 1, "a message has at least one frame");
        self.max_fragments = frames;
        self
    }

    /// How often the peer is pinged; `None`: never by itself. Default 20 s; 1 ms to a year.
    pub const fn ping_interval(mut self, interval: Option<Duration>) -> Self {
        self.ping_interval = match interval {
            Some(interval) => Some(checked(interval)),
            None => None,
        };
        self
    }

    /// How long a pinged peer may stay silent before the connection is given up. Default 20 s; 1 ms to a year.
    ///
    /// With an interval of 10 s and a timeout of 10 s a cut link is noticed after at most 20 s.
    pub const fn pong_timeout(mut self, timeout: Duration) -> Self {
        self.pong_timeout = checked(timeout);
        self
    }

    /// How long the closing handshake and the peer's end of the transport may take. Default 10 s; 1 ms to a year.
    pub const fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = checked(timeout);
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

const fn checked(duration: Duration) -> Micros {
    let micros = Micros::of(duration);
    assert!(micros.0 >= Micros::of(Config::MIN_DURATION).0, "a timer needs at least 1 ms");
    assert!(micros.0 <= Micros::of(Config::MAX_DURATION).0, "a timer takes at most a year");
    micros
}

/// What a connection knows of its surroundings: its configuration, and optionally somebody who watches its frames.
///
/// A plain reference to a [`Config`] is enough (on hosts also an `Arc`, with the feature `alloc`); the hook then
/// compiles to nothing. A frame inspector implements this for a type of its own, which is held once a connection.
pub trait Context {
    /// Limits and timers.
    fn config(&self) -> &Config;

    /// What the close frame to a peer that broke a rule says besides the code, cut to 123 bytes at a character boundary. By default
    /// the rule, in words.
    fn reason(&self, violation: Violation) -> &'static str {
        violation.as_str()
    }

    /// A frame was received, or is about to be sent.
    ///
    /// `payload` is unmasked and is as much of the frame's payload as lay at hand: all of a control frame, the
    /// beginning of a data frame, nothing if the payload is sent later.
    #[inline(always)]
    fn trace(&self, direction: Direction, header: &crate::frame::Header, payload: &[u8]) {
        let _ = (direction, header, payload);
    }
}

/// Which way a traced frame went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the peer to us.
    Received,
    /// From us to the peer.
    Sent,
}

impl Context for &Config {
    fn config(&self) -> &Config {
        self
    }
}

// Chips without atomic compare-and-swap (riscv32imc) have no `Arc`.
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
impl Context for alloc::sync::Arc<Config> {
    fn config(&self) -> &Config {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "at least 1 ms")]
    fn a_zero_timer_is_refused_when_it_is_set() {
        let _ = Config::new().ping_interval(Some(Duration::ZERO));
    }

    #[test]
    #[should_panic(expected = "at least one frame")]
    fn no_fragment_at_all_is_refused_when_it_is_set() {
        let _ = Config::new().max_fragments(0);
    }
}
