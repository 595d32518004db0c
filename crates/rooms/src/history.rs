//! What a room remembers.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::message::{Message, Timestamp};
use crate::settings::RoomSettings;

/// The last messages, bounded in number, bytes and age.
#[derive(Debug, Default)]
pub(crate) struct History {
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
    /// The offset of the last message that was forgotten.
    forgotten: u64,
}

impl History {
    /// What was remembered before a restart. `forgotten` is the offset below which nothing is left.
    pub(crate) fn restore(messages: Vec<Arc<Message>>, forgotten: u64) -> Self {
        let bytes = messages.iter().map(|message| message.weight()).sum();
        Self { messages: messages.into(), bytes, forgotten }
    }

    pub(crate) fn push(&mut self, message: Arc<Message>) {
        self.bytes += message.weight();
        self.messages.push_back(message);
    }

    /// Forgets what is over the limits.
    pub(crate) fn trim(&mut self, now: Timestamp, settings: &RoomSettings) {
        while let Some(oldest) = self.messages.front() {
            let over = self.messages.len() > settings.history_messages
                || self.bytes > settings.history_bytes
                || now.since(oldest.at) > settings.history_age;
            if !over {
                return;
            }
            self.bytes -= oldest.weight();
            self.forgotten = oldest.offset;
            self.messages.pop_front();
        }
    }

    /// The offset of the last message that was forgotten; 0 if none was.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Whether every message behind `offset` is remembered.
    pub(crate) fn covers(&self, offset: u64) -> bool {
        offset >= self.forgotten
    }

    /// The messages behind `offset`.
    pub(crate) fn since(&self, offset: u64) -> impl Iterator<Item = &Arc<Message>> {
        let first = self.messages.partition_point(|message| message.offset <= offset);
        self.messages.range(first..)
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }
}
