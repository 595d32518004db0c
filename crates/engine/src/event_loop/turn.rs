//! What a turn of the loop produces, until it is written.

use std::io::IoSlice;
use std::ops::Range;

use super::backlog::What;
use super::frame_len;

/// No entry.
pub(super) const NONE: u32 = u32::MAX;

/// How many pieces leave in one gathered write at most.
const GATHER: usize = 64;

/// From how many bytes or pieces on everything is written before more is added.
const FULL_BYTES: usize = 256 * 1024;
const FULL_PIECES: usize = 256 * 1024;

/// The frames of a turn, each encoded once, and which connection gets which of them. All memory is used again.
///
/// Whoever gets the same frames in a row, as the members of a room do, or one client its answers, has one piece of the
/// bytes and not one for each frame.
#[derive(Debug, Default)]
pub(super) struct Turn {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    pieces: Vec<Piece>,
    /// How many entries are not written.
    unwritten: usize,
}

/// What one connection gets.
#[derive(Debug)]
struct Entry {
    slot: u32,
    first: u32,
    last: u32,
    bytes: u32,
    /// How many of the bytes, counted from the front, belong to a frame whose beginning is written.
    begun: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Piece {
    start: u32,
    end: u32,
    next: u32,
    pub(super) what: What,
}

impl Turn {
    /// Whether everything is to be written before more is added.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL_BYTES || self.pieces.len() >= FULL_PIECES
    }

    /// Adds an encoded frame for [`give`](Self::give).
    pub(super) fn push(&mut self, head: &[u8], payload: &[u8]) -> Range<u32> {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(payload);
        start..self.bytes.len() as u32
    }

    /// Gives the connection in `slot`, whose entry is `entry`, a frame.
    pub(super) fn give(&mut self, entry: &mut u32, slot: usize, frame: Range<u32>, what: What) {
        let len = frame.end - frame.start;
        let piece = Piece { start: frame.start, end: frame.end, next: NONE, what };
        if *entry == NONE {
            *entry = self.entries.len() as u32;
            let at = self.pieces.len() as u32;
            self.pieces.push(piece);
            self.entries.push(Entry { slot: slot as u32, first: at, last: at, bytes: len, begun: 0 });
            self.unwritten += 1;
            return;
        }
        let entry = &mut self.entries[*entry as usize];
        entry.bytes += len;
        let at = self.pieces.len() as u32;
        let last = &mut self.pieces[entry.last as usize];
        if last.end == piece.start && last.what == what {
            last.end = piece.end;
        } else {
            last.next = at;
            entry.last = at;
            self.pieces.push(piece);
        }
    }

    /// How many bytes an entry has.
    pub(super) fn len(&self, entry: u32) -> usize {
        if entry == NONE { 0 } else { self.entries[entry as usize].bytes as usize }
    }

    /// Calls `write` with an entry's bytes, and further slices behind them.
    pub(super) fn gather<R>(&self, entry: u32, further: &[&[u8]], write: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
        if further.is_empty()
            && let Some(bytes) = self.one_piece(entry)
        {
            return write(&[IoSlice::new(bytes)]);
        }
        let mut slices = [IoSlice::new(&[]); GATHER];
        let mut len = 0;
        let all = self.pieces(entry).map(|piece| self.bytes(piece)).chain(further.iter().copied());
        for (slice, bytes) in slices.iter_mut().zip(all) {
            *slice = IoSlice::new(bytes);
            len += 1;
        }
        write(&slices[..len])
    }

    /// The bytes of an entry if they are in one piece, as nearly all are.
    pub(super) fn one_piece(&self, entry: u32) -> Option<&[u8]> {
        let mut pieces = self.pieces(entry);
        pieces.next().filter(|_| pieces.next().is_none()).map(|piece| self.bytes(piece))
    }

    /// Takes `n` written bytes off an entry; what is left of `n` when it is empty.
    pub(super) fn advance(&mut self, entry: u32, mut n: usize) -> usize {
        if entry == NONE {
            return n;
        }
        let Entry { first, bytes, begun, .. } = &mut self.entries[entry as usize];
        while *first != NONE && n > 0 {
            let piece = &mut self.pieces[*first as usize];
            let unwritten = &self.bytes[Self::range(piece)];
            let taken = unwritten.len().min(n);
            let mut frames = *begun as usize;
            while taken < unwritten.len() && frames < taken {
                frames += frame_len(&unwritten[frames..]);
            }
            n -= taken;
            *bytes -= taken as u32;
            piece.start += taken as u32;
            if taken == unwritten.len() {
                *first = piece.next;
            }
            *begun = frames.saturating_sub(taken) as u32;
        }
        n
    }

    /// The pieces of an entry that are not written.
    pub(super) fn pieces(&self, entry: u32) -> impl Iterator<Item = &Piece> {
        let mut at = if entry == NONE { NONE } else { self.entries[entry as usize].first };
        std::iter::from_fn(move || {
            let piece = self.pieces.get(at as usize)?;
            at = piece.next;
            Some(piece)
        })
    }

    /// How many bytes at the front of an entry continue a frame whose beginning is written.
    pub(super) fn begun(&self, entry: u32) -> usize {
        if entry == NONE { 0 } else { self.entries[entry as usize].begun as usize }
    }

