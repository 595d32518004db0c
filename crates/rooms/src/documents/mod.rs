//! Documents that people and devices share.

mod change;
mod changing;
mod effect;
mod merge;
pub(crate) mod part;
pub(crate) mod settings;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::message::Timestamp;
use part::{Part, Request, is_name};

pub use change::{ChangeAnswer, ChangeProblem, Delta, Document, Update};
pub use effect::{DocumentEffect, DocumentKey};
pub use merge::merge_patch;
pub use settings::DocumentSettings;

/// Named JSON documents with versions.
///
/// A request has a number of the caller's choice, its ticket, and is answered by an effect: a durable change once it is
/// stored, everything else at once. Nobody sees what is not stored, and what a request expects is compared with what is:
/// one change of a document is stored at a time, and others wait for their turn. **After every call, drain:** take effects
/// with [`poll_effect`](Self::poll_effect) until there is none.
///
/// A version never comes twice, even when a document is removed and made again.
///
/// ```
/// use serde_json::json;
/// use tautline_rooms::{
///     ChangeAnswer, Delta, DocumentEffect, DocumentKey, DocumentSettings, Documents, Timestamp, Update,
/// };
///
/// let mut documents = Documents::new(DocumentSettings::default(), false);
/// let (now, lamp) = (Timestamp(0), DocumentKey::new("main", "lamp"));
/// documents.update(now, 1, &lamp, &Update::Put(json!({"on": false, "colour": "red"})), Some(0));
/// let Some(DocumentEffect::Answer { ticket: 1, answer }) = documents.poll_effect() else { panic!() };
/// assert!(matches!(answer, ChangeAnswer::Done { version: 1, changed: true, .. }));
///
/// documents.subscribe(7, &lamp).unwrap();
/// assert!(matches!(documents.poll_effect(), Some(DocumentEffect::Snapshot { to: 7, .. })));
/// documents.update(now, 2, &lamp, &Update::Patch(json!({"on": true})), Some(1));
/// documents.poll_effect();
/// let Some(DocumentEffect::Changed { version: 2, delta, to, .. }) = documents.poll_effect() else { panic!() };
/// assert_eq!((delta, to), (Delta::Patch(r#"{"on":true}"#.into()), vec![7]));
/// ```
#[derive(Debug)]
pub struct Documents {
    settings: DocumentSettings,
    durable: bool,
    entries: BTreeMap<DocumentKey, Entry>,
    /// How many documents each scope has, those included that are about to be.
    living: HashMap<Arc<str>, usize>,
    subscriptions: HashMap<u64, BTreeSet<DocumentKey>>,
    /// Removed documents and their versions then, oldest first. Some may have been made again since.
    removed: VecDeque<(DocumentKey, u64)>,
    /// The highest version of a removed document that is not remembered.
    floor: u64,
    /// What everything takes up.
    bytes: usize,
    effects: VecDeque<DocumentEffect>,
}

/// A document, or what is left of one, or a name that somebody is interested in.
#[derive(Debug, Default)]
struct Entry {
    /// What everybody may know.
    part: Part,
    storing: Option<Storing>,
    /// Changes that wait for it.
    waiting: VecDeque<Request>,
    subscribers: BTreeSet<u64>,
}

/// A change that is being stored.
#[derive(Debug)]
struct Storing {
    ticket: u64,
    new: Part,
}

impl Documents {
    /// No documents. Durable ones are stored before a change is seen.
    pub fn new(settings: DocumentSettings, durable: bool) -> Self {
        Self {
            settings,
            durable,
            entries: BTreeMap::new(),
            living: HashMap::new(),
            subscriptions: HashMap::new(),
            removed: VecDeque::new(),
            floor: 0,
            bytes: 0,
            effects: VecDeque::new(),
        }
    }

    /// Brings a document back, or, without `json`, that it was removed: those that were removed earlier first. To be called
    /// once for each, and before anything else. Limits do not apply to what is there already.
    ///
    /// # Errors
    ///
    /// [`NotJson`](ChangeProblem::NotJson).
    pub fn restore(&mut self, key: &DocumentKey, version: u64, json: Option<&str>) -> Result<(), ChangeProblem> {
        let part = Part::restore(version, json)?;
        self.bytes += part.weight();
        if part.json.is_some() {
            *self.living.entry(key.scope.clone()).or_default() += 1;
        }
        let removed = part.json.is_none();
        self.entry(key).part = part;
        if removed {
            self.remember(key, version);
            self.tidy(key);
        }
        Ok(())
    }

    /// What there is to do next.
    pub fn poll_effect(&mut self) -> Option<DocumentEffect> {
        self.effects.pop_front()
    }

