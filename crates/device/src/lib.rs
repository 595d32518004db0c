//! A WebSocket client that stays up on a microcontroller: no allocator, no operating system.
//!
//! It runs beside the control loop and never blocks it. Time, randomness and the network are brought along by the caller, as
//! [`Clock`], [`Random`] and [`Connector`].

#![no_std]
#![forbid(unsafe_code)]

mod transport;

pub use transport::{Clock, ConnectError, Connector, Random, Transport};
