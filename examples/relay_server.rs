//! Relay: what one client sends goes to all others. A client connects as `ws://HOST:8000/ITS_ID`; an id that is already
//! connected is refused.
//!
//! ```text
//! cargo run --example relay_server
//! cargo run -- connect ws://localhost:8000/1      (in a second terminal, and as /2 in a third)
//! ```
//!
//! Takes the place of the device project's `server.py`. To be reached from a controller: `-- 0.0.0.0`.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use tautline::{Config, Group, Refusal, Request, Server, Slow};
use tokio::net::TcpListener;

type Ids = Arc<Mutex<HashSet<String>>>;

/// An id that is in use until this is dropped.
struct Lease(Ids, String);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.lock().unwrap().remove(&self.1);
    }
}

/// Decides, before the handshake is answered, whether this client may come in.
fn admit(ids: &Ids, request: &mut Request) -> Result<(), Refusal> {
    let id = request.path().trim_matches('/').to_owned();
    if id.is_empty() {
        return Err(Refusal::new(404, "connect as /client_id"));
    }
    if !ids.lock().unwrap().insert(id.clone()) {
        return Err(Refusal::new(409, format!("client {id} is already connected")).retry_after(5));
    }
    request.extensions_mut().insert(Arc::new(Lease(ids.clone(), id))); // lives as long as the request
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let host = std::env::args().nth(1).unwrap_or("127.0.0.1".into());
    let listener = TcpListener::bind((host, 8000)).await.context("cannot listen on port 8000")?;
    println!("listening on ws://{}", listener.local_addr()?);

    let everybody = Arc::new(Group::new(Slow::Disconnect));
    let relay = move |mut ws: tautline::WebSocket, request: Request| {
        let everybody = everybody.clone();
        async move {
            let myself = everybody.join(&ws.sender());
            println!("{} connected", request.path());
            while let Some(message) = ws.recv().await {
                everybody.publish_except(&myself, message);
            }
            println!("{} disconnected: {}", request.path(), ws.ended().unwrap());
        }
    };

    let ids = Ids::default();
    let ctrl_c = async { tokio::signal::ctrl_c().await.expect("signals work") };
    // As uvicorn's --ws-ping-interval 10 --ws-ping-timeout 10: a controller that lost its Wi-Fi is gone after 20 s.
    let pings = Config::new().ping_interval(Some(Duration::from_secs(10))).pong_timeout(Duration::from_secs(10));
    let server = Server::new().config(pings).admit(move |request| admit(&ids, request));
    server.serve(listener, relay, ctrl_c).await?;
    Ok(())
}
