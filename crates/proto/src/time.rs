//! Time as an argument.

use core::ops::{Add, Sub};
use core::time::Duration;

/// A point on the caller's monotonic clock, in microseconds since an origin that the caller chooses.
///
/// The core reads no clock: whoever drives it passes the time in. Only differences matter, so a chip may count from
/// its boot and a server from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The origin of the caller's clock.
    pub const ZERO: Self = Self(0);
    /// Later than every time that a clock will show: "never".
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// The point `micros` microseconds after the origin.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The point `millis` milliseconds after the origin (saturating).
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Microseconds since the origin.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.since(earlier).duration()
    }

    /// As [`saturating_duration_since`](Self::saturating_duration_since), to reckon with.
    pub(crate) const fn since(self, earlier: Self) -> Micros {
        Micros(self.0.saturating_sub(earlier.0))
    }
}

/// A time in microseconds, which timers reckon with: sums of durations are multiplications and divisions of 64 bits, which
/// are much code on a chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Micros(pub(crate) u64);

impl Micros {
    /// Whole microseconds of a duration, up to 584,000 years.
    // On a chip of 32 bits this is much code for each timer.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) const fn of(duration: Duration) -> Self {
        // Not `as_micros`, whose 128 bits are much code on a chip.
        Self(duration.as_secs().saturating_mul(1_000_000).saturating_add(duration.subsec_micros() as u64))
    }

    /// As a duration.
    pub(crate) const fn duration(self) -> Duration {
        if cfg!(target_pointer_width = "64") { Duration::from_micros(self.0) } else { self.divided() }
    }

    /// As a duration, with divisions of 32 bits only.
    const fn divided(self) -> Duration {
        // A second is 2^6 times 15,625 microseconds. Long division with digits of 16 bits then leaves 14 bits each time.
        let (mut seconds, mut rest, mut shift) = (0, 0, 64);
        while shift > 0 {
            shift -= 16;
            let dividend = rest << 16 | (self.0 >> 6 >> shift) as u32 & 0xffff;
            seconds = seconds << 16 | (dividend / 15_625) as u64;
            rest = dividend % 15_625;
        }
        let micros = rest << 6 | self.0 as u32 & 0x3f;
        Duration::new(seconds, micros * 1_000)
    }

    /// This time times a random number from 0 to 1, given as 32 bits.
    pub(crate) const fn jittered(self, random: u32) -> Self {
        // In two halves: a product of 128 bits is much code on a chip.
        let (high, low, random) = (self.0 >> 32, self.0 & u32::MAX as u64, random as u64);
        Self(high * random + ((low * random) >> 32))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at the end of the clock's range (584,000 years).
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn add(self, duration: Duration) -> Self {
        self + Micros::of(duration)
    }
}

impl Add<Micros> for Instant {
    type Output = Self;

    /// Saturates as well.
    // Each of two dozen sums would be more code than the call.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn add(self, micros: Micros) -> Self {
        Self(self.0.saturating_add(micros.0))
    }
}

impl Sub<Self> for Instant {
    type Output = Duration;

    /// Saturates at zero.
    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jittered_time_is_the_product_whatever_its_size() {
        for micros in [0, 1, 1_000_000, u64::from(u32::MAX), 1 << 32, 0x1234_5678_9abc_def0, u64::MAX] {
            for random in [0, 1, 1 << 31, 0xdead_beef, u32::MAX] {
                let product = (u128::from(micros) * u128::from(random)) >> 32;
                assert_eq!(u128::from(Micros(micros).jittered(random).0), product);
            }
        }
    }

    #[test]
    fn a_time_divided_by_hand_is_the_same() {
        let rest = [0, 1, 63, 64, 999_999];
        for seconds in [0, 1, 15_624, 15_625, 65_535, 65_536, 1 << 32, u64::MAX / 1_000_000 - 1] {
            for micros in rest.map(|rest| seconds * 1_000_000 + rest) {
                assert_eq!(Micros(micros).divided(), Duration::from_micros(micros));
                assert_eq!(Micros::of(Duration::from_micros(micros)), Micros(micros));
            }
        }
        assert_eq!(Micros(u64::MAX).divided(), Duration::from_micros(u64::MAX));
    }
}
