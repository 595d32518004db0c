//! The apps at their paths, on the engine's loops.

use std::any::Any;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tautline::deflate::{Acceptance, Sender, Unlimited, WindowBits};
use tautline::{Carrier, CloseCode, Handover, Refusal, Request, TlsSession};
use tautline_engine::{Admitted, Attached, Engine, Host, Inspection, Profile, Shown, Wake};
use tautline_proto::app::{App, ConnectionId};
use tautline_proto::handshake::server::{self, Rejection};
use tautline_rooms::{Compression, Rights};
use tautline_store::Store;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::access::{Access, Right};
use crate::apps::{Clock, Counters, Echo, Hello, Rooms, counter_name};
use crate::clients::{self, Clients, Identity};
use crate::devices::Devices;
use crate::homes::{self, Homes, Pulse, Setup, Sizes};
use crate::http::problem::Problem;
use crate::http::{self, Guard};
use crate::ingest;
use crate::inspector::Inspector;
use crate::name::AppName;
use crate::rooms::{BadPath, MAIN, Place};
use crate::telemetry::{self, Readings, Telemetry};
use crate::tokens::{Denied, Token};
use crate::watch::Watch;

/// The apps, and who decides which client gets to which.
#[derive(Debug)]
pub(crate) struct Site {
    apps: Apps,
    clients: Clients,
    access: Access,
    guard: Guard,
    profiles: Profiles,
    compression: Compressions,
    store: Option<Store>,
    watch: Watch,
    telemetry: Telemetry,
    ingest: Option<ingest::Shared>,
    inspector: Inspector,
    pulses: Homes<Pulse>,
    /// Until the shutdown.
    engine: Mutex<Option<Engine>>,
}

impl Site {
    pub(crate) fn start(
        engine: Engine,
        only: Option<AppName>,
        settings: &tautline::Settings,
        setup: Setup,
        clients: Clients,
        access: Access,
        guard: Guard,
    ) -> Self {
        let (config, send_queue, _) = settings.parts();
        let sizes = Sizes { message: config.message_limit(), queue: send_queue };
        let (store, watch, telemetry) = (setup.store.clone(), setup.watch.clone(), setup.telemetry.clone());
        let profiles = Profiles::new(setup.settings(), |bytes| Profile::new(config).send_queue(bytes), send_queue);
        let compression =
            Compressions { usual: Compression::Off, window: WindowBits::MAX, rooms: setup.settings().clone() };
        Self {
            pulses: homes::pulses(&engine),
            store,
            watch,
            telemetry,
            ingest: setup.ingest.clone(),
            inspector: Inspector::default(),
            apps: Apps::start(&engine, only, setup, sizes),
            clients,
            access,
            guard,
            profiles,
            compression,
            engine: Mutex::new(Some(engine)),
        }
    }

    /// How messages are compressed where a room does not say otherwise, and in which window at most.
    pub(crate) fn compressing(mut self, (usual, window): (Compression, WindowBits)) -> Self {
        self.compression = Compressions { usual, window, ..self.compression };
        self
    }

    /// The rooms on every loop, where all apps are.
    pub(crate) fn rooms(&self) -> Option<&Homes<Rooms>> {
        match &self.apps {
            Apps::All { rooms, .. } => Some(rooms),
            _ => None,
        }
    }

    /// The counters on every loop, where all apps are.
    pub(crate) fn counters(&self) -> Option<&Homes<Counters>> {
        match &self.apps {
            Apps::All { counters, .. } => Some(counters),
            _ => None,
        }
    }

    /// What knows the devices.
    pub(crate) fn devices(&self) -> Option<&Homes<Devices>> {
        match &self.apps {
            Apps::All { devices, .. } => Some(devices),
            _ => None,
        }
    }

    pub(crate) fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// What takes readings.
    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// What has come over UDP and TCP, if that is served.
    pub(crate) fn ingested(&self) -> Option<ingest::Snapshot> {
        self.ingest.as_ref().map(ingest::Shared::snapshot)
    }

