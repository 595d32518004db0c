//! A WebSocket client that stays up on a microcontroller: no allocator, no operating system, no `unsafe`.
//!
//! It runs beside the control loop and never blocks it: messages go into an outbox, from any task or priority, and a client's future
//! does the rest, connecting again and again. Time, randomness and the network are brought along as [`Clock`], [`Random`] and
//! [`Connector`]; the protocol is [`tautline_proto`]'s.
//!
//! - [`Link`] is what the program has in its hands: [`try_send`](Link::try_send), [`stop`](Link::stop), [`ping`](Link::ping).
//! - [`Client`] is what keeps it up: [`run`](Client::run).
//! - [`Settings`] say what is asked for and how long things may take; a [`Handler`] is told what happens, as [`Event`]s.
//! - [`rooms`] speaks the hub's envelopes over it: resumes, sends again, decodes, answers commands.
//! - `telemetry` (a feature) sends sensor data over UDP, TCP or TLS, in the same way.
//! - [`Machine`] is all of it without I/O, for whoever wants another driver.
//!
//! # Example
//!
//! ```
//! use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
//! use tautline_device::{Client, Clock, Connector, Event, Link, Message, Policy, Random, Settings, Stopped};
//!
//! static SETTINGS: Settings<'static> = Settings::new("192.168.1.10", 8000).path("/rooms/lab/{client_id}").client_id("esp32-1");
//!
//! /// The task beside the control loop.
//! async fn network(
//!     link: &Link<'_, CriticalSectionRawMutex>,
//!     mut tcp: impl Connector,
//!     clock: impl Clock,
//!     mut random: impl Random,
//! ) -> Stopped {
//!     let (mut receive, mut transmit) = ([0; 1024], [0; 512]);
//!     let mut client = Client::new(&SETTINGS, link, &mut receive, &mut transmit);
//!     let mut handler = |event: Event<'_>| match event {
//!         Event::Data(data) => { /* data.text(), data.bytes() */ }
//!         Event::Disconnected { cause, retry_in } => { /* a lamp goes on */ }
//!         _ => {}
//!     };
//!     client.run(&mut tcp, &clock, &mut random, &mut handler).await
//! }
//!
//! /// The control loop.
//! fn turn(link: &Link<'_, CriticalSectionRawMutex>) {
//!     let _ = link.try_send(Message::text("SOS"));
//!     let _ = link.try_send(Message::text("21.5").policy(Policy::KeepLatest(1)));
//! }
//! ```
//!
//! # Memory
//!
//! Everything is in the [`Link`], the [`Client`], the future of [`run`](Client::run), and the buffers that they are given: nothing is allocated,
//! ever. A message in the outbox takes its payload and 12 bytes. [`MEMORY`] says how much link and client are.
//!
//! # What is sent, and what arrives
//!
//! A message leaves the outbox when the transport has taken the last byte of it. If the connection ends before, it is sent again as a whole, so
//! it arrives once. What the transport took and did not deliver is lost, and nobody can know; messages of [`rooms`] are kept until
//! they are acknowledged.
//!
//! # Compression
//!
//! With the feature `deflate` the client offers permessage-deflate (RFC 7692) once it is given memory for it, a `Deflate`
//! (`Client::with_deflate`): 6.8 KB for windows of 9 bits, in which messages can refer to those before them. Limits hold for what messages are inflated to.
//!
//! # Features
//!
//! `deflate`: compressed messages. `tokio`: the module `host`, the same client on a host. `rustls`: TLS there. `telemetry`: the module
//! `telemetry`.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "tokio")]
extern crate std;

mod client;
#[cfg(feature = "deflate")]
mod compression;
#[cfg(not(feature = "deflate"))]
#[path = "compression/none.rs"]
mod compression;
mod drive;
mod event;
#[cfg(feature = "tokio")]
pub mod host;
mod link;
mod machine;
mod outbox;
pub mod rooms;
mod settings;
mod stream;
#[cfg(feature = "telemetry")]
pub mod telemetry;
mod text;
mod transport;
mod whole;

pub use client::{Client, MEMORY, MIN_RECEIVE, MIN_TRANSMIT};
#[cfg(feature = "deflate")]
pub use compression::Deflate;
pub use event::{Cause, Event, Handler, Stopped};
pub use link::{Link, Message};
pub use machine::{Input, Machine, State};
pub use outbox::{Counters, Outbox, Policy, PushError};
pub use settings::Settings;
pub use stream::{Stream, StreamError};
#[cfg(feature = "deflate")]
pub use tautline_proto::deflate::WindowBits;
pub use tautline_proto::{Backoff, CloseCode, Config, Data, Ended, Instant, Kind, OpCode, Part};
pub use text::Text;
pub use transport::{Clock, ConnectError, Connector, Random, Transport};
pub use whole::{Put, Whole};
