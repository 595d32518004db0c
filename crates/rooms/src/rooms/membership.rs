//! Coming and leaving.

use std::mem;
use std::sync::Arc;

use super::{CatchingUp, Form, Join, Member, Publisher, Record, RoomId, Rooms, State, Timer};
use crate::effect::{CloseReason, Effect, Recovery, Refusal, Resume, Welcome};
use crate::message::Timestamp;
use crate::settings::Duplicates;

/// How many bytes of missed messages a member gets at once, before it has taken them.
const REPLAYED_AT_ONCE: usize = 64 * 1024;

impl Rooms {
    /// A client wants to come in: its id is its own from now on.
    ///
    /// Where its id is taken, and the room's setting or its identity allow it, it takes the place of the other one.
    ///
    /// # Errors
    ///
    /// It is not admitted.
    pub fn admit(&mut self, join: &Join<'_>) -> Result<(), Refusal> {
        let id = self.room_named(join.room, None)?;
        let room = &self.rooms[id.index()];
        let old = room.clients.get(join.client).copied();
        match old {
            Some(old) if self.may_replace(old, id, join.identity.filter(|_| join.replaces)) => {}
            Some(_) => return Err(Refusal::Taken),
            None if room.clients.len() >= room.settings.members => return Err(Refusal::RoomFull),
            None => {}
        }
        if let Some(old) = old {
            self.send_away(old, CloseReason::Replaced);
        }
        let client: Arc<str> = join.client.into();
        let room = &mut self.rooms[id.index()];
        room.clients.insert(client.clone(), join.member);
        room.empty_since = None;
        let identity = join.identity.map(Into::into);
        let Join { form, anonymous, rights, resume, .. } = *join;
        let (opened, state) = (Timestamp::default(), State::Admitted(resume));
        let record = Record { room: id, client, identity, form, anonymous, rights, opened, state };
        self.members.insert(join.member, record);
        Ok(())
    }

    fn may_replace(&self, old: Member, room: RoomId, identity: Option<&str>) -> bool {
        let old = self.members.get(&old).and_then(|record| record.identity.as_deref());
        let same = identity.is_some() && identity == old;
        same || self.rooms[room.index()].settings.duplicates == Duplicates::TakeOver
    }

    /// A member's connection is open.
    pub fn open(&mut self, now: Timestamp, member: Member) {
        let Some(record) = self.members.get_mut(&member) else { return };
        let State::Admitted(resume) = &mut record.state else { return };
        let (resume, room) = (resume.take(), record.room);
        record.opened = now;
        let place = &mut self.rooms[room.index()];
        place.trim(now);
        place.presence.join(record.client.clone());
        if !record.rights.subscribe {
            record.state = State::Unlisted;
            if record.form == Form::Events {
                // Who else is there is none of its business.
                self.effects.push_back(Effect::Welcome(Box::new(Welcome {
                    to: member,
                    room,
                    client: record.client.clone(),
                    epoch: place.epoch,
                    offset: place.last,
                    recovery: Recovery::None,
                    members: vec![record.client.clone()],
                    count: 1,
                })));
            }
        } else if record.form == Form::Raw {
            record.state = State::Live(place.enlist(Form::Raw, member));
        } else {
            let recovery = match resume {
                None => Recovery::None,
                Some(Resume { epoch, offset })
                    if epoch == place.epoch && offset <= place.last && place.history.covers(offset) =>
                {
                    Recovery::All
                }
                Some(_) => Recovery::Gap,
            };
            let got = match (recovery, resume) {
                (Recovery::All, Some(resume)) => resume.offset,
                _ => place.last,
            };
            place.catching_up.push(member);
            record.state = State::CatchingUp(Box::new(CatchingUp { got, acknowledgements: Vec::new() }));
            self.effects.push_back(Effect::Welcome(Box::new(Welcome {
                to: member,
                room,
                client: record.client.clone(),
                epoch: place.epoch,
                offset: got,
                recovery,
                members: place.clients.keys().take(place.settings.presence_names).cloned().collect(),
                count: place.clients.len(),
            })));
            self.caught_up(now, member);
        }
        self.presence_changed(now, room);
    }

