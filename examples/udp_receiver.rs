//! UDP in one direction: waits for one datagram, shows it and ends.
//!
//! ```text
//! cargo run --example udp_receiver
//! cargo run --example udp_sender        (in another terminal)
//! ```
//!
//! Takes the place of the first UDP program of the sockets lab, on port 5005.

use std::net::UdpSocket;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:5005").context("cannot listen on port 5005")?;
    let mut buffer = [0; 512]; // the most we take; the rest of a longer datagram is lost
    let n = socket.recv(&mut buffer)?;
    println!("{:?}", String::from_utf8_lossy(&buffer[..n]));
    Ok(())
}
