//! Events: a client in the manner of ESP-IDF's `esp_websocket_client`, which shows everything that happens on a connection.
//!
//! ```text
//! cargo run --example counter_server
//! cargo run --example event_client                             (only listens; gives up after 10 silent seconds)
//! cargo run --example event_client -- --every 2 plus           (adds one every two seconds)
//! cargo run --example event_client -- --silence 60 --reconnect ws://192.168.1.20:6789
//! ```
//!
//! Takes the place of the ESP32 exercise of the WebSockets lab; talks to `counter_server` or to `server2.py`.

use std::time::Duration;

use clap::Parser;
use serde_json::Value;
use tautline::{Chunk, CloseCode, Event, OpCode, WebSocket, connect};
use tokio::time::{Instant, interval, sleep_until};

#[derive(Parser)]
struct Args {
    #[arg(default_value = "ws://localhost:6789")]
    uri: String,
    /// Give up when nothing at all has come for this many seconds
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    silence: u64,
    /// Send an action (plus or minus) again and again
    #[arg(long, num_args = 2, value_names = ["SECONDS", "ACTION"])]
    every: Vec<String>,
    /// Connect again when the connection is lost
    #[arg(long)]
    reconnect: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if !args.reconnect {
        return session(connect(&args.uri).await?, &args).await;
    }
    let mut link =
        connect(&args.uri).reconnecting().on_retry(|r| println!("ERROR {}; again in {:.1?}", r.cause, r.delay));
    while let Some(ws) = link.next().await {
        session(ws, &args).await?;
    }
    Ok(())
}

async fn session(mut ws: WebSocket, args: &Args) -> anyhow::Result<()> {
    println!("CONNECTED");
    let silence = Duration::from_secs(args.silence);
    let mut deadline = Instant::now() + silence;
    let seconds = args.every.first().map_or(Ok(1.0), |text| text.parse())?;
    let mut ticks = interval(Duration::try_from_secs_f64(seconds)?.max(Duration::from_millis(1)));
    loop {
        tokio::select! {
            event = ws.recv_event() => match event {
                Some(event) => show(event),
                None => break,
            },
            () = sleep_until(deadline) => {
                println!("nothing for {silence:?}: giving up");
                ws.close(CloseCode::NORMAL, "silence").await;
                break;
            }
            _ = ticks.tick(), if !args.every.is_empty() => {
                let _ = ws.send(format!(r#"{{"action": "{}"}}"#, args.every[1])).await;
                continue; // what we send is no sign of life of the server
            }
        }
        deadline = Instant::now() + silence;
    }
    println!("DISCONNECTED {}", ws.ended().expect("the connection has ended"));
    Ok(())
}

fn show(event: Event) {
    match event {
        Event::Data(chunk) => data(&chunk),
        Event::Ping(payload) => println!("PING opcode=9 data_len={} (answered with a pong)", payload.len()),
        Event::Pong { latency, .. } => println!("PONG opcode=10 latency={latency:?}"),
        Event::Close { code, reason } => println!("CLOSE opcode=8 code={code} reason={reason:?}"),
    }
}

/// A message, or a piece of one if it is large: `data_len` bytes of the frame's `payload_len`, from `offset` on.
fn data(chunk: &Chunk) {
    let (opcode, data_len) = (chunk.opcode.as_u8(), chunk.data.len());
    println!("DATA opcode={opcode} payload_len={} data_len={data_len} offset={}", chunk.payload_len, chunk.offset);
    println!("     {}", String::from_utf8_lossy(&chunk.data));
    if chunk.opcode == OpCode::Text && chunk.offset == 0 && chunk.is_last() {
        let message: Value = serde_json::from_slice(&chunk.data).unwrap_or_default();
        match message["type"].as_str() {
            Some("state") => println!("     type=state value={}", message["value"]),
            Some("users") => println!("     type=users count={}", message["count"]),
            _ => {}
        }
    }
}
