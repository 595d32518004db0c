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
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at the end of the clock's range (584,000 years).
    // On a chip of 32 bits this is much code for each timer.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn add(self, duration: Duration) -> Self {
        // Not `as_micros`, whose 128 bits are much code on a chip.
        let micros = duration.as_secs().saturating_mul(1_000_000).saturating_add(duration.subsec_micros().into());
        Self(self.0.saturating_add(micros))
    }
}

impl Sub<Self> for Instant {
    type Output = Duration;

    /// Saturates at zero.
    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

/// `span` times a random number from 0 to 1, given as 32 bits.
pub(crate) fn jittered(span: Duration, random: u32) -> Duration {
    let (micros, random) = ((Instant::ZERO + span).as_micros(), u64::from(random));
    // In two halves: a product of 128 bits is much code on a chip.
    let (high, low) = (micros >> 32, micros & u64::from(u32::MAX));
    Duration::from_micros(high * random + ((low * random) >> 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jittered_time_is_the_product_whatever_its_size() {
        for micros in [0, 1, 1_000_000, u64::from(u32::MAX), 1 << 32, 0x1234_5678_9abc_def0, u64::MAX] {
            for random in [0, 1, 1 << 31, 0xdead_beef, u32::MAX] {
                let product = (u128::from(micros) * u128::from(random)) >> 32;
                assert_eq!(jittered(Duration::from_micros(micros), random).as_micros(), product);
            }
        }
    }
}
