//! How documents behave.

use super::part::Limits;
use crate::settings::SettingsError;

/// How deep a value can be allowed to be: the parser stops a little later.
pub(crate) const DEEPEST: usize = 100;

/// Settings of [`Documents`](crate::Documents). The worst case of memory is [`total_bytes`](Self::total_bytes), and what
/// subscribers cost: about 200 bytes and the names for each subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentSettings {
    /// The largest document, and the largest patch, in bytes of JSON without spaces. Default 64 KiB; at least 2.
    pub bytes: usize,
    /// How deep arrays and objects can lie in each other, in documents and patches. Default 32; 1 to 100.
    pub depth: usize,
    /// How many documents a scope can have. Default 1,000; at least 1.
    pub documents: usize,
    /// The longest name of a scope or document, in bytes. Default 128; at least 1.
    pub name_bytes: usize,
    /// How many changes of a document may wait while one is stored. Default 64; 0 is none.
    pub waiting: usize,
    /// How many documents a subscriber can watch. Default 100; at least 1.
    pub subscriptions: usize,
    /// How many removed documents are remembered for their versions. Default 10,000; at least 1. When there are more, new
    /// documents begin above the versions of those that were forgotten.
    pub removed: usize,
    /// How many bytes all documents can have, with names, with what waits, and about 256 more for each. Default 256 MiB;
    /// at least [`bytes`](Self::bytes).
    pub total_bytes: usize,
}

impl Default for DocumentSettings {
    fn default() -> Self {
        Self {
            bytes: 64 * 1024,
            depth: 32,
            documents: 1000,
            name_bytes: 128,
            waiting: 64,
            subscriptions: 100,
            removed: 10_000,
            total_bytes: 256 * 1024 * 1024,
        }
    }
}

impl DocumentSettings {
    /// Whether the values are within their bounds.
    ///
    /// # Errors
    ///
    /// The first one that is not.
    pub fn validate(&self) -> Result<(), SettingsError> {
        check(&[
            (self.bytes >= 2, "bytes", "at least 2"),
            ((1..=DEEPEST).contains(&self.depth), "depth", "1 to 100"),
            (self.documents > 0, "documents", "at least 1"),
            (self.name_bytes > 0, "name_bytes", "at least 1"),
            (self.subscriptions > 0, "subscriptions", "at least 1"),
            (self.removed > 0, "removed", "at least 1"),
            (self.total_bytes >= self.bytes, "total_bytes", "at least `bytes`"),
        ])
    }

    pub(super) fn limits(&self) -> Limits {
        Limits { bytes: self.bytes, depth: self.depth.min(DEEPEST) }
    }
}

/// The first setting that does not fit: whether it does, its name, its bounds.
pub(crate) fn check(settings: &[(bool, &'static str, &'static str)]) -> Result<(), SettingsError> {
    match settings.iter().find(|(fits, ..)| !fits) {
        Some(&(_, setting, bounds)) => Err(SettingsError { setting, bounds }),
        None => Ok(()),
    }
}
