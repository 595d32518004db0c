//! RFC 6455 by section: one table of cases, for everything that speaks WebSocket here.
//!
//! A [`Case`] is named for the section it enforces and builds a [`Script`]: what a peer sends, byte for byte, and what
//! must come of it. [`table::cases`] has all of them, for both roles. Runners carry scripts to an endpoint:
//! [`sans_io`] to the core itself, cut into pieces in every way; over sockets, a runner writes the same bytes.
//! Each ends in an [`Outcome`], which [`Script::check`] compares with what the script expects.
//!
//! [`harness`] runs cases as tests under the names that `cargo test NAME` selects by.
//!
//! Frames are built and read by [`wire`], which shares no code with the core.

pub mod harness;
mod outcome;
#[cfg(feature = "peers")]
pub mod peers;
pub mod sans_io;
mod script;
pub mod table;
pub mod wire;

pub use outcome::{Outcome, Seen, Sent};
pub use script::{Limits, Script, WeClose};
pub use table::Case;
