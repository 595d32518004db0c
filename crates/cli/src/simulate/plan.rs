//! What a fleet is to do.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::crew::Member;
use super::wire::Faults;

/// What all devices do alike.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Milliseconds between two readings of a sensor.
    pub(super) interval: u64,
    /// How often each sensor is read; `None` is until the end.
    pub(super) count: Option<u64>,
    /// What the network does (UDP).
    pub(super) faults: Faults,
    /// From which all that is random follows, but for what has to be secret.
    pub(super) seed: u64,
}

/// How far a fleet is, and how often it was told to reconnect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Orders {
    /// Read nothing any more, and wait for acknowledgements.
    pub(super) end: bool,
    /// Do not wait either.
    pub(super) stop: bool,
    /// How many reconnect storms there were.
    pub(super) storms: u32,
}

/// The clock of a fleet, in milliseconds since its start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Plan {
    /// A seed for one purpose of one device.
    pub(super) fn seed_of(&self, member: &Member, purpose: u64) -> u64 {
        // Far apart for neighbours, which is all that is asked of them.
        let place = member.place.wrapping_mul(8).wrapping_add(purpose);
        self.seed ^ place.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// Waits until this time; for ever if there is none.
    pub(super) async fn until(self, at: Option<u64>) {
        match at.and_then(|at| self.0.checked_add(Duration::from_millis(at))) {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
    }
}

/// Waits for other orders than these.
pub(super) async fn changed(orders: &mut watch::Receiver<Orders>) -> Orders {
    if orders.changed().await.is_err() {
        // Whoever gave orders is gone, and so is the fleet soon.
        return Orders { end: true, stop: true, ..*orders.borrow() };
    }
    *orders.borrow_and_update()
}
