//! The device's side.
//!
//! # The drain rule
//!
//! Input is a message ([`receive`](Session::receive)), a reading ([`push`](Session::push)), a result
//! ([`answer`](Session::answer)), a new connection ([`reconnected`](Session::reconnected)), or that the time of
//! [`poll_timeout`](Session::poll_timeout) has come. **After every input, drain:** send what
//! [`poll_transmit`](Session::poll_transmit) gives until it gives nothing.
//!
//! Times are milliseconds of a clock of the caller's that never goes back, such as the time since the start.

mod clock;
mod config;
mod event;
mod outbox;
mod pacing;
mod session;

pub use config::Config;
pub use event::{Event, Ignored};
pub use outbox::{Memory, PushError};
pub use session::{Identity, Session};
