//! One room.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::deduplication::Deduplication;
use crate::history::History;
use crate::message::{Message, Timestamp};
use crate::presence::Presence;
use crate::rooms::{Form, Member, Publisher};
use crate::settings::RoomSettings;

/// How many messages are forgotten before the store is told so.
const TRIMMED_AT_ONCE: u64 = 64;

#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) name: Arc<str>,
    pub(crate) settings: Arc<RoomSettings>,
    pub(crate) epoch: u64,
    /// The offset of the last message that anybody may know of.
    pub(crate) last: u64,
    /// The last offset that was given to a message.
    assigned: u64,
    /// Messages that are being stored, oldest first.
    pub(crate) pending: VecDeque<Pending>,
    pub(crate) history: History,
    pub(crate) deduplication: Deduplication,
    pub(crate) presence: Presence,
    /// When the next announcement is due.
    pub(crate) announcing: Option<Timestamp>,
    /// Who has which id, opened or not.
    pub(crate) clients: HashMap<Arc<str>, Member>,
    /// Members that get messages as they are.
    raw: Vec<Member>,
    /// Members that get events.
    events: Vec<Member>,
    /// When the room looks whether it is to be forgotten.
    pub(crate) expiring: Option<Timestamp>,
    /// Members that are getting what they missed.
    pub(crate) catching_up: Vec<Member>,
    /// Since when nobody is there.
    pub(crate) empty_since: Option<Timestamp>,
    /// What the store was told to forget.
    trimmed: u64,
}

/// A message that is not published yet, and who waits for that.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) message: Arc<Message>,
    pub(crate) publisher: Publisher,
    /// Who published it again meanwhile.
    pub(crate) again: Vec<Publisher>,
}

impl Room {
    pub(crate) fn new(name: Arc<str>, settings: Arc<RoomSettings>, epoch: u64) -> Self {
        Self {
            name,
            settings,
            epoch,
            last: 0,
            assigned: 0,
            pending: VecDeque::new(),
            history: History::default(),
            deduplication: Deduplication::default(),
            presence: Presence::default(),
            announcing: None,
            clients: HashMap::new(),
            raw: Vec::new(),
            events: Vec::new(),
            expiring: None,
            catching_up: Vec::new(),
            empty_since: None,
            trimmed: 0,
        }
    }

    /// Goes on where a restart interrupted.
    pub(crate) fn restore(&mut self, last: u64, history: History, deduplication: Deduplication) {
        (self.last, self.assigned) = (last, last);
        self.trimmed = history.forgotten();
        (self.history, self.deduplication) = (history, deduplication);
    }

    pub(crate) fn next_offset(&mut self) -> u64 {
        self.assigned += 1;
        self.assigned
    }

    pub(crate) fn list(&self, form: Form) -> &[Member] {
        match form {
            Form::Raw => &self.raw,
            Form::Events => &self.events,
        }
    }

    /// Adds a member to those who get what is published. Answers its place.
    pub(crate) fn enlist(&mut self, form: Form, member: Member) -> u32 {
        let list = self.list_mut(form);
        list.push(member);
        // Members are bounded well below.
        (list.len() - 1) as u32
    }

    /// Takes the member at a place off the list. Answers the member that has its place now.
    pub(crate) fn delist(&mut self, form: Form, place: u32) -> Option<Member> {
        let list = self.list_mut(form);
        list.swap_remove(place as usize);
        list.get(place as usize).copied()
    }

    fn list_mut(&mut self, form: Form) -> &mut Vec<Member> {
        match form {
            Form::Raw => &mut self.raw,
            Form::Events => &mut self.events,
        }
    }

    /// Remembers a message that is published now.
    pub(crate) fn remember(&mut self, now: Timestamp, message: Arc<Message>) {
        self.last = message.offset;
        self.history.push(message);
        self.trim(now);
    }

    /// Forgets what is over the limits.
    pub(crate) fn trim(&mut self, now: Timestamp) {
        self.history.trim(now, &self.settings);
        self.deduplication.trim(now, &self.settings);
    }

    /// Up to where the store can forget messages, if that is worth telling.
    pub(crate) fn trim_store(&mut self) -> Option<u64> {
        let through = self.history.forgotten();
        if !self.settings.durable || through < self.trimmed + TRIMMED_AT_ONCE {
            return None;
        }
        self.trimmed = through;
        Some(through)
    }
}
