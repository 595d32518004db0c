//! How commands behave.

use std::time::Duration;

use crate::documents::settings::check;
use crate::settings::SettingsError;

/// Settings of [`Commands`](crate::Commands). The worst case of memory is [`commands`](Self::commands) times
/// [`payload_bytes`](Self::payload_bytes), and about 100 bytes and the id for each connected device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandSettings {
    /// How long a device has for its answer where nothing else is said. Default 30 s; more than 0.
    pub timeout: Duration,
    /// The longest time that can be asked for instead. Default 10 minutes; at least [`timeout`](Self::timeout).
    pub longest_timeout: Duration,
    /// For how long a command can be kept for a device that is not there. Default 7 days; more than 0.
    pub longest_ttl: Duration,
    /// How many commands can be with a device at once, without an answer. Default 8; at least 1.
    pub in_flight: usize,
    /// How many commands there can be for a device, those included that are with it. Default 100; at least 1.
    pub per_device: usize,
    /// How many commands there can be in all. Default 4,096; at least 1.
    pub commands: usize,
    /// The largest payload, in bytes. Default 16 KiB; at least 2.
    pub payload_bytes: usize,
    /// The longest id, name, or id of a device, in bytes. Default 128; at least 1.
    pub name_bytes: usize,
}

impl Default for CommandSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            longest_timeout: Duration::from_secs(600),
            longest_ttl: Duration::from_secs(7 * 24 * 3600),
            in_flight: 8,
            per_device: 100,
            commands: 4096,
            payload_bytes: 16 * 1024,
            name_bytes: 128,
        }
    }
}

impl CommandSettings {
    /// Whether the values are within their bounds.
    ///
    /// # Errors
    ///
    /// The first one that is not.
    pub fn validate(&self) -> Result<(), SettingsError> {
        check(&[
            (!self.timeout.is_zero(), "timeout", "more than 0"),
            (self.longest_timeout >= self.timeout, "longest_timeout", "at least `timeout`"),
            (!self.longest_ttl.is_zero(), "longest_ttl", "more than 0"),
            (self.in_flight > 0, "in_flight", "at least 1"),
            (self.per_device > 0, "per_device", "at least 1"),
            (self.commands > 0, "commands", "at least 1"),
            (self.payload_bytes >= 2, "payload_bytes", "at least 2"),
            (self.name_bytes > 0, "name_bytes", "at least 1"),
        ])
    }
}
