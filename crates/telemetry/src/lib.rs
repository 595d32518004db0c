//! Sensor data over TCP and UDP: the protocol of `docs/protocol/telemetry.md` as code, without I/O, clock, randomness or allocator, for devices and hubs.
//!
//! - The codec: [`Message`] is a view of bytes whose header is sound; [`Message::authenticate`] checks who sent it; then
//!   [`Body`] is what it says. The same `Body` is written with [`Body::encode`]. Nothing is copied or allocated, and no input
//!   makes it panic.
//! - [`device::Session`] keeps readings until they are stored, sends them again, learns the time and takes commands.
//! - [`hub::Session`] tells what is new, what is known, and what to answer, in less than 128 bytes.
//!
//! # A reading and its acknowledgement
//!
//! ```
//! use tautline_telemetry::device::{Config, Event, Identity, Session};
//! use tautline_telemetry::*;
//!
//! let key = Key::new(&[7; 32]);
//! let sensors = [Sensor { index: 0, kind: Type::F32, name: "temperature", unit: "Cel" }];
//! let identity =
//!     Identity { device: 1, name: "kitchen", firmware: "1.0", sensors: &sensors, key: Some(key.clone()) };
//! let (mut datagram, mut answer) = ([0; MAX_MESSAGE], [0; MAX_MESSAGE]);
//!
//! // Random numbers and times, in milliseconds since the start, come from the caller.
//! let mut device = Session::new(0, identity, Config::DATAGRAM, 0x6b8b4567327b23c6, 1, [0; 4096])?;
//! device.push(5, 0, Value::F32(21.5)).expect("there is room");
//!
//! // The hub: what it knows of the session is in its store.
//! let link = hub::Links::new(&[9; 32]).link(1, 0x6b8b4567327b23c6);
//! let address = Address { device: 1, session: 0x6b8b4567327b23c6, link };
//! let mut session = hub::Session::restore(address, Acknowledgement::default());
//!
//! let mut acknowledged = false;
//! for now in [5, 6] {
//!     // After every input, drain.
//!     while let Some(len) = device.poll_transmit(now, &mut datagram) {
//!         let (message, _) = Message::parse(&datagram[..len])?;
//!         let len = match session.receive(&message.authenticate(Side::Device, Some(&key))?) {
//!             hub::Received::Hello(hello) => {
//!                 assert_eq!(hello.name, "kitchen");
//!                 let welcome = Welcome { stored: session.stored(), time: 1_800_000_000_000, quiet: 30 };
//!                 hub::answer(&message, link, &Body::Welcome(welcome), Some(&key), &mut answer)?
//!             }
//!             hub::Received::Readings { sequence, readings } => {
//!                 assert_eq!(readings.records.iter().next().map(|record| record.value), Some(Value::F32(21.5)));
//!                 // ... and when that is committed:
//!                 session.committed(sequence);
//!                 session.acknowledgement(Some(&key), &mut answer)?
//!             }
//!             hub::Received::TimeRequest { .. } => {
//!                 hub::answer(&message, link, &Body::Time(1_800_000_000_001), Some(&key), &mut answer)?
//!             }
//!             other => panic!("{other:?}"),
//!         };
//!         let (message, _) = Message::parse(&answer[..len])?;
//!         if let Ok(Some(Event::Acknowledged(stored))) = device.receive(now, &message) {
//!             acknowledged = stored.covers(1);
//!         }
//!     }
//! }
//! assert!(acknowledged && device.outstanding() == 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod acknowledgement;
mod answer;
mod command;
mod cursor;
pub mod device;
mod error;
mod header;
mod hello;
pub mod hub;
mod key;
mod message;
mod random;
mod readings;
mod value;

pub use acknowledgement::{Acknowledgement, WINDOW};
pub use answer::{Busy, ErrorCode, Problem};
pub use command::{Command, MAX_RESULT, Outcome, Status};
pub use error::{Forged, Malformed, Unencodable};
pub use header::{Address, HEADER, Header, Kind, MAX_BODY, MAX_MESSAGE, MAX_TIME, MIN_HELLO, Side, message_length};
pub use hello::{Hello, Sensor, Sensors, Welcome};
pub use key::{Key, TAG};
pub use message::{Authentic, Body, Message, messages};
pub use readings::{Readings, Record, Records, Time};
pub use value::{Type, Value};
