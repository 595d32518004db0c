//! Sensor data over UDP and TCP.
//!
//! Sockets hand what comes to one [`Desk`], which decides. A commit of the store takes what has gathered during the one before, so the
//! more comes the fewer commits a reading costs; devices are told when it is over.

mod counters;
mod desk;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tautline_store::{DeviceSession, Store, StoreError, Write};
use tautline_telemetry::{MAX_TIME, Message};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;

pub(crate) use counters::Counters;
use desk::{Desk, Peer, Reply, Sender};

use crate::homes::Setup;
use crate::telemetry::Telemetry;

/// How often the keys of devices are read again.
const KEYS: Duration = Duration::from_secs(2);

/// How long a device may be away, in milliseconds, and go on with its session although it has begun another one: 30 days.
const AWAY_MS: i64 = 30 * 86_400_000;

/// How many messages wait for a TCP connection.
const WAITING: usize = 64;

/// Where devices send their readings, see the telemetry protocol.
#[derive(Debug, Default)]
pub struct Ingest {
    /// Sockets that are bound.
    pub udp: Vec<UdpSocket>,
    /// Sockets that listen.
    pub tcp: Vec<TcpListener>,
    /// Who may send without a key.
    pub keyless: Keyless,
}

/// Who may send readings without a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keyless {
    /// Whoever is on this machine.
    #[default]
    Loopback,
    /// Everybody.
    Everywhere,
    /// Nobody.
    Nowhere,
}

impl Keyless {
    fn lets(self, address: SocketAddr) -> bool {
        match self {
            // An IPv4 address arrives as an IPv6 one at a socket for both.
            Self::Loopback => address.ip().to_canonical().is_loopback(),
            Self::Everywhere => true,
            Self::Nowhere => false,
        }
    }
}

/// What the tasks share. Clones are the same.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Inner>);

struct Inner {
    desk: Mutex<Desk>,
    keyless: Keyless,
    udp: Vec<udp::Socket>,
    /// By number.
    tcp: Mutex<HashMap<u64, mpsc::Sender<Vec<u8>>>>,
    /// Something waits for a commit.
    work: Notify,
    /// A commit is over: there is room for more.
    room: Notify,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingest").field("udp", &self.0.udp.len()).finish_non_exhaustive()
    }
}

/// What a running ingest has counted.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) counters: Counters,
    /// Devices that have a session.
    pub(crate) devices: usize,
}

/// Starts to take readings, until the answer is dropped; `setup` has what is counted.
///
/// # Errors
///
/// There is no store, it cannot be read, or a socket is not usable.
pub(crate) async fn open(sockets: Ingest, setup: &mut Setup) -> io::Result<JoinSet<()>> {
    let store = setup.store.clone().ok_or_else(|| io::Error::other("readings need a store"))?;
    let kept = store.clone();
    let sessions = tokio::task::spawn_blocking(move || restore(&kept)).await?.map_err(io::Error::other)?;
    let (shared, tasks) = start(sockets, setup.telemetry.clone(), store, &sessions)?;
    setup.ingest = Some(shared);
    Ok(tasks)
}

/// Starts to take readings, until the answer is dropped.
///
/// # Errors
///
/// A socket is not usable.
fn start(
    ingest: Ingest,
    telemetry: Telemetry,
    store: Store,
    sessions: &[DeviceSession],
) -> io::Result<(Shared, JoinSet<()>)> {
    let Ingest { udp, tcp, keyless } = ingest;
    let udp = udp.into_iter().map(udp::Socket::new).collect::<io::Result<Vec<_>>>()?;
    let desk = Desk::new(telemetry.clone(), &rand::random(), sessions);
    let (work, room) = (Notify::new(), Notify::new());
    let shared = Shared(Arc::new(Inner { desk: Mutex::new(desk), keyless, udp, tcp: Mutex::default(), work, room }));
    let mut tasks = JoinSet::new();
    for number in 0..shared.0.udp.len() {
        tasks.spawn(udp::receive(shared.clone(), number));
    }
    for listener in tcp {
        tasks.spawn(tcp::accept(shared.clone(), listener));
    }
    tasks.spawn(follow_keys(shared.clone(), store));
    tasks.spawn(commit(shared.clone(), telemetry));
    Ok((shared, tasks))
}

