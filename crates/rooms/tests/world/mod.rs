//! A clock and short words for tests.

#![allow(dead_code, reason = "each test program uses some of it")]

use std::sync::Arc;
use std::time::Duration;

use tautline_rooms::{
    Effect, Form, Join, Member, Payload, PresenceChange, Refusal, Resume, Rights, RoomId, RoomSettings, Rooms,
    Settings, Timestamp,
};

pub(crate) struct World {
    pub(crate) rooms: Rooms,
    pub(crate) now: Timestamp,
}

impl Default for World {
    fn default() -> Self {
        Self::new(RoomSettings::default())
    }
}

impl World {
    pub(crate) fn new(room: RoomSettings) -> Self {
        Self { rooms: Rooms::new(settings(room), 1), now: Timestamp(1_000_000) }
    }

    /// Admits a client and opens its connection.
    pub(crate) fn join(
        &mut self,
        member: u64,
        room: &str,
        client: &str,
        form: Form,
        resume: Option<Resume>,
    ) -> Result<(), Refusal> {
        let member = Member(member);
        self.rooms.admit(&Join {
            member,
            room,
            client,
            form,
            anonymous: false,
            identity: None,
            replaces: true,
            rights: Rights::ALL,
            resume,
        })?;
        self.rooms.open(self.now, member);
        Ok(())
    }

    pub(crate) fn raw(&mut self, member: u64, client: &str) {
        self.join(member, "main", client, Form::Raw, None).unwrap();
    }

    pub(crate) fn events(&mut self, member: u64, client: &str, resume: Option<Resume>) {
        self.join(member, "main", client, Form::Events, resume).unwrap();
    }

    pub(crate) fn leave(&mut self, member: u64) {
        self.rooms.leave(self.now, Member(member));
    }

    pub(crate) fn publish(&mut self, member: u64, id: Option<&str>, words: &str) {
        self.rooms.publish(self.now, Member(member), id, text(words));
    }

    pub(crate) fn room(&self) -> RoomId {
        self.rooms.room("main").unwrap()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.rooms.view(self.room()).unwrap().epoch
    }

    /// All effects; members take what is replayed to them at once.
    pub(crate) fn effects(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(effect) = self.rooms.poll_effect() {
            if let Effect::Replay { to, .. } = effect {
                self.rooms.caught_up(self.now, to);
            }
            effects.push(effect);
        }
        effects
    }

    /// All announcements of who came and left.
    pub(crate) fn presence(&mut self) -> Vec<PresenceChange> {
        let effects = self.effects().into_iter();
        effects
            .filter_map(|effect| match effect {
                Effect::Presence { change, .. } => Some(change),
                _ => None,
            })
            .collect()
    }

    /// Lets time pass, with everything that is due meanwhile.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.rooms.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.rooms.handle_timeout(self.now);
        }
        self.now = end;
    }
}

pub(crate) fn settings(room: RoomSettings) -> Settings {
    Settings { default: Arc::new(room), ..Settings::default() }
}

pub(crate) fn text(words: &str) -> Payload {
    Payload::Text(words.into())
}

pub(crate) fn names(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| (*name).into()).collect()
}
