//! What the device needs of a board.

use core::fmt;

use tautline_device_tls::Time;

use crate::Files;
use crate::blink::Punctuality;

/// A board: everything about it that is not its network.
///
/// Tasks of different priorities share it, so nothing here may wait.
pub trait Board: Sync {
    /// Prints a line for people.
    fn print(&self, line: fmt::Arguments<'_>);

    /// Switches the lamp that commands are about. It is not the light, which blinks on its own.
    fn lamp(&self, on: bool);

    /// How punctual the light has been.
    fn punctuality(&self) -> Punctuality;

    /// Fills the bytes with random numbers that nobody can predict.
    fn random(&self, bytes: &mut [u8]);

    /// What it knows of the time of day, for certificates.
    fn time(&self) -> Time {
        Time::Unknown
    }

    /// Its files.
    fn files(&self) -> Files<'static>;

    /// The device has done what it was to do, or cannot.
    fn ended(&self, success: bool);
}
