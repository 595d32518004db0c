//! All apps on one port.

use std::io;
use std::sync::Arc;

use tautline::Server;
use tautline_engine::{Engine, Settings};
use tautline_store::Store;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::access::Access;
use crate::clients::{Clients, Sessions};
use crate::homes::Setup;
use crate::http::{Guard, Http};
use crate::name::AppName;
use crate::retention::{Keep, tidy};
use crate::rooms::SUBPROTOCOL;
use crate::site::{self, Site};

/// The hub: `/counter`, `/clock`, `/hello`, `/echo` and rooms at `/rooms/{room}/{client_id}` and `/{client_id}` by WebSocket;
/// the page at `/`, the API at `/api`, `/metrics`, `/livez`, `/readyz`, `/healthz`, and POST on any other path by HTTP.
///
/// With [`only`](Self::only) it is one app, on every path.
#[derive(Clone, Debug, Default)]
pub struct Hub {
    server: Server,
    only: Option<AppName>,
    loops: Option<usize>,
    rooms: tautline_rooms::Settings,
    store: Option<Store>,
    keep: Keep,
    clients: Clients,
    sessions: Sessions,
    hosts: Vec<String>,
    insecure: bool,
}

impl Hub {
    /// A hub with the default settings of [`Server`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes limits, timers, origins and TLS from `server`. What it does with requests is replaced.
    pub fn server(mut self, server: Server) -> Self {
        self.server = server;
        self
    }

    /// Serves one app on every path of the port, instead of each at its own. The relay takes the last segment of the
    /// path as client id then.
    pub fn only(mut self, app: AppName) -> Self {
        self.only = Some(app);
        self
    }

    /// How many event loops carry the connections, each in a thread. Default: as many as the processor runs threads at
    /// once. See [`Settings::loops`].
    pub fn loops(mut self, loops: usize) -> Self {
        self.loops = Some(loops);
        self
    }

    /// How rooms behave. Default: [`tautline_rooms::Settings::default`].
    pub fn rooms(mut self, settings: tautline_rooms::Settings) -> Self {
        self.rooms = settings;
        self
    }

    /// Keeps what has to survive a restart: counters and the messages of durable rooms. Without a store nothing can be
    /// published in durable rooms.
    pub fn store(mut self, store: Store) -> Self {
        self.store = Some(store);
        self
    }

    /// Of the clients that show a certificate only these may connect, by the name in it: its CN, or its one alternative name.
    /// Others get 403. Default: all whose certificates the TLS configuration trusts.
    pub fn allowed_clients<I: IntoIterator<Item = S>, S: Into<String>>(mut self, names: I) -> Self {
        self.clients.allowed = Some(Arc::new(names.into_iter().map(Into::into).collect()));
        self
    }

    /// How long the store keeps what is over. Default: [`Keep::default`].
    pub fn keep(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    /// The names under which the hub is reached, besides `localhost` and addresses: requests to the API that name another host
    /// are refused (421), since a foreign page can give this hub's address a name of its own. Default: none.
    pub fn hosts<I: IntoIterator<Item = S>, S: Into<String>>(mut self, names: I) -> Self {
        self.hosts = names.into_iter().map(Into::into).collect();
        self
    }

    /// Whether everybody may use the API. Default: no, only this machine may.
    pub fn insecure(mut self, insecure: bool) -> Self {
        self.insecure = insecure;
        self
    }

    /// Gives a handle to the TLS sessions of the running hub.
    pub fn sessions(mut self, sessions: &Sessions) -> Self {
        self.sessions = sessions.clone();
        self.clients.sessions = sessions.clone();
        self
    }

    /// Serves `listener` until `shutdown` is ready, then ends the connections: see [`Server::hand_over`].
    ///
    /// # Errors
    ///
    /// The listener is not usable, the event loops cannot be started, or the store cannot be read.
    pub async fn run(self, listener: impl Into<Listen>, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        self.run_all([listener], shutdown).await
    }

    /// As [`run`](Self::run), with several addresses for the same apps.
    ///
    /// # Errors
    ///
    /// A listener is not usable, the event loops cannot be started, or the store cannot be read.
    pub async fn run_all(
        self,
        listeners: impl IntoIterator<Item = impl Into<Listen>>,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let only = self.only;
        let mut settings = Settings::new().waking(site::wake_later);
        if let Some(loops) = self.loops {
            settings = settings.loops(loops);
        }
        let _tidying = self.store.as_ref().map(|store| tidy(store.clone(), self.keep.clone()));
        let (rooms, store) = (self.rooms, self.store);
        let setup = tokio::task::spawn_blocking(|| Setup::read(rooms, store)).await?.map_err(io::Error::other)?;
        let events = setup.watch.events.clone();
        let engine = Engine::start(settings)?;
        let guard = Guard::new(self.hosts, self.server.allowed_origins().clone());
        let site = Arc::new(Site::start(engine, only, self.server.settings(), setup, self.clients, guard.clone()));
        self.sessions.set(&site);
        let http = Http::new(only, site.clone(), guard, Access::new(self.insecure));
        let inspector = site.inspector().clone();
        let server = self.server.handshakes(move |handshake| inspector.record(handshake));
        let server = server.subprotocols([SUBPROTOCOL]).http(move |request| {
            let http = http.clone();
            async move { http.answer(request).await }
        });
        let closing = watch::Sender::new(false);
        let mut running = JoinSet::new();
        for listen in listeners {
            let Listen { listener, tls } = listen.into();
            let mut closing = closing.subscribe();
            let shutdown = async move { drop(closing.wait_for(|closing| *closing).await) };
            let server = match tls {
                Some(config) => server.clone().tls(config),
                None => server.clone(),
            };
            running.spawn(server.hand_over(listener, site.clone(), shutdown));
        }
        tokio::select! {
            () = shutdown => {}
            // One that ends by itself has failed: the others are not left alone with half of the addresses.
            Some(ended) = running.join_next() => {
                events.close();
                closing.send_replace(true);
                running.join_all().await;
                return ended?;
            }
        }
        // They would not end by themselves.
        events.close();
        closing.send_replace(true);
        running.join_all().await.into_iter().collect()
    }
}

/// An address to serve.
#[derive(Debug)]
pub struct Listen {
    /// Where clients connect.
    pub listener: TcpListener,
    /// With this they speak `wss` and `https` there; without it what [`Hub::server`] says, which is nothing of the kind by
    /// default.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl From<TcpListener> for Listen {
    fn from(listener: TcpListener) -> Self {
        Self { listener, tls: None }
    }
}
