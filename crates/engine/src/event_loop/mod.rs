//! A loop without its sockets and its clock: what happens when a transport is readable or writable, when time passes, and
//! when somebody asks for something.

mod backlog;
mod compression;
mod connection;
mod inspect;
mod io;
mod read;
mod slots;
mod time;
mod turn;
mod world;
mod write;

use std::any::Any;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tautline_proto::app::{App, ConnectionId, Io, Opening, Slow};
use tautline_proto::compression::{Backend, InflateSpace};
use tautline_proto::handshake::server::Rejection;
use tautline_proto::{CloseCode, Header, Instant, Role, Transport as Verdict};

use crate::encoded::Encoded;
use crate::engine::Ended;
use crate::host::Attached;
use crate::metrics::Counters;
use crate::peer::Peer;
use crate::profile::{Profile, Shared};
use crate::timers::Timers;
use crate::transport::Transport;
use connection::{Connection, Flags};
use io::Call;
use world::World;

pub(crate) use slots::{loop_of, slot_of};

/// An app that a loop carries, whatever its type.
pub(crate) trait Hosted: App + Any {}

impl<A: App + 'static> Hosted for A {}

/// See the [module](self).
pub(crate) struct Loop<T> {
    apps: Vec<Box<dyn Hosted>>,
    world: World<T>,
    /// Where all connections read to.
    buffer: Vec<u8>,
    /// A buffer of a large message, for the next one.
    spare: Vec<u8>,
    /// What compressed messages are inflated with.
    inflating: InflateSpace,
    /// Connections that have more input than a turn takes, and whether their end is among it.
    again: Vec<(ConnectionId, bool)>,
    /// Slots whose time has come.
    up: Vec<usize>,
    /// Nobody is admitted any more.
    draining: bool,
    ended: Ended,
}

/// How long a connection that is closed otherwise may take to write what is left.
const LINGER: Duration = Duration::from_secs(10);

/// An app that panicked instead of answering.
struct Panicked;

impl<T: Transport> Loop<T> {
    pub(crate) fn new(loop_index: u8, ended: Ended) -> Self {
        Self {
            apps: Vec::new(),
            world: World::new(loop_index),
            buffer: vec![0; read::BUFFER],
            spare: Vec::new(),
            inflating: InflateSpace::default(),
            again: Vec::new(),
            up: Vec::new(),
            draining: false,
            ended,
        }
    }

    /// Has the writes of a turn done at once, where the system has a way to do that. To be called by the thread of the loop.
    pub(crate) fn start_batching(&mut self) {
        self.world.start_batching();
    }

    /// Has this compress the messages of connections that are admitted from now on.
    pub(crate) fn compress_with(&mut self, backend: Backend) {
        self.world.compression.backend = backend;
    }

    /// The time of the turn that begins.
    pub(crate) fn set_now(&mut self, now: Instant) {
        self.world.now = now;
        self.world.counters.turns += 1;
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.world.counters
    }

    /// Takes over an app. Its number is the number of those before it.
    pub(crate) fn host(&mut self, app: Box<dyn Hosted>) {
        self.apps.push(app);
        self.world.timers.push(Timers::default());
    }

    /// Asks an app whether it admits a client. To the app its connection is open then: what it sends waits until there is a
    /// transport. Otherwise a client whose handshake has been answered could miss what others send before the loop hears
    /// of it.
    pub(crate) fn admit(
        &mut self,
        app: u8,
        opening: &Opening<'_>,
        profile: Arc<Profile>,
    ) -> Result<ConnectionId, Rejection> {
        if self.draining {
            return Err(Rejection::new(503));
        }
        let id = self.world.slots.next_id().ok_or(Rejection::new(503).with_retry_after(5))?;
        self.call(app, None, None, |app, io| app.admit(io, id, opening)).unwrap_or(Err(Rejection::new(500)))?;
        let jitter = self.world.random.u32(..);
        let core = tautline_proto::Connection::new(Shared(profile), Role::Server, self.world.now, jitter)
            .with_deflate(opening.deflate);
        if let Some(agreed) = opening.deflate {
            self.world.compression.agreed(slot_of(id), agreed);
        }
        self.world.slots.insert(Connection::new(id, core, app, Peer::from(opening.peer)));
        self.world.list(slot_of(id));
        self.call_for(id, None, |app, io| app.open(io, id));
        Ok(id)
    }

    /// A client that was admitted has gone before its handshake was answered.
    pub(crate) fn abandon(&mut self, id: ConnectionId) {
        if let Some(connection) = self.world.slots.get(id).filter(|connection| connection.transport.is_none()) {
            connection.fail(&mut self.world.turn);
            self.world.list(slot_of(id));
        }
    }

