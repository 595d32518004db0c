//! A value that changes and counts its versions: what documents and twins consist of.

use std::sync::Arc;

use serde_json::Value;

use super::change::{ChangeAnswer, ChangeProblem, Delta, Document, Update};
use super::merge::{difference, is_deeper, merge_patch};

/// A value, kept as text: read, it takes up to eighty times as much.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    /// Of the last change, a removal included; 0 if there was none.
    pub(crate) version: u64,
    pub(crate) json: Option<Arc<str>>,
}

/// How large a value, or a patch, can be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) bytes: usize,
    pub(crate) depth: usize,
}

/// A change that somebody asks for, within the limits.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) ticket: u64,
    pub(crate) if_version: Option<u64>,
    change: Change,
}

#[derive(Debug)]
enum Change {
    Put(Arc<str>),
    Patch(Box<str>),
    Remove,
}

/// What comes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Everything is so already.
    Same,
    /// It is for another version.
    Conflict,
    Refused(ChangeProblem),
    /// This is the new value.
    Change(Option<Arc<str>>),
}

impl Request {
    pub(crate) fn update(
        ticket: u64,
        update: &Update,
        if_version: Option<u64>,
        limits: Limits,
    ) -> Result<Self, ChangeProblem> {
        let (Update::Put(value) | Update::Patch(value)) = update;
        if is_deeper(value, limits.depth) {
            return Err(ChangeProblem::TooDeep);
        }
        let text = value.to_string();
        if text.len() > limits.bytes {
            return Err(ChangeProblem::TooLarge);
        }
        let change = match update {
            Update::Put(_) => Change::Put(text.into()),
            Update::Patch(_) => Change::Patch(text.into()),
        };
        Ok(Self { ticket, if_version, change })
    }

    pub(crate) fn remove(ticket: u64, if_version: Option<u64>) -> Self {
        Self { ticket, if_version, change: Change::Remove }
    }

    /// About how many bytes it takes in memory.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>()
            + match &self.change {
                Change::Put(text) => text.len(),
                Change::Patch(text) => text.len(),
                Change::Remove => 0,
            }
    }
}

impl Part {
    /// What was stored.
    pub(crate) fn restore(version: u64, json: Option<&str>) -> Result<Self, ChangeProblem> {
        let json = match json {
            None => None,
            Some(text) => {
                let value: Value = serde_json::from_str(text).map_err(|_| ChangeProblem::NotJson)?;
                Some(value.to_string().into())
            }
        };
        Ok(Self { version, json })
    }

    pub(crate) fn document(&self) -> Option<Document> {
        self.json.as_ref().map(|json| Document { version: self.version, json: json.clone() })
    }

    /// About how many bytes the value takes.
    pub(crate) fn weight(&self) -> usize {
        self.json.as_ref().map_or(0, |json| json.len())
    }

    pub(crate) fn is_object(&self) -> bool {
        self.json.as_ref().is_some_and(|json| json.starts_with('{'))
    }

    pub(crate) fn judge(&self, request: &Request, limits: Limits) -> Verdict {
        let current = if self.json.is_some() { self.version } else { 0 };
        if request.if_version.is_some_and(|version| version != current) {
            return Verdict::Conflict;
        }
        let new: Arc<str> = match &request.change {
            Change::Remove if self.json.is_none() => return Verdict::Same,
            Change::Remove => return Verdict::Change(None),
            Change::Put(text) => text.clone(),
            Change::Patch(patch) => {
                let mut value = self.json.as_deref().map_or(Value::Null, read);
                merge_patch(&mut value, read(patch));
                value.to_string().into()
            }
        };
        match &self.json {
            Some(old) if is_same(old, &new) => Verdict::Same,
            _ if new.len() > limits.bytes => Verdict::Refused(ChangeProblem::TooLarge),
            _ => Verdict::Change(Some(new)),
        }
    }

    /// The answer to a request that made no difference, or this one.
    pub(crate) fn done(&self, changed: bool) -> ChangeAnswer {
        ChangeAnswer::Done { version: self.version, json: self.json.clone(), changed }
    }
}

/// How `new` differs from `old`.
pub(crate) fn delta(old: Option<&str>, new: Option<&Arc<str>>) -> Delta {
    let Some(new) = new else { return Delta::Removed };
    if let Some(old) = old
        && let (Value::Object(old), Value::Object(members)) = (read(old), read(new))
        && let Some(patch) = difference(&old, &members)
    {
        let patch = Value::Object(patch).to_string();
        if patch.len() < new.len() {
            return Delta::Patch(patch.into());
        }
    }
    Delta::Whole(new.clone())
}

/// Reads what was written here.
pub(crate) fn read(text: &str) -> Value {
    serde_json::from_str(text).expect("it was written from a value that is not deeper than the parser goes")
}

/// Whether a name can be one.
pub(crate) fn is_name(name: &str, longest: usize) -> bool {
    !name.is_empty() && name.len() <= longest && !name.contains(char::is_control)
}

fn is_same(old: &str, new: &str) -> bool {
    // Other text can be the same value: members are in any order.
    old == new || (old.len() == new.len() && read(old) == read(new))
}