    /// What of sensor data over UDP and TCP has failed, if anything has.
    pub(crate) fn ingest_failed(&self) -> Option<&'static str> {
        self.ingest.as_ref().and_then(ingest::Shared::failed)
    }

    /// What connections look like on the wire.
    pub(crate) fn inspector(&self) -> &Inspector {
        &self.inspector
    }

    /// How the messages of a client that asks for this path may be compressed.
    pub(crate) fn deflate(&self, path: &str) -> Option<Acceptance> {
        self.compression.of(self.apps.room(path).as_deref())
    }

    /// Who carries connections, where all apps are.
    pub(crate) fn carried(&self) -> Vec<Carried<'_>> {
        let Apps::All { named, counters, rooms, .. } = &self.apps else { return Vec::new() };
        let named = named.iter().flat_map(|(app, hosts)| hosts.hosts.iter().map(|host| Carried::App(*app, host)));
        named.chain(counters.iter().map(Carried::Counters)).chain(rooms.iter().map(Carried::Rooms)).collect()
    }

    /// Shows somebody what passes on a connection; `None` if there is none of this name. See [`Engine::inspect`].
    pub(crate) fn inspect(&self, id: ConnectionId, seen: impl FnMut(Shown) + Send + 'static) -> Option<Inspection> {
        self.engine().as_ref()?.inspect(id, seen)
    }

    /// What tells whether each loop answers.
    pub(crate) fn pulses(&self) -> &Homes<Pulse> {
        &self.pulses
    }

    /// How many connections there are, and what all loops have counted; `None` once the hub shuts down.
    pub(crate) fn traffic(&self) -> Option<(u64, Vec<tautline_engine::Counters>)> {
        self.engine().as_ref().map(|engine| (engine.connections(), engine.counters()))
    }

    /// Closes the TLS connections that `which` chooses.
    pub(crate) fn close_sessions(
        &self,
        which: impl Fn(&rustls::ServerConnection) -> bool + Send + Sync + 'static,
        code: CloseCode,
        reason: &str,
    ) {
        if let Some(engine) = &*self.engine() {
            engine.close_sessions(which, code, reason);
        }
    }

    /// Closes the connections of tokens that are over.
    pub(crate) fn close_tokens_that_are_over(&self) {
        if let Some(engine) = &*self.engine() {
            let over = |attached: &(dyn Any + Send + Sync)| Token::of(Some(attached)).is_some_and(Token::is_over);
            engine.close_attached(over, CloseCode::POLICY_VIOLATION, "the access token is revoked or has expired");
        }
    }

    fn engine(&self) -> std::sync::MutexGuard<'_, Option<Engine>> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An app on one loop, and its connections.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Carried<'a> {
    App(AppName, &'a Host),
    Counters(&'a Host<Counters>),
    Rooms(&'a Host<Rooms>),
}

impl Carried<'_> {
    /// What its clients are connected to.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::App(app, _) => app.path().trim_start_matches('/'),
            Self::Counters(_) => "counter",
            Self::Rooms(_) => "rooms",
        }
    }

    pub(crate) fn host(&self) -> Host {
        match self {
            Self::App(_, host) => host.untyped(),
            Self::Counters(host) => host.untyped(),
            Self::Rooms(host) => host.untyped(),
        }
    }
}

/// How connections behave: most of them, and those of rooms with settings of their own.
#[derive(Debug)]
struct Profiles {
    usual: Arc<Profile>,
    /// Rooms that are not named otherwise.
    rooms: Arc<Profile>,
    named: HashMap<String, Arc<Profile>>,
}

impl Profiles {
    fn new(rooms: &tautline_rooms::Settings, profile: impl Fn(usize) -> Profile, send_queue: usize) -> Self {
        let usual = Arc::new(profile(send_queue));
        let of = |room: &tautline_rooms::RoomSettings| match room.queue_bytes {
            Some(bytes) => Arc::new(profile(bytes)),
            None => usual.clone(),
        };
        let named = rooms.named.iter().map(|(name, room)| (name.clone(), of(room))).collect();
        Self { rooms: of(&rooms.default), named, usual: usual.clone() }
    }

