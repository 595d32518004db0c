//! Clients that change documents at the same time, at random, over a store that fails and a hub that restarts.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use fastrand::Rng;
use serde_json::{Map, Value};
use tautline_rooms::{
    ChangeAnswer, Delta, Document, DocumentEffect, DocumentKey, DocumentSettings, Documents, Update, merge_patch,
};

use crate::support::NOW;

const NAMES: [&str; 3] = ["a", "b", "c"];

struct Model {
    rng: Rng,
    documents: Documents,
    durable: bool,
    next: u64,
    /// Requests that are not answered: the version that they are for.
    asked: HashMap<u64, Option<u64>>,
    /// What waits to be stored.
    storing: VecDeque<(DocumentKey, u64, Option<String>)>,
    /// Every change that anybody may see, by document and version.
    committed: HashMap<DocumentKey, BTreeMap<u64, Option<Value>>>,
    /// Versions that requests say they were for, and which version they led to.
    compared: Vec<(DocumentKey, u64, u64)>,
    subscribers: HashMap<(u64, DocumentKey), Option<(u64, Value)>>,
    /// A document's last known version: what a client compares with, perhaps long outdated.
    known: HashMap<DocumentKey, u64>,
    keys: HashMap<u64, DocumentKey>,
    conflicts: usize,
    patches: usize,
}

impl Model {
    fn new(seed: u64, durable: bool) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            documents: Documents::new(settings(), durable),
            durable,
            next: 1,
            asked: HashMap::new(),
            storing: VecDeque::new(),
            committed: HashMap::new(),
            compared: Vec::new(),
            subscribers: HashMap::new(),
            known: HashMap::new(),
            keys: HashMap::new(),
            conflicts: 0,
            patches: 0,
        }
    }

    fn step(&mut self) {
        let key = DocumentKey::new("main", self.rng.choice(NAMES).unwrap());
        match self.rng.u32(..100) {
            0..10 => self.ask(key, None, |documents, ticket, key, _| documents.get(ticket, key)),
            10..55 => self.change(key),
            55..65 => {
                let subscriber = self.rng.u64(..4);
                self.subscribers.insert((subscriber, key.clone()), None);
                self.documents.subscribe(subscriber, &key).unwrap();
            }
            65..69 => {
                let subscriber = self.rng.u64(..4);
                self.subscribers.remove(&(subscriber, key.clone()));
                self.documents.unsubscribe(subscriber, &key);
            }
            69..70 => {
                let subscriber = self.rng.u64(..4);
                self.subscribers.retain(|(it, _), _| *it != subscriber);
                self.documents.forget(subscriber);
            }
            70..99 => self.store(),
            _ if self.durable && self.rng.u32(..3) == 0 => self.restart(),
            _ => {}
        }
        self.drain();
    }

    fn change(&mut self, key: DocumentKey) {
        let known = self.known.get(&key).copied().unwrap_or(0);
        let if_version = [None, Some(known), Some(known), Some(0)][self.rng.usize(..4)];
        let value = random_value(&mut self.rng, 3);
        match self.rng.u32(..10) {
            0 => self.ask(key, if_version, |documents, ticket, key, version| {
                documents.remove(NOW, ticket, key, version);
            }),
            1..4 => self.ask(key, if_version, |documents, ticket, key, version| {
                documents.update(NOW, ticket, key, &Update::Put(value), version);
            }),
            _ => self.ask(key, if_version, |documents, ticket, key, version| {
                documents.update(NOW, ticket, key, &Update::Patch(value), version);
            }),
        }
    }

    fn ask(
        &mut self,
        key: DocumentKey,
        if_version: Option<u64>,
        ask: impl FnOnce(&mut Documents, u64, &DocumentKey, Option<u64>),
    ) {
        let ticket = self.next;
        self.next += 1;
        self.asked.insert(ticket, if_version);
        ask(&mut self.documents, ticket, &key, if_version);
        self.keys.insert(ticket, key);
    }

    /// The store finishes something.
    fn store(&mut self) {
        let Some((key, version, json)) = self.storing.pop_front() else { return };
        let works = self.rng.u32(..8) > 0;
        if works {
            self.commit(&key, version, json.as_deref());
        }
        self.documents.stored(NOW, &key, works);
    }

    fn commit(&mut self, key: &DocumentKey, version: u64, json: Option<&str>) {
        let versions = self.committed.entry(key.clone()).or_default();
        let last = versions.last_key_value().map_or(0, |(version, _)| *version);
        assert!(version > last, "{key:?}: {version} after {last}");
        versions.insert(version, json.map(|text| serde_json::from_str(text).unwrap()));
    }

    /// The hub is killed: what is not stored is lost, what is may not have been told.
    fn restart(&mut self) {
        for (key, version, json) in std::mem::take(&mut self.storing) {
            if self.rng.bool() {
                self.commit(&key, version, json.as_deref());
            }
        }
        self.documents = Documents::new(settings(), true);
        for (key, versions) in &self.committed {
            let (version, value) = versions.last_key_value().unwrap();
            self.documents.restore(key, *version, value.as_ref().map(Value::to_string).as_deref()).unwrap();
        }
        self.asked.clear();
        for (subscriber, key) in self.subscribers.keys() {
            self.documents.subscribe(*subscriber, key).unwrap();
        }
    }

    fn drain(&mut self) {
        while let Some(effect) = self.documents.poll_effect() {
            match effect {
                DocumentEffect::Answer { ticket, answer } => self.answered(ticket, answer),
                DocumentEffect::Store { key, version, json, .. } => {
                    assert!(self.durable);
                    assert!(!self.storing.iter().any(|(storing, ..)| *storing == key), "one at a time");
                    self.storing.push_back((key, version, json.as_deref().map(Into::into)));
                }
                DocumentEffect::Snapshot { to, key, document } => {
                    self.seen(&key, document.as_ref());
                    let replica = self.subscribers.get_mut(&(to, key)).expect("it has subscribed");
                    let value = document.map(|it| (it.version, serde_json::from_str(&it.json).unwrap()));
                    let (old, new) = (replica.as_ref().map(|it| it.0), value.as_ref().map(|it| it.0));
                    assert!(old <= new || new.is_none(), "it does not go back");
                    *replica = value;
                }
                DocumentEffect::Changed { key, version, delta, to } => self.changed(&key, version, &delta, &to),
            }
        }
    }

    fn answered(&mut self, ticket: u64, answer: ChangeAnswer) {
        let Some(if_version) = self.asked.remove(&ticket) else { panic!("{ticket} was answered already") };
        let key = self.keys[&ticket].clone();
        match answer {
            ChangeAnswer::Done { version, json, changed: true } => {
                if !self.durable {
                    self.commit(&key, version, json.as_deref());
                }
                self.compared.extend(if_version.map(|base| (key.clone(), base, version)));
                let document = json.map(|json| Document { version, json });
                self.seen(&key, document.as_ref());
            }
            ChangeAnswer::Conflict(current) => {
                self.conflicts += 1;
                assert_ne!(if_version, Some(current.as_ref().map_or(0, |it| it.version)));
                self.seen(&key, current.as_ref());
            }
            ChangeAnswer::Current(current) => self.seen(&key, current.as_ref()),
            ChangeAnswer::Done { .. } | ChangeAnswer::Refused(_) => {}
        }
    }

    /// Somebody sees a document: it has to be what is committed.
    fn seen(&mut self, key: &DocumentKey, document: Option<&Document>) {
        let last = self.committed.get(key).and_then(|versions| versions.last_key_value());
        let value = document.map(|it| serde_json::from_str::<Value>(&it.json).unwrap());
        assert_eq!(last.and_then(|(_, value)| value.as_ref()), value.as_ref());
        let version = document.map_or(0, |it| it.version);
        if value.is_some() {
            assert_eq!(last.map(|(version, _)| *version), Some(version));
        }
        self.known.insert(key.clone(), version);
    }

    fn changed(&mut self, key: &DocumentKey, version: u64, delta: &Delta, to: &[u64]) {
        let expected = self.committed[key][&version].clone();
        let subscribers: BTreeSet<u64> =
            self.subscribers.keys().filter(|(_, of)| of == key).map(|(subscriber, _)| *subscriber).collect();
        assert_eq!(subscribers, to.iter().copied().collect());
        for to in to {
            let replica = self.subscribers.get_mut(&(*to, key.clone())).unwrap();
            let old = replica.take();
            assert!(old.as_ref().is_none_or(|(old, _)| *old < version));
            *replica = match delta {
                Delta::Removed => None,
                Delta::Whole(json) => Some((version, serde_json::from_str(json).unwrap())),
                Delta::Patch(json) => {
                    self.patches += 1;
                    let (_, mut value) = old.expect("a patch is of something");
                    merge_patch(&mut value, serde_json::from_str(json).unwrap());
                    Some((version, value))
                }
            };
            assert_eq!(replica.as_ref().map(|it| &it.1), expected.as_ref());
        }
    }

    fn check(&self) {
        for (key, base, version) in &self.compared {
            let before = self.committed[key].range(..version).next_back();
            let before = before.and_then(|(version, value)| value.as_ref().map(|_| *version)).unwrap_or(0);
            assert_eq!(before, *base, "nothing came in between");
        }
        for ((_, key), replica) in &self.subscribers {
            let current = self.documents.list("main").find(|(name, _)| **name == key.name);
            let current = current.map(|(_, it)| (it.version, serde_json::from_str::<Value>(&it.json).unwrap()));
            assert_eq!(*replica, current);
        }
    }
}

