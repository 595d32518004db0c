//! An open connection over a simulated transport, in virtual time.

mod broadcast;
mod cancel;
mod closing;
mod control;
mod cork;
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

use support::sim::{Peer, QUIET};

const BOTH: [Role; 2] = [Role::Client, Role::Server];

/// A server's connection with this limit of the send queue.
fn open_narrow(role: Role, send_queue: usize) -> (WebSocket, Peer) {
    support::sim::open_with(role, Settings::new().protocol(QUIET).send_queue(send_queue))
}

fn text(text: &str) -> Option<Message> {
    Some(Message::text(text))
}

/// Bytes of which no two neighbourhoods look the same.
fn noise(len: usize) -> Vec<u8> {
    let mut x = 0x9e37_79b9_u32;
    let next = || {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (x >> 24) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}
