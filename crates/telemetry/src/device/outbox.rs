//! Readings that are not acknowledged yet, in memory of the caller's.
//!
//! A message is kept as its records, behind a head with what is known about it. Messages follow each other; their
//! numbers too, so that the number of the first one is all there is to keep. Header, time and tag are made when it is sent.

use core::fmt;

use crate::acknowledgement::{Acknowledgement, WINDOW};
use crate::cursor::{Reader, Writer};
use crate::error::Unencodable;
use crate::header::MAX_BODY;
use crate::readings::{READINGS_HEAD, Record, Records};
use crate::value::Value;

/// Bytes of an entry in front of its records.
pub(crate) const ENTRY_HEAD: usize = 30;
/// A message that was overtaken by so many that are stored counts as lost.
const OVERTAKEN: u32 = 3;

/// Memory for an [outbox](super::Session::new): a slice, an array, or on a host a vector or box. Its length must not change.
pub trait Memory: AsRef<[u8]> + AsMut<[u8]> {}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Memory for M {}

#[derive(Debug)]
pub(crate) struct Outbox<M> {
    memory: M,
    start: usize,
    end: usize,
    /// Where the last entry begins.
    last: usize,
    /// The number of the first entry.
    first: u32,
    count: u32,
    /// The highest number that was ever sent.
    highest_sent: u32,
}

/// What is known about a message. Times are in milliseconds of the device's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    at: usize,
    pub(crate) sequence: u32,
    /// Bytes of its records.
    len: u16,
    /// Its records; 0 if the hub has refused them, whatever `len` is.
    records: u16,
    /// How often it was sent.
    pub(crate) attempts: u8,
    stored: bool,
    /// Not sent yet: until when it waits for more readings. Sent: when it counts as lost.
    due: u64,
    sent: u64,
    /// What the offsets of its records count from.
    pub(crate) base: u64,
}

/// Why readings were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushError {
    /// There is no room until something is acknowledged.
    Full,
    /// The session has no numbers left: [restart](super::Session::restart) it when everything is acknowledged.
    Exhausted,
    /// The value can never be sent: longer than a message, or not finite.
    Value,
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the outbox is full",
            Self::Exhausted => "the session has no numbers left",
            Self::Value => "the value can never be sent",
        })
    }
}

impl core::error::Error for PushError {}

/// What an acknowledgement has brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Messages that are stored and were not before.
    pub(crate) stored: u32,
    /// How long one of them took that was sent only once.
    pub(crate) round_trip: Option<u64>,
    /// Whether one was overtaken.
    pub(crate) lost: bool,
}

impl<M: Memory> Outbox<M> {
    pub(crate) fn new(memory: M) -> Self {
        Self { memory, start: 0, end: 0, last: 0, first: 1, count: 0, highest_sent: 0 }
    }

    /// Whether this can be the state of what was sent: all that was stored once, and nothing that was never sent.
    pub(crate) fn allows(&self, stored: &Acknowledgement) -> bool {
        let last = stored.highest().saturating_add(64 - stored.bitmap().leading_zeros());
        stored.highest() >= self.first - 1 && last <= self.highest_sent
    }

    /// How many messages there are.
    pub(crate) fn len(&self) -> u32 {
        self.count
    }

    /// The number behind the last one; `None` when the numbers have come to their end.
    pub(crate) fn next(&self) -> Option<u32> {
        self.first.checked_add(self.count).filter(|&next| next < u32::MAX)
    }

    /// Adds a reading of `time` to the last message if that has not been sent, is not of later and has room, else begins one. Returns its
    /// number.
    pub(crate) fn push(&mut self, time: u64, linger: u64, sensor: u8, value: Value<'_>) -> Result<u32, PushError> {
        let size = 5 + value.size();
        if size > MAX_BODY - READINGS_HEAD {
            return Err(PushError::Value);
        }
        let last = self.first.saturating_add(self.count).saturating_sub(1);
        let open = self.entry(self.last, last).filter(|last| {
            let fits = usize::from(last.len) + size <= MAX_BODY - READINGS_HEAD;
            let whole = last.attempts == 0 && last.records > 0;
            whole && fits && time >= last.base && u32::try_from(time - last.base).is_ok()
        });
        let mut entry = match open {
            Some(last) => last,
            None => {
                let sequence = self.next().ok_or(PushError::Exhausted)?;
                let due = time.saturating_add(linger);
                let (records, attempts, stored, sent) = (0, 0, false, 0);
                Entry { at: self.end, sequence, len: 0, records, attempts, stored, due, sent, base: time }
            }
        };
        let needed = size + if open.is_some() { 0 } else { ENTRY_HEAD };
        self.make_room(needed, &mut entry)?;
        let offset = u32::try_from(time.saturating_sub(entry.base)).unwrap_or(u32::MAX);
        let behind = entry.at + ENTRY_HEAD + usize::from(entry.len);
        let mut writer = Writer::new(self.memory.as_mut().get_mut(behind..).unwrap_or_default());
        Record { offset, sensor, value }.write(&mut writer).map_err(|error| match error {
            Unencodable::Room => PushError::Full,
            Unencodable::Value => PushError::Value,
        })?;
        entry.len += size as u16; // at most MAX_BODY
        entry.records += 1;
        if open.is_none() {
            self.count += 1;
            self.last = entry.at;
        }
        self.end = behind + size;
        self.save(&entry);
        Ok(entry.sequence)
    }

