//! tautline-engine, as the hub uses it: hyper accepts and upgrades on tokio, and the connection moves to an event loop.

use std::collections::{BTreeSet, HashSet};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tautline::{Carrier, CloseCode, Ended, Handover, Refusal, Request, Server};
use tautline_engine::{Admitted, Engine, Host, Profile, Settings, Wake};
use tautline_proto::app::{App, ConnectionId, Io, Message, Opening, Slow};
use tautline_proto::handshake::server::Rejection;
use tokio::sync::oneshot;

fn main() {
    peer_common::run(|listener| async move {
        let settings = Settings::new().loops(peer_common::threads()).waking(wake_later);
        // `BATCHING=0`: one system call a write, as where there is no io_uring.
        let settings = settings.batching(std::env::var("BATCHING").as_deref() != Ok("0"));
        let engine = Engine::start(settings).expect("event loops");
        let hosts = engine.host_on_all(|_| Peer::default()).iter().map(Host::untyped).collect();
        let loops = Loops { engine, hosts, next: AtomicUsize::new(0), profile: Arc::default() };
        let mut server = Server::new();
        if let Some(config) = peer_common::tls::server() {
            server = server.tls(config);
        }
        server.hand_over(listener, Arc::new(loops), pending::<()>()).await.expect("a listener that works");
    });
}

/// The three paths.
#[derive(Default)]
struct Peer {
    subscribers: BTreeSet<ConnectionId>,
    publishers: HashSet<ConnectionId>,
}

impl App for Peer {
    fn admit(&mut self, _: &mut dyn Io, id: ConnectionId, opening: &Opening<'_>) -> Result<(), Rejection> {
        match opening.path {
            "/sub" => drop(self.subscribers.insert(id)),
            "/pub" => drop(self.publishers.insert(id)),
            _ => {}
        }
        Ok(())
    }

    fn message(&mut self, io: &mut dyn Io, id: ConnectionId, message: Message<'_>) {
        if !self.publishers.is_empty() && self.publishers.contains(&id) {
            io.publish(&mut self.subscribers.iter().copied(), message, Slow::Disconnect);
        } else {
            io.send(id, message);
        }
    }

    fn closed(&mut self, _: &mut dyn Io, id: ConnectionId, _: Option<Ended>) {
        self.subscribers.remove(&id);
        self.publishers.remove(&id);
    }
}

/// As the hub: what other tasks post as well costs no further change of threads.
fn wake_later(wake: Wake) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async {
            tokio::task::yield_now().await;
            drop(wake);
        });
    }
}

/// Gives each connection to the loop whose turn it is.
struct Loops {
    engine: Engine,
    hosts: Vec<Host>,
    next: AtomicUsize,
    profile: Arc<Profile>,
}

impl Carrier for Loops {
    type Admitted = Admitted;

    async fn admit(&self, request: Request) -> Result<Admitted, Refusal> {
        let host = &self.hosts[self.next.fetch_add(1, Ordering::Relaxed) % self.hosts.len()];
        let (path, profile) = (request.path().to_owned(), self.profile.clone());
        let opening = tautline_engine::Request { path, profile, ..Default::default() };
        let (reply, answer) = oneshot::channel();
        host.admit(opening, |answer| drop(reply.send(answer)));
        answer.await.expect("an engine that works").map_err(|_| Refusal::new(503, "full"))
    }

    fn carry(&self, admitted: Admitted, handover: Handover) {
        let Handover { socket, tls, leftover, .. } = handover;
        admitted.adopt(tautline_engine::Handover { socket, tls, leftover: leftover.into() });
    }

    fn open(&self) -> usize {
        self.engine.connections() as usize
    }

    async fn drain(&self, _: CloseCode, _: Duration) {}
}
