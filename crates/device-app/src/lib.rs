//! The device of the labs, for any board and for hosts: a control loop that blinks SOS and sends it, prints what arrives, and
//! obeys the commands that the hub's page gives it.
//!
//! Nothing here knows a board, a network stack or TLS: a board has a [`Led`](blink::Led) and a [`Board`], whoever starts a
//! [`Device`] brings a connector and a clock.

#![no_std]
#![forbid(unsafe_code)]

pub mod blink;
mod board;
mod device;
mod ears;
mod files;
pub mod plan;

pub use board::Board;
pub use device::{Buffers, Device, OUTBOX, TEXTS};
pub use files::Files;
