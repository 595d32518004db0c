//! Recognises messages that are published again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::message::Timestamp;
use crate::settings::RoomSettings;

/// The ids of the last messages, by client.
#[derive(Debug, Default)]
pub(crate) struct Deduplication {
    offsets: HashMap<Key, u64>,
    order: VecDeque<(Key, Timestamp)>,
}

/// A client and its message's id.
type Key = (Arc<str>, Box<str>);

impl Deduplication {
    /// The offset of a message that was published already, or is about to be.
    pub(crate) fn find(&self, client: &Arc<str>, id: &str) -> Option<u64> {
        self.offsets.get(&(client.clone(), id.into())).copied()
    }

    pub(crate) fn insert(&mut self, now: Timestamp, client: Arc<str>, id: Box<str>, offset: u64) {
        let key = (client, id);
        self.order.push_back((key.clone(), now));
        self.offsets.insert(key, offset);
    }

    /// Forgets a message that was not published after all.
    pub(crate) fn remove(&mut self, client: &Arc<str>, id: &str) {
        // In a failure only, and what failed is among the newest.
        let is_it = |(key, _): &(Key, Timestamp)| *key.0 == **client && *key.1 == *id;
        if let Some(place) = self.order.iter().rposition(is_it)
            && let Some((key, _)) = self.order.remove(place)
        {
            self.offsets.remove(&key);
        }
    }

    /// Forgets what is over the limits.
    pub(crate) fn trim(&mut self, now: Timestamp, settings: &RoomSettings) {
        while let Some((_, at)) = self.order.front()
            && (self.order.len() > settings.deduplication_messages || now.since(*at) > settings.deduplication_age)
            && let Some((key, _)) = self.order.pop_front()
        {
            self.offsets.remove(&key);
        }
    }
}
