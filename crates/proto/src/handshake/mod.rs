//! The opening handshake, for both roles (RFC 6455 sections 4.1 and 4.2), over buffers that the caller owns.
//!
//! [`server`] reads a request and answers it; [`client`] writes a request and checks the answer. Neither does I/O: the
//! caller appends what arrives to one buffer, starting with the first byte of the connection, and shows the whole
//! buffer to `receive` each time. What lies behind `head_len` in that buffer are already frames.
//!
//! A server that stands on an HTTP library hands the parsed request to [`server::validate`] instead; the rules are the
//! same ones.
//!
//! Errors come in three families: what the peer did wrong ([`server::Refusal`], [`client::Violation`]), what the caller
//! did wrong ([`WriteError`], [`LimitError`]), and time running out ([`server::Refusal::TimedOut`],
//! [`client::Error::TimedOut`]).

pub mod client;
pub mod deflate;
pub mod extensions;
pub mod server;

mod head;
mod key;
mod limits;
mod offered;
mod origin;
mod refusal;
mod sha1;
mod syntax;
mod write;

pub use head::{Headers, HttpVersion};
pub use key::{AcceptKey, ClientKey};
pub use limits::{LimitError, Limits};
pub use write::WriteError;

#[cfg(test)]
mod tests;
