//! All apps on one port.

use std::io;
use std::sync::Arc;

use tautline::deflate::WindowBits;
use tautline::{AddressLimits, Server};
use tautline_engine::{Engine, Settings};
use tautline_rooms::Compression;
use tautline_store::Store;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::access::Access;
use crate::clients::{Clients, Sessions};
use crate::homes::Setup;
use crate::http::{Guard, Http};
use crate::ingest::{self, Ingest};
use crate::name::AppName;
use crate::retention::{Keep, tidy};
use crate::rooms::{RAW_SUBPROTOCOL, SUBPROTOCOL};
use crate::site::{self, Site};
use crate::tokens::follow;

/// The hub: `/counter`, `/clock`, `/hello`, `/echo` and rooms at `/rooms/{room}/{client_id}` and `/{client_id}` by WebSocket;
/// the page at `/`, the API at `/api`, `/metrics`, `/livez`, `/readyz`, `/healthz`, and POST on any other path by HTTP.
///
/// With [`only`](Self::only) it is one app, on every path.
#[derive(Debug)]
pub struct Hub {
    server: Server,
    only: Option<AppName>,
    loops: Option<usize>,
    rooms: tautline_rooms::Settings,
    compression: (Compression, WindowBits),
    store: Option<Store>,
    keep: Keep,
    clients: Clients,
    sessions: Sessions,
    hosts: Vec<String>,
    insecure: bool,
    authentication_required: bool,
    requests: AddressLimits,
    ingest: Option<Ingest>,
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

impl Hub {
    /// A hub with the default settings of [`Server`].
    pub fn new() -> Self {
        Self {
            server: Server::new(),
            only: None,
            loops: None,
            rooms: tautline_rooms::Settings::default(),
            compression: (Compression::Off, WindowBits::MAX),
            store: None,
            keep: Keep::default(),
            clients: Clients::default(),
            sessions: Sessions::default(),
            hosts: Vec::new(),
            insecure: false,
            authentication_required: false,
            requests: AddressLimits::new().rate(1000),
            ingest: None,
        }
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

    /// How messages of clients that offer it are compressed, and in which window at most, where a room does not say otherwise.
    /// Default: not at all, and 15 bits.
    pub fn compression(mut self, compression: Compression, window: WindowBits) -> Self {
        self.compression = (compression, window);
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

    /// The names under which the hub is reached, besides `localhost`, addresses, and names below `.local`, `.home.arpa` and
    /// `.internal`: requests to the API that name another host are refused (421), since a foreign page can give this hub's address
    /// a name of its own. Default: none.
    pub fn hosts<I: IntoIterator<Item = S>, S: Into<String>>(mut self, names: I) -> Self {
        self.hosts = names.into_iter().map(Into::into).collect();
        self
    }

    /// Whether everybody may use the API. Default: no; without an access token only this machine may.
    pub fn insecure(mut self, insecure: bool) -> Self {
        self.insecure = insecure;
        self
    }

    /// Whether everybody has to prove who they are, on this machine too: by an access token of the [`store`](Self::store), or
    /// for WebSockets by a certificate. Others get 401. It goes before [`insecure`](Self::insecure). Default: no.
    pub fn require_authentication(mut self, required: bool) -> Self {
        self.authentication_required = required;
        self
    }

    /// How many requests that change something an address may send to the API in a second: [`AddressLimits::rate`], of which as many
    /// as come in five seconds may come at once. More get 429. Default 1,000, and no limit for this machine.
    pub fn request_limits(mut self, limits: AddressLimits) -> Self {
        self.requests = limits;
        self
    }

    /// Takes readings of sensors over UDP and TCP, too. It needs a [`store`](Self::store). TCP connections count among those of
    /// their addresses, see [`Server::address_limits`]; [`allowed_clients`](Self::allowed_clients) and [`Sessions`] hold for their
    /// certificates, too.
    pub fn ingest(mut self, ingest: Ingest) -> Self {
        self.ingest = Some(ingest);
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
        let addresses = self.server.addresses().clone();
        let mut settings = Settings::new().waking(site::wake_later).ended(move |peer| addresses.leave(peer.ip()));
        let (_, _, backend) = self.server.settings().parts();
        settings = settings.deflate_backend(backend);
        if let Some(loops) = self.loops {
            settings = settings.loops(loops);
        }
        let _tidying = self.store.as_ref().map(|store| tidy(store.clone(), self.keep.clone()));
        let (rooms, store) = (self.rooms, self.store);
        let mut setup = tokio::task::spawn_blocking(|| Setup::read(rooms, store)).await?.map_err(io::Error::other)?;
        let events = setup.watch.events.clone();
        let engine = Engine::start(settings)?;
        let guard = Guard::new(self.hosts, self.server.allowed_origins().clone()).limit(self.requests);
        let (tokens, store, authentication_required) =
            (setup.tokens.clone(), setup.store.clone(), self.authentication_required);
        let clients = Clients { tokens: tokens.clone(), authentication_required, ..self.clients };
        let _ingesting = match self.ingest {
            Some(sockets) => {
                Some(ingest::open(sockets, &mut setup, clients.clone(), self.server.addresses().clone()).await?)
            }
            None => None,
        };
        let access = Access { insecure: self.insecure, authentication_required, tokens: tokens.clone() };
        let settings = self.server.settings();
        let site = Site::start(engine, only, settings, setup, clients, access.clone(), guard.clone());
        let site = Arc::new(site.compressing(self.compression));
        let _following = store.map(|store| follow(tokens.clone(), store, Arc::downgrade(&site)));
        self.sessions.set(&site);
        let http = Http::new(only, site.clone(), guard, access, self.server.tally().clone());
        let inspector = site.inspector().clone();
        let server = self.server.handshakes(move |handshake| inspector.record(handshake));
        let deflate = site.clone();
        let server = server.deflate_at(move |path| deflate.deflate(path));
        let server = server.subprotocols([SUBPROTOCOL, RAW_SUBPROTOCOL]).http(move |request| {
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
