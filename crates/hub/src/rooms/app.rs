//! The app that carries rooms.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use tautline_proto::app::{App, ConnectionId, Io, Message, Opening, Sent};
use tautline_proto::handshake::server::Rejection;
use tautline_proto::{CloseCode, Ended};
use tautline_rooms::{
    CloseReason, Effect, Form, Join, Member, Payload, Problem, Publisher, Refusal, Restored, Rights, Rooms as Core,
    Settings,
};

use super::delivery::Deliveries;
use super::devices::Registry;
use super::documents::State;
use super::durability::{Durability, Stored};
use super::envelope::{self, BadEnvelope, Incoming, Limits, SUBPROTOCOL};
use super::latest::Behind;
use super::outside::{Outcome, Requests};
use super::path::{BadPath, Place};
use super::wall::Wall;
use crate::tokens::Token;
use crate::watch::Watch;

/// When a client whose id is taken, or for whom there is no room, should try again, in seconds.
pub(super) const RETRY_AFTER: u32 = 5;

/// There is one timer, for whatever is due next.
const TIMER: u64 = 0;

/// Rooms: each message goes to all others in its room.
///
/// A client's room and id are in the path that it asks for: `/rooms/{room}/{client_id}`, or `/{client_id}` for the room
/// `main`, percent-encoded; without an id it gets a random one. Without a subprotocol a client gets each message as it was
/// sent, as one unfragmented frame. With [`SUBPROTOCOL`] it gets envelopes, can resume, and knows who is there.
///
/// A client id that is connected is refused with 409; the hub finds out first whether the other one is alive.
/// Names of more than 128 bytes, and ones with control characters, are refused too.
pub struct Rooms {
    pub(super) core: Core,
    pub(super) wall: Wall,
    /// Any path is one: its last segment is the client's id.
    any_path: bool,
    message_bytes: u64,
    pub(super) queue_bytes: usize,
    durability: Option<Durability>,
    /// Who waits to hear whether an id is free.
    claims: HashMap<u64, Box<dyn FnOnce(bool) + Send>>,
    next_ticket: u64,
    pub(super) requests: Requests,
    pub(super) deliveries: Deliveries,
    pub(super) watch: Watch,
    pub(super) state: State,
    pub(super) registry: Option<Registry>,
    /// Members that are no devices, since their tokens do not permit it.
    pub(super) no_devices: HashSet<Member>,
    /// Members to whom a replay is being written.
    replaying: HashSet<Member>,
    pub(super) behind: Behind,
    /// Those whose connections are encrypted.
    secure: HashSet<Member>,
    /// Those whose bad input has been logged: once is enough to find them, and nobody can fill the log.
    logged: HashSet<Member>,
}

impl fmt::Debug for Rooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rooms").field("core", &self.core).finish_non_exhaustive()
    }
}

impl Rooms {
    /// No rooms yet. `clock` tells the time of day; `random` makes this run's epochs different from those of others.
    pub fn new(settings: Settings, clock: impl Fn() -> SystemTime + Send + 'static, random: u64) -> Self {
        Self {
            core: Core::new(settings, random),
            wall: Wall::new(clock),
            any_path: false,
            message_bytes: u64::MAX,
            queue_bytes: usize::MAX,
            durability: None,
            claims: HashMap::new(),
            next_ticket: 0,
            requests: Requests::default(),
            deliveries: Deliveries::default(),
            watch: Watch::default(),
            state: State::new(false),
            registry: None,
            no_devices: HashSet::new(),
            replaying: HashSet::new(),
            behind: Behind::default(),
            secure: HashSet::new(),
            logged: HashSet::new(),
        }
    }

    /// Takes the last segment of any path as client id, in the room `main`.
    pub fn on_any_path(mut self) -> Self {
        self.any_path = true;
        self
    }

    /// Tells clients how large a message may be, in bytes. The limit itself is the driver's.
    pub fn message_bytes(mut self, bytes: u64) -> Self {
        self.message_bytes = bytes;
        self
    }

    /// How much is kept for a member that is behind, in bytes, in rooms that keep the latest message of each client.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// Who hears what happens.
    pub(crate) fn watched_by(mut self, watch: Watch) -> Self {
        self.watch = watch;
        self
    }

