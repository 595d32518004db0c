//! The device of the labs, for any board: a control loop that blinks SOS and sends it, prints what arrives, and obeys the
//! commands that the hub's page gives it.
//!
//! Nothing here knows a board: a board has a [`Led`](blink::Led), a clock, a network, and starts it all.

#![no_std]

pub mod blink;
mod board;
pub mod device;
#[cfg(feature = "embassy")]
pub mod embassy;
mod files;
pub mod plan;

pub use board::Board;
pub use files::Files;
pub use tautline_device_tls::Time;