fn settings() -> DocumentSettings {
    // Few enough that a removal is forgotten now and then.
    DocumentSettings { removed: 2, waiting: 4, ..DocumentSettings::default() }
}

fn random_value(rng: &mut Rng, depth: usize) -> Value {
    match rng.u32(..if depth == 0 { 3 } else { 10 }) {
        0 => Value::Null,
        1 => Value::from(rng.u32(..3)),
        2 => Value::from("some text, so that the whole is not always shorter"),
        3 => (0..rng.usize(..3)).map(|_| random_value(rng, depth - 1)).collect(),
        _ => {
            let members =
                (0..rng.usize(..4)).map(|_| (rng.choice(NAMES).unwrap().into(), random_value(rng, depth - 1)));
            Value::Object(members.collect::<Map<_, _>>())
        }
    }
}

#[test]
fn no_update_is_lost_and_who_applies_deltas_has_what_is_there() {
    let (mut compared, mut conflicts, mut patches) = (0, 0, 0);
    for seed in 0..20 {
        for durable in [false, true] {
            let mut model = Model::new(seed, durable);
            for _ in 0..500 {
                model.step();
            }
            while !model.storing.is_empty() {
                model.store();
                model.drain();
            }
            assert!(model.asked.is_empty(), "everybody was answered");
            model.check();
            compared += model.compared.len();
            conflicts += model.conflicts;
            patches += model.patches;
        }
    }
    assert!(compared > 1_000 && conflicts > 1_000 && patches > 500, "{compared} {conflicts} {patches}");
}
