//! The device on a chip: embassy's TCP stack, clock and tasks.

mod clock;
mod start;
mod tcp;

pub use clock::EmbassyClock;
pub use start::start;
pub use tcp::{Open, Tcp};
