//! Repetitions, and where they were said before.

use crate::{
    alphabet::{MAX_MATCH, MIN_MATCH},
    encode::{distance_symbol, length_symbol},
};

/// Bytes of a bucket: four places of two bytes.
pub(crate) const BUCKET: usize = 8;

/// So many bytes are looked at to find out where they were before. Shorter matches save little, and finding them would cost the
/// places of longer ones.
const KEY: usize = 5;

/// From this length on a match is taken without looking further.
const GOOD: u16 = 64;

/// Bytes that were there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) length: u16,
    pub(crate) distance: u16,
}

/// The text of a history, and where in it what stands.
///
/// The index is a table of buckets, each with the last four places at which some bytes were. There are no chains, so that a
/// search takes the same short time whatever the text, and a bucket is one word. A place is a position modulo 2^16; one that is
/// out of date is too far away, or does not match.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) index: &'a mut [[u8; BUCKET]],
    pub(crate) window: usize,
    pub(crate) first: usize,
    pub(crate) indexed: usize,
    pub(crate) base: u16,
}

impl Search<'_> {
    /// The best repetition that begins here, if there is one. Everything before is in the index afterwards.
    pub(crate) fn find(&mut self, at: usize) -> Option<Match> {
        while self.indexed < at {
            self.enter(self.indexed)?;
        }
        let places = self.enter(at)?;
        let here = self.place(at);
        let reach = self.window.min(at - self.first);
        let most = MAX_MATCH.min(self.text.len() - at);
        let mut best = None;
        let mut most_saved = 0;
        for lane in 0..BUCKET / 2 {
            let place = (places >> (16 * lane)) as u16;
            let distance = usize::from(here.wrapping_sub(place));
            if distance == 0 || distance > reach {
                continue;
            }
            let length = common(&self.text[at - distance..], &self.text[at..at + most]);
            if length < MIN_MATCH {
                continue;
            }
            let found = Match { length: length as u16, distance: distance as u16 };
            let saving = found.saving();
            if saving > most_saved {
                most_saved = saving;
                best = Some(found);
            }
        }
        best
    }

    /// Puts everything in the index that can be.
    pub(crate) fn index(&mut self) {
        while self.enter(self.indexed).is_some() {}
    }

    /// Puts a position in the index, and returns what was in its bucket before; `None` if too little text follows.
    #[inline]
    fn enter(&mut self, at: usize) -> Option<u64> {
        let &[a, b, c, d, e] = self.text[at..].first_chunk::<KEY>()?;
        let key = u32::from_le_bytes([a, b, c, d]).wrapping_mul(0x9e37_79b1);
        let key = key.wrapping_add(u32::from(e).wrapping_mul(0x85eb_ca6b));
        let bucket = (key >> 16) as usize & (self.index.len() - 1);
        let places = u64::from_le_bytes(self.index[bucket]);
        self.index[bucket] = (places << 16 | u64::from(self.place(at))).to_le_bytes();
        self.indexed = at + 1;
        Some(places)
    }

    fn place(&self, at: usize) -> u16 {
        self.base.wrapping_add(at as u16)
    }
}

impl Match {
    /// Whether it is worth looking whether a better one begins a byte later.
    pub(crate) fn may_be_beaten(self) -> bool {
        self.length < GOOD
    }

    /// Whether this one, a byte later, is better.
    pub(crate) fn beats(self, other: Self) -> bool {
        self.saving() > other.saving()
    }

    /// About how many bits it saves: a literal takes some 7, a match what it takes in the fixed code.
    fn saving(self) -> i32 {
        let length_bits = 7 + length_symbol(self.length).extra_bits;
        let distance_bits = 5 + distance_symbol(self.distance).extra_bits;
        7 * i32::from(self.length) - (length_bits + distance_bits) as i32
    }
}

/// How many bytes are the same, at most as many as `here` has. `there` is longer.
#[inline]
fn common(there: &[u8], here: &[u8]) -> usize {
    let mut length = 0;
    while let (Some(a), Some(b)) = (
        there.get(length..).and_then(|rest| rest.first_chunk::<8>()),
        here.get(length..).and_then(|rest| rest.first_chunk::<8>()),
    ) {
        let difference = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if difference != 0 {
            return length + difference.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    length + here[length..].iter().zip(&there[length..]).take_while(|(a, b)| a == b).count()
}