    /// Where messages of durable rooms and documents are kept. Without it those messages stay unpublished, and documents
    /// are lost with the hub. To be called before anything else.
    pub(crate) fn set_durability(&mut self, durability: Durability) {
        self.durability = Some(durability);
        self.state = State::new(true);
    }

    pub(super) fn durability(&self) -> Option<&Durability> {
        self.durability.as_ref()
    }

    /// Brings a durable room back.
    pub(crate) fn restore(&mut self, io: &dyn Io, name: &str, restored: Restored) {
        let now = self.wall.at(io.now());
        if let Err(refusal) = self.core.restore(now, name, restored) {
            tracing::error!(room = name, ?refusal, "a stored room does not fit: raise the number of rooms");
        }
    }

    /// Something was stored, or was not.
    pub(crate) fn stored(&mut self, io: &mut dyn Io, what: &Stored, stored: bool) {
        match what {
            Stored::Message(room, offset) => {
                let now = self.wall.at(io.now());
                self.core.stored(now, *room, *offset, stored);
                self.work(io);
            }
            Stored::Document(key) => self.document_stored(io, key, stored),
        }
    }

    /// Finds out whether the client id in a path is still that of a live connection. `answer` is told whether it is free;
    /// it must not block.
    pub(crate) fn claim(&mut self, io: &mut dyn Io, path: &str, answer: impl FnOnce(bool) + Send + 'static) {
        let Ok(place) = self.place(path) else { return answer(false) };
        let ticket = self.next_ticket();
        self.claims.insert(ticket, Box::new(answer));
        let now = self.wall.at(io.now());
        self.core.claim(now, &place.room, &place.client, ticket);
        self.work(io);
    }

