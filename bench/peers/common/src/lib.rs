//! What the tokio peers have in common: arguments, runtime, listener, and what to do with a connection that is a stream
//! and a sink of messages.
//!
//! A peer is started as `peer PORT` and serves `/` (echo), `/sub` (subscriber) and `/pub` (publisher, whose messages go to
//! all subscribers) on 127.0.0.1. `THREADS=n` gives it n worker threads instead of one; `BATCH=1` asks for its echo in the
//! form that answers all messages at hand with one write, where the library offers a way to do that.

mod connection;
#[cfg(feature = "tls")]
pub mod tls;

use std::net::Ipv4Addr;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::broadcast;

pub use connection::{Batching, What, serve};

/// How many messages the channel to the subscribers holds; a subscriber that is further behind loses some, and the run
/// fails.
const CHANNEL: usize = 4096;

/// Runs a server on the port of the command line, on as many threads as `THREADS` says.
pub fn run<F: Future>(server: impl FnOnce(TcpListener) -> F) {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).expect("usage: peer PORT");
    let runtime = match threads() {
        1 => Builder::new_current_thread().enable_all().build(),
        threads => Builder::new_multi_thread().worker_threads(threads).enable_all().build(),
    };
    runtime.expect("a runtime").block_on(async move {
        server(listen(port).expect("the port is free")).await;
    });
}

/// Runs a server that hands every connection to a task of its own, with a channel to all subscribers.
pub fn run_accepting<M, F>(connection: impl Fn(TcpStream, broadcast::Sender<M>) -> F)
where
    M: Clone + Send + 'static,
    F: Future<Output: Send> + Send + 'static,
{
    run(|listener| async move {
        let publisher = broadcast::Sender::new(CHANNEL);
        loop {
            if let Ok((stream, _)) = listener.accept().await
                && stream.set_nodelay(true).is_ok()
            {
                tokio::spawn(connection(stream, publisher.clone()));
            }
        }
    });
}

/// How many threads a peer has.
pub fn threads() -> usize {
    std::env::var("THREADS").map_or(1, |threads| threads.parse().expect("THREADS is a number"))
}

/// Whether messages are answered in batches.
pub fn batch() -> bool {
    std::env::var_os("BATCH").is_some()
}

fn listen(port: u16) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    socket.listen(4096)
}
