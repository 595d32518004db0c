//! All rooms.

mod claims;
mod membership;
mod publishing;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use slab::Slab;

use crate::deduplication::Deduplication;
use crate::effect::{Effect, Refusal, Resume};
use crate::history::History;
use crate::message::{Message, Timestamp};
use crate::room::Room;
use crate::settings::{RoomSettings, Settings};
use claims::Claim;

/// Rooms and their members. See the [crate documentation](crate).
#[derive(Debug)]
pub struct Rooms {
    settings: Settings,
    rooms: Slab<Room>,
    names: HashMap<Arc<str>, RoomId>,
    members: HashMap<Member, Record>,
    /// Who is no member any longer, but whose connection has not ended, and in which room it was.
    leaving: HashMap<Member, (Record, Arc<str>)>,
    /// Members whose ids somebody else wants.
    claims: HashMap<Member, Claim>,
    timers: BTreeSet<(Timestamp, Timer)>,
    effects: VecDeque<Effect>,
    /// The epoch that the next room gets, without the room's share.
    epochs: u64,
}

/// Names a member: whoever drives the rooms gives each connection its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member(pub u64);

/// Names a room while it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomId(u32);

/// What a member gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Payloads as they are.
    Raw,
    /// Events: welcome, messages with their offsets, acknowledgements, presence.
    Events,
}

/// What is known of a member.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Its room's name.
    pub room: &'a Arc<str>,
    /// Its id.
    pub client: &'a Arc<str>,
    /// Its proven name.
    pub identity: Option<&'a str>,
    /// What it gets.
    pub form: Form,
    /// Whether its id was made up for it.
    pub anonymous: bool,
    /// What it may do.
    pub rights: Rights,
    /// When its connection was opened; 0 if it was not.
    pub opened: Timestamp,
}

/// What a member may do in its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Publish messages. Whoever may not is refused each.
    pub publish: bool,
    /// Get what is published, and know who is there. Whoever may not gets neither.
    pub subscribe: bool,
}

impl Rights {
    /// Everything: what members have unless somebody restricts them.
    pub const ALL: Self = Self { publish: true, subscribe: true };
}

/// Who publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publisher {
    /// A member.
    Member(Member),
    /// Somebody else, who is answered under this number.
    Request(u64),
}

/// A client that wants to be a member.
#[derive(Clone, Copy, Debug)]
pub struct Join<'a> {
    /// What it is called from now on. Never used before.
    pub member: Member,
    /// Which room.
    pub room: &'a str,
    /// Its id, one of a kind in the room.
    pub client: &'a str,
    /// What it wants to get.
    pub form: Form,
    /// Its id was made up for it: it is nobody that comes back.
    pub anonymous: bool,
    /// Its proven name, for instance that of its certificate.
    pub identity: Option<&'a str>,
    /// Whether it may take the place of a connection with the same proven name. It may not where several clients share one.
    pub replaces: bool,
    /// What it may do.
    pub rights: Rights,
    /// How far it had come; for [`Form::Events`].
    pub resume: Option<Resume>,
}

/// What is left of a durable room after a restart.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// Its epoch.
    pub epoch: u64,
    /// The offset of its last message; 0 if there was none.
    pub last: u64,
    /// The offset of the last message that is not there any longer; 0 if all are.
    pub forgotten: u64,
    /// Its messages, oldest first.
    pub messages: Vec<Arc<Message>>,
    /// The last message ids: client, id, offset and time, oldest first.
    pub ids: Vec<(Arc<str>, Box<str>, u64, Timestamp)>,
}

/// What can be seen of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomView {
    /// Its name.
    pub name: Arc<str>,
    /// Whether what is published in it survives a restart.
    pub durable: bool,
    /// Which history its offsets count in.
    pub epoch: u64,
    /// The offset of the last message; 0 if there was none.
    pub offset: u64,
    /// How many members it has.
    pub members: usize,
    /// How many messages it remembers.
    pub history: usize,
}

