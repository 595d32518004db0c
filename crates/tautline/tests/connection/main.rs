//! An open connection over a simulated transport, in virtual time.

mod broadcast;
mod cancel;
mod closing;
mod control;
mod cork;
mod deflate;
mod echo;
mod events;
mod keepalive;
mod pressure;
mod receive;
mod regressions;
mod split;
#[path = "../support/mod.rs"]
mod support;
mod writer;

use tautline::{Message, Role, Settings, WebSocket};

use support::noise;
use support::sim::{Peer, QUIET};

const BOTH: [Role; 2] = [Role::Client, Role::Server];

/// A server's connection with this limit of the send queue.
fn open_narrow(role: Role, send_queue: usize) -> (WebSocket, Peer) {
    support::sim::open_with(role, Settings::new().protocol(QUIET).send_queue(send_queue))
}

fn text(text: &str) -> Option<Message> {
    Some(Message::text(text))
}
