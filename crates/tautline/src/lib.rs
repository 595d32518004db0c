//! WebSocket for tokio: client and server, `ws://` and `wss://`.
//!
//! # A client
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mut ws = tautline::connect("ws://localhost:8765").await?;
//! ws.send("Ada").await?;
//! println!("{:?}", ws.recv().await);
//! # Ok(()) }
//! ```
//!
//! [`connect`] has a builder for everything else: headers, subprotocols, TLS, limits. [`Connect::reconnecting`] is a
//! client that comes back by itself.
//!
//! # A server
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! let listener = tokio::net::TcpListener::bind("localhost:8765").await?;
//! tautline::serve(listener, |mut ws, _request| async move {
//!     while let Some(message) = ws.recv().await {
//!         let _ = ws.send(message).await;
//!     }
//! }, std::future::pending::<()>()).await
//! # }
//! ```
//!
//! [`Server`] is its builder: who may connect, plain HTTP on the same port, limits, draining. [`Group`] sends one
//! message to many connections.
//!
//! # What you can rely on
//!
//! - **Every method may be cancelled**, in `select!` or by a timeout. All state lives in the connection, none in a
//!   future; each method says what cancelling it means.
//! - **A connection is kept alive whatever its owner does.** Pings are answered and sent, the closing handshake is
//!   completed, and queued bytes are written, while a handler sleeps or computes elsewhere.
//! - **`send` needs no flush.** Replies to messages that arrived together leave in one write; a lone message leaves at
//!   once. [`feed`](WebSocket::feed) queues for a later [`flush`](WebSocket::flush).
//! - **Memory is bounded.** A full send queue makes `send` wait; a receiver that does not receive makes the peer wait;
//!   limits on frames and messages end the connection. An idle connection owns no buffer.
//! - **Control frames never wait behind queued messages**, at most for the end of what is being written: one frame, or
//!   16 KiB of small ones.
//! - **The end has a reason.** After `recv` has answered `None`, [`WebSocket::ended`] tells whether the peer closed
//!   (and with which code), fell silent, broke which rule, or whether our own queue was stuck.
//!
//! What it may allocate for a connection at most, with the default settings: twice a message of 16 MiB that is being received
//! ([`Config::max_message`]), 64 KiB received ahead, and a send queue of 1 MiB and one message
//! ([`Settings::send_queue`]).
//!
//! The protocol itself is [`tautline_proto`], a state machine without I/O that also runs on microcontrollers.
//!
//! # Features
//!
//! `tls` (default): `wss://` by rustls with the ring provider. `zlib-rs`: that crate as a
//! [backend](Settings::deflate_backend) for the compression of large messages.

mod broadcast;
mod client;
mod dial;
mod error;
mod keeper;
mod message;
mod opening;
mod pool;
mod queue;
mod receive;
mod reconnect;
mod send;
mod server;
mod shared;
mod stream;
mod text;
#[cfg(feature = "tls")]
mod tls;
mod transmit;
mod uri;
mod wakers;
mod websocket;
mod writer;

pub use broadcast::{Delivery, Group, Membership, Published, Slow};
pub use bytes;
pub use client::{Connect, connect};
pub use error::{ConnectError, Phase, Refused};
pub use http;
pub use message::{Chunk, Event, Message};
pub use reconnect::{Interruption, Reconnecting, Retry};
#[cfg(feature = "tls")]
pub use rustls;
pub use send::SendError;
pub use server::{
    AddressLimits, Addresses, Body, Carrier, Excess, Handover, Handshake, Origins, Refusal, Request, Response, Server,
    Share, Tally, TooMuch, serve,
};
#[cfg(feature = "tls")]
pub use server::{PeerCertificates, TlsSession};
pub use shared::{Info, Settings};
pub use stream::Stream;
pub use tautline_proto::handshake::Limits;
pub use tautline_proto::handshake::client::Violation as HandshakeViolation;
pub use tautline_proto::{Backoff, CloseCode, Config, Ended, Kind, Next, OpCode, Role, Violation};
pub use text::Text;
pub use uri::UriError;
pub use websocket::{EndWatch, Receiver, Sender, WebSocket};
pub use writer::MessageWriter;

/// How messages are compressed (permessage-deflate, RFC 7692): what a client [offers](Connect::deflate), what a server
/// [accepts](Server::deflate), and what both [agree on](Info::deflate).
///
/// Whether it is worth the time is each [message](Sender::compress)'s choice. A message ends with a flush, as does each
/// [fragment](Sender::begin) of one, so nothing is held back. There are no levels, but another [`Backend`](deflate::Backend) for large
/// messages.
///
/// With context takeover a connection keeps, from the first compressed message on, a window for what its peer sends, of the size that was
/// agreed on (0.25 to 32 KiB), and for what it sends itself a history of two to six times its window. Without, it keeps nothing. All else
/// that compression takes is shared by the connections of a thread: up to 270 KiB, and up to 360 KiB more with zlib-rs.
pub mod deflate {
    pub use tautline_proto::compression::Backend;
    pub use tautline_proto::handshake::deflate::{Acceptance, Offer, Parameters, Sender, Unlimited, WindowBits};
}

/// The programs in the project's README, which are compiled with the others.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
