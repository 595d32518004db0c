//! The light: SOS in Morse code, and how punctual it is.
//!
//! It is meant for a timer's interrupt, or for a task of higher priority than everything that talks to the network, so
//! that neither a TLS handshake nor a lost connection can stall it.

use core::fmt;

/// How long a dot lasts, in microseconds. A dash and the gap between letters last three, the gap between words seven.
pub const DOT: u64 = 100_000;

/// The lengths of SOS in dots: on, off, on, off, and so on.
const SOS: [u8; 18] = [1, 1, 1, 1, 1, 3, 3, 1, 3, 1, 3, 3, 1, 1, 1, 1, 1, 7];

/// A light that can be switched.
pub trait Led {
    /// Switches it. It is called from an interrupt, so it must not wait.
    fn set(&mut self, on: bool);
}

/// How late the light's edges were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Punctuality {
    /// How many edges there were.
    pub edges: u32,
    /// How late the worst one was, in microseconds.
    pub worst_us: u64,
}

impl fmt::Display for Punctuality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "light {} edges, worst {} us late", self.edges, self.worst_us)
    }
}

/// Blinks SOS over and over.
#[derive(Debug)]
pub struct Blinker<L> {
    led: L,
    /// The place in [`SOS`] that the next edge begins.
    place: usize,
    /// When the next edge is due, in microseconds.
    due: u64,
    punctuality: Punctuality,
}

impl<L: Led> Blinker<L> {
    /// Begins at this time, in microseconds of whatever clock the board has.
    pub const fn new(led: L, start_us: u64) -> Self {
        Self { led, place: 0, due: start_us, punctuality: Punctuality { edges: 0, worst_us: 0 } }
    }

    /// Makes the edges that are due at this time; when the next one is. Call it again then.
    ///
    /// A board that slept through several edges makes the last of them, so that the rhythm stays what it was.
    pub fn at(&mut self, now_us: u64) -> u64 {
        while self.due <= now_us {
            self.punctuality.edges = self.punctuality.edges.saturating_add(1);
            self.punctuality.worst_us = self.punctuality.worst_us.max(now_us - self.due);
            self.led.set(self.place.is_multiple_of(2));
            self.due += u64::from(SOS[self.place]) * DOT;
            self.place = (self.place + 1) % SOS.len();
        }
        self.due
    }

    /// How punctual it has been since the beginning.
    pub fn punctuality(&self) -> Punctuality {
        self.punctuality
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::String;
    use std::vec::Vec;

    use super::*;

    /// Remembers what it was told.
    #[derive(Default)]
    struct Recorded(Vec<bool>);

    impl Led for Recorded {
        fn set(&mut self, on: bool) {
            self.0.push(on);
        }
    }

    #[test]
    fn a_punctual_board_blinks_sos_and_begins_again() {
        let mut blinker = Blinker::new(Recorded::default(), 5);
        let mut now = 5;
        let mut morse = String::new();
        for _ in 0..SOS.len() + 1 {
            let next = blinker.at(now);
            let on = *blinker.led.0.last().unwrap();
            morse.push_str(match (on, (next - now) / DOT) {
                (true, 1) => ".",
                (true, 3) => "-",
                (false, 1) => "",
                (false, 3) => " ",
                (false, 7) => "|",
                other => panic!("{other:?}"),
            });
            now = next;
        }
        assert_eq!(morse, "... --- ...|.");
        assert_eq!(blinker.punctuality(), Punctuality { edges: SOS.len() as u32 + 1, worst_us: 0 });
    }

    #[test]
    fn the_worst_edge_is_remembered_and_moves_no_other() {
        let mut blinker = Blinker::new(Recorded::default(), 0);
        assert_eq!(blinker.at(0), DOT);
        assert_eq!(blinker.at(DOT + 300), 2 * DOT);
        assert_eq!(blinker.at(2 * DOT + 20), 3 * DOT);
        assert_eq!(blinker.punctuality(), Punctuality { edges: 3, worst_us: 300 });
    }

    #[test]
    fn edges_that_were_slept_through_are_made_up_for() {
        let mut blinker = Blinker::new(Recorded::default(), 0);
        assert_eq!(blinker.at(2 * DOT + 7), 3 * DOT);
        assert_eq!(blinker.led.0, [true, false, true]);
        assert_eq!(blinker.punctuality(), Punctuality { edges: 3, worst_us: 2 * DOT + 7 });
    }

    #[test]
    fn a_call_before_the_time_does_nothing() {
        let mut blinker = Blinker::new(Recorded::default(), 100);
        assert_eq!(blinker.at(99), 100);
        assert!(blinker.led.0.is_empty());
    }
}
