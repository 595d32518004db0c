//! The apps: what a connection is for. No I/O and no async; the driver does that.

mod clock;
mod counters;
mod echo;
mod hello;
#[cfg(test)]
pub(crate) mod testing;

pub use crate::rooms::Rooms;
pub use clock::Clock;
pub use counters::Counters;
pub(crate) use counters::{Action, Unchanged, counter_name};
pub use echo::Echo;
pub use hello::Hello;

use std::net::SocketAddr;

use tautline_proto::app::{ConnectionId, Io};
use tracing::field::{DisplayValue, display};

/// How much of what a client sent is quoted in the log.
const QUOTED: usize = 60;

/// The address of a client, for the log.
pub(crate) fn peer(io: &dyn Io, id: ConnectionId) -> Option<DisplayValue<SocketAddr>> {
    io.peer(id).map(display)
}

/// The beginning of what a client sent, fit for one line of a log.
pub(crate) fn quote(text: &str) -> String {
    let quoted: String = text.chars().take(QUOTED).collect();
    let more = if quoted.len() < text.len() { "..." } else { "" };
    format!("\"{}{more}\"", quoted.escape_debug())
}
