//! Echo over UDP: sends every datagram back to where it came from. The exercise of the sockets lab.
//!
//! ```text
//! cargo run --example udp_echo_server
//! cargo run --example udp_echo_client        (in another terminal)
//! ```
//!
//! There are no connections, so one socket serves all clients.

use std::net::UdpSocket;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:65432").context("cannot listen on port 65432")?;
    let mut buffer = [0; 65_535]; // the largest datagram; what does not fit would be cut off
    loop {
        let (n, from) = socket.recv_from(&mut buffer)?;
        println!("{n} bytes from {from}");
        socket.send_to(&buffer[..n], from)?;
    }
}
