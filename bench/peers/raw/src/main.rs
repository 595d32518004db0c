//! The ceiling: what TCP does without a protocol above it. This is not a WebSocket server; it knows what the load
//! generator sends, and does the least that the load generator accepts.
//!
//! - A connection that does not begin with an HTTP request is echoed: one read, one write.
//! - `/pub`: frames are unmasked, and what was read goes to every `/sub` with one send each.
//! - Any other request is answered, a close frame likewise, and the connection ended: the ceiling of handshakes.
//!
//! `raw PORT`; `THREADS=n` runs n loops, each with a listener of its own.

mod event_loop;
mod frames;

use event_loop::Loop;

fn main() {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).expect("usage: raw PORT");
    let threads: usize = std::env::var("THREADS").map_or(1, |threads| threads.parse().expect("THREADS is a number"));
    for _ in 1..threads {
        std::thread::spawn(move || Loop::new(port).and_then(Loop::run).expect("a loop that works"));
    }
    Loop::new(port).and_then(Loop::run).expect("a loop that works");
}
