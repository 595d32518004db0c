//! Room for records, and who gives way.

use tautline_proto::Part;

use super::record::{FLAGS, HEADER, Record};
use super::{Outbox, Policy, PushError};

impl Outbox<'_> {
    /// Finds room for a record and answers where.
    pub(super) fn make_room(&mut self, record: &Record) -> Result<usize, PushError> {
        if record.len as usize > self.memory.len().saturating_sub(HEADER) {
            return Err(PushError::TooLarge);
        }
        let size = record.size();
        if let Some((at, old)) = self.replaced_by(record) {
            let missing = (self.used() - old.size() + size).saturating_sub(self.limit(record));
            if missing <= self.droppable(Some(at)) {
                return Ok(self.replace(at, &old, record));
            }
            return Err(PushError::Full);
        }
        let missing = (self.used() + size).saturating_sub(self.limit(record));
        let droppable = if record.is_expendable() { self.droppable(None) } else { 0 };
        if missing > droppable {
            return Err(PushError::Full);
        }
        while self.used() + size > self.limit(record)
            && let Some(victim) = self.victim(None)
        {
            self.evict(victim);
        }
        if self.memory.len() - self.end < size {
            self.compact();
        }
        let at = self.end;
        self.end += size;
        Ok(at)
    }

    /// The waiting record whose place `record` takes.
    fn replaced_by(&self, record: &Record) -> Option<(usize, Record)> {
        let Policy::KeepLatest(_) = record.policy else { return None };
        self.find(|at, old| old.policy == record.policy && !old.sent && self.sending != Some(at))
    }

    /// Makes a gap for `record` where `old` lies, so that a value that changes faster than the link takes it keeps its
    /// place in the queue. Answers where.
    fn replace(&mut self, at: usize, old: &Record, record: &Record) -> usize {
        let size = record.size();
        self.counters.replaced = self.counters.replaced.wrapping_add(1);
        let mut at = at;
        while self.used() - old.size() + size > self.limit(record)
            && let Some(victim) = self.victim(Some(at))
        {
            let moved = self.evict(victim);
            if victim < at {
                at -= moved;
            }
        }
        let before = self.start;
        self.compact();
        at -= before;
        let behind = at + old.size();
        self.memory.copy_within(behind..self.end, at + size);
        self.end = self.end - old.size() + size;
        if let Some(sending) = &mut self.sending
            && *sending > at
        {
            *sending = *sending - old.size() + size;
        }
        at
    }

    /// Drops a record. Answers by how much those behind it have moved.
    fn evict(&mut self, at: usize) -> usize {
        self.counters.dropped = self.counters.dropped.wrapping_add(1);
        self.remove(at)
    }

    /// The oldest record that may be dropped.
    fn victim(&self, except: Option<usize>) -> Option<usize> {
        self.victims(except).map(|(at, _)| at).next()
    }

    /// How many bytes dropping would free.
    fn droppable(&self, except: Option<usize>) -> usize {
        self.victims(except).map(|(_, record)| record.size()).sum()
    }

    fn victims(&self, except: Option<usize>) -> impl Iterator<Item = (usize, Record)> {
        self.records()
            .filter(move |(at, record)| record.is_expendable() && self.sending != Some(*at) && except != Some(*at))
    }

    pub(super) fn used(&self) -> usize {
        self.end - self.start
    }

    /// How much may be used with this record.
    fn limit(&self, record: &Record) -> usize {
        match record.part {
            Part::Whole(_) => self.memory.len() - self.reserved,
            _ => self.memory.len(),
        }
    }

    /// Takes a record out. Answers by how much those behind it have moved.
    pub(super) fn remove(&mut self, at: usize) -> usize {
        let size = self.record(at).size();
        let mut moved = 0;
        if at == self.start {
            self.start += size;
        } else {
            self.memory.copy_within(at + size..self.end, at);
            self.end -= size;
            moved = size;
            if let Some(sending) = &mut self.sending
                && *sending > at
            {
                *sending -= size;
            }
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        moved
    }

    /// Moves everything to the beginning of the memory.
    fn compact(&mut self) {
        self.memory.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        if let Some(sending) = &mut self.sending {
            *sending -= self.start;
        }
        self.start = 0;
    }

    pub(super) fn record(&self, at: usize) -> Record {
        let mut header = [0; HEADER];
        header.copy_from_slice(&self.memory[at..at + HEADER]);
        Record::decode(&header)
    }

    /// Changes a flag of a record.
    pub(super) fn mark(&mut self, at: usize, flag: u8, on: bool) {
        let flags = &mut self.memory[at + FLAGS];
        *flags = if on { *flags | flag } else { *flags & !flag };
    }

    pub(super) fn find(&self, wanted: impl Fn(usize, &Record) -> bool) -> Option<(usize, Record)> {
        self.records().find(|(at, record)| wanted(*at, record))
    }

    /// All records and where they lie, the oldest first.
    pub(super) fn records(&self) -> impl Iterator<Item = (usize, Record)> {
        let mut at = self.start;
        core::iter::from_fn(move || {
            (at < self.end).then(|| {
                let record = self.record(at);
                let here = at;
                at += record.size();
                (here, record)
            })
        })
    }
}
