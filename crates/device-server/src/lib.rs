//! A small HTTP and WebSocket server for microcontrollers.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "tokio"))]
extern crate std;

mod asset;
mod body;
mod client;
#[cfg(feature = "embassy")]
pub mod embassy;
mod handler;
#[cfg(feature = "tokio")]
pub mod host;
mod machine;
mod queue;
mod request;
mod respond;
mod server;
mod settings;
mod transport;
mod view;

pub use asset::Asset;
pub use client::{Ending, Peer};
pub use handler::{ClientId, Handler, Io, SendError};
pub use machine::{Machine, Transmit};
pub use request::{Method, Request};
pub use respond::{Outcome, Respond, Responded};
pub use server::{STAGE, Server};
pub use settings::Settings;
pub use transport::{Acceptor, Clock, Transport};
