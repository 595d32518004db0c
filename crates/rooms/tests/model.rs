//! Clients that come, go, publish, lose connections and come back, at random: what they were promised has to hold.

mod world;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tautline_rooms::{
    Effect, Form, Join, Member, Message, Payload, Publisher, Recovery, Restored, Resume, Rights, RoomId, RoomSettings,
    Rooms, Timestamp,
};
use world::{settings, text};

const CLIENTS: usize = 6;

/// A client that does everything right: it publishes until it is acknowledged, and resumes where it was.
#[derive(Default)]
struct Client {
    connection: Option<Member>,
    /// What has been sent to it and is not received: a connection that ends takes it along.
    line: VecDeque<Event>,
    /// A replay is on the line.
    replaying: bool,
    epoch: u64,
    offset: u64,
    next: u64,
    /// Published and not acknowledged.
    unacknowledged: BTreeSet<u64>,
    acknowledged: BTreeSet<u64>,
    /// Everything it received since it was last told of a gap.
    received: Vec<(u64, String)>,
    gaps: usize,
}

enum Event {
    Welcome { epoch: u64, offset: u64, recovery: Recovery },
    Message(Arc<Message>),
    ReplayEnds,
    Acknowledged { id: u64, offset: Option<u64> },
    Refused { id: u64 },
}

/// What is to be stored: as a store knows it, by the room's epoch.
enum Storing {
    Room { epoch: u64 },
    Message { room: RoomId, epoch: u64, message: Arc<Message> },
}

struct Model {
    rng: Rng,
    rooms: Rooms,
    now: Timestamp,
    durable: bool,
    clients: Vec<Client>,
    owners: HashMap<Member, usize>,
    next_member: u64,
    /// What waits to be stored, and what is.
    storing: VecDeque<Storing>,
    stored: Vec<Arc<Message>>,
    stored_epoch: u64,
    trimmed: u64,
    /// Every message that was ever delivered, by epoch and offset.
    published: BTreeMap<(u64, u64), String>,
}

