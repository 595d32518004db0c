//! Writes, each with what takes it back.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::sync::Arc;

use super::{RoomState, State};
use crate::error::StoreError;
use crate::record::{Command, CommandState, Dedup, Device, Document, Message, Token, Twin};
use crate::write::Write;

/// What takes back the writes of a transaction.
#[derive(Default)]
pub(super) struct Undo {
    steps: Vec<TakeBack>,
}

type TakeBack = Box<dyn FnOnce(&mut State)>;

impl Undo {
    pub(super) fn roll_back(self, state: &mut State) {
        for step in self.steps.into_iter().rev() {
            step(state);
        }
    }

    pub(super) fn push(&mut self, step: impl FnOnce(&mut State) + 'static) {
        self.steps.push(Box::new(step));
    }

    /// The same for a room, which is there again by the time that it is called.
    fn push_for(&mut self, room: &Arc<str>, step: impl FnOnce(&mut RoomState) + 'static) {
        let room = room.clone();
        self.push(move |state| {
            if let Some(room) = state.rooms.get_mut(&room) {
                step(room);
            }
        });
    }
}

impl State {
    /// Does one write. After an error those before it are to be taken back.
    pub(super) fn apply(&mut self, write: &Write, undo: &mut Undo) -> Result<(), StoreError> {
        write.check()?;
        match write {
            Write::OpenRoom { room, epoch, durable } => self.open_room(room, *epoch, *durable, undo),
            Write::DropRoom { room } => self.put(|state| &mut state.rooms, room.clone(), None, undo),
            Write::Message(message) => self.add_message(message, undo)?,
            Write::TrimRoom { room, below_offset } => self.trim_room(room, *below_offset, undo),
            Write::TrimDedup { room, keep, since_ms } => self.trim_dedup(room, *keep, *since_ms, undo),
            Write::SetCounter { name, value } => {
                self.put(|state| &mut state.counters, name.clone(), Some(*value), undo);
            }
            Write::Document(document) => self.put_document(document, undo)?,
            Write::Twin(twin) => self.put_twin(twin, undo)?,
            Write::AddCommand(command) => self.add_command(command, undo)?,
            Write::ChangeCommand { id, state, result, at_ms } => {
                self.change_command(id, *state, result.clone(), *at_ms, undo)?;
            }
            Write::AddToken(token) => self.add_token(token, undo)?,
            Write::RevokeToken { id, at_ms } => self.revoke_token(id, *at_ms, undo)?,
            Write::Device(device) => self.see_device(device, undo),
            Write::Connection(connection) => {
                self.last_connection += 1;
                self.connections.insert(self.last_connection, connection.clone());
                undo.push(|state| {
                    state.connections.remove(&state.last_connection);
                    state.last_connection -= 1;
                });
            }
            Write::DeviceKey(key) => self.put_key(key, undo)?,
            Write::ForgetPreviousKey { number, key } => self.forget_previous_key(*number, key, undo),
            Write::DeviceSession(session) => self.put_session(session, undo),
            Write::ForgetSession { device, session } => {
                self.put(|state| &mut state.telemetry.sessions, (*device, *session), None, undo);
            }
            Write::ForgetSessions { before_ms, most } => self.forget_sessions(*before_ms, *most, undo),
            Write::Sensor(sensor) => self.put_sensor(sensor, undo)?,
            Write::Readings(readings) => self.add_readings(readings, undo),
        }
        Ok(())
    }

    fn open_room(&mut self, room: &Arc<str>, epoch: u64, durable: bool, undo: &mut Undo) {
        match self.rooms.get_mut(room) {
            Some(known) if known.epoch == epoch => {
                let before = mem::replace(&mut known.durable, durable);
                undo.push_for(room, move |room| room.durable = before);
            }
            _ => {
                let new =
                    RoomState { epoch, durable, last_offset: 0, messages: BTreeMap::new(), dedup: BTreeMap::new() };
                self.put(|state| &mut state.rooms, room.clone(), Some(new), undo);
            }
        }
    }

    fn add_message(&mut self, message: &Message, undo: &mut Undo) -> Result<(), StoreError> {
        let Message { room: name, epoch, offset, at_ms, from, message_id, .. } = message;
        let Some(room) = self.rooms.get_mut(name) else {
            return Err(StoreError::Missing(format!("room {name}")));
        };
        if room.epoch != *epoch {
            return Err(StoreError::Stale(format!("room {name} has another epoch than {epoch}")));
        }
        if *offset <= room.last_offset {
            return Err(StoreError::Stale(format!("room {name} is past offset {offset}")));
        }
        let offset = *offset;
        let before = mem::replace(&mut room.last_offset, offset);
        room.messages.insert(offset, message.clone());
        undo.push_for(name, move |room| {
            room.messages.remove(&offset);
            room.last_offset = before;
        });
        let Some(message_id) = message_id else { return Ok(()) };
        let key = (from.clone(), message_id.clone());
        let entry = Dedup { client: from.clone(), message_id: message_id.clone(), offset, at_ms: *at_ms };
        let before = set(&mut room.dedup, key.clone(), Some(entry));
        undo.push_for(name, move |room| drop(set(&mut room.dedup, key, before)));
        Ok(())
    }

