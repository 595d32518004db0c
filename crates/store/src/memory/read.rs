//! Reads.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::SharedState;
use crate::backend::Reader;
use crate::error::StoreError;
use crate::record::{Command, Counter, Dedup, Device, Document, Message, PastConnection, Room, Token, Twin};
use crate::telemetry::{Bucket, DeviceKey, DeviceSession, PastReading, Readings, Sensor};

/// Reads what the backend has at the moment.
pub(super) struct MemoryReader {
    pub(super) shared: Arc<SharedState>,
}

impl Reader for MemoryReader {
    fn rooms(&mut self) -> Result<Vec<Room>, StoreError> {
        let state = self.shared.lock();
        let rooms = state.rooms.iter().map(|(name, room)| Room {
            name: name.clone(),
            epoch: room.epoch,
            durable: room.durable,
            last_offset: room.last_offset,
            oldest_offset: room.messages.keys().next().copied(),
        });
        Ok(rooms.collect())
    }

    fn history(&mut self, room: &str, from: u64, messages: usize, bytes: usize) -> Result<Vec<Message>, StoreError> {
        let state = self.shared.lock();
        let Some(room) = state.rooms.get(room) else { return Ok(Vec::new()) };
        let mut history = Vec::new();
        let mut left = bytes;
        for message in room.messages.range(from..).map(|(_, message)| message).take(messages) {
            let size = message.payload.len();
            if size > left && !history.is_empty() {
                break;
            }
            left = left.saturating_sub(size);
            history.push(message.clone());
        }
        Ok(history)
    }

    fn dedup(&mut self, room: &str) -> Result<Vec<Dedup>, StoreError> {
        let state = self.shared.lock();
        let Some(room) = state.rooms.get(room) else { return Ok(Vec::new()) };
        let mut entries: Vec<_> = room.dedup.values().cloned().collect();
        entries.sort_unstable_by_key(|entry| entry.offset);
        Ok(entries)
    }

    fn counters(&mut self) -> Result<Vec<Counter>, StoreError> {
        let state = self.shared.lock();
        Ok(state.counters.iter().map(|(name, value)| Counter { name: name.clone(), value: *value }).collect())
    }

    fn documents(&mut self) -> Result<Vec<Document>, StoreError> {
        Ok(all(&self.shared.lock().documents))
    }

    fn twins(&mut self) -> Result<Vec<Twin>, StoreError> {
        Ok(all(&self.shared.lock().twins))
    }

    fn command(&mut self, id: &str) -> Result<Option<Command>, StoreError> {
        Ok(self.shared.lock().commands.get(id).cloned())
    }

    fn pending_commands(&mut self) -> Result<Vec<Command>, StoreError> {
        let state = self.shared.lock();
        let mut pending: Vec<_> = state.commands.values().filter(|command| !command.state.is_final()).collect();
        pending.sort_unstable_by_key(|command| place(command));
        Ok(pending.into_iter().cloned().collect())
    }

    fn commands(
        &mut self,
        device: &str,
        behind: Option<(i64, &str)>,
        limit: usize,
    ) -> Result<Vec<Command>, StoreError> {
        let state = self.shared.lock();
        let of_page =
            |command: &&Command| &*command.device == device && behind.is_none_or(|behind| place(command) < behind);
        let mut commands: Vec<_> = state.commands.values().filter(of_page).collect();
        commands.sort_unstable_by_key(|command| Reverse(place(command)));
        Ok(commands.into_iter().take(limit).cloned().collect())
    }

    fn tokens(&mut self) -> Result<Vec<Token>, StoreError> {
        Ok(all(&self.shared.lock().tokens))
    }

    fn device(&mut self, id: &str) -> Result<Option<Device>, StoreError> {
        Ok(self.shared.lock().devices.get(id).cloned())
    }

    fn devices(&mut self, behind: Option<&str>, limit: usize) -> Result<Vec<Device>, StoreError> {
        let state = self.shared.lock();
        let from = behind.map_or(Bound::Unbounded, Bound::Excluded);
        let devices = state.devices.range::<str, _>((from, Bound::Unbounded));
        Ok(devices.map(|(_, device)| device.clone()).take(limit).collect())
    }

    fn connections(
        &mut self,
        device: Option<&str>,
        behind: Option<u64>,
        limit: usize,
    ) -> Result<Vec<PastConnection>, StoreError> {
        let state = self.shared.lock();
        let before = behind.map_or(Bound::Unbounded, Bound::Excluded);
        let connections = state.connections.range((Bound::Unbounded, before)).rev();
        let connections = connections.filter(|(_, ended)| device.is_none_or(|device| &*ended.device == device));
        let entries = connections.map(|(number, ended)| PastConnection { number: *number, connection: ended.clone() });
        Ok(entries.take(limit).collect())
    }

    fn device_keys(&mut self) -> Result<Vec<DeviceKey>, StoreError> {
        Ok(all(&self.shared.lock().telemetry.keys))
    }

    fn device_sessions(&mut self) -> Result<Vec<DeviceSession>, StoreError> {
        Ok(all(&self.shared.lock().telemetry.sessions))
    }

    fn sensors(&mut self) -> Result<Vec<Sensor>, StoreError> {
        Ok(all(&self.shared.lock().telemetry.sensors))
    }

    fn readings(
        &mut self,
        of: &Readings,
        behind: Option<(i64, u64)>,
        limit: usize,
    ) -> Result<Vec<PastReading>, StoreError> {
        Ok(self.shared.lock().telemetry.readings(of, behind, limit))
    }

    fn buckets(&mut self, of: &Readings, every_ms: i64, limit: usize) -> Result<Vec<Bucket>, StoreError> {
        Ok(self.shared.lock().telemetry.buckets(of, every_ms.max(1), limit))
    }

    fn size(&mut self) -> Result<u64, StoreError> {
        Ok(self.shared.lock().size())
    }
}

/// Where a command stands in its device's list.
fn place(command: &Command) -> (i64, &str) {
    (command.created_ms, &command.id)
}

fn all<K, V: Clone>(map: &BTreeMap<K, V>) -> Vec<V> {
    map.values().cloned().collect()
}