    /// Somebody asks for a document, and gets what is stored of it: [`ChangeAnswer::Current`].
    pub fn get(&mut self, ticket: u64, key: &DocumentKey) {
        let current = self.entries.get(key).and_then(|entry| entry.part.document());
        self.answer(ticket, ChangeAnswer::Current(current));
    }

    /// Somebody changes a document, which is made if there is none: if it has the version `if_version`, where 0 is that
    /// there is none.
    pub fn update(&mut self, now: Timestamp, ticket: u64, key: &DocumentKey, update: &Update, if_version: Option<u64>) {
        let longest = self.settings.name_bytes;
        if !is_name(&key.scope, longest) || !is_name(&key.name, longest) {
            return self.refuse(ticket, ChangeProblem::BadName);
        }
        match Request::update(ticket, update, if_version, self.settings.limits()) {
            Ok(request) => self.ask(now, key, request),
            Err(problem) => self.refuse(ticket, problem),
        }
    }

    /// Somebody removes a document: if it has the version `if_version`. Where there is none, that changes nothing.
    pub fn remove(&mut self, now: Timestamp, ticket: u64, key: &DocumentKey, if_version: Option<u64>) {
        let longest = self.settings.name_bytes;
        if !is_name(&key.scope, longest) || !is_name(&key.name, longest) {
            return self.refuse(ticket, ChangeProblem::BadName);
        }
        self.ask(now, key, Request::remove(ticket, if_version));
    }

    /// The change of a document is stored, or could not be.
    pub fn stored(&mut self, now: Timestamp, key: &DocumentKey, stored: bool) {
        let Some(Storing { ticket, new }) = self.entries.get_mut(key).and_then(|entry| entry.storing.take()) else {
            return;
        };
        if stored {
            self.commit(key, ticket, new);
        } else {
            self.take_back(key, &new);
            self.refuse(ticket, ChangeProblem::NotStored);
        }
        while let Some(entry) = self.entries.get_mut(key)
            && entry.storing.is_none()
            && let Some(request) = entry.waiting.pop_front()
        {
            self.bytes -= request.weight();
            self.turn(now, key, &request);
        }
        self.tidy(key);
    }

    /// A subscriber, whom the caller gives a number, gets a document as it is, and from now on how it changes. Once more,
    /// it gets it once more. There need not be such a document.
    ///
    /// # Errors
    ///
    /// [`BadName`](ChangeProblem::BadName), or [`TooMany`](ChangeProblem::TooMany) subscriptions.
    pub fn subscribe(&mut self, subscriber: u64, key: &DocumentKey) -> Result<(), ChangeProblem> {
        let longest = self.settings.name_bytes;
        if !is_name(&key.scope, longest) || !is_name(&key.name, longest) {
            return Err(ChangeProblem::BadName);
        }
        let keys = self.subscriptions.entry(subscriber).or_default();
        if keys.len() >= self.settings.subscriptions && !keys.contains(key) {
            return Err(ChangeProblem::TooMany);
        }
        keys.insert(key.clone());
        let entry = self.entry(key);
        entry.subscribers.insert(subscriber);
        let document = entry.part.document();
        self.effects.push_back(DocumentEffect::Snapshot { to: subscriber, key: key.clone(), document });
        Ok(())
    }

    /// A subscriber gets nothing more of a document.
    pub fn unsubscribe(&mut self, subscriber: u64, key: &DocumentKey) {
        let Some(keys) = self.subscriptions.get_mut(&subscriber) else { return };
        keys.remove(key);
        if keys.is_empty() {
            self.subscriptions.remove(&subscriber);
        }
        self.drop_subscriber(subscriber, key);
    }

    /// A subscriber is gone.
    pub fn forget(&mut self, subscriber: u64) {
        for key in self.subscriptions.remove(&subscriber).unwrap_or_default() {
            self.drop_subscriber(subscriber, &key);
        }
    }

    /// The documents of a scope, by name.
    pub fn list<'a>(&'a self, scope: &'a str) -> impl Iterator<Item = (&'a Arc<str>, Document)> {
        let first = DocumentKey::new(scope, "");
        let entries = self.entries.range(first..).take_while(move |(key, _)| *key.scope == *scope);
        entries.filter_map(|(key, entry)| Some((&key.name, entry.part.document()?)))
    }

    /// About how many bytes all documents take up, see [`DocumentSettings::total_bytes`].
    pub fn weight(&self) -> usize {
        self.bytes
    }

    fn drop_subscriber(&mut self, subscriber: u64, key: &DocumentKey) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.subscribers.remove(&subscriber);
        }
        self.tidy(key);
    }
}
