//! Sensor data over UDP, TCP or TLS: each reading stored once, whatever the network does.
//!
//! The protocol is that of `docs/protocol/telemetry.md`, and its session that of [`tautline_telemetry`]; this drives it. A [`Link`] has the
//! session and an outbox in memory of the caller's; readings are [pushed](Link::push) from any task or priority, and nothing there ever
//! waits. A [`Client`] reaches the hub, again and again, with the waits of the WebSocket client.
//!
//! What way it takes is up to the [`Connector`](crate::Connector): a stream (TCP, TLS), or datagrams ([`Datagram`], over a UDP socket that is
//! [`Datagrams`]).
//!
//! # Example
//!
//! ```
//! use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
//! use tautline_device::telemetry::*;
//! use tautline_device::{Clock, Connector, Random};
//!
//! static SETTINGS: Settings = Settings::new();
//! static SENSORS: [Sensor<'static>; 1] = [Sensor { index: 0, kind: Type::F32, name: "temperature", unit: "Cel" }];
//!
//! /// The task beside the control loop.
//! async fn network(
//!     link: &Link<'_, CriticalSectionRawMutex>,
//!     mut udp: impl Connector,
//!     clock: impl Clock,
//!     mut random: impl Random,
//! ) {
//!     let (mut receive, mut transmit) = ([0; MAX_MESSAGE], [0; MAX_MESSAGE]);
//!     let mut client = Client::new(&SETTINGS, link, &mut receive, &mut transmit);
//!     let mut handler = |event: Event<'_>| match event {
//!         Event::Hub(FromHub::Command { number, command: Command::Switch { index: 0, on } }) => {
//!             // The lamp is switched on, or off.
//!             let _ = link.answer(number, &Outcome { status: Status::Done, value: Some(Value::Bool(on)) });
//!         }
//!         Event::Hub(FromHub::Command { number, .. }) => {
//!             let _ = link.answer(number, &Outcome { status: Status::Refused, value: None });
//!         }
//!         _ => {}
//!     };
//!     client.run(&mut udp, &clock, &mut random, &mut handler).await;
//! }
//!
//! /// At the start.
//! fn link<'m>(outbox: &'m mut [u8], key: &[u8; 32], clock: &impl Clock, random: &mut impl Random) -> Link<'m, CriticalSectionRawMutex> {
//!     let identity = Identity { device: 1, name: "kitchen", firmware: "1.0", sensors: &SENSORS, key: Some(Key::new(key)) };
//!     Link::new(identity, Config::DATAGRAM, outbox, clock, random).expect("this fits into a hello")
//! }
//!
//! /// The control loop.
//! fn turn(link: &Link<'_, CriticalSectionRawMutex>, clock: &impl Clock) {
//!     let _ = link.push(clock.now(), 0, Value::F32(21.5));
//! }
//! ```
//!
//! # Memory
//!
//! Everything is in the [`Link`], the [`Client`], the future of [`run`](Client::run) and what they are given: nothing is allocated, ever. A
//! reading in the outbox takes 6 bytes and its value, and each message 30.

mod client;
mod datagrams;
mod event;
mod line;
mod link;
mod settings;

pub use client::Client;
pub use datagrams::{Datagram, Datagrams, Half};
pub use event::{Cause, Event, Handler};
pub use link::Link;
pub use settings::Settings;
pub use tautline_telemetry::device::{Config, Event as FromHub, Identity, Ignored, PushError};
pub use tautline_telemetry::{
    Acknowledgement, Command, ErrorCode, Key, MAX_MESSAGE, MAX_RESULT, Malformed, Outcome, Problem, Sensor, Status,
    Type, Unencodable, Value,
};
