//! Hello, the client: sends a name and shows the answer.
//!
//! ```text
//! cargo run --example hello_client
//! cargo run --example hello_client ws://192.168.1.20:8765
//! ```
//!
//! Takes the place of `client1.py`; talks to `hello_server` or to `server1.py`.

use std::io::{Write, stdin, stdout};

use anyhow::Context;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let uri = std::env::args().nth(1).unwrap_or("ws://localhost:8765".into());
    let mut ws = tautline::connect(uri).await?;

    print!("What's your name? ");
    stdout().flush()?;
    let mut line = String::new();
    stdin().read_line(&mut line)?; // take your time: the server's pings are answered meanwhile
    let name = line.trim_end();

    ws.send(name).await?;
    println!("> {name}");

    let greeting = ws.recv().await.context("the server closed without a greeting")?;
    println!("< {}", greeting.as_text().context("the greeting is not text")?);
    Ok(())
}
