//! Messages and times.

use std::ops::Add;
use std::sync::Arc;
use std::time::Duration;

/// Milliseconds since 1970 (UTC). Whoever passes it makes sure that it never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The time that has passed since another one; zero if that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// A message that was published in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its place in the room: later ones have larger numbers. Numbers may be left out.
    pub offset: u64,
    /// When the room got it.
    pub at: Timestamp,
    /// Who published it.
    pub from: Arc<str>,
    /// The number or name that its publisher gave it.
    pub id: Option<Box<str>>,
    /// What it says.
    pub payload: Payload,
}

impl Message {
    /// About how many bytes it takes in memory.
    pub fn weight(&self) -> usize {
        const OVERHEAD: usize = 96;
        OVERHEAD + self.payload.as_bytes().len() + self.id.as_ref().map_or(0, |id| id.len())
    }
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// UTF-8 text, of which nothing is known.
    Text(Box<str>),
    /// Bytes.
    Binary(Box<[u8]>),
    /// One JSON value, which the caller has checked.
    Json(Box<str>),
}

impl Payload {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) | Self::Json(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}
