//! The device of the labs ([`tautline_device_app`]) on a chip: TLS without an allocator, its files in flash, and with the
//! feature `embassy` TCP and tasks.
//!
//! Nothing here knows a board: a board is a [`Chip`], has a [`Led`](blink::Led), a clock and a network, and starts it all.

#![no_std]

mod chip;
#[cfg(feature = "embassy")]
pub mod embassy;

pub use chip::Chip;
pub use tautline_device_app::{Board, Files, blink};
pub use tautline_device_tls::Time;
