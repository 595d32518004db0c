//! How long things may take.

use core::time::Duration;

use tautline_proto::Backoff;

use crate::settings::check;

/// The limits of a client. The setters are `const` and panic on values out of bounds.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub(crate) connect_timeout: Duration,
    pub(crate) answer_timeout: Duration,
    pub(crate) backoff: Backoff,
}

impl Settings {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            connect_timeout: Duration::from_secs(15),
            answer_timeout: Duration::from_secs(30),
            backoff: Backoff::DEFAULT,
        }
    }

    /// How long connecting may take, with lookup of the name and TLS. Default 15 s; 1 ms to an hour.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        check(timeout);
        self.connect_timeout = timeout;
        self
    }

    /// How long nothing may come back from the hub after something was given to the transport that is answered, or a transport may take
    /// none of it. Then the connection, or the socket, is given up and made anew. Default 30 s; 1 ms to an hour.
    ///
    /// Over TCP the session sends again after 10 s at the earliest; over a network that loses much, shorter times than the default
    /// make more of it.
    pub const fn answer_timeout(mut self, timeout: Duration) -> Self {
        check(timeout);
        self.answer_timeout = timeout;
        self
    }

    /// How long to wait between attempts. An attempt has succeeded when the hub has welcomed the device. Default:
    /// [`Backoff::DEFAULT`].
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}
