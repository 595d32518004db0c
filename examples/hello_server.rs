//! Hello: the client sends its name, the server greets it and closes.
//!
//! ```text
//! cargo run --example hello_server
//! cargo run --example hello_client        (in another terminal)
//! ```
//!
//! Takes the place of `server1.py` on port 8765. To be reached from other machines: `-- 0.0.0.0`.

use anyhow::Context;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let host = std::env::args().nth(1).unwrap_or("127.0.0.1".into());
    let listener = TcpListener::bind((host, 8765)).await.context("cannot listen on port 8765")?;
    println!("listening on ws://{}", listener.local_addr()?);

    // Called for every client, in a task of its own. When it returns, the connection is closed with code 1000.
    let hello = async |mut ws: tautline::WebSocket, _request| {
        let Some(message) = ws.recv().await else { return };
        let name = String::from_utf8_lossy(message.as_bytes());
        println!("< {name}");

        let greeting = format!("Hello {name}!");
        println!("> {greeting}");
        let _ = ws.send(greeting).await; // fails if the client has left, which is its right
    };

    let ctrl_c = async { tokio::signal::ctrl_c().await.expect("signals work") };
    tautline::serve(listener, hello, ctrl_c).await?;
    Ok(())
}
