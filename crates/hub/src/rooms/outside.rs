//! Rooms as they are seen and used by those who are no members.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tautline_proto::app::{ConnectionId, Delivery, Io};
use tautline_rooms::{Form, Member, Payload, Problem, Refusal, RoomView, Timestamp};

use super::app::Rooms;
use super::envelope;

/// How many bytes of messages are read at once, but for the first.
const READ_AT_ONCE: usize = 1024 * 1024;

/// What becomes of a message that somebody publishes who is no member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is published for good.
    Published { offset: u64, duplicate: bool },
    /// It is not.
    Unpublished(Problem),
    /// There is no such room, and cannot be.
    NoRoom(Refusal),
}

/// A room, and who is there.
#[derive(Debug)]
pub(crate) struct RoomDetail {
    pub(crate) room: RoomView,
    pub(crate) deliveries: Delivery,
    /// By client id; whether it gets messages as they are.
    pub(crate) clients: Vec<(Arc<str>, bool)>,
}

/// A connection of a client that comes with an id of its own.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) connection: ConnectionId,
    /// `ws` or `wss`.
    pub(crate) transport: &'static str,
    /// How long its answer to the last ping took.
    pub(crate) latency: Option<Duration>,
    pub(crate) device: Arc<str>,
    pub(crate) room: Arc<str>,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) identity: Option<String>,
    pub(crate) opened: Timestamp,
}

/// Messages that a room remembers.
#[derive(Debug)]
pub(crate) struct Remembered {
    pub(crate) epoch: u64,
    /// The offset of the room's last message.
    pub(crate) offset: u64,
    /// As envelopes.
    pub(crate) messages: Vec<Box<RawValue>>,
    /// Behind which offset there are more.
    pub(crate) next: Option<u64>,
}

impl Rooms {
    /// Rooms with names behind `after`, by name, at most `limit` of them.
    pub(crate) fn views(&self, after: Option<&str>, limit: usize) -> Vec<RoomView> {
        let views = self.core.rooms().filter_map(|room| self.core.view(room));
        first_by_name(views.filter(|room| Some(&*room.name) > after).collect(), limit, |room| &room.name)
    }

    /// How many rooms and members there are.
    pub(crate) fn count(&self) -> (usize, usize) {
        let members = |room| self.core.view(room).map_or(0, |view| view.members);
        self.core.rooms().fold((0, 0), |(rooms, all), room| (rooms + 1, all + members(room)))
    }

    /// A room, with the clients whose ids are behind `after`, at most `limit` of them.
    pub(crate) fn detail(&self, name: &str, after: Option<&str>, limit: usize) -> Option<RoomDetail> {
        let id = self.core.room(name)?;
        let room = self.core.view(id)?;
        let members = self.core.members(id).filter(|(_, client)| Some(&***client) > after);
        let clients = first_by_name(members.collect(), limit, |(_, client)| client).into_iter();
        let raw = |member| matches!(self.core.member(member), Some((_, _, Form::Raw)));
        let clients = clients.map(|(member, client)| (client.clone(), raw(member))).collect();
        Some(RoomDetail { deliveries: self.deliveries.of(&self.core, id), room, clients })
    }

    /// Clients with ids of their own behind `after`, by id, at most `limit` connections of them.
    pub(crate) fn devices(&self, io: &dyn Io, after: Option<&str>, limit: usize) -> Vec<Seen> {
        let rooms = self.core.rooms();
        let members = rooms
            .flat_map(|room| self.core.members(room))
            .filter(|(member, client)| Some(&***client) > after && self.is_device(*member));
        let first = first_by_name(members.collect(), limit, |(_, client)| client);
        first.into_iter().filter_map(|(member, client)| self.seen(io, member, client)).collect()
    }

