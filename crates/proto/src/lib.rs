//! WebSocket (RFC 6455) as a state machine: no I/O, no clock, no randomness, no allocator.
//!
//! One core for both roles, from a microcontroller to a server with a hundred thousand connections. Bytes, time and
//! randomness are arguments; what drives it, a blocking socket, an event loop or an async task, is up to you.
//!
//! # The drain rule
//!
//! A driver owns the transport and three verbs of [`Connection`]. There is one rule: **after every input, drain.**
//!
//! 1. Input is one of: bytes from the peer ([`receive`](Connection::receive), repeated until it answers `None`), their
//!    end ([`receive_end`](Connection::receive_end)) or failure, a timer
//!    ([`handle_timeout`](Connection::handle_timeout)), or your own [`close`](Connection::close),
//!    [`ping`](Connection::ping) and [`probe`](Connection::probe).
//! 2. After it, while the transport takes bytes, write what [`poll_transmit`](Connection::poll_transmit) gives until
//!    it gives nothing.
//! 3. Then do what [`transport`](Connection::transport) says, and wait for more input, until
//!    [`poll_timeout`](Connection::poll_timeout) at the latest.
//!
//! Messages go out between: [`send`](Connection::send) writes a frame's header, the payload follows it.
//!
//! # Over a socket
//!
//! A server that echoes one client, over a blocking `TcpStream` with its read timeout as the timer.
//!
//! ```no_run
//! use std::io::{ErrorKind, Read, Write};
//! use std::net::{Shutdown, TcpStream};
//! use std::time;
//! use tautline_proto::*;
//!
//! fn echo(mut tcp: TcpStream) -> std::io::Result<Option<Ended>> {
//!     static CONFIG: Config = Config::new();
//!     let start = time::Instant::now();
//!     let now = || Instant::from_micros(start.elapsed().as_micros() as u64);
//!     let (mut buffer, mut len) = ([0; 4096], 0);
//!     // ... the opening handshake: see `handshake::server` ...
//!     let mut ws = Connection::new(&CONFIG, Role::Server, now(), 0);
//!     let mut control = Control::new();
//!     let mut frame = [0; MAX_CONTROL_FRAME];
//!     let mut half_closed = false;
//!     loop {
//!         loop { // the drain rule: what the protocol owes, then what to do with the transport
//!             match ws.poll_transmit(now(), [0; 4], &mut control, &mut frame) {
//!                 0 => break,
//!                 n => tcp.write_all(&frame[..n])?,
//!             }
//!         }
//!         match ws.transport() {
//!             Transport::Close => return Ok(ws.ended()),
//!             Transport::HalfClose if !half_closed => { tcp.shutdown(Shutdown::Write)?; half_closed = true }
//!             _ => {}
//!         }
//!         let wait = ws.poll_timeout().map(|at| (at - now()).max(time::Duration::from_millis(1)));
//!         tcp.set_read_timeout(wait)?;
//!         match tcp.read(&mut buffer[len..]) {
//!             Ok(0) => ws.receive_end(),
//!             Ok(n) => len += n,
//!             Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => { ws.handle_timeout(now()); }
//!             Err(_) => ws.transport_failed(),
//!         }
//!         let mut input = &mut buffer[..len];
//!         while let Some(event) = ws.receive(now(), &mut input, &mut control) {
//!             if let Event::Data(data) = event { // echo each piece as a fragment
//!                 let mut head = [0; MAX_HEADER];
//!                 if let Ok(n) = ws.send(data.part(), data.bytes(), [0; 4], &mut head) {
//!                     tcp.write_all(&head[..n])?;
//!                     tcp.write_all(data.bytes())?;
//!                 }
//!             }
//!         }
//!         let rest = input.len();
//!         buffer.copy_within(len - rest..len, 0); // an incomplete header or control frame, if anything
//!         len = rest;
//!     }
//! }
//! ```
//!
//! # Over byte slices
//!
//! The same without any transport or allocator: a client's frame goes in, an event and the reply come out.
//!
//! ```
//! use tautline_proto::*;
//!
//! static CONFIG: Config = Config::new();
//! let now = Instant::from_millis(5);
//! let mut ws = Connection::new(&CONFIG, Role::Server, now, 0);
//! let mut control = Control::new();
//!
//! // "Hello", masked, as in RFC 6455 section 5.7, and a ping behind it.
//! let mut bytes = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x89\x82\x00\x00\x00\x00hi";
//! let mut input = &mut bytes[..];
//! let Some(Event::Data(data)) = ws.receive(now, &mut input, &mut control) else { panic!() };
//! assert_eq!(data.text(), Some("Hello"));
//! assert!(data.is_whole());
//! assert_eq!(ws.receive(now, &mut input, &mut control), Some(Event::Ping(b"hi")));
//! assert_eq!(ws.receive(now, &mut input, &mut control), None);
//!
//! let mut frame = [0; MAX_CONTROL_FRAME];
//! assert_eq!(ws.poll_transmit(now, [0; 4], &mut control, &mut frame), 4);
//! assert_eq!(&frame[..4], b"\x8a\x02hi");
//! assert_eq!(ws.poll_transmit(now, [0; 4], &mut control, &mut frame), 0);
//! ```
//!
//! # Features
//!
//! `alloc`: `Arc<Config>` as a [`Context`], and what hosts need to compress: `compression`. `simd`: faster UTF-8 validation on hosts.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod app;
mod close;
#[cfg(feature = "alloc")]
pub mod compression;
mod config;
mod connection;
mod control;
mod event;
mod frame;
pub mod handshake;
pub mod mask;
mod retry;
mod time;
mod utf8;
mod violation;

pub use close::CloseCode;
pub use config::{Config, Context, Direction};
pub use connection::{Connection, Part, Role};
pub use control::Control;
pub use event::{Compressed, Data, Ended, Event, Kind, SendError, Timeout, Transport};
pub use frame::{Header, MAX_CONTROL_FRAME, MAX_CONTROL_PAYLOAD, MAX_HEADER, OpCode};
pub use retry::{Backoff, Next};
pub use time::Instant;
pub use violation::Violation;

/// What compressed messages are made of: [`Connection::inflate`] takes its decompressor and window.
pub use tautline_deflate as deflate;
