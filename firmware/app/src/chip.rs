//! What the device needs of a chip, besides what it needs of any board.

use tautline_device_app::{Board, Files};
use tautline_device_tls::Time;

/// A board with a chip.
pub trait Chip: Board {
    /// What it knows of the time of day, for certificates.
    fn time(&self) -> Time {
        Time::Unknown
    }

    /// Its files.
    fn files(&self) -> Files<'static>;

    /// The device has done what it was to do, or cannot.
    fn ended(&self, success: bool);
}
