//! What waits to be sent to one client.

/// Bytes before each entry: its length, and whether it may be dropped.
pub(crate) const PREFIX: usize = 2;

/// The bit of the prefix that says so.
const DROPPABLE: u16 = 0x8000;

/// Frames and answers that the transport has not taken yet, in order, in fixed memory.
///
/// Entries are kept apart so that whole ones can be dropped, and so that control frames go between two of them.
#[derive(Debug)]
pub(crate) struct Queue<const SIZE: usize> {
    bytes: [u8; SIZE],
    start: usize,
    end: usize,
    /// Whether some of the first entry has left: then it has to follow.
    begun: bool,
}

impl<const SIZE: usize> Queue<SIZE> {
    pub(crate) const fn new() -> Self {
        assert!(SIZE < DROPPABLE as usize, "a queue has less than 32 KiB");
        Self { bytes: [0; SIZE], start: 0, end: 0, begun: false }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether the next byte begins an entry, or there is none.
    pub(crate) fn is_between(&self) -> bool {
        !self.begun
    }

    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// How long the next entry may be.
    pub(crate) fn free(&self) -> usize {
        (SIZE - self.len()).saturating_sub(PREFIX)
    }

    /// Appends an entry; false if there is no room.
    pub(crate) fn push(&mut self, parts: &[&[u8]], droppable: bool) -> bool {
        let room = self.room();
        let mut len = 0;
        for part in parts {
            match room.get_mut(len..len + part.len()) {
                Some(room) => room.copy_from_slice(part),
                None => return false,
            }
            len += part.len();
        }
        self.commit(len, droppable);
        true
    }

    /// Where the next entry may be written; [`commit`](Self::commit) makes it one.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        self.bytes.get_mut(self.end + PREFIX..).unwrap_or_default()
    }

    /// Makes the first `len` bytes of the room an entry.
    pub(crate) fn commit(&mut self, len: usize, droppable: bool) {
        if len > 0 {
            self.write_prefix(self.end, len, droppable);
            self.end += PREFIX + len;
        }
    }

    /// Moves bytes of the first entry to `out` and answers how many.
    pub(crate) fn take(&mut self, out: &mut [u8]) -> usize {
        if self.is_empty() {
            return 0;
        }
        let (len, droppable) = self.prefix(self.start);
        let taken = len.min(out.len());
        let begin = self.start + PREFIX;
        out[..taken].copy_from_slice(&self.bytes[begin..begin + taken]);
        self.start += taken;
        self.begun = taken < len;
        if self.begun {
            self.write_prefix(self.start, len - taken, droppable);
        } else {
            self.start += PREFIX;
        }
        taken
    }

    /// Drops the oldest entry that may be dropped; false if there is none.
    pub(crate) fn drop_oldest(&mut self) -> bool {
        let mut at = self.first_unbegun();
        while at < self.end {
            let (len, droppable) = self.prefix(at);
            let next = at + PREFIX + len;
            if droppable {
                self.bytes.copy_within(next..self.end, at);
                self.end -= next - at;
                return true;
            }
            at = next;
        }
        false
    }

    /// Drops everything that has not begun to leave.
    pub(crate) fn clear(&mut self) {
        self.end = self.first_unbegun();
    }

    /// Forgets everything.
    pub(crate) fn reset(&mut self) {
        (self.start, self.end, self.begun) = (0, 0, false);
    }

    fn first_unbegun(&self) -> usize {
        if self.begun { self.start + PREFIX + self.prefix(self.start).0 } else { self.start }
    }

    fn prefix(&self, at: usize) -> (usize, bool) {
        let prefix = u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]]);
        (usize::from(prefix & !DROPPABLE), prefix & DROPPABLE != 0)
    }

    fn write_prefix(&mut self, at: usize, len: usize, droppable: bool) {
        let prefix = len as u16 | if droppable { DROPPABLE } else { 0 };
        self.bytes[at..at + PREFIX].copy_from_slice(&prefix.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::vec::Vec;

    use super::*;

    fn all<const SIZE: usize>(queue: &mut Queue<SIZE>) -> Vec<u8> {
        let (mut all, mut out) = (Vec::new(), [0; 3]);
        loop {
            match queue.take(&mut out) {
                0 => return all,
                n => all.extend_from_slice(&out[..n]),
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_changes_nothing() {
        let mut queue = Queue::<16>::new();
        assert!(queue.push(&[b"ab", b"cde"], false));
        assert_eq!(queue.free(), 16 - 7 - 2);
        assert!(!queue.push(&[b"12345678"], false));
        assert!(queue.push(&[b"1234567"], false));
        assert_eq!(all(&mut queue), b"abcde1234567");
        assert!(queue.is_empty());
    }

    #[test]
    fn an_entry_that_has_begun_is_not_dropped() {
        let mut queue = Queue::<32>::new();
        for entry in [b"aaaa", b"bbbb", b"cccc"] {
            assert!(queue.push(&[entry], true));
        }
        assert_eq!(queue.take(&mut [0; 1]), 1);
        assert!(!queue.is_between());
        assert!(queue.drop_oldest());
        assert_eq!(all(&mut queue), b"aaacccc");
        assert!(!queue.drop_oldest());
    }

    #[test]
    fn entries_that_must_not_be_dropped_stay() {
        let mut queue = Queue::<32>::new();
        assert!(queue.push(&[b"keep"], false) && queue.push(&[b"drop"], true) && queue.push(&[b"last"], false));
        assert!(queue.drop_oldest() && !queue.drop_oldest());
        assert_eq!(all(&mut queue), b"keeplast");
    }

    #[test]
    fn it_is_a_queue_whatever_is_pushed_taken_and_dropped() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut queue = Queue::<64>::new();
        // Entries that wait, and whether they may be dropped; the first one may have begun.
        let mut model: VecDeque<(Vec<u8>, bool)> = VecDeque::new();
        let mut begun = false;
        for step in 0..50_000_u32 {
            match random.u8(0..8) {
                0..3 => {
                    let entry: Vec<u8> = (0..random.usize(1..20)).map(|n| (step as u8).wrapping_add(n as u8)).collect();
                    let fits =
                        model.iter().map(|(entry, _)| entry.len() + PREFIX).sum::<usize>() + entry.len() + PREFIX <= 64;
                    let droppable = random.bool();
                    assert_eq!(queue.push(&[&entry], droppable), fits);
                    if fits {
                        model.push_back((entry, droppable));
                    }
                }
                3..6 => {
                    let mut out = [0; 8];
                    let room = random.usize(1..=8);
                    let taken = queue.take(&mut out[..room]);
                    let expected = model.front().map_or(0, |(entry, _)| entry.len().min(room));
                    assert_eq!(taken, expected);
                    if let Some((entry, _)) = model.front_mut() {
                        assert_eq!(out[..taken], entry[..taken]);
                        entry.drain(..taken);
                        begun = !entry.is_empty();
                    }
                    if !begun {
                        model.pop_front();
                    }
                }
                6 => {
                    let found = model.iter().skip(usize::from(begun)).position(|(_, droppable)| *droppable);
                    assert_eq!(queue.drop_oldest(), found.is_some());
                    if let Some(at) = found {
                        model.remove(at + usize::from(begun));
                    }
                }
                _ => {
                    if random.u8(..) < 16 {
                        queue.clear();
                        model.truncate(usize::from(begun));
                    }
                }
            }
            assert_eq!(queue.is_empty(), model.is_empty());
            assert_eq!(queue.is_between(), !begun);
        }
    }
}
