//! The hub's rooms: envelopes of `tautline.v1.json`, without an allocator.
//!
//! [`Member`] stands between the client and the program: it resumes where the last connection ended, sends again what was not
//! acknowledged, and takes envelopes apart. [`Room`] is what the program sends with, from any task.
//!
//! ```
//! use embassy_sync::blocking_mutex::raw::NoopRawMutex;
//! use tautline_device::rooms::{Incoming, Member, Room, SUBPROTOCOL};
//! use tautline_device::{Link, Policy, Settings};
//!
//! static SETTINGS: Settings<'static> =
//!     Settings::new("192.168.1.10", 8000).path("/rooms/lab/{client_id}").subprotocols(&[SUBPROTOCOL]);
//!
//! let mut outbox = [0; 1024];
//! let link = Link::<NoopRawMutex>::new(&mut outbox);
//! // 32 random bits, drawn anew at each start.
//! let room = Room::new(&link, 0x5f1c_2a3b);
//! room.publish_data("{\"celsius\":21.5}", Policy::KeepLatest(1)).unwrap();
//!
//! let mut memory = [0; 512];
//! let mut member = Member::new(room, &mut memory, |incoming: Incoming<'_>| {
//!     if let Incoming::Command(command) = incoming {
//!         let _ = room.answer(command.id, Ok("null"));
//!     }
//! });
//! // let stopped = client.run(&mut connector, &clock, &mut random, &mut member).await;
//! # let _ = &mut member;
//! ```

mod envelope;
mod json;
mod member;
mod room;

pub use envelope::{Command, Content, Incoming, Recovered};
pub use member::Member;
pub use room::{PublishError, Room};

/// The subprotocol that rooms are spoken in.
pub const SUBPROTOCOL: &str = "tautline.v1.json";
