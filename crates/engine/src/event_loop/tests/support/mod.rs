//! A loop in virtual time, its app and its peers.

mod app;
mod client;
pub(crate) mod frames;
mod sim;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tautline_proto::app::{ConnectionId, Io, Opening};
use tautline_proto::handshake::deflate::Parameters;
use tautline_proto::handshake::server::Rejection;
use tautline_proto::{Config, Ended, Instant};

pub(crate) use app::{Call, Happened, Record, Recorder, echo};
pub(crate) use client::Client;
pub(crate) use frames::Frame;
pub(crate) use sim::{Peer, Sim, Told, wire};

use crate::event_loop::{Loop, slot_of};
use crate::profile::Profile;

/// No pings by themselves: time goes on only where a test lets it.
pub(crate) const QUIET: Config = Config::new().ping_interval(None);

/// A small queue.
pub(crate) const QUEUE: usize = 1000;

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// How a connection behaves whose queue is full at `queue` bytes.
pub(crate) fn profile(config: Config, queue: usize) -> Arc<Profile> {
    Arc::new(Profile::new(config).send_queue(queue))
}

/// Drives a loop as `runner.rs` does.
pub(crate) struct World {
    pub(crate) event_loop: Loop<Sim>,
    pub(crate) now: Instant,
    pub(crate) record: Record,
    pub(crate) profile: Arc<Profile>,
    /// What is agreed with the clients that connect from now on.
    pub(crate) deflate: Option<Parameters>,
    peers: Vec<Peer>,
    /// The addresses of those that were said to have ended.
    pub(crate) ends: Arc<Mutex<Vec<SocketAddr>>>,
}

impl World {
    /// A loop with one app, which does `act`. Queues are full at [`QUEUE`] bytes, and nobody is pinged.
    pub(crate) fn new(act: impl FnMut(&mut dyn Io, Call<'_>) + Send + 'static) -> Self {
        let now = Instant::from_millis(1_000_000);
        let ends = Arc::new(Mutex::new(Vec::new()));
        let told = ends.clone();
        let mut event_loop = Loop::new(7, Arc::new(move |peer| told.lock().unwrap().push(peer)));
        event_loop.set_now(now);
        let record = Record::default();
        event_loop.host(Box::new(Recorder { record: record.clone(), act }));
        Self { event_loop, now, record, profile: profile(QUIET, QUEUE), deflate: None, peers: Vec::new(), ends }
    }

    /// As [`new`](Self::new), for an app that echoes.
    pub(crate) fn echo() -> Self {
        Self::new(echo)
    }

    pub(crate) fn with_config(mut self, config: Config) -> Self {
        self.profile = profile(config, QUEUE);
        self
    }

    pub(crate) fn with_queue(mut self, queue: usize) -> Self {
        self.profile = profile(QUIET, queue);
        self
    }

    // ---- connections ----

    pub(crate) fn admit(&mut self) -> ConnectionId {
        self.try_admit(0, "/", None).expect("admitted")
    }

    pub(crate) fn try_admit(
        &mut self,
        app: u8,
        path: &str,
        peer: Option<SocketAddr>,
    ) -> Result<ConnectionId, Rejection> {
        let opening = Opening { path, peer, deflate: self.deflate, ..Opening::default() };
        self.event_loop.admit(app, &opening, self.profile.clone())
    }

    /// Hands the connection of an admitted client over, which is watched from now on.
    pub(crate) fn adopt(&mut self, id: ConnectionId, wire: (Sim, Peer), leftover: &[u8]) -> Peer {
        self.adopt_from(None, id, wire, leftover)
    }

    pub(crate) fn adopt_from(
        &mut self,
        address: Option<SocketAddr>,
        id: ConnectionId,
        (sim, mut peer): (Sim, Peer),
        leftover: &[u8],
    ) -> Peer {
        peer.id = id;
        peer.watched();
        self.peers.retain(|peer| !peer.dropped());
        self.peers.push(peer.clone());
        self.event_loop.adopt(id, address, sim, leftover.to_vec());
        peer
    }

    /// A turn in which a client connects.
    pub(crate) fn connect(&mut self) -> Peer {
        self.connect_over(wire(), &[])
    }

    /// Several of them, in a turn each.
    pub(crate) fn connect_some<const N: usize>(&mut self) -> [Peer; N] {
        std::array::from_fn(|_| self.connect())
    }

    pub(crate) fn connect_over(&mut self, wire: (Sim, Peer), leftover: &[u8]) -> Peer {
        self.begin_turn();
        let id = self.admit();
        let peer = self.adopt(id, wire, leftover);
        self.event_loop.end_turn();
        peer
    }

    /// A client whose socket takes nothing, and which has been sent `begun` by the app.
    pub(crate) fn connect_blocked(&mut self, begun: &str) -> Peer {
        let peer = self.connect();
        peer.take_only(0);
        let id = peer.id;
        self.visit(|io| io.send(id, tautline_proto::app::Message::Text(begun)));
        peer
    }

    // ---- turns ----

    /// What a turn does first.
    fn begin_turn(&mut self) {
        self.event_loop.set_now(self.now);
        for peer in self.peers.clone() {
            if peer.is_telling() {
                self.told(&peer);
            }
        }
        self.event_loop.go_on();
    }

    fn told(&mut self, peer: &Peer) {
        let Told { readable, writable, to_end } = peer.tell();
        if writable {
            self.event_loop.writable(peer.slot());
        }
        if readable {
            self.event_loop.readable(peer.slot(), to_end);
        }
    }

    /// A turn.
    pub(crate) fn turn(&mut self) {
        self.turn_with(|_| {});
    }

    /// A turn in which somebody wants something of the loop.
    pub(crate) fn turn_with<R>(&mut self, posts: impl FnOnce(&mut Loop<Sim>) -> R) -> R {
        self.begin_turn();
        let result = posts(&mut self.event_loop);
        self.event_loop.end_turn();
        result
    }

    /// A turn in which the app is visited.
    pub(crate) fn visit<R>(&mut self, visit: impl FnOnce(&mut dyn Io) -> R) -> R {
        self.turn_with(|event_loop| {
            let mut result = None;
            event_loop.visit(0, |_, io| result = Some(visit(io)));
            result.expect("visited")
        })
    }

    /// Whether there is something to do without anybody's doing.
    fn is_at_rest(&mut self) -> bool {
        self.peers.retain(|peer| !peer.dropped());
        !self.event_loop.is_busy() && !self.peers.iter().any(Peer::is_telling)
    }

    /// Turns until there is nothing more to do. It begins with one.
    pub(crate) fn run(&mut self) {
        for _ in 0..1_000_000 {
            self.turn();
            if self.is_at_rest() {
                return;
            }
        }
        panic!("the loop never rests");
    }

    /// Lets time pass, with a turn whenever the loop wants one.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.run();
        for _ in 0..1_000_000 {
            let Some(at) = self.event_loop.next_timeout().filter(|at| *at <= end) else {
                self.now = end;
                return self.run();
            };
            self.now = self.now.max(at);
            self.run();
        }
        panic!("the loop never sleeps");
    }