impl Shared {
    pub(crate) fn snapshot(&self) -> Snapshot {
        let desk = self.desk();
        Snapshot { counters: desk.counters.clone(), devices: desk.devices() }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        // Every message is handled as a whole or not at all.
        self.0.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<u64, mpsc::Sender<Vec<u8>>>> {
        self.0.tcp.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Handles a message and answers it. Whether its sender is who it says.
    fn handle(&self, from: Peer, address: SocketAddr, message: &Message<'_>) -> bool {
        let mut replies = Vec::new();
        let sender = Sender { peer: from, may_be_keyless: self.0.keyless.lets(address) };
        let authentic = self.desk().receive(now_ms(), sender, message, &mut replies);
        self.send(replies);
        self.0.work.notify_one();
        authentic
    }

    fn send(&self, replies: Vec<Reply>) {
        for Reply { to, bytes } in replies {
            match to {
                Peer::Udp(socket, address) => self.0.udp[socket].send(&bytes, address),
                // Who takes no answers gets none: it sends again what it does not know to be stored.
                Peer::Tcp(number) => {
                    if let Some(connection) = self.connections().get(&number) {
                        let _ = connection.try_send(bytes);
                    }
                }
            }
        }
    }
}

/// Stores what has gathered, one commit after the other.
async fn commit(shared: Shared, telemetry: Telemetry) {
    loop {
        let batch = shared.desk().next_batch(now_ms());
        let Some((readings, writes)) = batch else {
            shared.0.work.notified().await;
            continue;
        };
        let (reply, answer) = oneshot::channel();
        let submitted = telemetry.submit(readings, writes, |result| {
            // Without somebody who waits the hub has ended.
            let _ = reply.send(result);
        });
        let stored = match submitted {
            Ok(()) => matches!(answer.await, Ok(Ok(()))),
            Err(error) => {
                tracing::warn!(%error, "readings of devices are not taken now");
                // Devices send them again, and it would be the same at once.
                tokio::time::sleep(Duration::from_millis(100)).await;
                false
            }
        };
        let mut replies = Vec::new();
        shared.desk().committed(stored, &mut replies);
        shared.send(replies);
        shared.0.room.notify_waiters();
    }
}

/// Keeps up with the keys in the store.
async fn follow_keys(shared: Shared, store: Store) {
    let mut interval = tokio::time::interval(KEYS);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        interval.tick().await;
        let store = store.clone();
        let read = tokio::task::spawn_blocking(move || store.read(|reader| reader.device_keys())).await;
        match read.unwrap_or_else(|error| Err(StoreError::Io(error.to_string()))) {
            Ok(keys) => {
                failing = false;
                shared.desk().set_keys(keys);
            }
            Err(StoreError::Closed) => return,
            Err(error) if !failing => {
                failing = true;
                tracing::error!(%error, "keys of devices cannot be read: those that were known count on");
            }
            Err(_) => {}
        }
    }
}

/// The sessions that the store has; those of devices that were away too long, and are in another one since, are forgotten. It blocks.
fn restore(store: &Store) -> Result<Vec<DeviceSession>, StoreError> {
    // All links are worthless from now on, so nothing that was recorded of them can come again.
    let before_ms = i64::try_from(now_ms()).unwrap_or(0) - AWAY_MS;
    let (told, forgotten) = std::sync::mpsc::channel();
    let submitted = store.submit(vec![Write::ForgetSessions { before_ms }], move |result| {
        let _ = told.send(result);
    });
    submitted.map_err(|error| StoreError::Io(error.to_string()))?;
    forgotten.recv().unwrap_or(Err(StoreError::Closed))?;
    store.read(|reader| reader.device_sessions())
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(MAX_TIME).min(MAX_TIME)
}
