//! Clock: every client is sent the time, at once and then at random moments, up to three seconds apart.
//!
//! ```text
//! cargo run --example clock_server        then open examples/pages/clock.html in a browser
//! ```
//!
//! Takes the place of `server_for_web.py` on port 5678. To be reached from other machines: `-- 0.0.0.0`.

use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let host = std::env::args().nth(1).unwrap_or("127.0.0.1".into());
    let listener = TcpListener::bind((host, 5678)).await.context("cannot listen on port 5678")?;
    println!("listening on ws://{}", listener.local_addr()?);

    let clock = async |mut ws: tautline::WebSocket, _request| {
        loop {
            // As Python's `datetime.utcnow().isoformat() + "Z"`: microseconds, for instance 2026-11-20T11:19:54.171174Z.
            let now = format!("{:.6}", jiff::Timestamp::now());
            if ws.send(now).await.is_err() {
                return; // the client has left
            }
            tokio::time::sleep(Duration::from_secs_f64(fastrand::f64() * 3.0)).await;
        }
    };

    let ctrl_c = async { tokio::signal::ctrl_c().await.expect("signals work") };
    tautline::serve(listener, clock, ctrl_c).await?;
    Ok(())
}
