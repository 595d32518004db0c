//! The device on a chip: embassy's TCP stack, clock and tasks.

mod clock;
mod setup;
mod start;
mod tcp;
mod way;

pub use clock::EmbassyClock;
pub use setup::Setup;
pub use start::start;
pub use tcp::{Open, Socket, Tcp};