impl Model {
    fn new(seed: u64, durable: bool) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            rooms: Rooms::new(settings(room_settings(durable)), seed),
            now: Timestamp(1_000),
            durable,
            clients: (0..CLIENTS).map(|_| Client { next: 1, ..Client::default() }).collect(),
            owners: HashMap::new(),
            next_member: 1,
            storing: VecDeque::new(),
            stored: Vec::new(),
            stored_epoch: 0,
            trimmed: 0,
            published: BTreeMap::new(),
        }
    }

    fn step(&mut self) {
        let client = self.rng.usize(..CLIENTS);
        match self.rng.u32(..100) {
            0..15 => self.connect(client),
            15..22 => self.lose(client),
            22..50 => self.publish(client),
            50..80 => self.receive(client),
            80..90 => self.store(),
            90..98 => {
                let time = Duration::from_millis(self.rng.u64(..2_000));
                self.pass(time);
            }
            98 => {
                let time = Duration::from_secs(self.rng.u64(..200));
                self.pass(time);
            }
            _ if self.rng.u32(..5) == 0 => self.restart(),
            _ => {}
        }
        self.drain();
    }

    fn connect(&mut self, client: usize) {
        let this = &mut self.clients[client];
        if this.connection.is_some() {
            return;
        }
        let member = Member(self.next_member);
        self.next_member += 1;
        let resume = (this.epoch != 0).then_some(Resume { epoch: this.epoch, offset: this.offset });
        let name = format!("client {client}");
        let join = Join {
            member,
            room: "main",
            client: &name,
            form: Form::Events,
            anonymous: false,
            identity: None,
            replaces: true,
            rights: Rights::ALL,
            resume,
        };
        self.rooms.admit(&join).unwrap();
        this.connection = Some(member);
        self.owners.insert(member, client);
        self.rooms.open(self.now, member);
        // It does not know what became of these.
        for id in this.unacknowledged.clone() {
            self.rooms.publish(self.now, member, Some(&id.to_string()), text(&format!("{client}:{id}")));
        }
    }

    fn lose(&mut self, client: usize) {
        let this = &mut self.clients[client];
        this.line.clear();
        this.replaying = false;
        if let Some(member) = this.connection.take() {
            self.owners.remove(&member);
            self.rooms.leave(self.now, member);
        }
    }

    fn publish(&mut self, client: usize) {
        let this = &mut self.clients[client];
        let Some(member) = this.connection else { return };
        let id = this.next;
        this.next += 1;
        this.unacknowledged.insert(id);
        self.rooms.publish(self.now, member, Some(&id.to_string()), text(&format!("{client}:{id}")));
    }

    /// The client takes some of what is on its line.
    fn receive(&mut self, client: usize) {
        for _ in 0..self.rng.usize(..8) {
            let this = &mut self.clients[client];
            let Some(event) = this.line.pop_front() else { return };
            match event {
                Event::Welcome { epoch, offset, recovery } => {
                    let first = this.epoch == 0;
                    if recovery == Recovery::All {
                        assert_eq!(offset, this.offset);
                    } else {
                        assert!(first || recovery == Recovery::Gap, "it did ask");
                        this.received.clear();
                        this.gaps += usize::from(!first);
                    }
                    (this.epoch, this.offset) = (epoch, offset);
                }
                Event::Message(message) => {
                    assert!(message.offset > this.offset, "in order, and once");
                    this.offset = message.offset;
                    let Payload::Text(words) = &message.payload else { panic!() };
                    this.received.push((message.offset, words.to_string()));
                }
                Event::Acknowledged { id, offset } => {
                    assert!(this.acknowledged.insert(id), "acknowledged once");
                    assert!(this.unacknowledged.remove(&id));
                    this.offset = this.offset.max(offset.unwrap_or(0));
                }
                Event::Refused { id } => {
                    // It publishes it again.
                    let member = this.connection.unwrap();
                    let words = format!("{client}:{id}");
                    self.rooms.publish(self.now, member, Some(&id.to_string()), text(&words));
                }
                Event::ReplayEnds => {
                    this.replaying = false;
                    let member = this.connection.unwrap();
                    self.rooms.caught_up(self.now, member);
                    self.drain();
                }
            }
        }
    }

    /// The store finishes something.
    fn store(&mut self) {
        let Some(storing) = self.storing.pop_front() else { return };
        let works = self.rng.u32(..10) > 0;
        match storing {
            Storing::Room { epoch } if works && epoch != self.stored_epoch => {
                assert_eq!(self.stored.len(), 0, "a room is not stored in place of another");
                self.stored_epoch = epoch;
            }
            Storing::Room { .. } => {}
            Storing::Message { room, epoch, message } => {
                let (works, offset) = (works && epoch == self.stored_epoch, message.offset);
                if works {
                    self.stored.push(message);
                }
                self.rooms.stored(self.now, room, offset, works);
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.rooms.handle_timeout(self.now);
    }

    /// The hub is killed: what is not stored is lost, and so are all connections.
    fn restart(&mut self) {
        self.drain();
        (0..CLIENTS).for_each(|client| {
            let client = &mut self.clients[client];
            client.connection = None;
            client.line.clear();
            client.replaying = false;
        });
        self.owners.clear();
        self.storing.clear();
        self.rooms = Rooms::new(settings(room_settings(self.durable)), self.rng.u64(..));
        if self.durable && self.stored_epoch != 0 {
            let kept = self.stored.iter().filter(|message| message.offset > self.trimmed).cloned().collect();
            let id = |message: &Arc<Message>| {
                (message.from.clone(), message.id.clone().unwrap(), message.offset, message.at)
            };
            let restored = Restored {
                epoch: self.stored_epoch,
                last: self.stored.last().map_or(0, |message| message.offset),
                forgotten: self.trimmed,
                messages: kept,
                ids: self.stored.iter().map(id).collect(),
            };
            self.rooms.restore(self.now, "main", restored).unwrap();
        }
    }

    fn drain(&mut self) {
        while let Some(effect) = self.rooms.poll_effect() {
            self.apply(effect);
        }
    }

    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Welcome(welcome) => {
                let (epoch, offset, recovery) = (welcome.epoch, welcome.offset, welcome.recovery);
                self.line(welcome.to).push_back(Event::Welcome { epoch, offset, recovery });
            }
            Effect::Replay { to, messages } => {
                let client = &mut self.clients[self.owners[&to]];
                assert!(!client.replaying, "one at a time");
                client.replaying = true;
                client.line.extend(messages.into_iter().map(Event::Message));
                client.line.push_back(Event::ReplayEnds);
            }
            Effect::Deliver { room, message, except } => {
                let epoch = self.rooms.view(room).unwrap().epoch;
                let Payload::Text(words) = &message.payload else { panic!() };
                let before = self.published.insert((epoch, message.offset), words.to_string());
                assert_eq!(before, None, "published once");
                for member in self.rooms.event_members(room).to_vec() {
                    if Some(member) != except {
                        assert!(!self.clients[self.owners[&member]].replaying);
                        self.line(member).push_back(Event::Message(message.clone()));
                    }
                }
            }
            Effect::Acknowledge { to, id, offset, duplicate } => {
                let id = id.parse().unwrap();
                let offset = (!duplicate).then_some(offset);
                if let Publisher::Member(member) = to
                    && self.owners.contains_key(&member)
                {
                    let line = self.line(member);
                    // Published again after a refusal, it can be acknowledged more than once: as with any network, once counts.
                    if !line.iter().any(|event| matches!(event, Event::Acknowledged { id: other, .. } if *other == id))
                    {
                        line.push_back(Event::Acknowledged { id, offset });
                    }
                }
            }
            Effect::Refuse { to, id, .. } => {
                if let Publisher::Member(member) = to
                    && self.owners.contains_key(&member)
                {
                    self.line(member).push_back(Event::Refused { id: id.unwrap().parse().unwrap() });
                }
            }
            Effect::StoreRoom { room } => {
                let epoch = self.rooms.view(room).unwrap().epoch;
                self.storing.push_back(Storing::Room { epoch });
            }
            Effect::Store { room, message } => {
                let epoch = self.rooms.view(room).unwrap().epoch;
                self.storing.push_back(Storing::Message { room, epoch, message });
            }
            Effect::Trim { through, .. } => self.trimmed = through,
            Effect::Close { member, .. } => {
                let client = self.owners.remove(&member).unwrap();
                self.clients[client].connection = None;
                self.clients[client].line.clear();
                self.clients[client].replaying = false;
            }
            Effect::Presence { .. } => {}
            Effect::Probe { .. } | Effect::Claimed { .. } => unreachable!("no id is taken twice"),
        }
    }

    fn line(&mut self, member: Member) -> &mut VecDeque<Event> {
        &mut self.clients[self.owners[&member]].line
    }

    /// Everybody comes back, everything is stored and received; then nothing may be missing.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let quiet = |client: &Client| client.line.is_empty() && client.unacknowledged.is_empty();
            let all_here = self.clients.iter().all(|client| client.connection.is_some() && quiet(client));
            if all_here && self.storing.is_empty() {
                break;
            }
            (0..CLIENTS).for_each(|client| {
                self.connect(client);
                self.drain();
                self.receive(client);
                self.drain();
            });
            self.store();
            self.drain();
        }
        for (number, client) in self.clients.iter().enumerate() {
            assert!(client.unacknowledged.is_empty(), "client {number} waits for {:?}", client.unacknowledged);
            assert!(client.line.is_empty());
            let own = format!("{number}:");
            let Some((first, _)) = client.received.first() else { continue };
            let all: Vec<_> = self
                .published
                .range((client.epoch, *first)..=(client.epoch, u64::MAX))
                .filter(|(_, words)| !words.starts_with(&own))
                .map(|((_, offset), words)| (*offset, words.clone()))
                .collect();
            assert_eq!(client.received, all, "client {number}");
        }
    }
}

fn room_settings(durable: bool) -> RoomSettings {
    let deduplication_age = Duration::from_secs(3600);
    RoomSettings { durable, history_messages: 40, pending: 30, deduplication_age, ..RoomSettings::default() }
}

fn run(durable: bool) -> Vec<Model> {
    let models = (0..200).map(|seed| {
        let mut model = Model::new(seed, durable);
        (0..400).for_each(|_| model.step());
        model.settle();
        model
    });
    models.collect()
}

#[test]
fn in_memory_rooms_lose_nothing_without_saying_so() {
    let models = run(false);
    assert!(models.iter().any(|model| model.clients.iter().any(|client| client.gaps > 0)), "gaps were met");
}

#[test]
fn durable_rooms_lose_nothing_over_restarts_and_publish_each_message_once() {
    let models = run(true);
    for model in models {
        let mut words: Vec<_> = model.published.values().collect();
        let all = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), all, "each once");
        let acknowledged: usize = model.clients.iter().map(|client| client.acknowledged.len()).sum();
        assert_eq!(acknowledged, all, "and what is acknowledged is published");
    }
}