    /// The handshake of a client that was admitted has been answered. `leftover` was read behind it.
    pub(crate) fn adopt(&mut self, id: ConnectionId, peer: Option<SocketAddr>, transport: T, leftover: Vec<u8>) {
        let admitted = self.world.slots.get(id).filter(|connection| connection.transport.is_none());
        // It has been closed meanwhile.
        let Some(connection) = admitted.filter(|connection| !connection.is(Flags::FAILED)) else {
            return self.missed(peer);
        };
        connection.transport = Some(transport);
        let more = connection.more();
        more.unread = leftover;
        let to_probe = more.to_probe.take();
        self.world.counters.opened += 1;
        let slot = slot_of(id);
        self.world.writable(slot);
        self.resume(slot);
        if self.world.slots.at(slot).is_some_and(|connection| connection.transport.holds_input()) {
            self.readable(slot, false);
        }
        // Behind what was read already: that is no answer.
        if let Some(within) = to_probe {
            self.world.probe(id, within);
        }
        self.world.list(slot);
    }

    /// A connection could not be taken over.
    pub(crate) fn missed(&mut self, peer: Option<SocketAddr>) {
        self.world.counters.opened += 1;
        self.count_closed(peer);
    }

    /// A connection that was adopted has ended.
    fn count_closed(&mut self, peer: Option<SocketAddr>) {
        self.world.counters.closed += 1;
        let Some(peer) = peer else { return };
        // Other people's code.
        if catch_unwind(AssertUnwindSafe(|| (self.ended)(peer))).is_err() {
            tracing::error!("who is told of ended connections panicked");
        }
    }

    /// Calls an app on behalf of another thread.
    pub(crate) fn visit(&mut self, app: u8, visit: impl FnOnce(&mut dyn Hosted, &mut dyn Io)) {
        let world = &mut self.world;
        let Some(hosted) = self.apps.get_mut(usize::from(app)) else { return };
        let mut io = Call { world, app, shared: None };
        if catch_unwind(AssertUnwindSafe(|| visit(&mut **hosted, &mut io))).is_err() {
            self.panicked(app, None);
        }
    }

    /// Sends an encoded message on behalf of another thread.
    pub(crate) fn publish(&mut self, to: &mut dyn Iterator<Item = ConnectionId>, message: &Encoded, slow: Slow) {
        self.world.publish_encoded(to, message, slow);
    }

    /// Closes a connection on behalf of another thread.
    pub(crate) fn close(&mut self, id: ConnectionId, code: CloseCode, reason: &str) {
        self.world.close(id, code, reason);
    }

    /// Begins to close the connections whose transport is one of these.
    #[cfg(feature = "tls")]
    pub(crate) fn close_where(&mut self, which: impl FnMut(&T) -> bool, code: CloseCode, reason: &str) {
        for id in self.world.slots.ids_where(which) {
            self.world.close(id, code, reason);
        }
    }

    /// Keeps something with a connection while that lives.
    pub(crate) fn attach(&mut self, id: ConnectionId, attached: Attached) {
        self.world.slots.attach(id, attached);
    }

    /// Begins to close the connections that have such a thing attached.
    pub(crate) fn close_attached(&mut self, which: impl FnMut(&Attached) -> bool, code: CloseCode, reason: &str) {
        for id in self.world.slots.ids_attached(which) {
            self.world.close(id, code, reason);
        }
    }

    /// Begins to close everything, and admits nobody any more.
    pub(crate) fn drain(&mut self, code: CloseCode) {
        self.draining = true;
        for id in self.world.slots.ids() {
            self.world.close(id, code, "");
        }
    }

    /// Ends every connection, ready or not. Answers how many there were.
    pub(crate) fn drop_all(&mut self) -> usize {
        let ids = self.world.slots.ids();
        for id in &ids {
            if let Some(connection) = self.world.slots.get(*id) {
                connection.fail(&mut self.world.turn);
                self.world.list(slot_of(*id));
            }
        }
        self.end_turn();
        ids.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.world.slots.len() == 0
    }

    /// The transport in `slot` takes bytes again.
    pub(crate) fn writable(&mut self, slot: usize) {
        self.world.writable(slot);
    }

    /// Ends a turn: runs the timers that are due, and writes everything that the turn has produced.
    pub(crate) fn end_turn(&mut self) {
        self.run_timers();
        // Settling calls apps, which may send; and writing may find that a connection has failed.
        loop {
            while let Some(slot) = self.world.listed.pop() {
                self.settle(slot as usize);
            }
            self.world.write_all();
            if self.world.listed.is_empty() {
                break;
            }
        }
    }

    /// Goes on with the connections that had more input than the last turn took. Answers whether there were any.
    pub(crate) fn go_on(&mut self) -> bool {
        let again = std::mem::take(&mut self.again);
        for (id, to_end) in &again {
            if self.world.slots.get(*id).is_some() {
                self.readable(slot_of(*id), *to_end);
            }
        }
        !again.is_empty()
    }

    /// Whether the next turn has something to do already.
    pub(crate) fn is_busy(&self) -> bool {
        !self.again.is_empty()
    }

