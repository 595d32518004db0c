//! Sensor data over UDP and TCP.
//!
//! Sockets hand what comes to one [`Desk`], which decides. A commit of the store takes what has gathered during the one before, so the
//! more comes the fewer commits a reading costs; devices are told when it is over.

mod clock;
mod commands;
mod complaints;
mod conversation;
mod counters;
mod declarations;
mod desk;
mod device;
mod greeting;
mod keys;
mod settings;
mod tasks;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;
mod values;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tautline::Addresses;
use tautline_proto::app::ConnectionId;
use tautline_rooms::Command;
use tautline_store::{DeviceKey, DeviceSession, Store, StoreError, Write};
use tautline_telemetry::Message;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use clock::Clock;
use commands::News;
use complaints::Complaints;
pub(crate) use counters::Counters;
use desk::{Desk, Peer, Reply, Sender};
use device::KNOWN;
pub use settings::{Encryption, Ingest, Keyless};
use tasks::{command, commit, follow_keys, sweep, watched};

use crate::clients::Clients;
use crate::devices::{Devices, Line, Way};
use crate::homes::{Homes, Setup};
use crate::rooms::now_ms;
use crate::telemetry::Telemetry;

/// How long a device may be away, in milliseconds, and go on with its session although it has begun another one: 30 days.
const AWAY_MS: i64 = 30 * 86_400_000;

/// How many messages wait for a TCP connection.
const WAITING: usize = 64;

/// What the tasks share. Clones are the same.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Inner>);

struct Inner {
    desk: Mutex<Desk>,
    clock: Clock,
    keyless: Keyless,
    encryption: Encryption,
    /// Whose certificates are good.
    clients: Clients,
    /// What each address has.
    addresses: Addresses,
    complaints: Complaints,
    store: Store,
    /// Who knows the devices, once it is there.
    devices: OnceLock<Arc<Homes<Devices>>>,
    udp: Vec<udp::Socket>,
    /// By number.
    tcp: Mutex<HashMap<u64, mpsc::Sender<Vec<u8>>>>,
    /// Which task has panicked.
    failed: OnceLock<&'static str>,
    /// Something waits for a commit.
    work: Notify,
    /// A commit is over: there is room for more.
    room: Notify,
    /// Commands for the desk. Whoever gives one is on an event loop, and must not wait for the desk; how many there can be, the devices'
    /// own limits say.
    orders: mpsc::UnboundedSender<Ordered>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingest").field("udp", &self.0.udp.len()).finish_non_exhaustive()
    }
}

/// A command for a device, and for how long its result counts.
#[derive(Debug)]
struct Ordered {
    device: u32,
    command: Arc<Command>,
    within: Duration,
}

/// What a running ingest has counted.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) counters: Counters,
    /// Devices that have a session.
    pub(crate) devices: usize,
}

/// Starts to take readings, until the answer is dropped; `setup` has what is counted. Connections count among those of their
/// addresses.
///
/// # Errors
///
/// There is no store, it cannot be read, or a socket is not usable.
pub(crate) async fn open(
    sockets: Ingest,
    setup: &mut Setup,
    clients: Clients,
    addresses: Addresses,
) -> io::Result<JoinSet<()>> {
    let store = setup.store.clone().ok_or_else(|| io::Error::other("readings need a store"))?;
    let kept = store.clone();
    let (sessions, keys) = tokio::task::spawn_blocking(move || restore(&kept)).await?.map_err(io::Error::other)?;
    let mut desk = Desk::new(setup.telemetry.clone(), &rand::random(), &sessions);
    desk.set_keys(keys);
    let doors = Doors { clients, addresses };
    let (shared, tasks) = start(sockets, doors, setup.telemetry.clone(), store, desk)?;
    setup.ingest = Some(shared);
    Ok(tasks)
}

/// Who is let in.
struct Doors {
    clients: Clients,
    addresses: Addresses,
}

/// Starts to take readings, until the answer is dropped.
///
/// # Errors
///
/// A socket is not usable.
fn start(
    ingest: Ingest,
    doors: Doors,
    telemetry: Telemetry,
    store: Store,
    desk: Desk,
) -> io::Result<(Shared, JoinSet<()>)> {
    let Ingest { udp, tcp, keyless, tls } = ingest;
    let Doors { clients, addresses } = doors;
    let udp = udp.into_iter().map(udp::Socket::new).collect::<io::Result<Vec<_>>>()?;
    let (work, room) = (Notify::new(), Notify::new());
    let (orders, ordered) = mpsc::unbounded_channel();
    let (desk, devices, tcp_connections) = (Mutex::new(desk), OnceLock::new(), Mutex::default());
    let shared = Shared(Arc::new(Inner {
        desk,
        clock: Clock::start(),
        keyless,
        encryption: tls.without_protocols(),
        clients,
        addresses,
        complaints: Complaints::default(),
        failed: OnceLock::new(),
        store: store.clone(),
        devices,
        udp,
        tcp: tcp_connections,
        work,
        room,
        orders,
    }));
    let mut tasks = JoinSet::new();
    for number in 0..shared.0.udp.len() {
        tasks.spawn(watched("udp", &shared, udp::receive(shared.clone(), number)));
    }
    for listener in tcp {
        tasks.spawn(watched("tcp", &shared, tcp::accept(shared.clone(), listener)));
    }
    tasks.spawn(watched("keys", &shared, follow_keys(shared.clone(), store)));
    tasks.spawn(watched("commit", &shared, commit(shared.clone(), telemetry)));
    tasks.spawn(watched("commands", &shared, command(shared.clone(), ordered)));
    tasks.spawn(watched("sweep", &shared, sweep(shared.clone())));
    Ok((shared, tasks))
}