/// A member, as it is known here.
#[derive(Debug)]
struct Record {
    room: RoomId,
    client: Arc<str>,
    identity: Option<Box<str>>,
    form: Form,
    anonymous: bool,
    rights: Rights,
    /// When its connection was opened.
    opened: Timestamp,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Its connection is not open yet.
    Admitted(Option<Resume>),
    /// It gets what it missed.
    CatchingUp(Box<CatchingUp>),
    /// It gets what is published. Its place in the room's list.
    Live(u32),
    /// It gets nothing of what is published.
    Unlisted,
}

#[derive(Debug)]
struct CatchingUp {
    /// It was given everything up to this offset.
    got: u64,
    /// Acknowledgements that it gets afterwards: an offset that it sees promises that everything before was sent.
    acknowledgements: Vec<(Box<str>, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Who came and left is told.
    Announce(RoomId),
    /// An empty room is forgotten.
    Expire(RoomId),
    /// A claim ends.
    Claim(Member),
}

impl Rooms {
    /// No rooms. `random` makes the epochs of this run different from those of other runs.
    pub fn new(settings: Settings, random: u64) -> Self {
        Self {
            settings,
            rooms: Slab::new(),
            names: HashMap::new(),
            members: HashMap::new(),
            leaving: HashMap::new(),
            claims: HashMap::new(),
            timers: BTreeSet::new(),
            effects: VecDeque::new(),
            epochs: random,
        }
    }

    /// Brings a durable room back. To be called before anybody is admitted to it.
    ///
    /// # Errors
    ///
    /// There are as many rooms as there can be.
    pub fn restore(&mut self, now: Timestamp, name: &str, restored: Restored) -> Result<RoomId, Refusal> {
        let id = self.room_named(name, Some(restored.epoch))?;
        let room = &mut self.rooms[id.index()];
        let mut deduplication = Deduplication::default();
        for (client, message, offset, at) in restored.ids {
            deduplication.insert(at, client, message, offset);
        }
        room.restore(restored.last, History::restore(restored.messages, restored.forgotten), deduplication);
        room.trim(now);
        room.empty_since = Some(now);
        Ok(id)
    }

