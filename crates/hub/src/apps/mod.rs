//! The apps: what a connection is for. No I/O and no async; the driver does that.

mod clock;
mod counter;
mod echo;
mod hello;
mod relay;
#[cfg(test)]
mod testing;

pub use clock::Clock;
pub use counter::Counter;
pub use echo::Echo;
pub use hello::Hello;
pub use relay::Relay;

use std::net::SocketAddr;

use tautline_proto::app::{ConnectionId, Io};
use tracing::field::{DisplayValue, display};

/// How much of what a client sent is quoted in the log.
const QUOTED: usize = 60;

/// The address of a client, for the log.
fn peer(io: &dyn Io, id: ConnectionId) -> Option<DisplayValue<SocketAddr>> {
    io.peer(id).map(display)
}

/// The beginning of what a client sent, fit for one line of a log.
fn quote(text: &str) -> String {
    let quoted: String = text.chars().take(QUOTED).collect();
    let more = if quoted.len() < text.len() { "..." } else { "" };
    format!("\"{}{more}\"", quoted.escape_debug())
}
