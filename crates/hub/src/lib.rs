//! The hub: rooms, apps, HTTP and pages on one port.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
//! let ctrl_c = async { tokio::signal::ctrl_c().await.unwrap() };
//! tautline_hub::Hub::new().run(listener, ctrl_c).await
//! # }
//! ```
//!
//! What a connection is for is decided by an [`App`](tautline_proto::app::App), without I/O; the ones there are stand in
//! [`apps`]. [`Hub`] puts them at their paths on the event loops of [`tautline_engine`], and answers HTTP. [`Driver`]
//! carries an app over tokio instead, for programs that have a [`tautline::Server`] of their own. [`labs`] has the servers
//! that need no WebSocket.

mod access;
pub mod apps;
mod clients;
mod devices;
mod driver;
mod events;
mod homes;
mod http;
mod hub;
mod ingest;
mod inspector;
pub mod labs;
mod metrics;
mod name;
mod page;
mod retention;
mod rooms;
mod selection;
mod senml;
mod site;
mod telemetry;
mod tokens;
mod watch;

pub use clients::Sessions;
pub use driver::{Driver, carry};
pub use hub::{Hub, Listen};
pub use ingest::{Encryption, Ingest, Keyless};
pub use name::{AppName, UnknownApp};
pub use retention::Keep;
pub use rooms::{RAW_SUBPROTOCOL, SUBPROTOCOL};
pub use tokens::Permissions;
