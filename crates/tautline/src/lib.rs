//! WebSocket client and server for tokio.
mod broadcast;
mod keeper;
mod message;
mod queue;
mod receive;
mod send;
mod server;
mod shared;
mod stream;
mod text;
mod wakers;
mod websocket;
mod writer;

pub use broadcast::{Delivery, Group, Membership, Published, Slow};
pub use message::{Chunk, Event, Message};
pub use send::SendError;
pub use shared::{Info, Settings};
pub use server::{Origins, Refusal, Request, Response, Server, serve};
pub use stream::Stream;
pub use tautline_proto::{Backoff, CloseCode, Config, Ended, Kind, Next, OpCode, Role, Violation};
pub use text::Text;
pub use websocket::{EndWatch, Receiver, Sender, WebSocket};
pub use writer::MessageWriter;
