//! Deleting what is old, at once: without a disk nobody waits long for it.

use std::sync::Arc;

use super::State;
use crate::backend::Retention;
use crate::telemetry::Reading;

/// An entry of one of the logs that a bound on the size takes from.
enum Entry {
    Message(Arc<str>, u64),
    Command(Arc<str>),
    Connection(u64),
    Reading(u32, i64, u64),
}

impl State {
    /// How many rows it has deleted.
    pub(super) fn retain(&mut self, retention: &Retention) -> u64 {
        let before = self.rows();
        if let Some(time) = retention.messages_before_ms {
            for room in self.rooms.values_mut() {
                room.messages.retain(|_, message| message.at_ms >= time);
            }
        }
        if let Some(time) = retention.commands_before_ms {
            self.commands.retain(|_, command| !command.state.is_final() || command.changed_ms >= time);
        }
        if let Some(time) = retention.connections_before_ms {
            self.connections.retain(|_, connection| connection.closed_ms >= time);
        }
        if let Some(time) = retention.devices_before_ms {
            self.devices.retain(|_, device| device.last_seen_ms >= time);
        }
        if let Some(time) = retention.removed_documents_before_ms {
            self.documents.retain(|_, document| document.json.is_some() || document.at_ms >= time);
        }
        if let Some(age) = &retention.readings {
            self.telemetry.delete_old(age);
        }
        if let Some(max) = retention.max_bytes {
            self.delete_oldest(max);
        }
        (before - self.rows()) as u64
    }

    /// What everything takes up, roughly.
    pub(super) fn size(&self) -> u64 {
        let rooms = self.rooms.values().map(|room| {
            let messages: usize = room.messages.values().map(|message| message.size()).sum();
            messages + room.dedup.keys().map(|(client, id)| ENTRY + client.len() + id.len()).sum::<usize>()
        });
        let bytes = rooms.sum::<usize>()
            + self.counters.keys().map(|name| ENTRY + name.len()).sum::<usize>()
            + self.documents.values().map(|document| document.size()).sum::<usize>()
            + self.twins.values().map(|twin| twin.size()).sum::<usize>()
            + self.commands.values().map(|command| command.size()).sum::<usize>()
            + self.tokens.values().map(|token| token.size()).sum::<usize>()
            + self.devices.values().map(|device| device.size()).sum::<usize>()
            + self.connections.values().map(|connection| connection.size()).sum::<usize>()
            + self.telemetry.size();
        bytes as u64
    }

    fn rows(&self) -> usize {
        self.rooms.values().map(|room| room.messages.len()).sum::<usize>()
            + self.commands.len()
            + self.connections.len()
            + self.devices.len()
            + self.documents.len()
            + self.telemetry.readings.len()
    }

    fn delete_oldest(&mut self, max: u64) {
        let mut excess = self.size().saturating_sub(max);
        if excess == 0 {
            return;
        }
        let mut entries = Vec::new();
        for (name, room) in &self.rooms {
            entries.extend(
                room.messages
                    .iter()
                    .map(|(offset, message)| (message.at_ms, message.size(), Entry::Message(name.clone(), *offset))),
            );
        }
        let over = self.commands.values().filter(|command| command.state.is_final());
        entries.extend(over.map(|over| (over.changed_ms, over.size(), Entry::Command(over.id.clone()))));
        entries.extend(
            self.connections.iter().map(|(number, ended)| (ended.closed_ms, ended.size(), Entry::Connection(*number))),
        );
        entries.extend(self.telemetry.readings.iter().map(|((sensor, at_ms, number), value)| {
            let reading = Reading { sensor: *sensor, at_ms: *at_ms, value: value.clone() };
            (*at_ms, reading.size(), Entry::Reading(*sensor, *at_ms, *number))
        }));
        // Stable: of one time, messages stay in the order of their offsets.
        entries.sort_by_key(|(time, ..)| *time);
        for (_, size, entry) in entries {
            if excess == 0 {
                break;
            }
            excess = excess.saturating_sub(size as u64);
            self.delete(&entry);
        }
    }

    fn delete(&mut self, entry: &Entry) {
        match entry {
            Entry::Message(room, offset) => {
                if let Some(room) = self.rooms.get_mut(room) {
                    room.messages.remove(offset);
                }
            }
            Entry::Command(id) => drop(self.commands.remove(id)),
            Entry::Connection(number) => drop(self.connections.remove(number)),
            Entry::Reading(sensor, at_ms, number) => {
                self.telemetry.readings.remove(&(*sensor, *at_ms, *number));
            }
        }
    }
}

/// What an entry takes up besides its texts.
const ENTRY: usize = 64;
