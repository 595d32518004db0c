//! The device on a chip: embassy's TCP stack, clock and tasks.

mod clock;
mod tcp;

pub use clock::EmbassyClock;
pub use tcp::{Buffers, Tcp};
