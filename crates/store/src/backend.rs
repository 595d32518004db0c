//! What a store stands on. Both backends of this crate, and any other, are held to one suite: `tests/contract`.

use std::path::Path;
use std::sync::Arc;

use crate::error::StoreError;
use crate::record::{Command, Counter, Dedup, Device, Document, Message, PastConnection, Room, Token, Twin};
use crate::telemetry::{Bucket, DeviceKey, DeviceSession, PastReading, ReadingAge, Readings, Sensor};
use crate::write::Write;

/// Where writes go: one, owned by the commit thread. Everything blocks.
pub trait Backend: Send {
    /// Does all of `writes`, in their order, or nothing. When it answers `Ok` a crash cannot take them back, if the
    /// backend is one that survives crashes.
    ///
    /// # Errors
    ///
    /// See [`Write`].
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError>;

    /// Finds out whether commits work, after one has failed: a commit that changes nothing, but needs what others need.
    ///
    /// # Errors
    ///
    /// The environment's.
    fn probe(&mut self) -> Result<(), StoreError> {
        self.commit(&[])
    }

    /// Deletes some of what `retention` does not keep, little enough that commits need not wait long for it.
    ///
    /// # Errors
    ///
    /// The environment's.
    fn retain(&mut self, retention: &Retention) -> Result<Step, StoreError>;

    /// Where others read, beside the commits.
    fn source(&self) -> Arc<dyn Source>;

    /// Called once, when nothing more will come.
    ///
    /// # Errors
    ///
    /// The environment's. Nothing that was committed is lost by it.
    fn close(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Where readers come from. Everything blocks.
pub trait Source: Send + Sync {
    /// A reader that sees everything that is committed at the time of each call.
    ///
    /// # Errors
    ///
    /// The environment's.
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError>;

    /// Writes a consistent copy to the new file `to`, see [`Store::backup`](crate::Store::backup).
    ///
    /// # Errors
    ///
    /// [`Unsupported`](StoreError::Unsupported), [`FileExists`](StoreError::FileExists), or the environment's.
    fn backup(&self, to: &Path) -> Result<(), StoreError>;
}

/// What can be read. Everything blocks, and every method can fail for the environment's reasons.
///
/// What is not said to be limited comes whole, since the hub keeps it in memory anyway.
pub trait Reader: Send {
    /// All rooms, by name.
    fn rooms(&mut self) -> Result<Vec<Room>, StoreError>;

    /// A room's messages from the offset `from` on, in order: at most `messages` of them, and not more than `bytes` of
    /// payload but for the first, so that a reader always gets on. None if there is no such room.
    fn history(&mut self, room: &str, from: u64, messages: usize, bytes: usize) -> Result<Vec<Message>, StoreError>;

    /// A room's de-duplication entries, by offset.
    fn dedup(&mut self, room: &str) -> Result<Vec<Dedup>, StoreError>;

    /// All counters, by name.
    fn counters(&mut self) -> Result<Vec<Counter>, StoreError>;

    /// All documents, by room and name, with those that were removed.
    fn documents(&mut self) -> Result<Vec<Document>, StoreError>;

    /// All twins, by device.
    fn twins(&mut self) -> Result<Vec<Twin>, StoreError>;

    /// The command with this id.
    fn command(&mut self, id: &str) -> Result<Option<Command>, StoreError>;

    /// All commands that are queued or sent, oldest first.
    fn pending_commands(&mut self) -> Result<Vec<Command>, StoreError>;

    /// A device's commands, newest first, at most `limit` of them. The next page begins behind (`created_ms`, `id`) of the
    /// last one of this page.
    fn commands(&mut self, device: &str, behind: Option<(i64, &str)>, limit: usize)
    -> Result<Vec<Command>, StoreError>;

    /// All tokens, by id, those included that have expired or were revoked.
    fn tokens(&mut self) -> Result<Vec<Token>, StoreError>;

    /// The device with this id.
    fn device(&mut self, id: &str) -> Result<Option<Device>, StoreError>;

    /// Devices by id, at most `limit` of them, behind the one with the id `behind`.
    fn devices(&mut self, behind: Option<&str>, limit: usize) -> Result<Vec<Device>, StoreError>;

    /// The log of connections, newest first, at most `limit` of them: of one device or of all, behind the one with the
    /// number `behind`.
    fn connections(
        &mut self,
        device: Option<&str>,
        behind: Option<u64>,
        limit: usize,
    ) -> Result<Vec<PastConnection>, StoreError>;

    /// All keys of devices, by number.
    fn device_keys(&mut self) -> Result<Vec<DeviceKey>, StoreError>;

    /// All sessions of devices, by device and session.
    fn device_sessions(&mut self) -> Result<Vec<DeviceSession>, StoreError>;

    /// All sensors, by id.
    fn sensors(&mut self) -> Result<Vec<Sensor>, StoreError>;

    /// Readings by time, and by arrival where they are of one time: at most `limit` of them, behind the one of this time and
    /// number.
    fn readings(
        &mut self,
        of: &Readings,
        behind: Option<(i64, u64)>,
        limit: usize,
    ) -> Result<Vec<PastReading>, StoreError>;

    /// What the numbers among them come to in stretches of `every_ms`, which begin at its multiples; by time, at most `limit`
    /// of them, and none where there is no reading. A stretch that begins before `from_ms` has what is from there on.
    /// `every_ms` below 1 is 1.
    fn buckets(&mut self, of: &Readings, every_ms: i64, limit: usize) -> Result<Vec<Bucket>, StoreError>;

    /// How many bytes everything takes up, without space that is free for what comes next.
    fn size(&mut self) -> Result<u64, StoreError>;
}

/// What is kept, and what is old enough to be deleted. By default everything is kept.
///
/// Offsets and versions survive: a room goes on where it was. Counters, documents, twins, tokens, keys and
/// sensors stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Messages before this time are deleted.
    pub messages_before_ms: Option<i64>,
    /// Commands that are over, and changed last before this time, are deleted.
    pub commands_before_ms: Option<i64>,
    /// Connections that ended before this time are deleted from the log.
    pub connections_before_ms: Option<i64>,
    /// Devices that were last seen before this time are deleted; their twins and commands stay.
    pub devices_before_ms: Option<i64>,
    /// Documents that were removed before this time are forgotten. One that is made anew may then begin at version 1.
    pub removed_documents_before_ms: Option<i64>,
    /// Readings that are older than this are deleted.
    pub readings: Option<ReadingAge>,
    /// While everything takes up more than this ([`Reader::size`]), the oldest messages, commands that are over, connections
    /// and readings are deleted.
    pub max_bytes: Option<u64>,
}

/// What a step of [`Backend::retain`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// How many rows it has deleted.
    pub deleted: u64,
    /// Whether there is more to do.
    pub more: bool,
}
