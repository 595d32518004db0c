//! Limits and times of the server.

use core::time::Duration;

use tautline_proto::Config;
use tautline_proto::handshake::Limits;
use tautline_proto::handshake::server::OriginPolicy;

/// Limits and times of a server, checked when they are set: a `static` is checked when it is compiled.
///
/// ```
/// use core::time::Duration;
/// use tautline_device_server::Settings;
/// use tautline_proto::Config;
///
/// static SETTINGS: Settings = Settings::new()
///     .websocket(Config::new().max_message(4096).ping_interval(Some(Duration::from_secs(10))))
///     .subprotocols(&["echo_server"]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub(crate) websocket: Config,
    pub(crate) limits: Limits,
    pub(crate) subprotocols: &'static [&'static str],
    pub(crate) origin: OriginPolicy<'static>,
    pub(crate) body_timeout: Duration,
    pub(crate) answer_timeout: Duration,
    pub(crate) send_timeout: Duration,
    pub(crate) keep_alive: Duration,
    pub(crate) linger: Duration,
    pub(crate) retry_after: u32,
}

impl Settings {
    /// The defaults, which each setter names.
    pub const fn new() -> Self {
        Self {
            websocket: Config::new(),
            limits: Limits::DEFAULT,
            subprotocols: &[],
            origin: OriginPolicy::Default,
            body_timeout: Duration::from_secs(20),
            answer_timeout: Duration::from_secs(60),
            send_timeout: Duration::from_secs(20),
            keep_alive: Duration::from_secs(5),
            linger: Duration::from_secs(2),
            retry_after: 5,
        }
    }

    /// Limits and timers of open WebSockets. Default: the core's (16 MiB a message, which arrives in pieces and costs no
    /// memory here; a ping every 20 s).
    pub const fn websocket(mut self, config: Config) -> Self {
        self.websocket = config;
        self
    }

    /// What the head of a request may cost, and how long it may take. Default: the core's, with as much head as the
    /// server's input buffer holds.
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The WebSocket subprotocols that the server speaks: the first one that a client offers is selected. Default: none.
    pub const fn subprotocols(mut self, subprotocols: &'static [&'static str]) -> Self {
        self.subprotocols = subprotocols;
        self
    }

    /// Which web pages may open a WebSocket. Default: see [`OriginPolicy::Default`].
    pub const fn origin(mut self, origin: OriginPolicy<'static>) -> Self {
        self.origin = origin;
        self
    }

    /// How long the body of a request may take, all of it; then 408. Default 20 s; 1 ms to a year.
    pub const fn body_timeout(mut self, time: Duration) -> Self {
        check(time);
        self.body_timeout = time;
        self
    }

    /// How long a client may take to receive the answer to a request, all of it; then the connection ends. Default 60 s;
    /// 1 ms to a year.
    pub const fn answer_timeout(mut self, time: Duration) -> Self {
        check(time);
        self.answer_timeout = time;
        self
    }

    /// How long the transport of a WebSocket may take nothing while something waits for it; then the connection ends.
    /// Default 20 s; 1 ms to a year.
    pub const fn send_timeout(mut self, time: Duration) -> Self {
        check(time);
        self.send_timeout = time;
        self
    }

    /// How long a connection that has been answered may wait for its next request. Default 5 s; 1 ms to a year.
    ///
    /// It is short because such a connection holds a place; when all places are taken it ends at once.
    pub const fn keep_alive(mut self, time: Duration) -> Self {
        check(time);
        self.keep_alive = time;
        self
    }

    /// How long a client that has been told to go may take to do so before it is cut off. Default 2 s; 1 ms to a year.
    pub const fn linger(mut self, time: Duration) -> Self {
        check(time);
        self.linger = time;
        self
    }

    /// After how many seconds a client that finds no place should come back (`Retry-After`). Default 5; any value.
    pub const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = seconds;
        self
    }

    /// The limits on a head that is collected in a buffer of this size.
    pub(crate) const fn limits_within(&self, buffer: usize) -> Limits {
        if self.limits.max_head() <= buffer {
            return self.limits;
        }
        match self.limits.with_max_head(buffer) {
            Ok(limits) => limits,
            Err(_) => panic!("the buffer is smaller than the smallest limit"),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

const fn check(time: Duration) {
    assert!(time.as_millis() >= 1, "a timer needs at least 1 ms");
    assert!(time.as_secs() <= 365 * 24 * 3600, "a timer takes at most a year");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "at least 1 ms")]
    fn a_zero_timer_is_refused_when_it_is_set() {
        let _ = Settings::new().linger(Duration::ZERO);
    }

    #[test]
    fn a_head_is_never_allowed_more_than_the_buffer_holds() {
        assert_eq!(Settings::new().limits_within(1024).max_head(), 1024);
        assert_eq!(Settings::new().limits_within(64 * 1024).max_head(), Limits::DEFAULT.max_head());
    }
}
