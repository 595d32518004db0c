//! What was counted of what devices send.

use std::collections::BTreeMap;

use tautline_telemetry::ErrorCode;

/// Since the hub was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Readings that were taken, to be stored.
    pub(crate) readings: u64,
    /// Messages that had come before.
    pub(crate) duplicates: u64,
    /// Messages that were not taken because too much waited.
    pub(crate) busy: u64,
    /// What is no message at all.
    pub(crate) malformed: u64,
    /// Messages that were refused, by code.
    refused: BTreeMap<u8, u64>,
    /// Connections that were refused, by reason.
    connections: BTreeMap<&'static str, u64>,
}

impl Counters {
    pub(super) fn refused(&mut self, code: ErrorCode) {
        *self.refused.entry(code.0).or_default() += 1;
    }

    pub(super) fn refused_connection(&mut self, reason: &'static str) {
        *self.connections.entry(reason).or_default() += 1;
    }

    /// Messages and connections that were refused, by the name of the reason.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = (String, u64)> {
        let messages =
            self.refused.iter().map(|(code, count)| (ErrorCode(*code).to_string().replace(' ', "_"), *count));
        messages.chain(self.connections.iter().map(|(reason, count)| ((*reason).to_owned(), *count)))
    }
}