    /// A member has taken the messages of an [`Effect::Replay`].
    pub fn caught_up(&mut self, now: Timestamp, member: Member) {
        let Some(record) = self.members.get_mut(&member) else { return };
        let State::CatchingUp(catching_up) = &mut record.state else { return };
        let CatchingUp { got, acknowledgements } = &mut **catching_up;
        let room = &mut self.rooms[record.room.index()];
        if *got >= room.last {
            let to = Publisher::Member(member);
            let acknowledge = |(id, offset)| Effect::Acknowledge { to, id, offset, duplicate: false };
            self.effects.extend(mem::take(acknowledgements).into_iter().map(acknowledge));
            room.catching_up.retain(|other| *other != member);
            record.state = State::Live(room.enlist(record.form, member));
            return;
        }
        if !room.history.covers(*got) {
            let id = record.room;
            self.send_away(member, CloseReason::Lagged);
            return self.left(now, id);
        }
        let mut bytes = 0;
        let missed = room.history.since(*got).take_while(|message| {
            let fits = bytes < REPLAYED_AT_ONCE;
            bytes += message.weight();
            fits
        });
        let all: Vec<_> = missed.cloned().collect();
        *got = all.last().map_or(room.last, |message| message.offset);
        // Its own it knows.
        let messages: Vec<_> = all.into_iter().filter(|message| message.from != record.client).collect();
        if messages.is_empty() {
            return self.caught_up(now, member);
        }
        self.effects.push_back(Effect::Replay { to: member, messages });
    }

    /// A member is gone, opened or not.
    pub fn leave(&mut self, now: Timestamp, member: Member) {
        self.leaving.remove(&member);
        if let Some(record) = self.take_out(member) {
            self.left(now, record.room);
        }
    }

    /// Closes a member's connection: from now on it is none.
    fn send_away(&mut self, member: Member, reason: CloseReason) {
        self.effects.push_back(Effect::Close { member, reason });
        if let Some(record) = self.take_out(member) {
            let room = self.rooms[record.room.index()].name.clone();
            self.leaving.insert(member, (record, room));
        }
    }

    /// Somebody has left a room.
    fn left(&mut self, now: Timestamp, room: RoomId) {
        if self.rooms[room.index()].clients.is_empty() {
            self.emptied(now, room);
        }
        if self.rooms.contains(room.index()) {
            self.presence_changed(now, room);
        }
    }

    /// Takes a member out of its room and answers who waited for its id.
    fn take_out(&mut self, member: Member) -> Option<Record> {
        let record = self.members.remove(&member)?;
        let room = &mut self.rooms[record.room.index()];
        room.clients.remove(&record.client);
        match &record.state {
            State::Admitted(_) => {}
            State::CatchingUp(_) => {
                room.presence.leave(&record.client);
                room.catching_up.retain(|other| *other != member);
            }
            State::Unlisted => room.presence.leave(&record.client),
            &State::Live(place) => {
                room.presence.leave(&record.client);
                if let Some(moved) = room.delist(record.form, place)
                    && let Some(moved) = self.members.get_mut(&moved)
                {
                    moved.state = State::Live(place);
                }
            }
        }
        self.release(member);
        Some(record)
    }

    /// Nobody is in a room (any longer).
    pub(super) fn emptied(&mut self, now: Timestamp, id: RoomId) {
        let room = &mut self.rooms[id.index()];
        room.empty_since = Some(now);
        if room.settings.durable {
            return;
        }
        if room.last == 0 {
            // Nothing was ever said.
            return self.forget(id);
        }
        // One timer is enough: it looks again when it is due.
        if room.expiring.is_none() {
            let expires = now + room.settings.history_age;
            room.expiring = Some(expires);
            self.timers.insert((expires, Timer::Expire(id)));
        }
    }

    /// Tells who came and left, now or when it may be told.
    fn presence_changed(&mut self, now: Timestamp, id: RoomId) {
        let room = &mut self.rooms[id.index()];
        if room.announcing.is_some() {
            return;
        }
        match room.presence.due(now, &room.settings) {
            None => {}
            Some(due) if due <= now => self.announce(now, id),
            Some(due) => {
                room.announcing = Some(due);
                self.timers.insert((due, Timer::Announce(id)));
            }
        }
    }

    pub(super) fn announce(&mut self, now: Timestamp, id: RoomId) {
        let Some(room) = self.rooms.get_mut(id.index()) else { return };
        room.announcing = None;
        if room.presence.due(now, &room.settings).is_none() {
            return;
        }
        if room.list(Form::Events).is_empty() && room.catching_up.is_empty() {
            // Nobody listens.
            mem::take(&mut room.presence);
            return;
        }
        let change = room.presence.take(now, &room.settings, room.clients.len());
        self.effects.push_back(Effect::Presence { room: id, change });
    }
}
