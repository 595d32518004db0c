//! Messages on a connection.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tautline_telemetry::{MAX_MESSAGE, Malformed, Message};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::Shared;
use super::desk::{Peer, Sender};

/// How long a connection may be silent: devices say something twice as often.
const SILENCE: Duration = Duration::from_secs(90);

/// How long an answer may take to leave.
const STUCK: Duration = Duration::from_secs(30);

/// How much is read at once: some messages, and not so much that connections without one could fill the memory.
const BUFFER: usize = 4 * 1024;

/// That the device sends nothing more.
pub(super) const CLOSED: &str = "it has closed the connection";

/// Who is at the other end.
#[derive(Debug)]
pub(super) struct Who {
    pub(super) address: SocketAddr,
    /// The name in its certificate.
    pub(super) certified: Option<Arc<str>>,
    /// Until when it has to show that it is a device.
    pub(super) until: Instant,
}

/// Handles what a device sends, until it sends no more. Answers why.
pub(super) async fn receive(
    shared: &Shared,
    mut stream: impl AsyncRead + Unpin,
    number: u64,
    who: &Who,
) -> io::Result<&'static str> {
    let sender = Sender {
        peer: Peer::Tcp(number),
        may_be_keyless: shared.0.keyless.lets(who.address),
        certified: who.certified.as_deref(),
    };
    let mut buffer = vec![0; BUFFER];
    let mut filled = 0;
    let mut is_known = false;
    loop {
        let mut rest = &buffer[..filled];
        loop {
            // Back-pressure: what is not read from the connection waits in the device.
            shared.has_room().await;
            match Message::parse(rest) {
                Ok((message, behind)) => {
                    if !shared.handle(sender, who.address, &message) {
                        return Ok("it is not who it says");
                    }
                    is_known = true;
                    rest = behind;
                }
                Err(Malformed::Truncated) => break,
                Err(_) => {
                    shared.malformed(who.address);
                    return Ok("what it sent is no message");
                }
            }
        }
        let left = rest.len();
        buffer.copy_within(filled - left..filled, 0);
        filled = left;
        // No message is longer, so there is room.
        debug_assert!(filled < MAX_MESSAGE);
        let until = if is_known { Instant::now() + SILENCE } else { who.until };
        match timeout_at(until, stream.read(&mut buffer[filled..])).await {
            Ok(Ok(0)) => return Ok(CLOSED),
            Ok(Ok(read)) => filled += read,
            // By TLS, without a farewell: messages say themselves where they end.
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(CLOSED),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Ok("it was silent"),
        }
    }
}

/// Sends answers, until there are no more. Answers why.
pub(super) async fn answer(
    stream: impl AsyncWrite + Unpin,
    mut replies: mpsc::Receiver<Vec<u8>>,
) -> io::Result<&'static str> {
    let mut stream = pin!(stream);
    while let Some(bytes) = replies.recv().await {
        let leaves = async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        };
        match timeout(STUCK, leaves).await {
            Ok(written) => written?,
            Err(_) => return Ok("it takes no answers"),
        }
    }
    stream.shutdown().await?;
    Ok("the hub has no more answers")
}
