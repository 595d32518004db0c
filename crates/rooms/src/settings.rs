//! How rooms behave.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What a client that comes back gets at once fits in here, however it is written.
const LEAST_QUEUE: usize = 512 * 1024;

/// Settings of all rooms. The worst case of memory is [`rooms`](Self::rooms) times [`RoomSettings::history_bytes`], and
/// what members cost.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many rooms there can be at once. Default 4,096. When there are as many, empty rooms that are not durable give
    /// way, oldest first.
    pub rooms: usize,
    /// Rooms that are not named otherwise.
    pub default: Arc<RoomSettings>,
    /// Rooms with settings of their own, by name.
    pub named: HashMap<String, Arc<RoomSettings>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { rooms: 4096, default: Arc::default(), named: HashMap::new() }
    }
}

impl Settings {
    /// The settings of a room.
    pub fn of(&self, room: &str) -> &Arc<RoomSettings> {
        self.named.get(room).unwrap_or(&self.default)
    }
}

/// Settings of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomSettings {
    /// Whether a message is delivered and acknowledged only once it is stored, and survives a restart. Default: no.
    pub durable: bool,
    /// How many messages are remembered for members that come back. Default 256; 0 is none.
    pub history_messages: usize,
    /// How many bytes of them, each counted with about 96 bytes of overhead. Default 64 KiB.
    pub history_bytes: usize,
    /// For how long. Default 5 minutes. An empty room that is not durable is forgotten after this time.
    pub history_age: Duration,
    /// How many of the last published message ids are remembered, to recognise one that is published again. Default
    /// 4,096; 0 is none. Each takes about 150 bytes.
    pub deduplication_messages: usize,
    /// For how long they are remembered. Default 10 minutes.
    pub deduplication_age: Duration,
    /// What happens when a client id connects that is connected. Default: the newcomer is refused.
    pub duplicates: Duplicates,
    /// How long the old connection has to show that it is alive. Default 2 s, 100 ms to 1 minute.
    pub probe_timeout: Duration,
    /// What happens to a member that is too slow for what is published. Default: it is disconnected.
    pub slow: SlowConsumer,
    /// From how many bytes on that wait for a member it counts as too slow; for whoever drives the rooms. Default: what it has
    /// for all connections. At least 512 KiB.
    pub queue_bytes: Option<usize>,
    /// Whether messages to and from members are compressed; for whoever drives the rooms. Default: as those of all connections.
    pub compression: Option<Compression>,
    /// How many members there can be. Default 100,000.
    pub members: usize,
    /// The least time between two announcements of who came and left. Default 1 s.
    pub presence_interval: Duration,
    /// How many names an announcement lists, each of those who came and of those who left. Default 100.
    pub presence_names: usize,
    /// How many messages may wait to be stored. Default 4,096. Used by durable rooms.
    pub pending: usize,
}

impl Default for RoomSettings {
    fn default() -> Self {
        Self {
            durable: false,
            history_messages: 256,
            history_bytes: 64 * 1024,
            history_age: Duration::from_secs(300),
            deduplication_messages: 4096,
            deduplication_age: Duration::from_secs(600),
            duplicates: Duplicates::Reject,
            probe_timeout: Duration::from_secs(2),
            slow: SlowConsumer::Disconnect,
            queue_bytes: None,
            compression: None,
            members: 100_000,
            presence_interval: Duration::from_secs(1),
            presence_names: 100,
            pending: 4096,
        }
    }
}

impl RoomSettings {
    /// Whether the values are within their bounds.
    ///
    /// # Errors
    ///
    /// The first one that is not.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let probe = Duration::from_millis(100)..=Duration::from_secs(60);
        let checks = [
            (probe.contains(&self.probe_timeout), "probe_timeout", "100 ms to 1 minute"),
            (self.members > 0, "members", "at least 1"),
            (!self.presence_interval.is_zero(), "presence_interval", "more than 0"),
            (self.pending > 0, "pending", "at least 1"),
            (self.queue_bytes.is_none_or(|bytes| bytes >= LEAST_QUEUE), "queue_bytes", "at least 512 KiB"),
            (
                self.history_bytes >= self.history_messages.min(1) * 1024,
                "history_bytes",
                "at least 1 KiB, or no history_messages",
            ),
        ];
        match checks.into_iter().find(|(fits, ..)| !fits) {
            Some((_, setting, bounds)) => Err(SettingsError { setting, bounds }),
            None => Ok(()),
        }
    }
}

/// A setting is out of its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// Which one.
    pub setting: &'static str,
    /// What it can be.
    pub bounds: &'static str,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` must be {}", self.setting, self.bounds)
    }
}

impl std::error::Error for SettingsError {}

/// How the messages of clients that offer it are compressed (RFC 7692).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// They are not.
    #[default]
    Off,
    /// Each by itself: nothing is kept for a client, and what is published is compressed once for all.
    NoContextTakeover,
    /// With reference to earlier messages, which makes short ones shorter. Each client takes memory, and each has what is published
    /// compressed for itself.
    ContextTakeover,
}

/// What happens when a client id connects that is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// The newcomer is refused, unless the old connection turns out to be dead.
    #[default]
    Reject,
    /// The old connection is closed.
    TakeOver,
}

/// What happens to a member that is too slow for what is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlowConsumer {
    /// It is disconnected, and may come back for what it missed.
    #[default]
    Disconnect,
    /// Its oldest waiting messages are dropped.
    DropOldest,
    /// All its waiting messages give way to the newest one.
    KeepLatest,
    /// Once it takes no more, what waits for it is the latest message of each client, each in its place among those of the
    /// others: whoever has published twice since is heard once.
    LatestPerKey,
}
