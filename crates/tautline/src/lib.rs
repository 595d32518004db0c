//! WebSocket client and server for tokio.
mod broadcast;
mod client;
mod dial;
mod error;
mod keeper;
mod message;
mod opening;
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
mod uri;
mod wakers;
mod websocket;
mod writer;

pub use broadcast::{Delivery, Group, Membership, Published, Slow};
pub use client::{Connect, connect};
pub use error::{ConnectError, Phase, Refused};
pub use message::{Chunk, Event, Message};
pub use reconnect::{Interruption, Reconnecting, Retry};
#[cfg(feature = "tls")]
pub use rustls;
pub use send::SendError;
pub use shared::{Info, Settings};
pub use server::{Origins, Refusal, Request, Response, Server, serve};
pub use stream::Stream;
pub use tautline_proto::handshake::Limits;
pub use tautline_proto::handshake::client::Violation as HandshakeViolation;
pub use tautline_proto::{Backoff, CloseCode, Config, Ended, Kind, Next, OpCode, Role, Violation};
pub use text::Text;
pub use uri::UriError;
pub use websocket::{EndWatch, Receiver, Sender, WebSocket};
pub use writer::MessageWriter;
