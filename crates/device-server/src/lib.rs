//! A small server for microcontrollers: pages and JSON over HTTP/1.1, and WebSockets, without an allocator.
//!
//! What a program does with its clients is a [`Handler`]; [`Server`] carries them over any transport: embassy-net's sockets
//! on a chip (feature `embassy`), tokio's on a host, with or without TLS (features `tokio`, `tls`). Every client has a fixed place
//! and fixed memory. A client too many is told so.
//!
//! ```
//! use tautline_device_server::{Asset, ClientId, Gather, Gathered, Handler, Io, Outcome, Method, Request, Respond, Responded};
//! use tautline_proto::Data;
//! use tautline_proto::app::{Message, Slow};
//!
//! static PAGES: [Asset; 1] = [Asset::new("/", "text/html", b"<!doctype html><h1>Lamp</h1>").tagged("\"1.0\"")];
//!
//! /// A lamp that is switched by POST or by WebSocket; everybody sees it.
//! struct Lamp {
//!     on: bool,
//!     input: [Gather<64>; 4],
//! }
//!
//! impl Lamp {
//!     fn switch(&mut self, io: &mut dyn Io, on: bool) {
//!         self.on = on;
//!         io.broadcast(Message::Text(if on { "on" } else { "off" }), Slow::Disconnect);
//!     }
//! }
//!
//! impl Handler for Lamp {
//!     fn request(&mut self, _: &mut dyn Io, request: &Request<'_>, respond: Respond<'_>) -> Outcome {
//!         self.input[request.client().slot()].clear();
//!         match (request.method(), request.path()) {
//!             (Method::Get, "/lamp") => respond.json(200, self.on).into(),
//!             (Method::Post, "/lamp") => Outcome::Json { limit: 64 },
//!             (_, path) => match Asset::find(&PAGES, path) {
//!                 Some(page) => respond.asset(page).into(),
//!                 None => respond.not_found().into(),
//!             },
//!         }
//!     }
//!
//!     fn body(&mut self, _: &mut dyn Io, client: ClientId, piece: &[u8]) {
//!         self.input[client.slot()].push(piece);
//!     }
//!
//!     fn complete(&mut self, io: &mut dyn Io, client: ClientId, respond: Respond<'_>) -> Responded {
//!         match self.input[client.slot()].bytes() {
//!             Some(b"true") => self.switch(io, true),
//!             Some(b"false") => self.switch(io, false),
//!             _ => return respond.error(422),
//!         }
//!         respond.json(200, self.on)
//!     }
//!
//!     fn message(&mut self, io: &mut dyn Io, client: ClientId, data: &Data<'_>) {
//!         match self.input[client.slot()].message(data) {
//!             Gathered::Whole(Message::Text("on")) => self.switch(io, true),
//!             Gathered::Whole(Message::Text("off")) => self.switch(io, false),
//!             _ => {}
//!         }
//!     }
//! }
//! ```
//!
//! # Memory
//!
//! A [`Server`] of `N` clients with `IN` bytes of input and `OUT` bytes of output for each, and the future of
//! [`serve`](Server::serve) with `M = N + 1` acceptors of embassy, take on a chip of 32 bits (riscv32imc, thumbv7m):
//!
//! | | bytes |
//! |---|---|
//! | for each client, in the server | 336 + `OUT` |
//! | for each acceptor, in the future | 768 + `IN` |
//! | besides | 96 |
//!
//! Four clients with 1,024 bytes each way: 14.2 KiB. The buffers of the IP stack's sockets, the handler and what it keeps come on
//! top. Nothing else is ever allocated; the stack holds at most 1 KiB of a request's headers at a time (256 bytes with
//! [`Limits::with_max_headers`](tautline_proto::handshake::Limits::with_max_headers) of 16 or less), and once, when serving begins, twice what
//! the acceptors take.
//!
//! # Where nothing is decided twice
//!
//! Handshakes, frames, timers and close codes are those of `tautline-proto`. This crate adds HTTP around it: how long a body is,
//! what may be kept alive, who gets a place.
//!
//! [`Machine`] is all of it without I/O and without a clock, for drivers of another kind.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "tokio"))]
extern crate std;

mod asset;
mod body;
mod client;
#[cfg(feature = "embassy")]
pub mod embassy;
mod gather;
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
pub use gather::{Gather, Gathered};
pub use handler::{ClientId, Handler, Io, SendError};
pub use machine::{Machine, Transmit};
pub use request::{Method, Request};
pub use respond::{Outcome, Respond, Responded};
pub use server::{STAGE, Server};
pub use settings::Settings;
pub use transport::{Acceptor, Clock, Transport};
