//! UDP in one direction, the sender: sends one datagram. Nobody tells whether it arrives.
//!
//! ```text
//! cargo run --example udp_sender
//! ```
//!
//! Takes the place of the second UDP program of the sockets lab.

use std::net::UdpSocket;

fn main() -> std::io::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?; // port 0: the system chooses one
    socket.send_to(b"Hola, mundo!", "127.0.0.1:5005")?;
    Ok(())
}
