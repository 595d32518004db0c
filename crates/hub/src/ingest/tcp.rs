//! Messages on connections.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tautline_telemetry::{MAX_MESSAGE, Malformed, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::desk::Peer;
use super::{Shared, WAITING};

/// How many connections there can be at an address.
const CONNECTIONS: usize = 50_000;

/// How long a connection may be silent: devices say something twice as often.
const SILENCE: Duration = Duration::from_secs(90);

/// How long a connection has to show who it is.
const GREETING: Duration = Duration::from_secs(10);

/// How long an answer may take to leave.
const STUCK: Duration = Duration::from_secs(30);

/// How long the last answers of a connection may take.
const LINGER: Duration = Duration::from_secs(1);

/// How much is read at once: some messages, and not so much that connections without one could fill the memory.
const BUFFER: usize = 4 * 1024;

static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// Takes connections until it is aborted, and they with it.
pub(super) async fn accept(shared: Shared, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut wait = Duration::from_millis(10);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, address)) => {
                wait = Duration::from_millis(10);
                let Ok(place) = places.clone().try_acquire_owned() else {
                    tracing::warn!(peer = %address, "as many devices are connected as can be: closed");
                    continue;
                };
                let shared = shared.clone();
                connections.spawn(async move {
                    let _place = place;
                    serve(shared, stream, address).await;
                });
            }
            // The client gave up while it was in the queue.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::error!(%error, retry_in = ?wait, "cannot accept devices");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(1));
            }
        }
    }
}

async fn serve(shared: Shared, stream: TcpStream, address: SocketAddr) {
    // Answers are small and waited for.
    let _ = stream.set_nodelay(true);
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    let (sender, replies) = mpsc::channel(WAITING);
    shared.connections().insert(number, sender);
    let (read, write) = stream.into_split();
    tracing::debug!(peer = %address, "device connected");
    let mut answering = pin!(answer(write, replies));
    let ended = tokio::select! {
        ended = receive(&shared, read, number, address) => {
            // What was answered last leaves, and nothing more comes.
            shared.connections().remove(&number);
            let _ = timeout(LINGER, answering).await;
            ended
        }
        ended = &mut answering => ended,
    };
    shared.connections().remove(&number);
    match ended {
        Ok(why) => tracing::debug!(peer = %address, why, "device disconnected"),
        Err(error) => tracing::debug!(peer = %address, %error, "device disconnected"),
    }
}

async fn receive(
    shared: &Shared,
    mut stream: OwnedReadHalf,
    number: u64,
    address: SocketAddr,
) -> io::Result<&'static str> {
    let mut buffer = vec![0; BUFFER];
    let mut filled = 0;
    let opened = Instant::now();
    let mut is_known = false;
    loop {
        let mut rest = &buffer[..filled];
        loop {
            // Back-pressure: what is not read from the connection waits in the device.
            loop {
                let mut room = pin!(shared.0.room.notified());
                room.as_mut().enable();
                if !shared.desk().is_full() {
                    break;
                }
                room.await;
            }
            match Message::parse(rest) {
                Ok((message, behind)) => {
                    if !shared.handle(Peer::Tcp(number), address, &message) {
                        return Ok("it is not who it says");
                    }
                    is_known = true;
                    rest = behind;
                }
                Err(Malformed::Truncated) => break,
                Err(_) => {
                    shared.desk().counters.malformed += 1;
                    return Ok("what it sent is no message");
                }
            }
        }
        let left = rest.len();
        buffer.copy_within(filled - left..filled, 0);
        filled = left;
        // No message is longer, so there is room.
        debug_assert!(filled < MAX_MESSAGE);
        let patience = if is_known { SILENCE } else { GREETING.saturating_sub(opened.elapsed()) };
        match timeout(patience, stream.read(&mut buffer[filled..])).await {
            Ok(Ok(0)) => return Ok("it has closed the connection"),
            Ok(Ok(read)) => filled += read,
            Ok(Err(error)) => return Err(error),
            Err(_) => return Ok("it was silent"),
        }
    }
}

async fn answer(mut stream: OwnedWriteHalf, mut replies: mpsc::Receiver<Vec<u8>>) -> io::Result<&'static str> {
    while let Some(bytes) = replies.recv().await {
        match timeout(STUCK, stream.write_all(&bytes)).await {
            Ok(written) => written?,
            Err(_) => return Ok("it takes no answers"),
        }
    }
    Ok("the hub has no more answers")
}
