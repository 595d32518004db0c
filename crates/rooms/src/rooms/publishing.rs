//! Messages.

use std::sync::Arc;

use super::{Member, Publisher, RoomId, Rooms, State};
use crate::effect::{Effect, Problem, Refusal};
use crate::message::{Message, Payload, Timestamp};
use crate::room::Pending;

/// The longest message id, in bytes.
const LONGEST_ID: usize = 64;

/// How many may wait for the same message, which they have published again.
const AGAIN: usize = 64;

/// How many acknowledgements are held back from a member that is catching up.
const HELD_BACK: usize = 256;

impl Rooms {
    /// A member publishes. With an id it is told when that is done, and a message that is published again with the same id
    /// is not delivered again. One who may not is refused.
    pub fn publish(&mut self, now: Timestamp, member: Member, id: Option<&str>, payload: Payload) {
        if let Some(record) = self.members.get(&member) {
            let (room, client) = (record.room, record.client.clone());
            if !record.rights.publish {
                let (to, id) = (Publisher::Member(member), id.map(Into::into));
                return self.effects.push_back(Effect::Refuse { to, id, problem: Problem::Forbidden });
            }
            self.publish_in(now, room, Publisher::Member(member), client, id, payload);
        }
    }

    /// Somebody who is no member publishes, and is answered under the number `request`.
    ///
    /// # Errors
    ///
    /// There is no such room, and cannot be.
    pub fn publish_from_outside(
        &mut self,
        now: Timestamp,
        room: &str,
        client: &str,
        request: u64,
        id: Option<&str>,
        payload: Payload,
    ) -> Result<(), Refusal> {
        let room = self.room_named(room, None)?;
        self.publish_in(now, room, Publisher::Request(request), client.into(), id, payload);
        if self.rooms[room.index()].clients.is_empty() {
            self.emptied(now, room);
        }
        Ok(())
    }

    fn publish_in(
        &mut self,
        now: Timestamp,
        room_id: RoomId,
        publisher: Publisher,
        client: Arc<str>,
        id: Option<&str>,
        payload: Payload,
    ) {
        let behind = id.is_some() && self.is_behind(publisher);
        let room = &mut self.rooms[room_id.index()];
        let refuse = |problem| Effect::Refuse { to: publisher, id: id.map(Into::into), problem };
        if id.is_some_and(|id| id.is_empty() || id.len() > LONGEST_ID) {
            return self.effects.push_back(refuse(Problem::BadId));
        }
        room.deduplication.trim(now, &room.settings);
        if let Some(id) = id
            && let Some(offset) = room.deduplication.find(&client, id)
        {
            // It may still be on its way to the store.
            match room.pending.iter_mut().find(|pending| pending.message.offset == offset) {
                Some(pending) if pending.again.len() >= AGAIN => {
                    return self.effects.push_back(refuse(Problem::Busy));
                }
                Some(pending) => pending.again.push(publisher),
                None => {
                    let id = id.into();
                    self.effects.push_back(Effect::Acknowledge { to: publisher, id, offset, duplicate: true });
                }
            }
            return;
        }
        if behind || room.pending.len() >= room.settings.pending {
            return self.effects.push_back(refuse(Problem::Busy));
        }
        let offset = room.next_offset();
        let id: Option<Box<str>> = id.map(Into::into);
        if let Some(id) = &id {
            room.deduplication.insert(now, client.clone(), id.clone(), offset);
        }
        let message = Arc::new(Message { offset, at: now, from: client, id, payload });
        let pending = Pending { message: message.clone(), publisher, again: Vec::new() };
        if room.settings.durable {
            // It may not be stored, although that was asked for. With the first message that is, it certainly is.
            if room.last == 0 {
                self.effects.push_back(Effect::StoreRoom { room: room_id });
            }
            room.pending.push_back(pending);
            self.effects.push_back(Effect::Store { room: room_id, message });
        } else {
            self.deliver(now, room_id, pending);
        }
    }

    /// The message of a durable room at an offset was stored, or was not. Those that were are told in their order.
    pub fn stored(&mut self, now: Timestamp, room_id: RoomId, offset: u64, stored: bool) {
        let Some(room) = self.rooms.get_mut(room_id.index()) else { return };
        // Nearly always the first.
        let place = room.pending.iter().position(|pending| pending.message.offset == offset);
        let Some(pending) = place.and_then(|place| room.pending.remove(place)) else { return };
        if stored {
            return self.deliver(now, room_id, pending);
        }
        let Pending { message, publisher, again } = pending;
        if let Some(id) = &message.id {
            room.deduplication.remove(&message.from, id);
        }
        for to in std::iter::once(publisher).chain(again) {
            self.effects.push_back(Effect::Refuse { to, id: message.id.clone(), problem: Problem::NotStored });
        }
    }

    /// From here on it is published.
    fn deliver(&mut self, now: Timestamp, room_id: RoomId, pending: Pending) {
        let Pending { message, publisher, again } = pending;
        let room = &mut self.rooms[room_id.index()];
        room.remember(now, message.clone());
        let trim = room.trim_store();
        // Not to its client, which may have another connection by now.
        let except = match publisher {
            Publisher::Member(_) => room.clients.get(&message.from).copied(),
            Publisher::Request(_) => None,
        };
        let offset = message.offset;
        let id = message.id.clone();
        self.effects.push_back(Effect::Deliver { room: room_id, message, except });
        for (to, duplicate) in std::iter::once((publisher, false)).chain(again.into_iter().map(|to| (to, true))) {
            if let Some(id) = id.clone() {
                self.acknowledge(to, id, offset, duplicate);
            }
        }
        if let Some(through) = trim {
            self.effects.push_back(Effect::Trim { room: room_id, through });
        }
    }

    fn acknowledge(&mut self, to: Publisher, id: Box<str>, offset: u64, duplicate: bool) {
        if let Publisher::Member(member) = to
            && let Some(State::CatchingUp(catching_up)) = self.members.get_mut(&member).map(|record| &mut record.state)
            && !duplicate
        {
            catching_up.acknowledgements.push((id, offset));
            return;
        }
        self.effects.push_back(Effect::Acknowledge { to, id, offset, duplicate });
    }

    /// Whether a member cannot be acknowledged more before it has caught up.
    fn is_behind(&self, publisher: Publisher) -> bool {
        let Publisher::Member(member) = publisher else { return false };
        let Some(State::CatchingUp(catching_up)) = self.members.get(&member).map(|record| &record.state) else {
            return false;
        };
        catching_up.acknowledgements.len() >= HELD_BACK
    }
}