    /// The connections of a client.
    pub(crate) fn device_connections(&self, io: &dyn Io, id: &str) -> Vec<Seen> {
        let rooms = self.core.rooms().filter_map(|room| self.core.view(room));
        let members = rooms.filter_map(|room| self.core.find(&room.name, id));
        let known = members.filter_map(|member| Some((member, self.core.member(member)?.1)));
        known.filter_map(|(member, client)| self.seen(io, member, client)).collect()
    }

    /// Whose these connections are.
    pub(crate) fn connections(&self, io: &dyn Io, ids: &[ConnectionId]) -> Vec<(ConnectionId, Seen)> {
        let seen = |id: &ConnectionId| {
            let member = Member(id.0);
            let client = self.core.known(member)?.client.clone();
            Some((*id, self.seen(io, member, &client)?))
        };
        ids.iter().filter_map(seen).collect()
    }

    fn seen(&self, io: &dyn Io, member: Member, client: &Arc<str>) -> Option<Seen> {
        let known = self.core.known(member).filter(|_| !self.no_devices.contains(&member))?;
        let connection = ConnectionId(member.0);
        Some(Seen {
            connection,
            device: client.clone(),
            room: known.room.clone(),
            transport: self.transport(member),
            latency: io.vitals(connection).and_then(|vitals| vitals.latency),
            peer: io.peer(connection),
            identity: known.identity.map(str::to_owned),
            opened: known.opened,
        })
    }

    /// The messages of a room behind an offset that are remembered, at most `limit` of them.
    pub(crate) fn remembered(&self, name: &str, after: u64, limit: usize) -> Option<Remembered> {
        let id = self.core.room(name)?;
        let RoomView { epoch, offset, .. } = self.core.view(id)?;
        let (mut messages, mut bytes, mut last, mut next) = (Vec::new(), 0, after, None);
        for message in self.core.history(id, after) {
            if messages.len() >= limit || bytes >= READ_AT_ONCE {
                next = Some(last);
                break;
            }
            // An envelope is JSON.
            let Ok(envelope) = RawValue::from_string(envelope::message(message)) else { continue };
            bytes += envelope.get().len();
            messages.push(envelope);
            last = message.offset;
        }
        Some(Remembered { epoch, offset, messages, next })
    }

    /// Publishes a message of somebody who is no member. `answer` is told what becomes of it; it must not block.
    pub(crate) fn publish_from_outside(
        &mut self,
        io: &mut dyn Io,
        room: &str,
        from: &str,
        id: &str,
        payload: Payload,
        answer: impl FnOnce(Outcome) + Send + 'static,
    ) {
        let request = self.next_ticket();
        let now = self.wall.at(io.now());
        match self.core.publish_from_outside(now, room, from, request, Some(id), payload) {
            Ok(()) => self.requests.add(request, Box::new(answer)),
            Err(refusal) => answer(Outcome::NoRoom(refusal)),
        }
        self.work(io);
    }
}

/// The first entries by name. What comes behind them is not sorted: there may be very many.
fn first_by_name<T>(mut entries: Vec<T>, limit: usize, name: impl Fn(&T) -> &Arc<str>) -> Vec<T> {
    if entries.len() > limit {
        entries.select_nth_unstable_by(limit, |a, b| name(a).cmp(name(b)));
        entries.truncate(limit);
    }
    entries.sort_unstable_by(|a, b| name(a).cmp(name(b)));
    entries
}

/// Those who are no members and wait to hear what becomes of their messages.
#[derive(Default)]
pub(super) struct Requests(HashMap<u64, Box<dyn FnOnce(Outcome) + Send>>);

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").field("waiting", &self.0.len()).finish()
    }
}

impl Requests {
    fn add(&mut self, request: u64, answer: Box<dyn FnOnce(Outcome) + Send>) {
        self.0.insert(request, answer);
    }

    pub(super) fn answer(&mut self, request: u64, outcome: Outcome) {
        if let Some(answer) = self.0.remove(&request) {
            answer(outcome);
        }
    }
}