    fn of(&self, room: &str) -> Arc<Profile> {
        self.named.get(room).unwrap_or(&self.rooms).clone()
    }
}

/// How messages are compressed: those of most connections, and those of rooms with settings of their own.
#[derive(Debug)]
struct Compressions {
    usual: Compression,
    window: WindowBits,
    rooms: tautline_rooms::Settings,
}

impl Compressions {
    fn of(&self, room: Option<&str>) -> Option<Acceptance> {
        let own = room.and_then(|room| self.rooms.of(room).compression);
        let takeover = match own.unwrap_or(self.usual) {
            Compression::Off => return None,
            Compression::NoContextTakeover => false,
            Compression::ContextTakeover => true,
        };
        let sender = Sender { window: self.window, takeover };
        Some(Acceptance { server: sender, client: sender, unlimited: Unlimited::NoTakeover })
    }
}

impl Carrier for Site {
    type Admitted = Admitted;

    async fn admit(&self, request: Request) -> Result<Admitted, Refusal> {
        if !self.guard.lets_open(request.headers()) {
            let reason =
                "the page's host is not one that this hub is known as; the option `access.hosts` would permit it";
            return Err(Refusal::new(421, reason));
        }
        let Identity { name, token } = self.clients.identify(&request)?;
        let mut opening = tautline_engine::Request {
            path: request.path().to_owned(),
            query: request.query().map(str::to_owned),
            subprotocol: request.subprotocol().map(str::to_owned),
            peer: Some(request.peer()),
            identity: name,
            attached: token.clone().map(|token| token as Attached),
            secure: request.extensions().get::<TlsSession>().is_some(),
            deflate: request.deflate(),
            profile: self.profiles.usual.clone(),
        };
        let found = self.apps.find(request.path())?;
        if let Some(token) = &token {
            found.permit(token)?;
        }
        if matches!(found, Found::Readings(_)) && telemetry::is_live(request.query()) {
            // It shows what the API shows.
            let permitted = self.access.permit(token.clone(), Some(request.peer().ip()), Right::Read, None);
            permitted.map_err(Problem::into_refusal)?;
        }
        if let Found::Rooms(_, room) = &found {
            opening.profile = self.profiles.of(room);
        }
        let answer = match found {
            Found::App(host) => ask(host, opening).await?,
            Found::Counter(host) => ask(host, opening).await?,
            Found::Readings(host) => ask(host, opening).await?,
            Found::Rooms(host, _) => match ask(host, opening.clone()).await? {
                // The id may be that of a connection that is dead and does not know yet.
                Err(rejection) if rejection.status() == 409 && claim(host, request.path()).await => {
                    ask(host, opening).await?
                }
                answer => answer,
            },
        };
        // From its admission on it is closed with its token. That may have been too late for one that is over already.
        if token.is_some_and(|token| token.is_over()) {
            return Err(clients::refusal(Denied::Revoked));
        }
        answer.map_err(refusal)
    }

    fn carry(&self, admitted: Admitted, handover: Handover) {
        let Handover { socket, tls, leftover, share, .. } = handover;
        // Its end is told by the engine.
        if let Some(share) = share {
            share.keep();
        }
        admitted.adopt(tautline_engine::Handover { socket, tls, leftover: leftover.into() });
    }

    fn open(&self) -> usize {
        self.engine().as_ref().map_or(0, |engine| engine.connections() as usize)
    }

    async fn drain(&self, code: CloseCode, timeout: Duration) {
        let Some(engine) = self.engine().take() else { return };
        match tokio::task::spawn_blocking(move || engine.drain(code, timeout)).await {
            Ok(Ok(0)) => {}
            Ok(Ok(dropped)) => tracing::warn!(connections = dropped, "did not end in time: dropped"),
            Ok(Err(error)) => tracing::error!(%error, "an event loop had failed"),
            // Only if the runtime ends, and everything with it.
            Err(_) => {}
        }
    }
}

