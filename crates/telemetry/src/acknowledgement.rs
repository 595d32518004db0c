//! What of a session is stored.

use crate::cursor::{Reader, Writer};
use crate::error::{Malformed, Unencodable};

/// How many numbers of readings may be on their way beyond the highest that is acknowledged.
pub const WINDOW: u32 = 64;

/// What of a session's readings is stored: all up to a number, and some of the 63 behind the next one.
///
/// It is also all that a hub has to keep of a session to go on with it after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Acknowledgement {
    highest: u32,
    bitmap: u64,
}

impl Acknowledgement {
    /// From its two numbers; `None` if they contradict each other: bit 0 of the bitmap stands for `highest` + 1, which
    /// would itself be the highest if it were stored.
    pub const fn new(highest: u32, bitmap: u64) -> Option<Self> {
        let behind_the_last = u32::MAX - highest;
        let possible = if behind_the_last >= 64 { u64::MAX } else { (1 << behind_the_last) - 1 };
        if bitmap & 1 != 0 || bitmap & !possible != 0 { None } else { Some(Self { highest, bitmap }) }
    }

    /// All readings up to this number are stored.
    pub const fn highest(&self) -> u32 {
        self.highest
    }

    /// Bit *i* is set if number `highest` + 1 + *i* is stored too.
    pub const fn bitmap(&self) -> u64 {
        self.bitmap
    }

    /// Whether the readings with this number are stored.
    pub const fn covers(&self, sequence: u32) -> bool {
        match self.bit(sequence) {
            Some(bit) => self.bitmap & bit != 0,
            None => sequence <= self.highest,
        }
    }

    /// The readings with this number are stored. Returns whether that is new. Numbers beyond the window are left out.
    pub const fn add(&mut self, sequence: u32) -> bool {
        let Some(bit) = self.bit(sequence) else { return false };
        if self.bitmap & bit != 0 {
            return false;
        }
        self.bitmap |= bit;
        let run = self.bitmap.trailing_ones();
        self.highest = self.highest.saturating_add(run);
        self.bitmap = self.bitmap.unbounded_shr(run);
        true
    }

    /// The bit that stands for a number, if it is above `highest` and within the window.
    pub(crate) const fn bit(&self, sequence: u32) -> Option<u64> {
        match sequence.checked_sub(self.highest) {
            Some(distance @ 1..=WINDOW) => Some(1 << (distance - 1)),
            _ => None,
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Self::new(reader.u32()?, reader.u64()?).ok_or(Malformed::Range)
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), Unencodable> {
        writer.u32(self.highest)?;
        writer.u64(self.bitmap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_that_closes_moves_the_highest_number_to_the_next_gap() {
        let mut stored = Acknowledgement::default();
        for sequence in [2, 3, 5] {
            assert!(stored.add(sequence));
        }
        assert_eq!((stored.highest(), stored.bitmap()), (0, 0b10110));
        assert!(stored.add(1));
        assert_eq!((stored.highest(), stored.bitmap()), (3, 0b10));
        assert!(stored.covers(1) && stored.covers(3) && !stored.covers(4) && stored.covers(5) && !stored.covers(6));
    }

    #[test]
    fn numbers_are_new_once_and_only_in_the_window() {
        let mut stored = Acknowledgement::new(10, 0).unwrap();
        assert!(!stored.add(10) && !stored.add(0) && !stored.add(75));
        assert!(stored.add(74) && !stored.add(74));
        for sequence in 11..74 {
            assert!(stored.add(sequence), "{sequence}");
        }
        assert_eq!(stored, Acknowledgement::new(74, 0).unwrap());
    }

    #[test]
    fn the_last_number_is_reached_without_overflow() {
        let mut stored = Acknowledgement::new(u32::MAX - 2, 0).unwrap();
        assert!(stored.add(u32::MAX) && stored.add(u32::MAX - 1));
        assert_eq!(stored, Acknowledgement::new(u32::MAX, 0).unwrap());
        assert!(stored.covers(u32::MAX));
    }

    #[test]
    fn numbers_that_contradict_each_other_are_none() {
        assert_eq!(Acknowledgement::new(5, 1), None);
        assert_eq!(Acknowledgement::new(u32::MAX, 2), None);
        assert_eq!(Acknowledgement::new(u32::MAX - 2, 0b100), None);
        assert!(Acknowledgement::new(u32::MAX - 2, 0b10).is_some());
    }
}
