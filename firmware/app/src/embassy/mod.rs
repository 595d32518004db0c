//! The device on a chip: embassy's TCP stack, clock and tasks.

mod clock;
mod network;
mod setup;
mod start;
mod tcp;
mod way;

pub use clock::EmbassyClock;
pub use network::{configure_ipv6, ipv4, ipv6};
pub use setup::Setup;
pub use start::start;
pub use tcp::{Open, Socket, Tcp};
