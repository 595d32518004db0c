//! Echo over UDP, the client: sends one datagram and shows what comes back, if anything does.
//!
//! ```text
//! cargo run --example udp_echo_client
//! ```

use std::net::UdpSocket;
use std::time::Duration;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?; // port 0: the system chooses one
    socket.send_to(b"Hola, mundo", "127.0.0.1:65432")?;
    // UDP loses datagrams without a word: whoever waits for an answer needs a limit.
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut buffer = [0; 1024];
    let (n, from) = socket.recv_from(&mut buffer).context("no answer; is udp_echo_server running?")?;
    println!("Received {:?} from {from}", String::from_utf8_lossy(&buffer[..n]));
    Ok(())
}
