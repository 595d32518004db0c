//! What documents and twins are asked, and what they answer.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

/// A new value, or what is to be different.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// This takes the place of all that was there.
    Put(Value),
    /// A merge patch (RFC 7396). Where nothing was, it is applied to nothing.
    Patch(Value),
}

/// A value with its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Counts the changes; never goes back.
    pub version: u64,
    /// JSON text without spaces.
    pub json: Arc<str>,
}

/// How a value differs from the version before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delta {
    /// The merge patch (RFC 7396) that leads here: JSON text.
    Patch(Arc<str>),
    /// The whole value, where a patch cannot say it or would be no shorter: JSON text.
    Whole(Arc<str>),
    /// It is there no longer.
    Removed,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeAnswer {
    /// What was asked for; `None` if there is none.
    Current(Option<Document>),
    /// It is done, and stored if it is to be.
    Done {
        /// The version from now on; 0 of what never was.
        version: u64,
        /// JSON text; `None` after a removal.
        json: Option<Arc<str>>,
        /// Whether this made a difference. If not, the version is still the same.
        changed: bool,
    },
    /// There is another version than the request is for: this one, or none.
    Conflict(Option<Document>),
    /// It is not done.
    Refused(ChangeProblem),
}

/// Why a change is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeProblem {
    /// A name is empty, too long, or has control characters.
    BadName,
    /// What was stored cannot be read as JSON.
    NotJson,
    /// A twin's part has to be an object.
    NotAnObject,
    /// Arrays and objects lie too deep in each other.
    TooDeep,
    /// It has, or would come to have, too many bytes.
    TooLarge,
    /// There are as many documents, twins or subscriptions as there can be.
    TooMany,
    /// All together would have too many bytes.
    Full,
    /// Too many changes of the same wait to be stored.
    Busy,
    /// It could not be stored.
    NotStored,
}

impl fmt::Display for ChangeProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadName => "a name is not empty, not too long, and has no control characters",
            Self::NotJson => "it is not JSON",
            Self::NotAnObject => "a twin's state is a JSON object",
            Self::TooDeep => "arrays and objects lie too deep in each other",
            Self::TooLarge => "it is too large",
            Self::TooMany => "there are as many as there can be",
            Self::Full => "there is no room for more: make something else smaller, or remove it",
            Self::Busy => "too many changes wait: try again later",
            Self::NotStored => "the change could not be stored: try again later",
        })
    }
}

impl std::error::Error for ChangeProblem {}
