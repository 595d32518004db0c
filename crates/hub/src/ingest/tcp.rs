//! Connections of devices: who may have one.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls::ServerConfig;
use tautline::{Excess, Share, TooMuch};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::conversation::{CLOSED, Who, answer, receive};
use super::{Encryption, Shared, WAITING};

/// How many connections there can be at an address of the hub.
const CONNECTIONS: usize = 50_000;

/// How long a connection has to show who it is.
const GREETING: Duration = Duration::from_secs(10);

/// How long what a device has sent before it closed its half may take to be stored.
const SETTLING: Duration = Duration::from_secs(30);

/// How long the last answers of a connection may take.
const LINGER: Duration = Duration::from_secs(1);

/// The first byte of a connection that speaks TLS: its record is a handshake (RFC 8446 section 5.1). A message begins with a `T`.
const TLS: u8 = 22;

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
                let Some(share) = admit(&shared, address) else { continue };
                let Ok(place) = places.clone().try_acquire_owned() else {
                    shared.refuse("server_full", "as many devices are connected as can be", address);
                    continue;
                };
                let shared = shared.clone();
                connections.spawn(async move {
                    let _held = (place, share);
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

/// What a connection has of what its address may have. `None`: that is too much.
fn admit(shared: &Shared, address: SocketAddr) -> Option<Option<Share>> {
    let refused = |TooMuch { excess, to_log, .. }| {
        let (reason, what) = match excess {
            Excess::Connections => ("address_full", "too many connections from an address"),
            Excess::Rate => ("address_rate", "too many new connections from an address"),
        };
        shared.count_refused(reason);
        if let Some(refused) = to_log {
            tracing::warn!(peer = %address, refused, "{what}: sensor data refused");
        }
    };
    shared.0.addresses.enter(address.ip()).map_err(refused).ok()
}

async fn serve(shared: Shared, stream: TcpStream, address: SocketAddr) {
    // Answers are small and waited for.
    let _ = stream.set_nodelay(true);
    let until = Instant::now() + GREETING;
    let mut first = [0];
    // Whoever says nothing gets nothing.
    let Ok(Ok(1)) = timeout_at(until, stream.peek(&mut first)).await else { return };
    match (&shared.0.encryption, first[0]) {
        (Encryption::Optional(config) | Encryption::Required(config), TLS) => {
            // Most have none, and should not have to carry its size.
            Box::pin(serve_encrypted(&shared, config.clone(), stream, address, until)).await;
        }
        (Encryption::Required(_), _) => shared.refuse("no_tls", "a connection is not encrypted", address),
        _ => {
            let (read, write) = stream.into_split();
            talk(&shared, read, write, Who { address, certified: None, until }).await;
        }
    }
}

async fn serve_encrypted(
    shared: &Shared,
    config: Arc<ServerConfig>,
    stream: TcpStream,
    address: SocketAddr,
    until: Instant,
) {
    let stream = match timeout_at(until, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(peer = %address, %error, "TLS failed");
            return shared.refuse("tls", "TLS fails: see the log at the level debug for why", address);
        }
        Err(_) => return,
    };
    let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).cloned();
    let clients = &shared.0.clients;
    let certified = match leaf.as_ref().map(|leaf| clients.certified(leaf)).transpose() {
        Ok(name) => name.map(Into::into),
        Err(refusal) => {
            tracing::debug!(peer = %address, reason = refusal.reason(), "certificate refused");
            return shared.refuse(
                "certificate",
                "a certificate is not permitted: see the log at the level debug",
                address,
            );
        }
    };
    let revoked = async {
        match &leaf {
            Some(leaf) => clients.sessions.revoked(leaf).await,
            None => std::future::pending().await,
        }
    };
    let (read, write) = tokio::io::split(stream);
    tokio::select! {
        () = talk(shared, read, write, Who { address, certified, until }) => {}
        () = revoked => tracing::info!(peer = %address, "device disconnected: its certificate is revoked"),
    }
}

/// Has a device and the hub talk until one of them ends it.
async fn talk(shared: &Shared, read: impl AsyncRead + Unpin, write: impl AsyncWrite + Unpin, who: Who) {
    let address = who.address;
    let (sender, replies) = mpsc::channel(WAITING);
    let registered = Registered::new(shared, sender);
    tracing::debug!(peer = %address, certified = who.certified.as_deref(), "device connected");
    let mut answering = pin!(answer(write, replies));
    let number = registered.number;
    let receiving = async move {
        let ended = receive(shared, read, number, &who).await;
        if matches!(ended, Ok(CLOSED)) {
            // Simple programs close their half when they have sent everything, and wait for the acknowledgement.
            let _ = timeout(SETTLING, shared.settled()).await;
        }
        // What was answered last leaves, and nothing more comes.
        drop(registered);
        ended
    };
    let ended = tokio::select! {
        ended = receiving => {
            let _ = timeout(LINGER, answering).await;
            ended
        }
        ended = &mut answering => ended,
    };
    match ended {
        Ok(why) => tracing::debug!(peer = %address, why, "device disconnected"),
        Err(error) => tracing::debug!(peer = %address, %error, "device disconnected"),
    }
}

/// A connection that answers can be sent to, until this is dropped.
struct Registered<'a> {
    shared: &'a Shared,
    number: u64,
}

impl<'a> Registered<'a> {
    fn new(shared: &'a Shared, replies: mpsc::Sender<Vec<u8>>) -> Self {
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        shared.connections().insert(number, replies);
        Self { shared, number }
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.shared.connections().remove(&self.number);
    }
}