    fn trim_room(&mut self, name: &Arc<str>, below: u64, undo: &mut Undo) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        let kept = room.messages.split_off(&below);
        let mut trimmed = mem::replace(&mut room.messages, kept);
        undo.push_for(name, move |room| room.messages.append(&mut trimmed));
    }

    fn trim_dedup(&mut self, name: &Arc<str>, keep: u64, since_ms: i64, undo: &mut Undo) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        let mut newest: Vec<u64> =
            room.dedup.values().filter(|entry| entry.at_ms >= since_ms).map(|entry| entry.offset).collect();
        newest.sort_unstable_by(|a, b| b.cmp(a));
        // The newest one that does not stay.
        let cut = usize::try_from(keep).ok().and_then(|keep| newest.get(keep)).copied();
        let goes = |entry: &Dedup| entry.at_ms < since_ms || cut.is_some_and(|cut| entry.offset <= cut);
        let (mut trimmed, kept) = mem::take(&mut room.dedup).into_iter().partition(|(_, entry)| goes(entry));
        room.dedup = kept;
        undo.push_for(name, move |room| room.dedup.append(&mut trimmed));
    }

    fn put_document(&mut self, document: &Document, undo: &mut Undo) -> Result<(), StoreError> {
        let Document { room, name, version, .. } = document;
        let key = (room.clone(), name.clone());
        if self.documents.get(&key).is_some_and(|known| known.version >= *version) {
            let what = format!("document {name} of room {room} is at version {version} or above");
            return Err(StoreError::Stale(what));
        }
        self.put(|state| &mut state.documents, key, Some(document.clone()), undo);
        Ok(())
    }

    fn put_twin(&mut self, twin: &Twin, undo: &mut Undo) -> Result<(), StoreError> {
        let Twin { device, desired_version: desired, reported_version: reported, .. } = twin;
        let goes_on = self.twins.get(device).is_none_or(|known| {
            *desired >= known.desired_version
                && *reported >= known.reported_version
                && (*desired > known.desired_version || *reported > known.reported_version)
        });
        if !goes_on {
            return Err(StoreError::Stale(format!("the twin of {device} is past versions {desired}, {reported}")));
        }
        self.put(|state| &mut state.twins, device.clone(), Some(twin.clone()), undo);
        Ok(())
    }

    fn add_command(&mut self, command: &Command, undo: &mut Undo) -> Result<(), StoreError> {
        let id = &command.id;
        if self.commands.contains_key(id) {
            return Err(StoreError::Exists(format!("a command {id}")));
        }
        self.put(|state| &mut state.commands, id.clone(), Some(command.clone()), undo);
        Ok(())
    }

    fn change_command(
        &mut self,
        id: &Arc<str>,
        state: CommandState,
        result: Option<String>,
        at_ms: i64,
        undo: &mut Undo,
    ) -> Result<(), StoreError> {
        let known = self.commands.get(id).ok_or_else(|| missing("command", id))?;
        let changed = Command { state, result, changed_ms: at_ms, ..known.clone() };
        self.put(|state| &mut state.commands, id.clone(), Some(changed), undo);
        Ok(())
    }

    fn add_token(&mut self, token: &Token, undo: &mut Undo) -> Result<(), StoreError> {
        let id = &token.id;
        if self.tokens.values().any(|known| known.id == *id || known.hash == token.hash) {
            return Err(StoreError::Exists(format!("a token {id}, or one with its hash")));
        }
        self.put(|state| &mut state.tokens, id.clone(), Some(token.clone()), undo);
        Ok(())
    }

    fn revoke_token(&mut self, id: &Arc<str>, at_ms: i64, undo: &mut Undo) -> Result<(), StoreError> {
        let known = self.tokens.get(id).ok_or_else(|| missing("token", id))?;
        let revoked = Token { revoked_ms: known.revoked_ms.or(Some(at_ms)), ..known.clone() };
        self.put(|state| &mut state.tokens, id.clone(), Some(revoked), undo);
        Ok(())
    }

    fn see_device(&mut self, device: &Device, undo: &mut Undo) {
        let mut seen = device.clone();
        if let Some(known) = self.devices.get(&device.id) {
            if known.last_seen_ms > device.last_seen_ms {
                seen = known.clone();
            }
            seen.first_seen_ms = known.first_seen_ms.min(device.first_seen_ms);
        }
        self.put(|state| &mut state.devices, device.id.clone(), Some(seen), undo);
    }

    /// Sets or removes an entry of one of the maps.
    pub(super) fn put<K: Ord + Clone + 'static, V: 'static>(
        &mut self,
        map: fn(&mut Self) -> &mut BTreeMap<K, V>,
        key: K,
        value: Option<V>,
        undo: &mut Undo,
    ) {
        let before = set(map(self), key.clone(), value);
        undo.push(move |state| drop(set(map(state), key, before)));
    }
}

/// What was there before.
fn set<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) -> Option<V> {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    }
}

fn missing(what: &str, id: impl fmt::Display) -> StoreError {
    StoreError::Missing(format!("{what} {id}"))
}