impl Shared {
    pub(crate) fn snapshot(&self) -> Snapshot {
        let desk = self.desk();
        Snapshot { counters: desk.counters.clone(), devices: desk.devices() }
    }

    /// Which of the tasks has failed, if one has.
    pub(crate) fn failed(&self) -> Option<&'static str> {
        self.0.failed.get().copied()
    }

    /// Who knows the devices. To be called once.
    pub(crate) fn tell(&self, devices: Arc<Homes<Devices>>) {
        let _ = self.0.devices.set(devices);
    }

    /// Gives a device a command, whose result counts only within a time. What becomes of it is told to the devices.
    pub(crate) fn command(&self, device: u32, command: Arc<Command>, within: Duration) {
        // Who takes them ends with the hub.
        let _ = self.0.orders.send(Ordered { device, command, within });
    }

    fn now(&self) -> clock::Now {
        self.0.clock.now()
    }

    /// Has the desk do something, sends what it answers, and tells what has happened.
    fn at_desk<T>(&self, work: impl FnOnce(&mut Desk, &mut Vec<Reply>) -> T) -> T {
        let mut replies = Vec::new();
        let mut desk = self.desk();
        let answer = work(&mut desk, &mut replies);
        // Before anybody else has news: the order counts. Nobody is waited for.
        if let Some(devices) = self.0.devices.get() {
            self.spread(std::mem::take(&mut desk.news), devices);
        }
        drop(desk);
        self.send(replies);
        answer
    }

    /// Tells the devices' loops what has happened.
    fn spread(&self, news: Vec<News>, devices: &Homes<Devices>) {
        for news in news {
            // A loop that has ended takes nothing, and nobody is left to be told.
            let _ = match news {
                News::Came { device, name, proven, peer } => {
                    tracing::info!(?peer, device, "New device: {name}");
                    let identity = proven.then(|| (&*name).into());
                    let line = Line { device: name.clone(), identity, way: Way::Telemetry(self.clone(), device) };
                    devices.of(&name).visit(move |devices, io| devices.came(io, connection(device), line))
                }
                News::Left { device, name } => {
                    tracing::info!(device, "Device silent: {name}");
                    devices.of(&name).visit(move |devices, io| devices.left(io, connection(device)))
                }
                News::KeyUsed { device: number, key } => {
                    // If it cannot be stored, that is tried again when the keys are read.
                    let _ = self.0.store.submit(vec![Write::ForgetPreviousKey { number, key }], drop);
                    continue;
                }
                News::Result { device, name, id, result } => {
                    devices.of(&name).visit(move |devices, io| devices.result(io, connection(device), &id, &result))
                }
            };
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        // Every message is handled as a whole or not at all.
        self.0.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<u64, mpsc::Sender<Vec<u8>>>> {
        self.0.tcp.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Handles a message and answers it. Whether its sender is who it says.
    fn handle(&self, from: Sender<'_>, address: SocketAddr, message: &Message<'_>) -> bool {
        let authentic = self.at_desk(|desk, replies| desk.receive(self.now(), from, message, replies));
        self.0.work.notify_one();
        authentic.map_err(|reason| self.complain(reason, address)).is_ok()
    }

    /// What came is no message.
    fn malformed(&self, from: SocketAddr) {
        self.desk().counters.malformed += 1;
        self.complain("what came is no message", from);
    }

    /// A connection is refused, for a reason that is counted and one for people.
    fn refuse(&self, reason: &'static str, words: &'static str, from: SocketAddr) {
        self.count_refused(reason);
        self.complain(words, from);
    }

    fn count_refused(&self, reason: &'static str) {
        self.desk().counters.refused_connection(reason);
    }

    /// Logs something that somebody else causes, now and then.
    fn complain(&self, reason: &'static str, peer: SocketAddr) {
        if let Some(times) = self.0.complaints.note(self.now().ms, reason) {
            tracing::warn!(%peer, times, "sensor data refused: {reason}");
        }
    }

    /// Waits while too much waits for the store.
    async fn has_room(&self) {
        self.until(|desk| !desk.is_full()).await;
    }

    /// Waits until everything that has come until now is stored, or is known not to be.
    async fn settled(&self) {
        let taken = self.desk().taken;
        self.until(|desk| desk.settled >= taken).await;
    }

    /// Waits for something that commits bring about.
    async fn until(&self, is: impl Fn(&Desk) -> bool) {
        loop {
            let mut room = pin!(self.0.room.notified());
            room.as_mut().enable();
            if is(&self.desk()) {
                return;
            }
            room.await;
        }
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

/// The connection that a device counts as. The engine's ids are of loops, of which there are never as many.
fn connection(device: u32) -> ConnectionId {
    ConnectionId(1 << 63 | u64::from(device))
}

/// The sessions and keys that the store has; sessions of devices that were away too long, and are in another one since, are forgotten. It blocks.
fn restore(store: &Store) -> Result<(Vec<DeviceSession>, Vec<DeviceKey>), StoreError> {
    // All links are worthless from now on, so nothing that was recorded of them can come again.
    let before_ms = now_ms() - AWAY_MS;
    let (told, forgotten) = std::sync::mpsc::channel();
    let submitted = store.submit(vec![Write::ForgetSessions { before_ms, most: KNOWN }], move |result| {
        let _ = told.send(result);
    });
    submitted.map_err(|error| StoreError::Io(error.to_string()))?;
    forgotten.recv().unwrap_or(Err(StoreError::Closed))?;
    store.read(|reader| Ok((reader.device_sessions()?, reader.device_keys()?)))
}
