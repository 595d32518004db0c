//! How long the store keeps what is over.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tautline_store::{ReadingAge, Retention, Store, SubmitError};
use tokio::task::JoinSet;

/// How often the store is tidied.
const INTERVAL: Duration = Duration::from_secs(3600);

/// How long the store keeps what is over. Messages of durable rooms stay as long as their rooms remember them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Which connections there were, and what became of commands. Default: 90 days.
    pub log: Duration,
    /// Devices that do not come any more; their twins stay. Default: a year.
    pub devices: Duration,
    /// Readings of sensors for which nothing else is set. Default: a year.
    pub readings: Duration,
    /// How large the database may be: above this the oldest messages, commands, connections and readings give way. Default: as large
    /// as the disk.
    pub max_bytes: Option<u64>,
}

impl Default for Keep {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self { log: DAY * 90, devices: DAY * 365, readings: DAY * 365, max_bytes: None }
    }
}

/// Tidies a store now and then, until the answer is dropped.
pub(crate) fn tidy(store: Store, keep: Keep) -> JoinSet<()> {
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut interval = tokio::time::interval(INTERVAL);
        loop {
            interval.tick().await;
            let submitted = store.retain(keep.at(SystemTime::now()), |result| match result {
                Ok(retained) => tracing::debug!(deleted = retained.deleted, "store tidied"),
                Err(error) => tracing::error!(%error, "the store could not be tidied"),
            });
            match submitted {
                // The last one is still at it.
                Ok(()) | Err(SubmitError::Full) => {}
                Err(_) => return,
            }
        }
    });
    task
}

impl Keep {
    /// What is deleted at this time.
    fn at(&self, now: SystemTime) -> Retention {
        let ms = |time: Duration| i64::try_from(time.as_millis()).ok();
        let since_1970 = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok().and_then(ms);
        let before = |time| now.checked_sub(time).and_then(since_1970);
        Retention {
            commands_before_ms: before(self.log),
            connections_before_ms: before(self.log),
            devices_before_ms: before(self.devices),
            readings: since_1970(now).map(|now_ms| ReadingAge { now_ms, keep_ms: ms(self.readings) }),
            max_bytes: self.max_bytes,
            ..Retention::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_goes() {
        let seconds = Duration::from_secs;
        let keep = Keep { log: seconds(10), devices: seconds(20), readings: seconds(7), max_bytes: Some(5) };
        let retention = keep.at(UNIX_EPOCH + Duration::from_secs(30));
        assert_eq!((retention.connections_before_ms, retention.commands_before_ms), (Some(20_000), Some(20_000)));
        assert_eq!((retention.devices_before_ms, retention.max_bytes), (Some(10_000), Some(5)));
        assert_eq!(retention.readings, Some(ReadingAge { now_ms: 30_000, keep_ms: Some(7_000) }));
        assert_eq!((retention.messages_before_ms, retention.removed_documents_before_ms), (None, None));
        assert_eq!(keep.at(UNIX_EPOCH).connections_before_ms, None, "long ago is nothing");
    }
}
