//! Echo over TCP, the client: sends one text and shows what comes back.
//!
//! ```text
//! cargo run --example tcp_echo_client
//! ```
//!
//! Takes the place of `cliente_echo.py`; talks to `tcp_echo_server` or to `servidor_echo.py`.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let mut socket = TcpStream::connect("127.0.0.1:65432").context("is tcp_echo_server running?")?;
    socket.write_all(b"Hola, mundo")?;
    // TCP is a stream: one read may give only a part of what was written, so ask for all 11 bytes.
    let mut data = [0; 11];
    socket.read_exact(&mut data)?;
    println!("Received {:?}", String::from_utf8_lossy(&data));
    Ok(())
}
