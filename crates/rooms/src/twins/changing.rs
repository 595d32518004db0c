//! How a twin changes.

use std::mem;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::effect::{TwinEffect, TwinPart};
use super::missing::missing;
use super::{Storing, Twin, Twins};
use crate::documents::part::{Part, Request, Verdict, delta, read};
use crate::documents::{ChangeAnswer, ChangeProblem, Document};
use crate::message::Timestamp;

/// What a twin takes up besides its id and its states, roughly.
const TWIN: usize = 256;

impl Twins {
    /// A request comes: it has its turn, or waits for it.
    pub(super) fn ask(&mut self, now: Timestamp, device: &Arc<str>, part: TwinPart, request: Request) {
        let (waiting, full) = (self.settings.waiting, self.bytes + request.weight() > self.settings.total_bytes);
        if self.twins.len() >= self.settings.twins && !self.twins.contains_key(device) {
            return self.refuse(request.ticket, ChangeProblem::TooMany);
        }
        let twin = self.twin(device);
        if twin.storing.is_none() {
            self.turn(now, device, part, &request);
            return self.tidy(device);
        }
        if twin.waiting.len() >= waiting {
            return self.refuse(request.ticket, ChangeProblem::Busy);
        }
        if full {
            return self.refuse(request.ticket, ChangeProblem::Full);
        }
        let weight = request.weight();
        twin.waiting.push_back((part, request));
        self.bytes += weight;
    }

    /// It is a request's turn: nothing of the twin is being stored.
    pub(super) fn turn(&mut self, now: Timestamp, device: &Arc<str>, part: TwinPart, request: &Request) {
        let (limits, durable, total) = (self.settings.limits(), self.durable, self.settings.total_bytes);
        let bytes = self.bytes;
        let twin = self.twin(device);
        let old = twin.part(part);
        let json = match old.judge(request, limits) {
            Verdict::Change(json) => json,
            Verdict::Same => {
                let answer = old.done(false);
                return self.answer(request.ticket, answer);
            }
            Verdict::Conflict => {
                let answer = ChangeAnswer::Conflict(old.document());
                return self.answer(request.ticket, answer);
            }
            Verdict::Refused(problem) => return self.refuse(request.ticket, problem),
        };
        let new = Part { version: old.version.saturating_add(1), json };
        let (weight, old_weight) = (new.weight(), old.weight());
        // What becomes smaller always may.
        if weight > old_weight && bytes + weight - old_weight > total {
            return self.refuse(request.ticket, ChangeProblem::Full);
        }
        let states = match part {
            TwinPart::Desired => (shown(&new), shown(&twin.reported)),
            TwinPart::Reported => (shown(&twin.desired), shown(&new)),
        };
        twin.storing = Some(Storing { ticket: request.ticket, part, new });
        self.bytes += weight;
        if durable {
            let (desired, reported) = states;
            self.effects.push_back(TwinEffect::Store { device: device.clone(), desired, reported, at: now });
        } else {
            self.finish(device, true);
        }
    }

    /// What was being stored is, and everybody may see it, or it is not.
    pub(super) fn finish(&mut self, device: &Arc<str>, stored: bool) {
        let twin = self.twin(device);
        let Some(Storing { ticket, part, new }) = twin.storing.take() else { return };
        if !stored {
            self.bytes -= new.weight();
            return self.refuse(ticket, ChangeProblem::NotStored);
        }
        let place = match part {
            TwinPart::Desired => &mut twin.desired,
            TwinPart::Reported => &mut twin.reported,
        };
        let old = mem::replace(place, new);
        let (answer, version) = (place.done(true), place.version);
        let delta = delta(old.json.as_deref(), place.json.as_ref());
        self.bytes -= old.weight();
        self.answer(ticket, answer);
        self.effects.push_back(TwinEffect::Changed { device: device.clone(), part, version, delta });
        if part == TwinPart::Desired {
            self.tell(device);
        }
    }

    /// Tells a device, if it is there, what it is to change, if that is anything.
    pub(super) fn tell(&mut self, device: &Arc<str>) {
        if let (Some(twin), Some(to)) = (self.twins.get(device), self.connected.get(device))
            && let Some(delta) = twin.missing()
        {
            let version = twin.desired.version;
            self.effects.push_back(TwinEffect::Delta { device: device.clone(), to: *to, version, delta });
        }
    }

    /// Forgets a twin that was not made after all.
    pub(super) fn tidy(&mut self, device: &Arc<str>) {
        if let Some(twin) = self.twins.get(device)
            && twin.is_unset()
            && twin.storing.is_none()
            && twin.waiting.is_empty()
        {
            self.twins.remove(device);
            self.bytes -= TWIN + device.len();
        }
    }

    pub(super) fn twin(&mut self, device: &Arc<str>) -> &mut Twin {
        let bytes = &mut self.bytes;
        self.twins.entry(device.clone()).or_insert_with(|| {
            *bytes += TWIN + device.len();
            Twin::default()
        })
    }

    pub(super) fn answer(&mut self, ticket: u64, answer: ChangeAnswer) {
        self.effects.push_back(TwinEffect::Answer { ticket, answer });
    }

    fn refuse(&mut self, ticket: u64, problem: ChangeProblem) {
        self.answer(ticket, ChangeAnswer::Refused(problem));
    }
}

impl Twin {
    /// What the device is to change.
    pub(super) fn missing(&self) -> Option<Arc<str>> {
        let missing = missing(&members(&self.desired), &members(&self.reported));
        if missing.is_empty() { None } else { Some(Value::Object(missing).to_string().into()) }
    }

    /// Whether neither half was ever set.
    pub(super) fn is_unset(&self) -> bool {
        self.desired.version == 0 && self.reported.version == 0
    }

    fn part(&self, part: TwinPart) -> &Part {
        match part {
            TwinPart::Desired => &self.desired,
            TwinPart::Reported => &self.reported,
        }
    }
}

/// What is shown of one half; nothing was ever set is an empty object.
pub(super) fn shown(part: &Part) -> Document {
    part.document().unwrap_or_else(|| Document { version: part.version, json: "{}".into() })
}

fn members(part: &Part) -> Map<String, Value> {
    match part.json.as_deref().map(read) {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}