    pub(super) fn bytes(&self, piece: &Piece) -> &[u8] {
        &self.bytes[piece.start as usize..piece.end as usize]
    }

    /// Where a piece lies in what [`take_bytes`](Self::take_bytes) gives.
    pub(super) fn range(piece: &Piece) -> Range<usize> {
        piece.start as usize..piece.end as usize
    }

    /// How many bytes the turn has produced.
    pub(super) fn total(&self) -> usize {
        self.bytes.len()
    }

    /// Lets a connection go whose bytes are written, or will not be.
    pub(super) fn done(&mut self, entry: &mut u32) {
        self.release(entry);
        self.forget_if_unused();
    }

    /// As [`done`](Self::done), in the middle of something that needs the bytes still.
    pub(super) fn release(&mut self, entry: &mut u32) {
        let entry = std::mem::replace(entry, NONE);
        if entry != NONE {
            self.entries[entry as usize].slot = NONE;
            self.unwritten -= 1;
        }
    }

    /// Begins anew if nobody has anything to get.
    pub(super) fn forget_if_unused(&mut self) {
        if self.unwritten == 0 {
            self.entries.clear();
            self.pieces.clear();
            self.bytes.clear();
        }
    }

    /// How many bytes an entry has if they are enough to hold on to all bytes for them, else 0.
    pub(super) fn worth_sharing(&self, entry: u32) -> usize {
        let len = self.len(entry);
        if len * 4 >= self.bytes.len() { len } else { 0 }
    }

    /// The connection of the entry at `index`; `None` beyond the last. Entries that are done answer `NONE`.
    pub(super) fn slot(&self, index: usize) -> Option<u32> {
        self.entries.get(index).map(|entry| entry.slot)
    }

    /// Takes the bytes out, to be shared by connections that could not take them now.
    pub(super) fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(turn: &Turn, entry: u32, further: &[&[u8]]) -> (String, usize) {
        turn.gather(entry, further, |slices| {
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            (String::from_utf8(all).unwrap(), slices.len())
        })
    }

    #[test]
    fn frames_that_follow_each_other_are_one_piece() {
        let mut turn = Turn::default();
        let (mut a, mut b) = (NONE, NONE);
        for frame in ["1", "2", "3"] {
            let frame = turn.push(b"h", frame.as_bytes());
            turn.give(&mut a, 0, frame.clone(), What::Published);
            if frame.start != 2 {
                turn.give(&mut b, 1, frame, What::Published);
            }
        }
        assert_eq!(text(&turn, a, &[]), ("h1h2h3".into(), 1));
        assert_eq!(text(&turn, b, &[b"more"]), ("h1h3more".into(), 3));
        assert_eq!((turn.len(a), turn.len(b)), (6, 4));
    }

    #[test]
    fn a_message_of_its_own_is_no_part_of_what_was_published() {
        let mut turn = Turn::default();
        let mut a = NONE;
        let frame = turn.push(b"", b"own");
        turn.give(&mut a, 0, frame, What::Own);
        let frame = turn.push(b"", b"all");
        turn.give(&mut a, 0, frame, What::Published);
        let what: Vec<_> = turn.pieces(a).map(|piece| piece.what).collect();
        assert_eq!(what, [What::Own, What::Published]);
    }

    #[test]
    fn what_is_written_is_taken_off_across_pieces() {
        let mut turn = Turn::default();
        let mut a = NONE;
        use What::{Own, Published};
        for (payload, what) in [("abc", Own), ("d", Own), ("e", Published), ("fgh", Published)] {
            let frame = turn.push(&[0x01, payload.len() as u8], payload.as_bytes());
            turn.give(&mut a, 0, frame, what);
        }
        assert_eq!((turn.advance(a, 6), turn.begun(a)), (0, 2), "in the middle of the second frame");
        assert_eq!(text(&turn, a, &[]).0, "\u{1}d\u{1}\u{1}e\u{1}\u{3}fgh");
        assert_eq!((turn.advance(a, 2), turn.begun(a)), (0, 0), "at the end of a piece");
        assert_eq!((turn.advance(a, 4), turn.begun(a)), (0, 4));
        assert_eq!(text(&turn, a, &[]).0, "\u{3}fgh");
        assert_eq!(turn.len(a), 4);
        assert_eq!(turn.advance(a, 6), 2, "what went beyond");
        assert_eq!(turn.len(a), 0);
    }

    #[test]
    fn the_memory_is_used_again_once_all_are_done() {
        let mut turn = Turn::default();
        let (mut a, mut b) = (NONE, NONE);
        let frame = turn.push(b"", b"x");
        turn.give(&mut a, 4, frame.clone(), What::Published);
        turn.give(&mut b, 5, frame, What::Published);
        turn.done(&mut a);
        turn.done(&mut a);
        assert_eq!((turn.slot(0), turn.slot(1), turn.total()), (Some(NONE), Some(5), 1));
        turn.done(&mut b);
        assert_eq!((a, b, turn.slot(0), turn.total()), (NONE, NONE, None, 0));
    }
}