    /// What there is to do next.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        while let Some((at, timer)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, timer));
            match timer {
                Timer::Announce(room) => self.announce(now, room),
                Timer::Expire(room) => self.expire(now, room),
                Timer::Claim(member) => self.end_claim(member),
            }
        }
    }

    /// Members of a room that get payloads as they are.
    pub fn raw_members(&self, room: RoomId) -> &[Member] {
        self.rooms.get(room.index()).map_or(&[], |room| room.list(Form::Raw))
    }

    /// Members of a room that are getting what they missed: of what is published they get nothing else, but they get
    /// to know who comes and leaves.
    pub fn catching_up_members(&self, room: RoomId) -> &[Member] {
        self.rooms.get(room.index()).map_or(&[], |room| &room.catching_up)
    }

    /// Members of a room that get events.
    pub fn event_members(&self, room: RoomId) -> &[Member] {
        self.rooms.get(room.index()).map_or(&[], |room| room.list(Form::Events))
    }

    /// The settings of a room.
    pub fn settings(&self, room: RoomId) -> &RoomSettings {
        self.rooms.get(room.index()).map_or(&self.settings.default, |room| &room.settings)
    }

    /// Which room, client id and form a member has.
    pub fn member(&self, member: Member) -> Option<(RoomId, &Arc<str>, Form)> {
        self.members.get(&member).map(|record| (record.room, &record.client, record.form))
    }

    /// What is known of somebody, from [`admit`](Self::admit) to [`leave`](Self::leave): also of one who is no member any
    /// longer, since an effect has closed its connection.
    pub fn known(&self, member: Member) -> Option<Known<'_>> {
        let (record, room) = match self.members.get(&member) {
            Some(record) => (record, &self.rooms.get(record.room.index())?.name),
            None => self.leaving.get(&member).map(|(record, room)| (record, room))?,
        };
        let Record { client, identity, form, anonymous, rights, opened, .. } = record;
        let identity = identity.as_deref();
        let (form, anonymous, rights, opened) = (*form, *anonymous, *rights, *opened);
        Some(Known { room, client, identity, form, anonymous, rights, opened })
    }

    /// Who has a client id.
    pub fn find(&self, room: &str, client: &str) -> Option<Member> {
        let room = self.rooms.get(self.names.get(room)?.index())?;
        room.clients.get(client).copied()
    }

    /// The rooms there are.
    pub fn rooms(&self) -> impl Iterator<Item = RoomId> {
        self.rooms.iter().map(|(index, _)| RoomId::new(index))
    }

    /// A room of this name.
    pub fn room(&self, name: &str) -> Option<RoomId> {
        self.names.get(name).copied()
    }

    /// What can be seen of a room.
    pub fn view(&self, room: RoomId) -> Option<RoomView> {
        self.rooms.get(room.index()).map(|room| RoomView {
            name: room.name.clone(),
            durable: room.settings.durable,
            epoch: room.epoch,
            offset: room.last,
            members: room.clients.len(),
            history: room.history.len(),
        })
    }

    /// The members of a room and their client ids, in no order.
    pub fn members(&self, room: RoomId) -> impl Iterator<Item = (Member, &Arc<str>)> {
        self.rooms.get(room.index()).into_iter().flat_map(|room| room.clients.iter().map(|(id, member)| (*member, id)))
    }

    /// The messages of a room behind an offset that are remembered.
    pub fn history(&self, room: RoomId, after: u64) -> impl Iterator<Item = &Arc<Message>> {
        self.rooms.get(room.index()).into_iter().flat_map(move |room| room.history.since(after))
    }

    /// The room of this name, which is made if there is none.
    fn room_named(&mut self, name: &str, epoch: Option<u64>) -> Result<RoomId, Refusal> {
        if let Some(room) = self.names.get(name) {
            return Ok(*room);
        }
        if self.rooms.len() >= self.settings.rooms {
            self.make_way()?;
        }
        let name: Arc<str> = name.into();
        let settings = self.settings.of(&name).clone();
        let new = epoch.is_none();
        let durable = settings.durable;
        let room = Room::new(name.clone(), settings, epoch.unwrap_or_else(|| self.next_epoch()));
        let id = RoomId::new(self.rooms.insert(room));
        self.names.insert(name, id);
        if durable && new {
            self.effects.push_back(Effect::StoreRoom { room: id });
        }
        Ok(id)
    }

    fn next_epoch(&mut self) -> u64 {
        // The steps of a Weyl sequence: no number comes twice.
        self.epochs = self.epochs.wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.epochs
    }

    /// Forgets the room that has been empty the longest.
    fn make_way(&mut self) -> Result<(), Refusal> {
        let empty = self.rooms.iter().filter(|(_, room)| !room.settings.durable);
        let oldest = empty.filter_map(|(index, room)| Some((room.empty_since?, index))).min();
        let (_, index) = oldest.ok_or(Refusal::TooManyRooms)?;
        self.forget(RoomId::new(index));
        Ok(())
    }

    /// The expiry that a room has set is due.
    fn expire(&mut self, now: Timestamp, id: RoomId) {
        let Some(room) = self.rooms.get_mut(id.index()) else { return };
        room.expiring = None;
        // Somebody may have come and left again meanwhile.
        let Some(since) = room.empty_since else { return };
        let expires = since + room.settings.history_age;
        if expires <= now {
            return self.forget(id);
        }
        room.expiring = Some(expires);
        self.timers.insert((expires, Timer::Expire(id)));
    }

    fn forget(&mut self, id: RoomId) {
        let room = self.rooms.remove(id.index());
        self.names.remove(&room.name);
        if let Some(at) = room.expiring {
            self.timers.remove(&(at, Timer::Expire(id)));
        }
        if let Some(at) = room.announcing {
            self.timers.remove(&(at, Timer::Announce(id)));
        }
    }
}

impl RoomId {
    fn new(index: usize) -> Self {
        Self(u32::try_from(index).expect("rooms are bounded well below 2^32"))
    }

    fn index(self) -> usize {
        self.0 as usize
    }
}