    /// The message to send next: in the order of their numbers, within the window.
    pub(crate) fn ready(&self, now: u64, window: u32) -> Option<Entry> {
        let waiting = |entry: &Entry| entry.attempts > 0 && entry.due > now;
        let on_their_way = self.in_window().filter(waiting).count();
        if on_their_way >= window as usize {
            return None;
        }
        // What seems to be of later does not linger: its time is wrong, or `now` is old, and will be new when this is asked again.
        let ripe = |entry: &Entry| entry.at != self.last || entry.base > now;
        self.in_window().find(|entry| entry.due <= now || (entry.attempts == 0 && ripe(entry)))
    }

    /// When [`ready`](Self::ready) should be asked again.
    pub(crate) fn poll_timeout(&self, now: u64, window: u32) -> Option<u64> {
        if self.ready(now, window).is_some() {
            return Some(now);
        }
        self.in_window().map(|entry| entry.due).filter(|&due| due > now).min()
    }

    /// What a message holds.
    pub(crate) fn records(&self, entry: &Entry) -> Records<'_> {
        let start = entry.at + ENTRY_HEAD;
        let len = if entry.records == 0 { 0 } else { usize::from(entry.len) };
        Records::written(self.memory.as_ref().get(start..start + len).unwrap_or_default(), entry.records)
    }

    /// A message was sent.
    pub(crate) fn sent(&mut self, entry: &Entry, now: u64, due: u64) {
        self.highest_sent = self.highest_sent.max(entry.sequence);
        self.save(&Entry { attempts: entry.attempts.saturating_add(1), sent: now, due, ..*entry });
    }

    /// Whether the message with this number was sent and is not stored yet.
    pub(crate) fn awaits(&self, sequence: u32) -> bool {
        self.find(sequence).is_some()
    }

    /// A message that is on its way will not be acknowledged. Returns whether it was: a copy of this news is none.
    pub(crate) fn take_back(&mut self, sequence: u32, now: u64) -> bool {
        let found = self.find(sequence).filter(|entry| entry.due > now);
        found.map(|entry| self.save(&Entry { due: now, ..entry })).is_some()
    }

    /// The hub does not want these readings: their number is used up without them, at once. Returns whether there were any.
    pub(crate) fn refuse(&mut self, sequence: u32, now: u64) -> bool {
        let found = self.find(sequence).filter(|entry| entry.records > 0);
        found.map(|entry| self.save(&Entry { records: 0, due: now, ..entry })).is_some()
    }

    /// Everything that was sent and is not stored is to be sent again. It was sent in vain as long as the hub was away: that says
    /// nothing about the network, and must not make the next wait a long one.
    pub(crate) fn rewind(&mut self, now: u64) {
        self.change(|entry| {
            if entry.attempts > 0 {
                (entry.due, entry.attempts) = (now, entry.attempts.min(2));
            }
        });
    }

    /// New numbers from 1 for a new session. What is stored already keeps a number, but nothing else.
    pub(crate) fn renumber(&mut self, now: u64) {
        self.change(|entry| {
            if entry.stored {
                entry.records = 0;
            }
            *entry = Entry { attempts: 0, stored: false, due: now, ..*entry };
        });
        self.first = 1;
        self.highest_sent = 0;
    }

    pub(crate) fn acknowledge(&mut self, now: u64, known: &Acknowledgement) -> Progress {
        let mut progress = Progress::default();
        self.change(|entry| {
            if entry.stored {
                return;
            }
            if known.covers(entry.sequence) {
                entry.stored = true;
                progress.stored += 1;
                // One that waited to be sent again, while the hub had to be greeted, tells how long that took.
                if entry.attempts == 1 && now <= entry.due {
                    progress.round_trip = Some(now.saturating_sub(entry.sent));
                }
            } else if entry.attempts == 1
                && let Some(bit) = known.bit(entry.sequence)
                && (known.bitmap() & !(bit - 1)).count_ones() >= OVERTAKEN
            {
                progress.lost = true;
                entry.due = now;
            }
        });
        self.forget();
        progress
    }

    /// Drops what is stored from the front.
    fn forget(&mut self) {
        while self.count > 0
            && let Some(entry) = self.entry(self.start, self.first)
            && entry.stored
        {
            self.start = entry.end();
            self.count -= 1;
            // It does not saturate: see `next`.
            self.first = self.first.saturating_add(1);
        }
        if self.count == 0 {
            (self.start, self.end, self.last) = (0, 0, 0);
        }
    }

    /// Moves everything to the front if there is no room behind it.
    fn make_room(&mut self, needed: usize, entry: &mut Entry) -> Result<(), PushError> {
        if self.end + needed <= self.memory.as_ref().len() {
            return Ok(());
        }
        if self.end - self.start + needed > self.memory.as_ref().len() {
            return Err(PushError::Full);
        }
        self.memory.as_mut().copy_within(self.start..self.end, 0);
        entry.at -= self.start;
        self.last = self.last.saturating_sub(self.start);
        self.end -= self.start;
        self.start = 0;
        Ok(())
    }

    /// Messages that are not stored, as far as the hub takes them.
    fn in_window(&self) -> impl Iterator<Item = Entry> {
        self.iter().take(WINDOW as usize).filter(|entry| !entry.stored)
    }

    fn find(&self, sequence: u32) -> Option<Entry> {
        self.iter()
            .take(WINDOW as usize)
            .find(|entry| entry.sequence == sequence && entry.attempts > 0 && !entry.stored)
    }

    fn iter(&self) -> impl Iterator<Item = Entry> {
        let mut at = self.start;
        (0..self.count).map_while(move |index| {
            let entry = self.entry(at, self.first.saturating_add(index))?;
            at = entry.end();
            Some(entry)
        })
    }

    fn change(&mut self, mut change: impl FnMut(&mut Entry)) {
        let mut at = self.start;
        for index in 0..self.count {
            let Some(mut entry) = self.entry(at, self.first.saturating_add(index)) else { return };
            at = entry.end();
            let before = entry;
            change(&mut entry);
            if entry != before {
                self.save(&entry);
            }
        }
    }

    fn entry(&self, at: usize, sequence: u32) -> Option<Entry> {
        let mut reader = Reader::new(self.memory.as_ref().get(at..self.end)?);
        Entry::read(at, sequence, &mut reader)
    }

    fn save(&mut self, entry: &Entry) {
        // `make_room` has seen to it that there is room.
        let written = entry.write(&mut Writer::new(self.memory.as_mut().get_mut(entry.at..).unwrap_or_default()));
        debug_assert_eq!(written, Ok(()));
    }
}

