//! How twins behave.

use crate::documents::part::Limits;
use crate::documents::settings::{DEEPEST, check};
use crate::settings::SettingsError;

/// Settings of [`Twins`](crate::Twins). The worst case of memory is [`total_bytes`](Self::total_bytes), and about 100 bytes
/// and the id for each connected device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TwinSettings {
    /// The largest desired or reported state, and the largest patch, in bytes of JSON without spaces. Default 64 KiB; at
    /// least 2.
    pub bytes: usize,
    /// How deep arrays and objects can lie in each other, in states and patches. Default 32; 1 to 100.
    pub depth: usize,
    /// How many twins there can be. Default 100,000; at least 1.
    pub twins: usize,
    /// The longest id of a device, in bytes. Default 128; at least 1.
    pub name_bytes: usize,
    /// How many changes of a twin may wait while one is stored. Default 64; 0 is none.
    pub waiting: usize,
    /// How many bytes all twins can have, with ids, with what waits, and about 256 more for each. Default 256 MiB; at least
    /// [`bytes`](Self::bytes).
    pub total_bytes: usize,
}

impl Default for TwinSettings {
    fn default() -> Self {
        Self {
            bytes: 64 * 1024,
            depth: 32,
            twins: 100_000,
            name_bytes: 128,
            waiting: 64,
            total_bytes: 256 * 1024 * 1024,
        }
    }
}

impl TwinSettings {
    /// Whether the values are within their bounds.
    ///
    /// # Errors
    ///
    /// The first one that is not.
    pub fn validate(&self) -> Result<(), SettingsError> {
        check(&[
            (self.bytes >= 2, "bytes", "at least 2"),
            ((1..=DEEPEST).contains(&self.depth), "depth", "1 to 100"),
            (self.twins > 0, "twins", "at least 1"),
            (self.name_bytes > 0, "name_bytes", "at least 1"),
            (self.total_bytes >= self.bytes, "total_bytes", "at least `bytes`"),
        ])
    }

    pub(super) fn limits(&self) -> Limits {
        Limits { bytes: self.bytes, depth: self.depth.min(DEEPEST) }
    }
}
