//! Echo over TCP: sends back what it receives. Plain sockets of the standard library, one thread for each client.
//!
//! ```text
//! cargo run --example tcp_echo_server
//! cargo run --example tcp_echo_client        (in another terminal)
//! ```
//!
//! Takes the place of `servidor_echo.py` on port 65432, except that it goes on after the first client.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    // socket(), bind() and listen() in one
    let listener = TcpListener::bind("127.0.0.1:65432").context("cannot listen on port 65432")?;
    loop {
        let (conn, addr) = listener.accept()?; // waits for a client
        println!("Connected {addr}");
        thread::spawn(move || echo(conn));
    }
}

fn echo(mut conn: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        let n = conn.read(&mut buffer)?; // recv()
        if n == 0 {
            return Ok(()); // the client has closed; dropping `conn` closes our end
        }
        conn.write_all(&buffer[..n])?; // sendall()
    }
}
