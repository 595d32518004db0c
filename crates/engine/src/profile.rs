//! How connections behave.

use std::sync::Arc;

use tautline_proto::{Config, Context};

/// How connections behave. One value serves any number of them.
#[derive(Clone, Debug)]
pub struct Profile {
    config: Config,
    send_queue: usize,
}

impl Profile {
    /// Limits and timers of the protocol, and defaults, which each setter names, for the rest.
    pub const fn new(config: Config) -> Self {
        Self { config, send_queue: 1024 * 1024 }
    }

    /// From how many bytes on the queue of a slow connection is full. Default 1 MiB. One message more may wait than that.
    pub const fn send_queue(mut self, bytes: usize) -> Self {
        self.send_queue = bytes;
        self
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::new(Config::new())
    }
}

/// A profile as the protocol core holds it.
#[derive(Debug)]
pub(crate) struct Shared(pub(crate) Arc<Profile>);

impl Shared {
    pub(crate) fn queue_limit(&self) -> usize {
        self.0.send_queue
    }
}

impl Context for Shared {
    fn config(&self) -> &Config {
        &self.0.config
    }
}