    /// A number for somebody who waits for an answer.
    pub(super) fn next_ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    /// How a member is connected: as the scheme of its address is called.
    pub(super) fn transport(&self, member: Member) -> &'static str {
        if self.secure.contains(&member) { "wss" } else { "ws" }
    }

    fn place(&self, path: &str) -> Result<Place, BadPath> {
        if self.any_path { Place::of_last_segment(path) } else { Place::of(path) }
    }

    fn random_id(&self, io: &mut dyn Io, room: &str) -> String {
        loop {
            let id = format!("{:08x}{:08x}", io.random(), io.random());
            if self.core.find(room, &id).is_none() {
                return id;
            }
        }
    }

    /// Does what the rooms ask for, until there is nothing left.
    pub(super) fn work(&mut self, io: &mut dyn Io) {
        while let Some(effect) = self.core.poll_effect() {
            self.apply(io, effect);
        }
        match self.core.poll_timeout() {
            Some(at) => io.set_timer(TIMER, self.wall.instant(at, io.now())),
            None => io.cancel_timer(TIMER),
        }
    }

    fn apply(&mut self, io: &mut dyn Io, effect: Effect) {
        match effect {
            Effect::Deliver { room, message, except } => self.deliver(io, room, &message, except),
            Effect::Welcome(welcome) => {
                let Some(view) = self.core.view(welcome.room) else { return };
                let settings = self.core.settings(welcome.room);
                let limits = Limits {
                    message_bytes: self.message_bytes,
                    history_messages: settings.history_messages,
                    history_seconds: settings.history_age.as_secs(),
                };
                send(io, welcome.to, &envelope::welcome(&view.name, &welcome, &limits));
            }
            Effect::Replay { to, messages } => self.replay(io, to, &messages),
            Effect::Acknowledge { to: Publisher::Member(to), id, offset, duplicate } => {
                send(io, to, &envelope::acknowledgement(&id, offset, duplicate));
            }
            Effect::Refuse { to: Publisher::Member(to), id, problem } => match self.core.member(to) {
                Some((_, _, Form::Events)) => {
                    send(io, to, &envelope::refusal(id.as_deref(), problem));
                }
                // It has no other way to learn that its message is lost.
                Some((_, _, Form::Raw)) if problem == Problem::Forbidden => {
                    io.close(connection(to), CloseCode::POLICY_VIOLATION, &problem.to_string());
                }
                Some((_, _, Form::Raw)) => io.close(connection(to), CloseCode::TRY_AGAIN_LATER, &problem.to_string()),
                None => {}
            },
            Effect::Acknowledge { to: Publisher::Request(request), offset, duplicate, .. } => {
                self.requests.answer(request, Outcome::Published { offset, duplicate });
            }
            Effect::Refuse { to: Publisher::Request(request), problem, .. } => {
                self.requests.answer(request, Outcome::Unpublished(problem));
            }
            Effect::Presence { room, change } => self.announce(io, room, &change),
            Effect::StoreRoom { room } => {
                if let (Some(durability), Some(view)) = (&self.durability, self.core.view(room)) {
                    durability.open_room(&view);
                }
            }
            Effect::Store { room, message } => match (&self.durability, self.core.view(room)) {
                (Some(durability), Some(view)) => durability.store(room, &view, &message),
                _ => {
                    let now = self.wall.at(io.now());
                    self.core.stored(now, room, message.offset, false);
                }
            },
            Effect::Trim { room, through } => {
                if let (Some(durability), Some(view)) = (&self.durability, self.core.view(room)) {
                    durability.trim(&view, self.core.settings(room), self.wall.at(io.now()), through);
                }
            }
            Effect::Probe { member, within } => io.probe(connection(member), within),
            Effect::Claimed { ticket, free } => {
                if let Some(answer) = self.claims.remove(&ticket) {
                    answer(free);
                }
            }
            Effect::Close { member, reason } => {
                let (code, reason) = match reason {
                    CloseReason::Replaced => (CloseCode::REPLACED, "another connection has this client id now"),
                    CloseReason::Lagged => (CloseCode::TRY_AGAIN_LATER, "too slow for what was missed"),
                };
                io.close(connection(member), code, reason);
            }
        }
    }

    fn replay(&mut self, io: &mut dyn Io, to: Member, messages: &[Arc<tautline_rooms::Message>]) {
        let mut waits = false;
        for message in messages {
            match send(io, to, &envelope::message(message)) {
                Sent::Written => {}
                Sent::Queued => waits = true,
                Sent::Closed => return,
            }
        }
        if waits {
            self.replaying.insert(to);
        } else {
            let now = self.wall.at(io.now());
            self.core.caught_up(now, to);
        }
    }

    /// An envelope from a client.
    fn receive(&mut self, io: &mut dyn Io, from: Member, message: Message<'_>) {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return self.complain(io, from, &BadEnvelope::BINARY),
        };
        match Incoming::parse(text) {
            Ok(Incoming::Publish { id, payload }) => {
                let now = self.wall.at(io.now());
                self.core.publish(now, from, id.as_deref(), payload);
            }
            Ok(said @ (Incoming::Report { .. } | Incoming::Result { .. })) => {
                self.device_says(io, from, text.len(), said);
            }
            Ok(Incoming::State { id, request }) => self.member_asks(io, from, id.as_deref(), request),
            Err(bad) => self.complain(io, from, &bad),
        }
    }

    /// What a member may do.
    pub(super) fn rights(&self, member: Member) -> Rights {
        self.core.known(member).map_or(Rights::ALL, |known| known.rights)
    }

    fn complain(&mut self, io: &mut dyn Io, to: Member, bad: &BadEnvelope<'_>) {
        if self.logged.insert(to) {
            let peer = crate::apps::peer(io, connection(to));
            tracing::info!(peer, code = bad.code, "bad envelope: {}", bad.message);
        }
        send(io, to, &envelope::error(bad.id.as_deref(), bad.code, &bad.message));
    }
}

