//! Short words for tests.

use serde_json::Value;
use tautline_rooms::{
    ChangeAnswer, Delta, Document, DocumentEffect, DocumentKey, DocumentSettings, Documents, Timestamp, Update,
};

pub(crate) const NOW: Timestamp = Timestamp(1_000);

/// Documents in the scope `main`, and what they have to say.
pub(crate) struct Shared {
    pub(crate) inner: Documents,
    pub(crate) effects: Vec<DocumentEffect>,
    ticket: u64,
}

impl Shared {
    pub(crate) fn of(inner: Documents) -> Self {
        Self { inner, effects: Vec::new(), ticket: 1_000 }
    }

    pub(crate) fn new(settings: DocumentSettings, durable: bool) -> Self {
        settings.validate().unwrap();
        Self::of(Documents::new(settings, durable))
    }

    pub(crate) fn volatile() -> Self {
        Self::new(DocumentSettings::default(), false)
    }

    pub(crate) fn durable() -> Self {
        Self::of(Documents::new(DocumentSettings::default(), true))
    }

    pub(crate) fn request(&mut self, ticket: u64, name: &str, update: &Update, if_version: Option<u64>) {
        self.inner.update(NOW, ticket, &key(name), update, if_version);
    }

    pub(crate) fn put(&mut self, name: &str, value: Value, if_version: Option<u64>) -> ChangeAnswer {
        let ticket = self.next();
        self.request(ticket, name, &Update::Put(value), if_version);
        self.outcome(ticket, name)
    }

    pub(crate) fn patch(&mut self, name: &str, patch: Value, if_version: Option<u64>) -> ChangeAnswer {
        let ticket = self.next();
        self.request(ticket, name, &Update::Patch(patch), if_version);
        self.outcome(ticket, name)
    }

    pub(crate) fn remove(&mut self, name: &str, if_version: Option<u64>) -> ChangeAnswer {
        let ticket = self.next();
        self.inner.remove(NOW, ticket, &key(name), if_version);
        self.outcome(ticket, name)
    }

    pub(crate) fn get(&mut self, name: &str) -> ChangeAnswer {
        let ticket = self.next();
        self.inner.get(ticket, &key(name));
        self.answer(ticket)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.ticket += 1;
        self.ticket
    }

    /// The answer to a request; if it is to be stored, it is.
    pub(crate) fn outcome(&mut self, ticket: u64, name: &str) -> ChangeAnswer {
        self.take();
        if matches!(self.effects.last(), Some(DocumentEffect::Store { .. })) {
            self.effects.pop();
            self.inner.stored(NOW, &key(name), true);
        }
        self.answer(ticket)
    }

    pub(crate) fn take(&mut self) {
        self.effects.extend(std::iter::from_fn(|| self.inner.poll_effect()));
    }

    pub(crate) fn drain(&mut self) -> Vec<DocumentEffect> {
        self.take();
        std::mem::take(&mut self.effects)
    }

    /// The answer with this number, which has to be there.
    pub(crate) fn answer(&mut self, ticket: u64) -> ChangeAnswer {
        self.take();
        let is_it =
            |effect: &DocumentEffect| matches!(effect, DocumentEffect::Answer { ticket: it, .. } if *it == ticket);
        let place = self.effects.iter().position(is_it).unwrap_or_else(|| panic!("no answer: {:?}", self.effects));
        let DocumentEffect::Answer { answer, .. } = self.effects.remove(place) else { unreachable!() };
        answer
    }

    pub(crate) fn deltas(&mut self) -> Vec<(u64, Delta, Vec<u64>)> {
        self.drain()
            .into_iter()
            .filter_map(|effect| match effect {
                DocumentEffect::Changed { version, delta, to, .. } => Some((version, delta, to)),
                _ => None,
            })
            .collect()
    }
}

pub(crate) fn key(name: &str) -> DocumentKey {
    DocumentKey::new("main", name)
}

pub(crate) fn document(version: u64, value: &Value) -> Document {
    Document { version, json: value.to_string().into() }
}

pub(crate) fn done(version: u64, value: Option<Value>, changed: bool) -> ChangeAnswer {
    ChangeAnswer::Done { version, json: value.map(|value| value.to_string().into()), changed }
}
