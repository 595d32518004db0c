//! Who came and who left, told not too often.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::message::Timestamp;
use crate::settings::RoomSettings;

/// Who came and who left since the last announcement. Who left and came back meanwhile, or came and left, is in neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PresenceChange {
    /// Some of those who came.
    pub joined: Vec<Arc<str>>,
    /// Some of those who left.
    pub left: Vec<Arc<str>>,
    /// How many others came or left.
    pub more: usize,
    /// How many are there now.
    pub count: usize,
}

/// Changes that are not announced yet.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    joined: BTreeSet<Arc<str>>,
    left: BTreeSet<Arc<str>>,
    announced: Option<Timestamp>,
}

impl Presence {
    pub(crate) fn join(&mut self, client: Arc<str>) {
        if !self.left.remove(&client) {
            self.joined.insert(client);
        }
    }

    pub(crate) fn leave(&mut self, client: &Arc<str>) {
        if !self.joined.remove(client) {
            self.left.insert(client.clone());
        }
    }

    /// When the changes may be announced; `None` if there are none.
    pub(crate) fn due(&self, now: Timestamp, settings: &RoomSettings) -> Option<Timestamp> {
        if self.joined.is_empty() && self.left.is_empty() {
            return None;
        }
        Some(self.announced.map_or(now, |announced| announced + settings.presence_interval))
    }

    /// Takes the changes, to be announced now.
    pub(crate) fn take(&mut self, now: Timestamp, settings: &RoomSettings, count: usize) -> PresenceChange {
        self.announced = Some(now);
        let all = self.joined.len() + self.left.len();
        let names = |set: &mut BTreeSet<Arc<str>>| -> Vec<_> {
            std::mem::take(set).into_iter().take(settings.presence_names).collect()
        };
        let (joined, left) = (names(&mut self.joined), names(&mut self.left));
        let more = all - joined.len() - left.len();
        PresenceChange { joined, left, more, count }
    }
}