impl App for Rooms {
    fn admit(&mut self, io: &mut dyn Io, id: ConnectionId, opening: &Opening<'_>) -> Result<(), Rejection> {
        let Place { room, mut client } =
            self.place(opening.path).map_err(|problem| Rejection::new(problem.status()))?;
        let mut anonymous = false;
        if client.is_empty() {
            // One client has as many connections as it likes.
            let name = opening.identity.filter(|name| self.core.find(&room, name).is_none());
            anonymous = name.is_none();
            client = name.map_or_else(|| self.random_id(io, &room), str::to_owned);
        }
        let form = if opening.subprotocol == Some(SUBPROTOCOL) { Form::Events } else { Form::Raw };
        let resume = match form {
            Form::Events => envelope::resume(opening.query).map_err(|()| Rejection::new(400))?,
            Form::Raw => None,
        };
        let (member, identity) = (Member(id.0), opening.identity);
        let token = Token::of(opening.attached);
        let rights = token.map_or(Rights::ALL, Token::rights);
        // A certificate is one client's; a token may be a whole class's, unless it is called as the client is.
        let replaces = token.is_none_or(|token| token.name() == client);
        let (room, client) = (&*room, &*client);
        let join = Join { member, room, client, form, anonymous, identity, replaces, rights, resume };
        let admitted = self.core.admit(&join);
        if admitted.is_ok() && token.is_some_and(|token| !token.permits_device(client)) {
            self.no_devices.insert(member);
        }
        if admitted.is_ok() && opening.secure {
            self.secure.insert(member);
        }
        self.work(io);
        admitted.map_err(|refusal| match refusal {
            Refusal::Taken => {
                // Who was refused is logged with the answer; which id it was may be of interest too.
                tracing::debug!("{} is connected already", crate::apps::quote(client));
                Rejection::CONFLICT.with_retry_after(RETRY_AFTER)
            }
            Refusal::RoomFull | Refusal::TooManyRooms => Rejection::new(503).with_retry_after(RETRY_AFTER),
        })
    }

    fn open(&mut self, io: &mut dyn Io, id: ConnectionId) {
        let now = self.wall.at(io.now());
        let member = Member(id.0);
        self.core.open(now, member);
        if let Some((room, client, _)) = self.core.member(member) {
            let room = self.core.view(room).map(|room| room.name);
            let (peer, room) = (crate::apps::peer(io, id), room.as_deref());
            match self.core.known(member).and_then(|known| known.identity) {
                Some(name) => tracing::info!(peer, room, id = &**client, "New client: {name}"),
                None => tracing::info!(peer, room, "New client: {client}"),
            }
            self.tell_came(io, member);
            self.device_came(io, member);
        }
        self.work(io);
    }

    fn message(&mut self, io: &mut dyn Io, id: ConnectionId, message: Message<'_>) {
        let member = Member(id.0);
        match self.core.member(member) {
            Some((_, _, Form::Raw)) => {
                let payload = match message {
                    Message::Text(text) => Payload::Text(text.into()),
                    Message::Binary(bytes) => Payload::Binary(bytes.into()),
                };
                let now = self.wall.at(io.now());
                self.core.publish(now, member, None, payload);
            }
            Some((_, _, Form::Events)) => self.receive(io, member, message),
            // It has been replaced, and is being closed.
            None => return,
        }
        self.work(io);
    }

    fn drained(&mut self, io: &mut dyn Io, id: ConnectionId) {
        let member = Member(id.0);
        if self.replaying.remove(&member) {
            let now = self.wall.at(io.now());
            self.core.caught_up(now, member);
            self.work(io);
        }
        self.catch_up(io, member);
    }

    fn alive(&mut self, io: &mut dyn Io, id: ConnectionId) {
        let now = self.wall.at(io.now());
        self.core.alive(now, Member(id.0));
        self.work(io);
    }

    fn closed(&mut self, io: &mut dyn Io, id: ConnectionId, ended: Option<Ended>) {
        let member = Member(id.0);
        self.replaying.remove(&member);
        self.logged.remove(&member);
        self.forget_behind(member);
        self.forget_subscriber(member);
        if let Some(ended) = ended {
            self.tell_left(io, member, ended);
            self.device_left(io, member, ended);
        }
        self.no_devices.remove(&member);
        let now = self.wall.at(io.now());
        self.core.leave(now, member);
        self.secure.remove(&member);
        self.work(io);
    }

    fn timer(&mut self, io: &mut dyn Io, _: u64) {
        let now = self.wall.at(io.now());
        self.core.handle_timeout(now);
        self.work(io);
    }
}

pub(super) fn connection(member: Member) -> ConnectionId {
    ConnectionId(member.0)
}

/// Tells a member that it has no right to do something.
pub(super) fn forbid(io: &mut dyn Io, to: Member, id: Option<&str>, message: &str) {
    send(io, to, &envelope::error(id, envelope::FORBIDDEN, message));
}

pub(super) fn send(io: &mut dyn Io, to: Member, envelope: &str) -> Sent {
    io.send(connection(to), Message::Text(envelope))
}
