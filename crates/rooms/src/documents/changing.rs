//! How a document changes.

use std::mem;

use super::change::{ChangeAnswer, ChangeProblem};
use super::effect::{DocumentEffect, DocumentKey};
use super::part::{Part, Request, Verdict, delta};
use super::{Documents, Entry, Storing};
use crate::message::Timestamp;

/// What an entry takes up besides its names and its value, roughly.
const ENTRY: usize = 256;

impl Documents {
    /// A request comes: it has its turn, or waits for it.
    pub(super) fn ask(&mut self, now: Timestamp, key: &DocumentKey, request: Request) {
        let (waiting, full) = (self.settings.waiting, self.bytes + request.weight() > self.settings.total_bytes);
        let entry = self.entry(key);
        if entry.storing.is_none() {
            self.turn(now, key, &request);
            return self.tidy(key);
        }
        if entry.waiting.len() >= waiting {
            return self.refuse(request.ticket, ChangeProblem::Busy);
        }
        if full {
            return self.refuse(request.ticket, ChangeProblem::Full);
        }
        let weight = request.weight();
        entry.waiting.push_back(request);
        self.bytes += weight;
    }

    /// It is a request's turn: nothing of the document is being stored.
    pub(super) fn turn(&mut self, now: Timestamp, key: &DocumentKey, request: &Request) {
        let (limits, floor) = (self.settings.limits(), self.floor);
        let part = &self.entry(key).part;
        let json = match part.judge(request, limits) {
            Verdict::Change(json) => json,
            Verdict::Same => {
                let answer = part.done(false);
                return self.answer(request.ticket, answer);
            }
            Verdict::Conflict => {
                let answer = ChangeAnswer::Conflict(part.document());
                return self.answer(request.ticket, answer);
            }
            Verdict::Refused(problem) => return self.refuse(request.ticket, problem),
        };
        // Whose last version is not known has had none above the floor.
        let version = if part.version == 0 { floor } else { part.version }.saturating_add(1);
        let new = Part { version, json };
        let (old, is_born) = (part.weight(), part.json.is_none());
        if let Err(problem) = self.make_room(key, &new, old, is_born) {
            return self.refuse(request.ticket, problem);
        }
        if !self.durable {
            return self.commit(key, request.ticket, new);
        }
        let json = new.json.clone();
        self.entry(key).storing = Some(Storing { ticket: request.ticket, new });
        self.effects.push_back(DocumentEffect::Store { key: key.clone(), version, json, at: now });
    }

    /// Reserves what a document's new value needs, beside its old one.
    fn make_room(
        &mut self,
        key: &DocumentKey,
        new: &Part,
        old_weight: usize,
        is_born: bool,
    ) -> Result<(), ChangeProblem> {
        let weight = new.weight();
        // What becomes smaller always may.
        if weight > old_weight && self.bytes + weight - old_weight > self.settings.total_bytes {
            return Err(ChangeProblem::Full);
        }
        if is_born {
            let living = self.living.entry(key.scope.clone()).or_default();
            if *living >= self.settings.documents {
                return Err(ChangeProblem::TooMany);
            }
            *living += 1;
        }
        self.bytes += weight;
        Ok(())
    }

    /// What was reserved for a new value is not needed.
    pub(super) fn take_back(&mut self, key: &DocumentKey, new: &Part) {
        self.bytes -= new.weight();
        if self.entry(key).part.json.is_none() {
            self.one_less(key);
        }
    }

    /// From now on everybody may see it.
    pub(super) fn commit(&mut self, key: &DocumentKey, ticket: u64, new: Part) {
        let entry = self.entry(key);
        let old = mem::replace(&mut entry.part, new);
        let (version, json, answer) = (entry.part.version, entry.part.json.clone(), entry.part.done(true));
        let to: Vec<u64> = entry.subscribers.iter().copied().collect();
        self.bytes -= old.weight();
        self.answer(ticket, answer);
        if !to.is_empty() {
            let delta = delta(old.json.as_deref(), json.as_ref());
            self.effects.push_back(DocumentEffect::Changed { key: key.clone(), version, delta, to });
        }
        if json.is_none() {
            self.one_less(key);
            self.remember(key, version);
        }
    }

    /// Remembers the version of a removed document, and forgets that of another one if there are too many.
    pub(super) fn remember(&mut self, key: &DocumentKey, version: u64) {
        self.removed.push_back((key.clone(), version));
        while self.removed.len() > self.settings.removed
            && let Some((key, version)) = self.removed.pop_front()
        {
            if let Some(entry) = self.entries.get_mut(&key)
                && entry.part.version == version
                && entry.part.json.is_none()
            {
                entry.part.version = 0;
                self.floor = self.floor.max(version);
                self.tidy(&key);
            }
        }
    }

    /// Forgets an entry that says nothing.
    pub(super) fn tidy(&mut self, key: &DocumentKey) {
        if let Some(Entry { part, storing, waiting, subscribers }) = self.entries.get(key)
            && part.version == 0
            && part.json.is_none()
            && storing.is_none()
            && waiting.is_empty()
            && subscribers.is_empty()
        {
            self.entries.remove(key);
            self.bytes -= weight(key);
        }
    }

    pub(super) fn entry(&mut self, key: &DocumentKey) -> &mut Entry {
        let bytes = &mut self.bytes;
        self.entries.entry(key.clone()).or_insert_with(|| {
            *bytes += weight(key);
            Entry::default()
        })
    }

    pub(super) fn refuse(&mut self, ticket: u64, problem: ChangeProblem) {
        self.answer(ticket, ChangeAnswer::Refused(problem));
    }

    pub(super) fn answer(&mut self, ticket: u64, answer: ChangeAnswer) {
        self.effects.push_back(DocumentEffect::Answer { ticket, answer });
    }

    fn one_less(&mut self, key: &DocumentKey) {
        if let Some(living) = self.living.get_mut(&key.scope) {
            *living -= 1;
            if *living == 0 {
                self.living.remove(&key.scope);
            }
        }
    }
}

fn weight(key: &DocumentKey) -> usize {
    ENTRY + key.scope.len() + key.name.len()
}
