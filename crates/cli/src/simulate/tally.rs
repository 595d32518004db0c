//! What the whole fleet has done.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// The longest time that is told from longer ones, in microseconds: an hour.
const LONGEST: u64 = 3_600_000_000;

/// Counts of all devices, and how long acknowledgements took.
#[derive(Debug)]
pub(super) struct Tally {
    /// Readings that were taken, to be sent.
    pub(super) sent: Count,
    /// Readings of which the hub has said that they are stored.
    pub(super) acknowledged: Count,
    /// Readings that the hub does not want.
    pub(super) refused: Count,
    /// Readings that were not taken, because too many waited.
    pub(super) skipped: Count,
    /// Messages (or requests) with readings.
    pub(super) messages: Count,
    /// How often such messages were sent again.
    pub(super) retransmitted: Count,
    /// How often devices have greeted the hub or connected to it again.
    pub(super) reconnected: Count,
    /// Commands that were carried out, or refused.
    pub(super) commands: Count,
    /// Devices that will read nothing any more.
    pub(super) finished: Count,
    /// Microseconds.
    times: Mutex<Histogram<u64>>,
    /// The last complaint of the hub.
    complaint: Mutex<Option<String>>,
    dump: Option<Mutex<Dump>>,
}

/// A number that many add to.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

/// The file of what was acknowledged, or why there is none any longer.
#[derive(Debug)]
struct Dump(Result<BufWriter<File>, io::Error>);

impl Tally {
    /// Everything at 0. With a file, acknowledged readings are written there.
    ///
    /// # Errors
    ///
    /// The file cannot be made.
    pub(super) fn new(dump: Option<&Path>) -> io::Result<Self> {
        let dump = dump.map(File::create).transpose()?.map(|file| Mutex::new(Dump(Ok(BufWriter::new(file)))));
        // Three digits: some 200 KB, however many there are.
        let times = Histogram::new_with_bounds(1, LONGEST, 3).map_err(io::Error::other)?;
        let [sent, acknowledged, refused, skipped, messages] = Default::default();
        let [retransmitted, reconnected, commands, finished] = Default::default();
        let (times, complaint) = (Mutex::new(times), Mutex::default());
        Ok(Self {
            sent,
            acknowledged,
            refused,
            skipped,
            messages,
            retransmitted,
            reconnected,
            commands,
            finished,
            times,
            complaint,
            dump,
        })
    }

    /// An acknowledgement came so long after its message was sent first.
    pub(super) fn took(&self, time: Duration) {
        lock(&self.times).saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// The hub does not like something.
    pub(super) fn complain(&self, what: String) {
        *lock(&self.complaint) = Some(what);
    }

    /// What the hub did not like last.
    pub(super) fn complaint(&self) -> Option<String> {
        lock(&self.complaint).clone()
    }

    /// Whether what is acknowledged is written to a file.
    pub(super) fn dumps(&self) -> bool {
        self.dump.is_some()
    }

    /// Writes an acknowledged reading.
    pub(super) fn dump(&self, line: &Value) {
        let Some(dump) = &self.dump else { return };
        let Dump(file) = &mut *lock(dump);
        // The first error is the one that is reported, at the end.
        if let Ok(out) = file
            && let Err(error) = writeln!(out, "{line}")
        {
            *file = Err(error);
        }
    }

    /// Writes what is not written yet.
    ///
    /// # Errors
    ///
    /// Something could not be written, now or before.
    pub(super) fn finish_dump(&self) -> io::Result<()> {
        let Some(dump) = &self.dump else { return Ok(()) };
        match &mut lock(dump).0 {
            Ok(file) => file.flush(),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        }
    }

    /// How many readings were sent, and never acknowledged.
    pub(super) fn lost(&self) -> u64 {
        self.sent.now().saturating_sub(self.acknowledged.now())
    }

    /// The time in milliseconds that so many of a hundred acknowledgements did not exceed; `None` if there was none.
    pub(super) fn percentile(&self, percent: f64) -> Option<f64> {
        let times = lock(&self.times);
        (!times.is_empty()).then(|| times.value_at_quantile(percent / 100.0) as f64 / 1_000.0)
    }

    /// For machines.
    pub(super) fn to_json(&self, transport: &str, devices: usize, time: Duration) -> Value {
        json!({
            "transport": transport,
            "devices": devices,
            "seconds": (time.as_secs_f64() * 1_000.0).round() / 1_000.0,
            "sent": self.sent.now(),
            "acknowledged": self.acknowledged.now(),
            "lost": self.lost(),
            "refused": self.refused.now(),
            "skipped": self.skipped.now(),
            "messages": self.messages.now(),
            "retransmitted": self.retransmitted.now(),
            "reconnected": self.reconnected.now(),
            "commands": self.commands.now(),
            "p50_ms": self.percentile(50.0),
            "p99_ms": self.percentile(99.0),
        })
    }
}

/// For people, in a few lines.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("sent", self.sent.now(), "readings"),
            ("acknowledged", self.acknowledged.now(), "readings that the hub has stored"),
            ("lost", self.lost(), "readings never acknowledged"),
            ("refused", self.refused.now(), "of these the hub did not want"),
            ("skipped", self.skipped.now(), "readings not taken, because too many waited"),
            ("messages", self.messages.now(), ""),
            ("retransmitted", self.retransmitted.now(), "times a message was sent again"),
            ("reconnected", self.reconnected.now(), "times"),
            ("commands", self.commands.now(), ""),
        ];
        for (name, count, what) in rows {
            writeln!(f, "{}", format_args!("{name:<14}{count:>10}  {what}").to_string().trim_end())?;
        }
        write!(f, "{:<14}", "answered in")?;
        match (self.percentile(50.0), self.percentile(99.0)) {
            (Some(half), Some(most)) => {
                write!(f, "{half:>10.1}  ms for half of the messages, {most:.1} ms for 99 of 100")
            }
            _ => write!(f, "{:>10}", "-"),
        }
    }
}

impl Count {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is locked is sound whenever it can be.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_acknowledged_is_lost() {
        let tally = Tally::new(None).unwrap();
        tally.sent.add(10);
        tally.acknowledged.add(7);
        (1..=100).for_each(|ms| tally.took(Duration::from_millis(ms)));
        let json = tally.to_json("udp", 3, Duration::from_millis(1_500));
        assert_eq!((&json["sent"], &json["lost"], &json["seconds"]), (&json!(10), &json!(3), &json!(1.5)));
        let (half, most) = (json["p50_ms"].as_f64().unwrap(), json["p99_ms"].as_f64().unwrap());
        assert!((49.9..50.2).contains(&half) && (98.9..99.2).contains(&most), "{json}");
        assert!(tally.to_string().contains("lost                   3  readings never acknowledged"), "{tally}");
    }

    #[test]
    fn without_an_answer_there_is_no_time() {
        let tally = Tally::new(None).unwrap();
        assert_eq!(tally.to_json("udp", 1, Duration::ZERO)["p50_ms"], Value::Null);
        assert!(tally.to_string().ends_with(" -"), "{tally}");
    }
}
