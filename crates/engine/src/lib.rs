//! Event loops that carry very many WebSocket connections.
//!
//! What a server does with its connections is an [`App`](tautline_proto::app::App), which a loop calls; see there for
//! what it may do and must not (block). This crate accepts no connections and speaks no HTTP: whoever does moves a
//! connection here once its opening handshake is answered.
//!
//! ```
//! use tautline_engine::{Engine, Settings};
//! use tautline_proto::app::{App, ConnectionId, Io, Message};
//!
//! struct Echo;
//!
//! impl App for Echo {
//!     fn message(&mut self, io: &mut dyn Io, id: ConnectionId, message: Message<'_>) {
//!         io.send(id, message);
//!     }
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! let engine = Engine::start(Settings::new())?;
//! let echo = engine.host(0, Echo);
//! // For every client: echo.admit(request, |admitted| ...), answer its handshake, admitted.adopt(handover).
//! # let _ = echo;
//! engine.drain(tautline_proto::CloseCode::GOING_AWAY, std::time::Duration::from_secs(10))?;
//! # Ok(()) }
//! ```
//!
//! # How a loop works
//!
//! - A loop is a thread with its sockets, its connections and its apps. Connections never change their loop, and apps
//!   are called by their loop alone: no lock and no task.
//! - In each turn it reads every socket that has something, calls apps for the messages, and writes to each
//!   connection, once, everything that the turn has produced for it. A message for many is encoded once.
//! - An idle connection is a record of less than 200 bytes. It owns no buffer.
//! - What a socket does not take waits in a queue of [`Profile::send_queue`] bytes; see
//!   [`Slow`](tautline_proto::app::Slow) for what happens when it is full. A connection that does not take its own
//!   answers is not read either.
//! - An app that panics loses the connection that the call was for (1011) and lives on.
//!
//! # Looking at connections
//!
//! [`Engine::inspect`] shows the frames of one connection as they are on the wire, and [`Host::connections`] tells which there
//! are. A connection that nobody looks at pays for neither.
//!
//! # Threads
//!
//! [`Host`] and [`Connection`] are for other threads: what they are asked travels to the loop through its inbox.
//!
//! # Features
//!
//! `tls` (default): connections whose TLS session, by rustls, moves to the loop with them. `io-uring` (default): on Linux,
//! what is published in a turn goes to all plain connections in one system call, where the kernel permits it. `zlib-rs`: that crate
//! as a [backend](Settings::deflate_backend) for the compression of large messages.

mod batch;
mod encoded;
mod engine;
mod event_loop;
mod host;
mod inbox;
mod metrics;
mod overview;
mod peer;
mod profile;
#[cfg(all(target_os = "linux", feature = "io-uring"))]
mod ring;
mod runner;
mod socket;
mod tap;
pub mod timers;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod wheel;

pub use encoded::Encoded;
pub use engine::{Engine, Settings};
pub use host::{Admitted, Attached, Connection, Handover, Host, PostError, Request};
pub use inbox::Wake;
pub use metrics::Counters;
pub use overview::Overview;
pub use profile::Profile;
#[cfg(feature = "tls")]
pub use rustls;
pub use tap::{Frame, Inspection, Shown};
