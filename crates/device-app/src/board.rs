//! What the device needs of a board.

use core::fmt;

use crate::blink::Punctuality;

/// A board, or a host in its place: everything about it that is not its network.
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
}
