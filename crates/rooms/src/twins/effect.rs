//! What twins ask of whoever drives them.

use std::sync::Arc;

use crate::documents::{ChangeAnswer, Delta, Document};
use crate::message::Timestamp;

/// One of the two halves of a twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TwinPart {
    /// What people want the device to be.
    Desired,
    /// What the device says that it is.
    Reported,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TwinEffect {
    /// The answer to a request.
    Answer {
        /// The number that the request came with.
        ticket: u64,
        /// What is said.
        answer: ChangeAnswer,
    },
    /// A change has to be stored. [`Twins::stored`](crate::Twins::stored) has to be called with the result; until then
    /// nobody sees it.
    Store {
        /// Whose twin.
        device: Arc<str>,
        /// All of what is desired; `{}` with version 0 if nothing ever was.
        desired: Document,
        /// All of what is reported; `{}` with version 0 if nothing ever was.
        reported: Document,
        /// When it changed.
        at: Timestamp,
    },
    /// What the device is to change: it has just connected, or this was just desired.
    Delta {
        /// Which device.
        device: Arc<str>,
        /// Its connection.
        to: u64,
        /// The version of what is desired.
        version: u64,
        /// What of the desired state differs from the reported one: JSON text.
        delta: Arc<str>,
    },
    /// A twin has changed: for those who watch it, not for the device.
    Changed {
        /// Whose twin.
        device: Arc<str>,
        /// Which half of it.
        part: TwinPart,
        /// The new version of that half.
        version: u64,
        /// How it differs from the version before.
        delta: Delta,
    },
}

/// What can be seen of a twin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TwinView {
    /// What people want the device to be; `{}` with version 0 if nothing ever was.
    pub desired: Document,
    /// What the device says that it is; `{}` with version 0 if nothing ever was.
    pub reported: Document,
    /// What of the desired state differs from the reported one: JSON text. `None` if nothing does.
    pub delta: Option<Arc<str>>,
}
