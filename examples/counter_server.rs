//! Counter: one number that every client sees and changes, and how many clients there are.
//!
//! ```text
//! cargo run --example counter_server      then open examples/pages/counter.html in two windows
//! ```
//!
//! Takes the place of `server2.py` on port 6789. To be reached from other machines, an ESP32 for instance: `-- 0.0.0.0`.

use std::sync::{Arc, Mutex};

use anyhow::Context;
use serde_json::Value;
use tautline::{Group, Published, Slow};
use tokio::net::TcpListener;

fn state_event(value: i64) -> String {
    format!(r#"{{"type": "state", "value": {value}}}"#)
}

fn users_event(count: usize) -> String {
    format!(r#"{{"type": "users", "count": {count}}}"#)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let host = std::env::args().nth(1).unwrap_or("127.0.0.1".into());
    let listener = TcpListener::bind((host, 6789)).await.context("cannot listen on port 6789")?;
    println!("listening on ws://{}", listener.local_addr()?);

    // A client that does not read what it is sent is disconnected, so that it cannot fill our memory.
    let users = Arc::new(Group::new(Slow::Disconnect));
    let state = Arc::new(Mutex::new(0));

    let counter = move |mut ws: tautline::WebSocket, _request| {
        let (users, state) = (users.clone(), state.clone());
        async move {
            let membership = {
                let value = state.lock().unwrap(); // held while publishing: all see events in the same order
                let membership = users.join(&ws.sender());
                users.publish(users_event(users.len()));
                ws.sender().publish(&Published::new(state_event(*value)), Slow::Disconnect);
                membership
            };

            while let Some(message) = ws.recv().await {
                let data: Value = serde_json::from_slice(message.as_bytes()).unwrap_or_default();
                let step = match data["action"].as_str() {
                    Some("plus") => 1,
                    Some("minus") => -1,
                    _ => {
                        eprintln!("unsupported event: {data}");
                        continue;
                    }
                };
                let mut value = state.lock().unwrap();
                *value += step;
                users.publish(state_event(*value));
            }

            let _value = state.lock().unwrap();
            drop(membership);
            users.publish(users_event(users.len()));
        }
    };

    let ctrl_c = async { tokio::signal::ctrl_c().await.expect("signals work") };
    tautline::serve(listener, counter, ctrl_c).await?;
    Ok(())
}