/// Wakes a loop once the tasks that can run now have run: what they post as well costs no further change of threads.
pub(crate) fn wake_later(wake: Wake) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(async {
            tokio::task::yield_now().await;
            drop(wake);
        });
    }
}

/// An app on each of the loops that it is on.
#[derive(Debug)]
struct Hosts {
    hosts: Vec<Host>,
    /// Whose turn it is.
    next: AtomicUsize,
}

impl Hosts {
    fn next(&self) -> &Host {
        &self.hosts[self.next.fetch_add(1, Ordering::Relaxed) % self.hosts.len()]
    }
}

#[derive(Debug)]
enum Apps {
    /// By WebSocket there is nothing.
    None,
    /// One app on every path.
    One(Hosts),
    /// One counter on every path.
    Counter(Homes<Counters>),
    /// The room `main` on every path.
    Relay(Homes<Rooms>),
    /// Each at its own path, and rooms everywhere else.
    All {
        named: Vec<(AppName, Hosts)>,
        counters: Homes<Counters>,
        devices: Arc<Homes<Devices>>,
        readings: Homes<Readings>,
        rooms: Homes<Rooms>,
    },
}

/// Who serves a path.
enum Found<'a> {
    App(&'a Host),
    Counter(&'a Host<Counters>),
    Readings(&'a Host<Readings>),
    /// With the room's name.
    Rooms(&'a Host<Rooms>, String),
}

impl Found<'_> {
    /// Whether a token is for this at all. What of it, the app decides.
    fn permit(&self, token: &Token) -> Result<(), Refusal> {
        let permissions = token.permissions();
        let reason = match self {
            Self::Rooms(_, room) if !permissions.include(room) => "the access token is not for this room",
            Self::Rooms(..) if token.rights() == NO_RIGHTS => "the access token is not for rooms",
            Self::App(_) | Self::Counter(_) | Self::Readings(_) if permissions.rooms.is_some() => {
                "the access token is for rooms only"
            }
            Self::Counter(_) if !permissions.allow(Right::Read) => {
                "the access token does not permit to see the counter"
            }
            _ => return Ok(()),
        };
        Err(Refusal::new(403, reason))
    }
}

const NO_RIGHTS: Rights = Rights { publish: false, subscribe: false };

impl Apps {
    fn start(engine: &Engine, only: Option<AppName>, setup: Setup, sizes: Sizes) -> Self {
        match only {
            Some(AppName::Post) => Self::None,
            Some(AppName::Relay) => Self::Relay(homes::rooms(engine, &setup, None, true, sizes)),
            Some(AppName::Counter) => Self::Counter(homes::counters(engine, &setup, true)),
            Some(app @ (AppName::Clock | AppName::Hello | AppName::Echo)) => Self::One(host(engine, 0, app)),
            None => {
                let named = [AppName::Clock, AppName::Hello, AppName::Echo].into_iter().enumerate();
                let devices = homes::devices(engine, &setup);
                if let Some(ingest) = &setup.ingest {
                    ingest.tell(devices.clone());
                }
                Self::All {
                    named: named.map(|(number, app)| (app, host(engine, number + 1, app))).collect(),
                    counters: homes::counters(engine, &setup, false),
                    readings: homes::readings(engine, &setup),
                    rooms: homes::rooms(engine, &setup, Some(&devices), false, sizes),
                    devices,
                }
            }
        }
    }

    /// The app that serves a path, on its loop or on the one that is next.
    fn find(&self, path: &str) -> Result<Found<'_>, Refusal> {
        let (named, counters, readings, rooms) = match self {
            Self::None => return Err(Refusal::new(404, "there is no WebSocket here: POST something")),
            Self::One(hosts) => return Ok(Found::App(hosts.next())),
            Self::Counter(counters) => return Ok(Found::Counter(counters.any())),
            Self::Relay(rooms) => return Ok(Found::Rooms(rooms.any(), MAIN.to_owned())),
            Self::All { named, counters, readings, rooms, .. } => (named, counters, readings, rooms),
        };
        Ok(match Destination::of(path, named)? {
            Destination::App(hosts) => Found::App(hosts.next()),
            Destination::Counter(name) => Found::Counter(counters.of(&name)),
            Destination::Readings => Found::Readings(readings.next()),
            Destination::Room(room) => Found::Rooms(rooms.of(&room), room),
        })
    }

    /// The room at this path, if there can be one.
    fn room(&self, path: &str) -> Option<String> {
        match self {
            Self::Relay(_) => Some(MAIN.to_owned()),
            Self::All { named, .. } => match Destination::of(path, named) {
                Ok(Destination::Room(room)) => Some(room),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Where a path leads, where all apps are.
enum Destination<'a> {
    App(&'a Hosts),
    Counter(String),
    Readings,
    Room(String),
}

impl<'a> Destination<'a> {
    fn of(path: &str, named: &'a [(AppName, Hosts)]) -> Result<Self, Refusal> {
        let trimmed = if path.len() > 1 { path.strip_suffix('/').unwrap_or(path) } else { path };
        if let Some((_, hosts)) = named.iter().find(|(app, _)| app.path() == trimmed) {
            return Ok(Self::App(hosts));
        }
        // A client of that id could not be told from the page's own parts.
        if trimmed != "/" && http::is_taken(trimmed) {
            return Err(Refusal::new(404, "there is no WebSocket at this path: it is a page"));
        }
        let bad = |problem: BadPath| refusal(Rejection::new(problem.status()));
        if trimmed == AppName::Counter.path() || (trimmed == "/state" || trimmed.starts_with("/state/")) {
            return counter_name(path).map(Self::Counter).map_err(bad);
        }
        if trimmed.strip_prefix(telemetry::ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            return Ok(Self::Readings);
        }
        Place::of(path).map(|place| Self::Room(place.room)).map_err(bad)
    }
}

/// Gives an app to the engine: one whose clients share something to one loop, another to all.
fn host(engine: &Engine, number: usize, app: AppName) -> Hosts {
    let home = number % engine.loops();
    let hosts = match app {
        AppName::Clock => vec![engine.host(home, Clock::new(SystemTime::now)).untyped()],
        AppName::Hello => engine.host_on_all(|_| Hello).iter().map(Host::untyped).collect(),
        _ => engine.host_on_all(|_| Echo).iter().map(Host::untyped).collect(),
    };
    Hosts { hosts, next: AtomicUsize::new(0) }
}

/// Asks an app whether it admits a client.
async fn ask<A: App + ?Sized>(
    host: &Host<A>,
    opening: tautline_engine::Request,
) -> Result<Result<Admitted, Rejection>, Refusal> {
    let (reply, answer) = oneshot::channel();
    host.admit(opening, |answer| {
        // The client may have left; what it was given is dropped then.
        let _ = reply.send(answer);
    });
    answer.await.map_err(|_| Refusal::new(503, "the hub shuts down"))
}

/// Waits until it is known whether the client id in a path is free.
async fn claim(host: &Host<Rooms>, path: &str) -> bool {
    let (reply, answer) = oneshot::channel();
    let path = path.to_owned();
    let visited = host.visit(move |rooms, io| {
        rooms.claim(io, &path, |free| {
            let _ = reply.send(free);
        });
    });
    visited.is_ok() && answer.await.unwrap_or(false)
}

/// An app's refusal, with words that help whoever reads the answer.
fn refusal(rejection: Rejection) -> Refusal {
    let refused = server::Refusal::from(rejection);
    let text = match refused.status() {
        400 => "a name is not UTF-8 or has control characters, or epoch and offset make no sense",
        404 => {
            "there is no WebSocket at this path: they are at /{client_id} and /rooms/{room}/{client_id}, without slashes in names"
        }
        409 => "this client id is connected already",
        414 => "a name is too long",
        503 => "there are as many rooms or members as there can be",
        _ => return refused.into(),
    };
    refused
        .headers()
        .fold(Refusal::new(refused.status(), text), |refusal, header| refusal.header(header.name(), header.value()))
}
