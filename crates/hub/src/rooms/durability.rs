//! Durable rooms and the store.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tautline_rooms::{DocumentKey, Message, Payload, Restored, RoomId, RoomSettings, RoomView, Timestamp};
use tautline_store::{Connection, Device, Kind, Reader, Store, StoreError, Write};

use super::wall::{millis, timestamp};

/// Where a room's messages are kept, and who hears that they are.
#[derive(Clone)]
pub(crate) struct Durability {
    store: Store,
    stored: Arc<dyn Fn(Stored, bool) + Send + Sync>,
}

/// A client that has an id of its own, and its connection.
pub(super) struct Seen<'a> {
    pub(super) id: &'a str,
    pub(super) room: &'a str,
    pub(super) identity: Option<&'a str>,
    pub(super) peer: Option<SocketAddr>,
    /// `ws` or `wss`.
    pub(super) transport: &'static str,
    pub(super) opened: Timestamp,
}

impl Seen<'_> {
    fn address(&self) -> String {
        self.peer.map(|peer| peer.to_string()).unwrap_or_default()
    }

    fn device(&self, at: Timestamp) -> Device {
        Device {
            id: self.id.into(),
            first_seen_ms: millis(self.opened),
            last_seen_ms: millis(at),
            address: self.address(),
            transport: self.transport.into(),
            certificate: self.identity.map(Into::into),
        }
    }
}

/// What was to be stored.
#[derive(Clone, Debug)]
pub(crate) enum Stored {
    /// A message: its room and offset.
    Message(RoomId, u64),
    /// The change of a document.
    Document(DocumentKey),
}

impl fmt::Debug for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Durability").finish_non_exhaustive()
    }
}

impl Durability {
    /// `stored` is called by the store's thread with what was to be stored, and whether it is. It must not block.
    pub(crate) fn new(store: Store, stored: impl Fn(Stored, bool) + Send + Sync + 'static) -> Self {
        Self { store, stored: Arc::new(stored) }
    }

    pub(super) fn open_room(&self, room: &RoomView) {
        let open = Write::OpenRoom { room: room.name.clone(), epoch: room.epoch, durable: true };
        self.submit(vec![open], "a new room");
    }

    pub(super) fn store(&self, id: RoomId, room: &RoomView, message: &Message) {
        self.submit_and_tell(Write::Message(record(room, message)), Stored::Message(id, message.offset));
    }

    pub(super) fn store_document(&self, key: DocumentKey, version: u64, json: Option<Arc<str>>, at: Timestamp) {
        let (room, name) = (key.scope.clone(), key.name.clone());
        let document = tautline_store::Document { room, name, version, json, at_ms: millis(at) };
        self.submit_and_tell(Write::Document(document), Stored::Document(key));
    }

    fn submit_and_tell(&self, write: Write, what: Stored) {
        let (stored, submitted) = (self.stored.clone(), what.clone());
        let result = self.store.submit(vec![write], move |result| {
            if let Err(error) = &result {
                tracing::error!(%error, what = ?submitted, "could not be stored");
            }
            stored(submitted, result.is_ok());
        });
        if let Err(error) = result {
            tracing::warn!(%error, ?what, "refused");
            (self.stored)(what, false);
        }
    }

    pub(super) fn trim(&self, room: &RoomView, settings: &RoomSettings, now: Timestamp, through: u64) {
        let name = room.name.clone();
        let age = u64::try_from(settings.deduplication_age.as_millis()).unwrap_or(u64::MAX);
        let ids = Write::TrimDedup {
            room: name.clone(),
            keep: settings.deduplication_messages as u64,
            since_ms: millis(Timestamp(now.0.saturating_sub(age))),
        };
        let messages = Write::TrimRoom { room: name, below_offset: through.saturating_add(1) };
        self.submit(vec![messages, ids], "what a room has forgotten");
    }

    /// A client that has an id of its own is here.
    pub(super) fn came(&self, seen: &Seen<'_>) {
        self.submit(vec![Write::Device(seen.device(seen.opened))], "that a device came");
    }

    /// It has left.
    pub(super) fn left(&self, seen: &Seen<'_>, closed: Timestamp, reason: &str) {
        let connection = Connection {
            device: seen.id.into(),
            room: Some(seen.room.into()),
            opened_ms: millis(seen.opened),
            closed_ms: millis(closed),
            peer: seen.address(),
            transport: seen.transport.into(),
            reason: reason.into(),
        };
        self.submit(vec![Write::Device(seen.device(closed)), Write::Connection(connection)], "the end of a connection");
    }

    fn submit(&self, writes: Vec<Write>, what: &'static str) {
        let submitted = self.store.submit(writes, move |result| {
            if let Err(error) = result {
                tracing::error!(%error, "{what} could not be stored");
            }
        });
        if let Err(error) = submitted {
            tracing::error!(%error, "{what} could not be stored");
        }
    }
}

/// The durable rooms that a store has, with what they remember. It blocks.
pub(crate) fn restore<'a>(
    reader: &mut dyn Reader,
    settings: impl Fn(&str) -> &'a RoomSettings,
) -> Result<Vec<(Arc<str>, Restored)>, StoreError> {
    let mut restored = Vec::new();
    for room in reader.rooms()? {
        let settings = settings(&room.name);
        if !settings.durable {
            continue;
        }
        let first = (room.last_offset + 1).saturating_sub(settings.history_messages as u64);
        let messages = reader.history(&room.name, first, settings.history_messages, usize::MAX)?;
        let forgotten = messages.first().map_or(room.last_offset, |message| message.offset.saturating_sub(1));
        let ids = reader.dedup(&room.name)?.into_iter();
        let ids = ids.map(|id| (id.client, Box::from(&*id.message_id), id.offset, timestamp(id.at_ms))).collect();
        let messages = messages.into_iter().map(|message| Arc::new(unrecord(message))).collect();
        restored.push((room.name, Restored { epoch: room.epoch, last: room.last_offset, forgotten, messages, ids }));
    }
    Ok(restored)
}

fn record(room: &RoomView, message: &Message) -> tautline_store::Message {
    tautline_store::Message {
        room: room.name.clone(),
        epoch: room.epoch,
        offset: message.offset,
        at_ms: millis(message.at),
        from: message.from.clone(),
        message_id: message.id.as_deref().map(Into::into),
        kind: match message.payload {
            Payload::Text(_) => Kind::Text,
            Payload::Binary(_) => Kind::Binary,
            Payload::Json(_) => Kind::Json,
        },
        payload: Bytes::copy_from_slice(message.payload.as_bytes()),
    }
}

fn unrecord(message: tautline_store::Message) -> Message {
    let tautline_store::Message { offset, at_ms, from, message_id, kind, payload, .. } = message;
    // The store has checked it when it was written; somebody may have edited it since.
    let text = || String::from_utf8_lossy(&payload).into();
    let payload = match kind {
        Kind::Text => Payload::Text(text()),
        Kind::Json => Payload::Json(text()),
        Kind::Binary => Payload::Binary(payload.as_ref().into()),
    };
    Message { offset, at: timestamp(at_ms), from, id: message_id.as_deref().map(Into::into), payload }
}