    /// When the next timer is due.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.world.timers.iter().filter_map(Timers::next).chain(self.world.wheel.next()).min()
    }

    /// Brings a connection to rest after something has happened to it.
    fn settle(&mut self, slot: usize) {
        self.world.transmit_owed(slot);
        let Some(connection) = self.world.slots.at(slot) else { return };
        connection.set(Flags::LISTED, false);
        let verdict = connection.core.transport();
        let at_once = verdict != Verdict::Keep || connection.is(Flags::BUSY);
        if at_once || !self.world.published {
            self.world.write(slot);
        }
        let Some(connection) = self.world.slots.at(slot) else { return };
        let id = connection.id;
        if connection.core.ended().is_some() {
            return self.settle_ended(slot);
        }
        if connection.core.poll_alive() {
            self.call_for(id, None, |app, io| app.alive(io, id));
        }
        let Some(connection) = self.world.slots.at(slot) else { return };
        if connection.is_flushed() && connection.replace(Flags::BUSY, false) && !connection.is(Flags::CLOSING) {
            self.call_for(id, None, |app, io| app.drained(io, id));
        }
        if self.world.slots.at(slot).is_some_and(|connection| connection.is(Flags::PAUSED)) && !self.world.is_full(slot)
        {
            let to_end = self.resume(slot);
            self.readable(slot, to_end);
        }
        let Some(connection) = self.world.slots.at(slot) else { return };
        connection.shrink();
        if let Some(at) = connection.core.poll_timeout() {
            self.world.wheel.set(slot, at);
        }
    }

    /// A connection that has ended is reported once the last word is said, and goes when that is written.
    fn settle_ended(&mut self, slot: usize) {
        let Some(connection) = self.world.slots.at(slot) else { return };
        let (id, ended, verdict) = (connection.id, connection.core.ended(), connection.core.transport());
        if connection.owed().is_none() && !connection.replace(Flags::REPORTED, true) {
            let peer = connection.peer.address().map(tracing::field::display);
            match ended {
                Some(ended) if !ended.is_clean() => tracing::info!(peer, %ended, "connection lost"),
                Some(ended) => tracing::debug!(peer, %ended, "connection closed"),
                None => {}
            }
            self.call_for(id, None, |app, io| app.closed(io, id, ended));
        }
        let Some(connection) = self.world.slots.at(slot) else { return };
        let timeout = match verdict {
            Verdict::Close if connection.is_flushed() || connection.is(Flags::FAILED) => {
                connection.transport.finish();
                self.world.turn.done(&mut connection.entry);
                self.world.wheel.remove(slot);
                let (adopted, peer) = (connection.transport.is_some(), connection.peer);
                self.world.slots.remove(slot);
                self.world.compression.forget(slot);
                if adopted {
                    self.count_closed(peer.address());
                }
                return;
            }
            Verdict::Close => {
                let until = self.world.now + LINGER;
                Some(*connection.more().linger.get_or_insert(until))
            }
            Verdict::HalfClose if connection.is_flushed() && !connection.replace(Flags::SHUT, true) => {
                if connection.transport.shutdown().is_err() || !connection.flush_transport(&mut self.world.turn) {
                    self.world.list(slot);
                }
                self.world.slots.at(slot).and_then(|connection| connection.core.poll_timeout())
            }
            _ => connection.core.poll_timeout(),
        };
        if let Some(at) = timeout {
            self.world.wheel.set(slot, at);
        }
    }

    /// Calls the app of a connection, which is closed if the app panics. `shared`: where the message lies that the call is
    /// about, if it can be shared.
    fn call_for(
        &mut self,
        id: ConnectionId,
        shared: Option<&Bytes>,
        call: impl FnOnce(&mut dyn App, &mut Call<'_, T>),
    ) {
        let Some(app) = self.world.slots.get(id).map(|connection| connection.app) else { return };
        if let Err(Panicked) = self.call(app, Some(id), shared, call) {
            self.world.close(id, CloseCode::INTERNAL_ERROR, "");
        }
    }

    fn call<R>(
        &mut self,
        app: u8,
        about: Option<ConnectionId>,
        shared: Option<&Bytes>,
        call: impl FnOnce(&mut dyn App, &mut Call<'_, T>) -> R,
    ) -> Result<R, Panicked> {
        let Some(hosted) = self.apps.get_mut(usize::from(app)) else { return Err(Panicked) };
        let mut io = Call { world: &mut self.world, app, shared };
        let result = catch_unwind(AssertUnwindSafe(|| call(&mut **hosted, &mut io)));
        result.map_err(|_| self.panicked(app, about))
    }

    fn panicked(&mut self, app: u8, id: Option<ConnectionId>) -> Panicked {
        self.world.counters.panics += 1;
        let peer = id.and_then(|id| self.world.slots.peer(id).address()).map(tracing::field::display);
        tracing::error!(peer, app, "the app panicked");
        Panicked
    }
}

/// The length of the frame at the beginning of `bytes`, all of which may not be there: of our own frames, what cannot be
/// read is the beginning of a header.
fn frame_len(bytes: &[u8]) -> usize {
    let header = Header::decode(bytes).ok().flatten();
    header.map_or(bytes.len(), |(header, len)| len + header.len as usize)
}

#[cfg(test)]
mod tests;
