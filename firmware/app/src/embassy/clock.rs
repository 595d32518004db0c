//! embassy's clock.

use embassy_time::{Duration, Timer};
use tautline_device::Clock;
use tautline_proto::Instant;

/// The clock of embassy's time driver.
#[derive(Clone, Copy, Debug)]
pub struct EmbassyClock;

impl Clock for EmbassyClock {
    fn now(&self) -> Instant {
        Instant::from_micros(embassy_time::Instant::now().as_micros())
    }

    async fn sleep_until(&self, at: Instant) {
        // The latest that embassy can tell is never: such a time is none that a clock shows.
        let wait = at.saturating_duration_since(self.now()).as_micros();
        Timer::after(Duration::from_micros(u64::try_from(wait).unwrap_or(u64::MAX))).await
    }
}