impl Entry {
    fn end(&self) -> usize {
        self.at + ENTRY_HEAD + usize::from(self.len)
    }

    fn read(at: usize, sequence: u32, reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            at,
            sequence,
            len: reader.u16().ok()?,
            records: reader.u16().ok()?,
            attempts: reader.u8().ok()?,
            stored: reader.u8().ok()? != 0,
            due: reader.u64().ok()?,
            sent: reader.u64().ok()?,
            base: reader.u64().ok()?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Unencodable> {
        writer.u16(self.len)?;
        writer.u16(self.records)?;
        writer.u8(self.attempts)?;
        writer.u8(self.stored.into())?;
        writer.u64(self.due)?;
        writer.u64(self.sent)?;
        writer.u64(self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An outbox whose first number is this.
    fn outbox(first: u32) -> Outbox<[u8; 200]> {
        Outbox { first, ..Outbox::new([0; 200]) }
    }

    fn send(outbox: &mut Outbox<[u8; 200]>) -> Result<u32, PushError> {
        let number = outbox.push(0, 0, 1, Value::U8(7))?;
        let entry = outbox.ready(0, 64).expect("it does not linger");
        outbox.sent(&entry, 0, 1_000);
        Ok(number)
    }

    #[test]
    fn numbers_come_to_their_end() {
        let mut outbox = outbox(u32::MAX - 2);
        assert_eq!(send(&mut outbox), Ok(u32::MAX - 2));
        assert_eq!(send(&mut outbox), Ok(u32::MAX - 1));
        assert_eq!(send(&mut outbox), Err(PushError::Exhausted));
        outbox.acknowledge(1, &Acknowledgement::new(u32::MAX - 1, 0).unwrap());
        assert_eq!((outbox.len(), send(&mut outbox)), (0, Err(PushError::Exhausted)));
        outbox.renumber(2);
        assert_eq!(send(&mut outbox), Ok(1));
    }

    #[test]
    fn memory_is_used_again_and_again_and_to_its_end() {
        let mut outbox = outbox(1);
        for number in 1..=1_000 {
            assert_eq!(send(&mut outbox), Ok(number));
            // 37 bytes each.
            if outbox.len() == 5 {
                assert_eq!(outbox.push(0, 0, 1, Value::U8(7)), Err(PushError::Full));
                outbox.acknowledge(1, &Acknowledgement::new(number - 2, 0).unwrap());
                let left = outbox.iter().map(|entry| outbox.records(&entry).iter().count()).sum::<usize>();
                assert_eq!((outbox.len(), left), (2, 2));
            }
        }
    }

    #[test]
    fn a_refused_message_keeps_its_place_and_takes_no_more_readings() {
        let mut outbox = outbox(1);
        send(&mut outbox).unwrap();
        outbox.refuse(1, 5);
        outbox.renumber(6);
        assert_eq!(outbox.push(7, 0, 1, Value::U8(8)), Ok(2));
        let records: std::vec::Vec<_> = outbox.iter().map(|entry| outbox.records(&entry).len()).collect();
        assert_eq!(records, [0, 1]);
    }
}
