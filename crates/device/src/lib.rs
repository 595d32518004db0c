//! A WebSocket client that stays up on a microcontroller: no allocator, no operating system.
//!
//! It runs beside the control loop and never blocks it. Time, randomness and the network are brought along by the caller, as
//! [`Clock`], [`Random`] and [`Connector`].

#![no_std]
#![forbid(unsafe_code)]

mod client;
mod event;
mod link;
mod machine;
mod outbox;
mod settings;
mod stream;
mod text;
mod transport;

pub use client::{Client, MIN_RECEIVE, MIN_TRANSMIT};
pub use event::{Cause, Event, Handler, Stopped};
pub use link::{Link, Message};
pub use machine::{Machine, State};
pub use outbox::{Counters, Outbox, Policy, PushError};
pub use settings::Settings;
pub use stream::{Stream, StreamError};
pub use tautline_proto::{Backoff, CloseCode, Config, Data, Ended, Instant, Kind, OpCode, Part};
pub use text::Text;
pub use transport::{Clock, ConnectError, Connector, Random, Transport};