    /// Lets time pass without the loop getting a turn before all of it is over.
    pub(crate) fn stand_still(&mut self, time: Duration) {
        self.now = self.now + time;
        self.run();
    }

    // ---- what can be seen ----

    /// What the app has been told of a connection.
    pub(crate) fn of(&self, peer: &Peer) -> Vec<Happened> {
        self.record.all().into_iter().filter(|happened| happened.whose() == Some(peer.id)).collect()
    }

    /// How a connection ended for the app, which was told once and as the last thing.
    pub(crate) fn ended(&self, peer: &Peer) -> Option<Ended> {
        let all = self.of(peer);
        let told = all.iter().filter(|happened| matches!(happened, Happened::Closed(..))).count();
        match all.last() {
            Some(Happened::Closed(_, ended)) => {
                assert_eq!(told, 1, "closed once");
                *ended
            }
            _ => {
                assert_eq!(told, 0, "closed comes last");
                None
            }
        }
    }

    /// The texts that a connection has sent to the app.
    pub(crate) fn texts_from(&self, peer: &Peer) -> Vec<String> {
        let text = |happened| if let Happened::Text(_, text) = happened { Some(text) } else { None };
        self.of(peer).into_iter().filter_map(text).collect()
    }

    pub(crate) fn binaries_from(&self, peer: &Peer) -> Vec<Vec<u8>> {
        let binary = |happened| if let Happened::Binary(_, bytes) = happened { Some(bytes) } else { None };
        self.of(peer).into_iter().filter_map(binary).collect()
    }

    /// How many bytes a connection holds of a message whose end has not come.
    pub(crate) fn assembled(&mut self, peer: &Peer) -> usize {
        let connection = self.event_loop.world.slots.at(slot_of(peer.id));
        connection.and_then(|connection| connection.more.as_ref()).map_or(0, |more| more.message.bytes.len())
    }

    /// Whether a connection owns nothing but its record.
    pub(crate) fn is_idle(&mut self, peer: &Peer) -> bool {
        self.event_loop.world.slots.at(slot_of(peer.id)).is_some_and(|connection| connection.more.is_none())
    }

    /// Nothing of a turn is held when it is over.
    #[track_caller]
    pub(crate) fn assert_turn_is_empty(&self) {
        let world = &self.event_loop.world;
        assert_eq!((world.turn.total(), world.turn.slot(0), world.listed.len()), (0, None, 0));
    }

    /// Nothing is left of anybody.
    #[track_caller]
    pub(crate) fn assert_empty(&self) {
        assert!(self.event_loop.is_empty(), "a connection is left");
        assert!(self.peers.iter().all(Peer::dropped), "a transport is left");
        assert!(!self.event_loop.is_busy());
        self.assert_turn_is_empty();
    }
}
