//! A client that comes back: stop the server, start it again, and the messages go on.
//!
//! ```text
//! cargo run --example clock_server
//! cargo run --example reconnecting_client                              (the clock)
//! cargo run --example reconnecting_client ws://localhost:8000/7        (any other server)
//! ```
//!
//! It waits a random time between attempts, longer and longer up to a minute, so that a thousand devices which lost their
//! server at one moment do not all return at one moment. Some answers make it stop: close code 1000, HTTP status 403.

#[tokio::main]
async fn main() {
    let uri = std::env::args().nth(1).unwrap_or("ws://localhost:5678".into());
    let mut link = tautline::connect(&uri)
        .reconnecting()
        .on_retry(|retry| println!("{}; attempt {} in {:.1?}", retry.cause, retry.attempt, retry.delay));

    while let Some(mut ws) = link.next().await {
        println!("connected to {uri}");
        while let Some(message) = ws.recv().await {
            println!("< {}", message.as_text().unwrap_or("(binary)"));
        }
    }
    println!("not coming back: {}", link.stopped().unwrap());
}
