//! What documents ask of whoever drives them.

use std::sync::Arc;

use super::change::{ChangeAnswer, Delta, Document};
use crate::message::Timestamp;

/// Names a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentKey {
    /// Where it is; a room, for instance.
    pub scope: Arc<str>,
    /// What it is called there.
    pub name: Arc<str>,
}

impl DocumentKey {
    /// The document `name` in `scope`.
    pub fn new(scope: &str, name: &str) -> Self {
        Self { scope: scope.into(), name: name.into() }
    }
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentEffect {
    /// The answer to a request.
    Answer {
        /// The number that the request came with.
        ticket: u64,
        /// What is said.
        answer: ChangeAnswer,
    },
    /// A change has to be stored. [`Documents::stored`](crate::Documents::stored) has to be called with the result; until
    /// then nobody sees it.
    Store {
        /// Which document.
        key: DocumentKey,
        /// Its new version.
        version: u64,
        /// JSON text, all of it; `None` if the document is removed.
        json: Option<Arc<str>>,
        /// When it changed.
        at: Timestamp,
    },
    /// What a new subscriber begins with: deltas follow.
    Snapshot {
        /// Whom it is for.
        to: u64,
        /// Which document.
        key: DocumentKey,
        /// As it is now; `None` if there is none.
        document: Option<Document>,
    },
    /// A document has changed.
    Changed {
        /// Which document.
        key: DocumentKey,
        /// Its new version, above every one that the subscribers have seen of it.
        version: u64,
        /// How it differs from what the subscribers have seen last.
        delta: Delta,
        /// All its subscribers.
        to: Vec<u64>,
    },
}
