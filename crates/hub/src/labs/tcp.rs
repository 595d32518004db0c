//! Echo over TCP.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How many bytes are read, and then written, at a time. A connection owns them only in between.
const CHUNK: usize = 16 * 1024;

/// How many connections are served at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 10_000;

/// How long a peer may take nothing of what is written.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the connections may take to end after the shutdown began.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends back everything that comes in on any number of connections, until `shutdown` is ready. What was read by then is
/// still sent back.
///
/// # Errors
///
/// The listener is not usable.
pub async fn tcp_echo(listener: TcpListener, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    listener.local_addr()?;
    let mut shutdown = pin!(shutdown);
    let closing = watch::Sender::new(false);
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = async {
                // Never closed.
                let permit = permits.clone().acquire_owned().await.ok();
                (listener.accept().await, permit)
            } => accepted,
            // Those that ended are forgotten.
            Some(_) = connections.join_next() => continue,
        };
        let (Ok((stream, peer)), permit) = accepted else {
            // Out of files, say: that passes when connections end.
            tracing::warn!("cannot accept a connection; trying again");
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        };
        let closing = closing.subscribe();
        connections.spawn(async move {
            serve(stream, peer, closing).await;
            drop(permit);
        });
    }
    drop(listener);
    closing.send_replace(true);
    let drained = timeout(DRAIN_TIMEOUT, async { while connections.join_next().await.is_some() {} });
    if drained.await.is_err() {
        tracing::warn!(connections = connections.len(), "did not end in time: dropped");
    }
    Ok(())
}

async fn serve(stream: TcpStream, peer: SocketAddr, mut closing: watch::Receiver<bool>) {
    tracing::info!(%peer, "connected");
    // Every chunk is an answer; waiting for more would only delay it.
    let _ = stream.set_nodelay(true);
    let (mut bytes, mut stream) = (0, stream);
    let ended = loop {
        let chunk = tokio::select! {
            chunk = read(&stream) => chunk,
            _ = closing.wait_for(|closing| *closing) => break Ok(()),
        };
        match chunk {
            Ok(chunk) if chunk.is_empty() => break Ok(()),
            Ok(chunk) => {
                bytes += chunk.len();
                match timeout(WRITE_TIMEOUT, stream.write_all(&chunk)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => break Err(error),
                    Err(_) => break Err(io::ErrorKind::TimedOut.into()),
                }
            }
            Err(error) => break Err(error),
        }
    };
    match ended {
        Ok(()) => tracing::info!(%peer, bytes, "connection closed"),
        Err(error) => tracing::info!(%peer, bytes, %error, "connection lost"),
    }
}

/// What has arrived; nothing at the end. While nothing arrives, no buffer is held.
async fn read(stream: &TcpStream) -> io::Result<Vec<u8>> {
    loop {
        stream.readable().await?;
        let mut chunk = Vec::with_capacity(CHUNK);
        match stream.try_read_buf(&mut chunk) {
            Ok(_) => return Ok(chunk),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
