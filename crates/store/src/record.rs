//! What is kept, as it is written and as it is read back.
//!
//! Times are milliseconds since 1970 (UTC). Offsets and versions are at most `i64::MAX`.

use std::sync::Arc;

use bytes::Bytes;

/// A room, as [`Reader::rooms`](crate::Reader::rooms) gives it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Its name.
    pub name: Arc<str>,
    /// Which life of the room its offsets belong to.
    pub epoch: u64,
    /// Whether it was opened as durable.
    pub durable: bool,
    /// The highest offset that a message had in this epoch, kept or not; 0 before the first one.
    pub last_offset: u64,
    /// The offset of the oldest message that is kept.
    pub oldest_offset: Option<u64>,
}

/// A message of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The room's name.
    pub room: Arc<str>,
    /// The room's epoch.
    pub epoch: u64,
    /// Its place in the room: 1 or more, above that of every message before it.
    pub offset: u64,
    /// When the hub took it.
    pub at_ms: i64,
    /// The client that sent it.
    pub from: Arc<str>,
    /// What the client called it, so that it is not taken twice.
    pub message_id: Option<Arc<str>>,
    /// What the payload is.
    pub kind: Kind,
    /// UTF-8 unless it is binary.
    pub payload: Bytes,
}

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
    /// UTF-8 that is JSON (which the store does not check).
    Json,
}

/// That a client's message was taken, for the recognition of a second copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dedup {
    /// The client that sent it.
    pub client: Arc<str>,
    /// What the client called it.
    pub message_id: Arc<str>,
    /// The offset that it got.
    pub offset: u64,
    /// When it was taken.
    pub at_ms: i64,
}

/// A counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Its name.
    pub name: Arc<str>,
    /// Its value.
    pub value: i64,
}

/// A state document of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The room's name. The room need not be known to the store.
    pub room: Arc<str>,
    /// The document's name.
    pub name: Arc<str>,
    /// Above that of every earlier state of it, its removal included.
    pub version: u64,
    /// JSON text; `None` is a document that was removed and is remembered for its version.
    pub json: Option<Arc<str>>,
    /// When it changed.
    pub at_ms: i64,
}

/// What a device should be and says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twin {
    /// The device's id.
    pub device: Arc<str>,
    /// JSON text.
    pub desired: Arc<str>,
    /// Never falls.
    pub desired_version: u64,
    /// JSON text.
    pub reported: Arc<str>,
    /// Never falls.
    pub reported_version: u64,
    /// When it changed.
    pub at_ms: i64,
}

/// A command to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Unique.
    pub id: Arc<str>,
    /// The device's id.
    pub device: Arc<str>,
    /// What the device is to do.
    pub name: String,
    /// JSON text.
    pub payload: String,
    /// When it was given.
    pub created_ms: i64,
    /// Until when it may be delivered, if it waits for the device.
    pub expires_ms: Option<i64>,
    /// How far it has come.
    pub state: CommandState,
    /// JSON text: what the device answered.
    pub result: Option<String>,
    /// When its state last changed.
    pub changed_ms: i64,
}

/// How far a command has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandState {
    /// Waits for the device.
    Queued,
    /// Is with the device, which has not answered.
    Sent,
    /// The device has done it.
    Done,
    /// The device does not do it.
    Refused,
    /// Its time ran out.
    Expired,
    /// The device tried, or could not be reached.
    Failed,
}

impl CommandState {
    /// Whether nothing more will come of the command.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Sent)
    }
}

/// What a client without a certificate shows. The token itself is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Unique.
    pub id: Arc<str>,
    /// What people call it.
    pub name: String,
    /// A hash of the token; no two tokens have the same.
    pub hash: [u8; 32],
    /// JSON text: what it permits.
    pub permissions: String,
    /// When it was made.
    pub created_ms: i64,
    /// Until when it is valid.
    pub expires_ms: Option<i64>,
    /// When it was revoked.
    pub revoked_ms: Option<i64>,
}

/// A device that has been here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: Arc<str>,
    /// When it first came. Of several writes the earliest counts.
    pub first_seen_ms: i64,
    /// When it was last here. Of several writes the latest counts, with the fields below.
    pub last_seen_ms: i64,
    /// The address that it came from.
    pub address: String,
    /// How it came, such as `wss`.
    pub transport: String,
    /// The name in its certificate, if it has one.
    pub certificate: Option<String>,
}

/// A connection that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The device's, or client's, id.
    pub device: Arc<str>,
    /// The room that it was in.
    pub room: Option<Arc<str>>,
    /// When it began.
    pub opened_ms: i64,
    /// When it ended.
    pub closed_ms: i64,
    /// The address that it came from.
    pub peer: String,
    /// How it came, such as `wss`.
    pub transport: String,
    /// Why it ended, in plain words.
    pub reason: String,
}

/// An entry of the log of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastConnection {
    /// Its place in the log: rises with every entry.
    pub number: u64,
    /// The entry.
    pub connection: Connection,
}

// What records take up, as the bounds count it: their texts and payload, and themselves.

impl Message {
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + self.room.len() + self.from.len() + length(&self.message_id) + self.payload.len()
    }
}

impl Document {
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + self.room.len() + self.name.len() + length(&self.json)
    }
}

impl Twin {
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + self.device.len() + self.desired.len() + self.reported.len()
    }
}

impl Command {
    pub(crate) fn size(&self) -> usize {
        let Self { id, device, name, payload, result, .. } = self;
        size_of::<Self>() + id.len() + device.len() + name.len() + payload.len() + length(result)
    }
}

impl Token {
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + self.id.len() + self.name.len() + self.permissions.len()
    }
}

impl Device {
    pub(crate) fn size(&self) -> usize {
        let Self { id, address, transport, certificate, .. } = self;
        size_of::<Self>() + id.len() + address.len() + transport.len() + length(certificate)
    }
}

impl Connection {
    pub(crate) fn size(&self) -> usize {
        let Self { device, room, peer, transport, reason, .. } = self;
        size_of::<Self>() + device.len() + length(room) + peer.len() + transport.len() + reason.len()
    }
}

fn length(text: &Option<impl AsRef<str>>) -> usize {
    text.as_ref().map_or(0, |text| text.as_ref().len())
}
