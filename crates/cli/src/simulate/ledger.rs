//! What a device has sent and the hub has not acknowledged yet.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value as Json, json};
use tautline_telemetry::{Acknowledgement, Value};

use super::sensors::SENSORS;
use super::tally::Tally;

/// The messages under way of one device, by number.
#[derive(Debug)]
pub(super) struct Ledger<'a> {
    name: &'a str,
    tally: &'a Tally,
    messages: BTreeMap<u32, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    /// The device's time of the first reading.
    base: u64,
    readings: u64,
    /// When it was sent first.
    sent: Option<Instant>,
    /// What it said the calendar's time of its first reading was: other copies can say something else, after the device
    /// has learnt the time better.
    bases: Vec<u64>,
    /// Only if there is a dump: milliseconds after the base, sensor, value.
    records: Vec<(u64, u8, Json)>,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(name: &'a str, tally: &'a Tally) -> Self {
        Self { name, tally, messages: BTreeMap::new() }
    }

    /// A reading was taken into a message.
    pub(super) fn pushed(&mut self, sequence: u32, now: u64, sensor: u8, value: Value<'_>) {
        self.tally.sent.add(1);
        let entry = self.messages.entry(sequence).or_insert_with(|| {
            self.tally.messages.add(1);
            Entry { base: now, ..Entry::default() }
        });
        entry.readings += 1;
        if self.tally.dumps() {
            entry.records.push((now - entry.base, sensor, json(value)));
        }
    }

    /// A message leaves at `at`. `calendar` tells the calendar's time of a time of the device's, as far as it is known.
    pub(super) fn transmitted(&mut self, sequence: u32, at: Instant, calendar: impl FnOnce(u64) -> Option<u64>) {
        let Some(entry) = self.messages.get_mut(&sequence) else { return };
        if entry.sent.is_some() {
            self.tally.retransmitted.add(1);
        }
        entry.sent.get_or_insert(at);
        if self.tally.dumps()
            && let Some(base) = calendar(entry.base)
            && !entry.bases.contains(&base)
        {
            entry.bases.push(base);
        }
    }

    /// The hub says at `at` what it has stored.
    pub(super) fn acknowledged(&mut self, at: Instant, stored: &Acknowledgement) {
        for (_, entry) in self.messages.extract_if(.., |sequence, _| stored.covers(*sequence)) {
            self.tally.acknowledged.add(entry.readings);
            if let Some(sent) = entry.sent.filter(|_| entry.readings > 0) {
                self.tally.took(at.saturating_duration_since(sent));
            }
            entry.lines(self.name).for_each(|line| self.tally.dump(&line));
        }
    }

    /// The hub does not take a message: it will be one without readings.
    pub(super) fn refused(&mut self, sequence: u32) {
        if let Some(entry) = self.messages.get_mut(&sequence) {
            self.tally.refused.add(std::mem::take(&mut entry.readings));
            entry.records.clear();
        }
    }

    /// A new session has begun, in which the messages that are left have the numbers from 1 on.
    pub(super) fn renumbered(&mut self) {
        // What was stored behind the first one that is not has kept a place among them.
        let Some((&first, _)) = self.messages.first_key_value() else { return };
        let messages = std::mem::take(&mut self.messages);
        self.messages = messages.into_iter().map(|(sequence, entry)| (sequence - first + 1, entry)).collect();
    }
}

impl Entry {
    /// A line for each reading. Its time is one of those that were sent: `at_ms`, or one of `or_ms` if there were several; `null`
    /// if the hub's clock counted.
    fn lines<'b>(&'b self, device: &'b str) -> impl Iterator<Item = Json> + 'b {
        self.records.iter().map(move |(offset, sensor, value)| {
            let sensor = SENSORS.get(usize::from(*sensor)).map_or("", |sensor| sensor.name);
            let mut times = self.bases.iter().map(|base| base + offset);
            let mut line = json!({ "device": device, "sensor": sensor, "at_ms": times.next(), "value": value });
            let others: Vec<u64> = times.collect();
            if !others.is_empty() {
                line["or_ms"] = others.into();
            }
            line
        })
    }
}

/// A value of one of the simulated sensors.
pub(super) fn json(value: Value<'_>) -> Json {
    match value {
        Value::Bool(value) => value.into(),
        Value::U32(value) => value.into(),
        Value::F32(value) => f64::from(value).into(),
        Value::F64(value) => value.into(),
        Value::Text(value) => value.into(),
        _ => Json::Null,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn acknowledgement(highest: u32, bitmap: u64) -> Acknowledgement {
        Acknowledgement::new(highest, bitmap).unwrap()
    }

    #[test]
    fn readings_count_when_their_message_is_acknowledged() {
        let tally = Tally::new(None).unwrap();
        let mut ledger = Ledger::new("a", &tally);
        let start = Instant::now();
        for (sequence, sensor) in [(1, 0), (1, 1), (2, 0), (3, 0)] {
            ledger.pushed(sequence, 5, sensor, Value::Bool(true));
        }
        (1..=3).for_each(|sequence| ledger.transmitted(sequence, start, |_| None));
        ledger.transmitted(1, start + Duration::from_millis(5), |_| None);
        ledger.acknowledged(start + Duration::from_millis(10), &acknowledgement(0, 0b110));
        assert_eq!((tally.sent.now(), tally.acknowledged.now(), tally.lost()), (4, 2, 2));
        ledger.acknowledged(start + Duration::from_millis(20), &acknowledgement(3, 0));
        ledger.acknowledged(start + Duration::from_millis(30), &acknowledgement(3, 0));
        assert_eq!((tally.acknowledged.now(), tally.messages.now(), tally.retransmitted.now()), (4, 3, 1));
        assert!((19.0..21.0).contains(&tally.percentile(99.0).unwrap()), "from the first time it was sent");
    }

    #[test]
    fn what_the_hub_refuses_is_never_acknowledged() {
        let tally = Tally::new(None).unwrap();
        let mut ledger = Ledger::new("a", &tally);
        ledger.pushed(1, 5, 0, Value::Bool(true));
        ledger.refused(1);
        ledger.acknowledged(Instant::now(), &acknowledgement(1, 0));
        assert_eq!((tally.refused.now(), tally.acknowledged.now(), tally.lost()), (1, 0, 1));
    }

    #[test]
    fn a_new_session_has_its_own_numbers() {
        let tally = Tally::new(None).unwrap();
        let mut ledger = Ledger::new("a", &tally);
        (1..=5).for_each(|sequence| ledger.pushed(sequence, 5, 0, Value::Bool(true)));
        ledger.acknowledged(Instant::now(), &acknowledgement(2, 0b10));
        ledger.renumbered();
        // 3 and 5 are left: they are 1 and 3 now.
        ledger.acknowledged(Instant::now(), &acknowledgement(1, 0));
        assert_eq!(tally.acknowledged.now(), 4);
        ledger.acknowledged(Instant::now(), &acknowledgement(3, 0));
        assert_eq!(tally.lost(), 0);
    }

    #[test]
    fn a_reading_has_all_times_that_were_sent() {
        let mut entry = Entry { bases: vec![1_000], records: vec![(3, 0, json(Value::F32(21.5)))], ..Entry::default() };
        let line = |entry: &Entry| entry.lines("a").next().unwrap();
        let first = json!({ "device": "a", "sensor": "temperature", "at_ms": 1_003, "value": 21.5 });
        assert_eq!(line(&entry), first);
        entry.bases.push(1_001);
        assert_eq!(line(&entry)["or_ms"], json!([1_004]));
        entry.bases.clear();
        assert_eq!(line(&entry)["at_ms"], Json::Null);
    }
}
