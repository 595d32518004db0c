//! Apps that are on every loop, where each room or counter has one loop as its home.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::SystemTime;

use tautline_engine::{Engine, Host};
use tautline_proto::app::{App, Io};
use tautline_rooms::Restored;
use tautline_store::{Store, StoreError, Write};
use tokio::sync::oneshot;

use crate::apps::{Counters, Rooms};
use crate::devices::{self, Devices, Keeper, Kept};
use crate::ingest;
use crate::rooms::{self, Durability, KeptDocument, Registry, now_ms};
use crate::telemetry::{Readings, Telemetry};
use crate::tokens::Tokens;
use crate::watch::Watch;

/// What rooms and counters are made from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    settings: tautline_rooms::Settings,
    pub(crate) store: Option<Store>,
    /// Who hears what happens.
    pub(crate) watch: Watch,
    /// What clients may show.
    pub(crate) tokens: Tokens,
    /// What is left of durable rooms.
    rooms: Vec<(Arc<str>, Restored)>,
    /// What is left of documents.
    documents: Vec<KeptDocument>,
    /// What is left of twins and commands.
    devices: Vec<Kept>,
    /// And of counters.
    counters: Vec<(Arc<str>, i64)>,
    /// The sensors that have sent anything.
    pub(crate) telemetry: Telemetry,
    /// What takes readings over UDP and TCP.
    pub(crate) ingest: Option<ingest::Shared>,
}

impl Setup {
    pub(crate) fn settings(&self) -> &tautline_rooms::Settings {
        &self.settings
    }

    /// Reads what the store has. It blocks.
    pub(crate) fn read(settings: tautline_rooms::Settings, store: Option<Store>) -> Result<Self, StoreError> {
        let Some(store) = store else { return Ok(Self { settings, ..Self::default() }) };
        let (tokens, rooms, documents, devices, counters, sensors) = store.read(|reader| {
            let tokens = reader.tokens()?;
            let rooms = rooms::restore(reader, |room| settings.of(room))?;
            let documents = rooms::restore_documents(reader)?;
            let devices = devices::restore(reader)?;
            let counters = reader.counters()?.into_iter().map(|counter| (counter.name, counter.value)).collect();
            Ok((tokens, rooms, documents, devices, counters, reader.sensors()?))
        })?;
        let watch = Watch::default();
        let telemetry = Telemetry::new(Some(store.clone()), watch.clone(), sensors);
        let kept = Self { rooms, documents, devices, counters, ..Self::default() };
        let setup = Self { settings, store: Some(store), watch, telemetry, ..kept };
        setup.tokens.set(tokens, now_ms());
        Ok(setup)
    }
}

/// An app on each of the loops, to which names are spread.
#[derive(Debug)]
pub(crate) struct Homes<A>(Vec<Host<A>>);

impl<A: App + 'static> Homes<A> {
    fn start(engine: &Engine, app: impl FnMut(usize) -> A) -> Self {
        Self(engine.host_on_all(app))
    }

    /// The app that has something of this name.
    pub(crate) fn of(&self, name: &str) -> &Host<A> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        &self.0[hasher.finish() as usize % self.0.len()]
    }

    /// Any of them, each as often as the others: for those who share nothing.
    pub(crate) fn next(&self) -> &Host<A> {
        &self.0[fastrand::usize(..self.0.len())]
    }

    /// The app that has everything, where names mean nothing.
    pub(crate) fn any(&self) -> &Host<A> {
        &self.0[0]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Host<A>> {
        self.0.iter()
    }
}

/// Has an app answer a question on its loop. There is no answer if the loop has ended.
pub(crate) fn ask<A: App + 'static, T: Send + 'static>(
    host: &Host<A>,
    question: impl FnOnce(&mut A, &mut dyn Io) -> T + Send + 'static,
) -> oneshot::Receiver<T> {
    let (reply, answer) = oneshot::channel();
    // A question that the loop does not take is dropped, and that ends the wait.
    let _ = host.visit(move |app, io| {
        // Who has asked may have left.
        let _ = reply.send(question(app, io));
    });
    answer
}

/// An app that nobody connects to: it is there to be asked whether its loop answers.
#[derive(Debug)]
pub(crate) struct Pulse;

impl App for Pulse {}

/// Gives every loop a pulse.
pub(crate) fn pulses(engine: &Engine) -> Homes<Pulse> {
    Homes::start(engine, |_| Pulse)
}

/// Starts what knows the devices.
pub(crate) fn devices(engine: &Engine, setup: &Setup) -> Arc<Homes<Devices>> {
    let homes = Homes::start(engine, |_| Devices::new().watched_by(setup.watch.clone()));
    for host in homes.iter() {
        let home = host.clone();
        let keeper = setup.store.as_ref().map(|store| Keeper::new(store.clone(), host.clone()));
        let _ = host.visit(|app, _| app.set_home(home, keeper));
    }
    for kept in setup.devices.clone() {
        let _ = homes.of(kept.device()).visit(move |app, io| app.restore(io, kept));
    }
    Arc::new(homes)
}

/// What is taken from a client at once and what may wait for it, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) message: u64,
    pub(crate) queue: usize,
}

/// Starts the rooms. With `any_path` there is one, whatever the path.
pub(crate) fn rooms(
    engine: &Engine,
    setup: &Setup,
    devices: Option<&Arc<Homes<Devices>>>,
    any_path: bool,
    sizes: Sizes,
) -> Homes<Rooms> {
    let homes = Homes::start(engine, |_| {
        let app = Rooms::new(setup.settings.clone(), SystemTime::now, fastrand::u64(..));
        let app = app.message_bytes(sizes.message).queue_bytes(sizes.queue).watched_by(setup.watch.clone());
        if any_path { app.on_any_path() } else { app }
    });
    for host in homes.iter() {
        let Some(store) = &setup.store else { break };
        let home = host.clone();
        let durability = Durability::new(store.clone(), move |what, stored| {
            let _ = home.visit(move |app, io| app.stored(io, &what, stored));
        });
        let _ = host.visit(|app, _| app.set_durability(durability));
    }
    for host in homes.iter() {
        let Some(devices) = devices else { break };
        let registry = Registry::new(devices.clone(), host.clone());
        let _ = host.visit(|app, _| app.set_registry(registry));
    }
    for kept in setup.documents.clone() {
        let home = if any_path { homes.any() } else { homes.of(&kept.key.scope) };
        let _ = home.visit(move |app, _| app.restore_document(&kept));
    }
    for (room, restored) in setup.rooms.clone() {
        let home = if any_path { homes.any() } else { homes.of(&room) };
        let _ = home.visit(move |app, io| app.restore(io, &room, restored));
    }
    homes
}

/// Starts what takes readings by WebSocket.
pub(crate) fn readings(engine: &Engine, setup: &Setup) -> Homes<Readings> {
    let homes = Homes::start(engine, |_| Readings::new(setup.telemetry.clone()));
    for host in homes.iter() {
        let home = host.clone();
        let _ = host.visit(|app, _| app.set_home(home));
    }
    homes
}

/// Starts the counters. With `any_path` there is one, whatever the path.
pub(crate) fn counters(engine: &Engine, setup: &Setup, any_path: bool) -> Homes<Counters> {
    let homes = Homes::start(engine, |_| {
        let app = Counters::new().watched_by(setup.watch.clone());
        if any_path { app.on_any_path() } else { app }
    });
    for host in homes.iter() {
        let Some(store) = setup.store.clone() else { break };
        let home = host.clone();
        let _ = host.visit(|app, _| app.set_store(move |name, value| keep(&store, &home, name, value)));
    }
    for (name, value) in setup.counters.clone() {
        let home = if any_path { homes.any() } else { homes.of(&name) };
        let _ = home.visit(move |app, _| app.restore(name, value));
    }
    homes
}

/// Stores a counter's value, and tells the counter.
fn keep(store: &Store, home: &Host<Counters>, name: &Arc<str>, value: i64) {
    let tell = |home: &Host<Counters>, name: Arc<str>, stored| {
        let _ = home.visit(move |app, io| app.stored(io, &name, stored));
    };
    let (at, of) = (home.clone(), name.clone());
    let submitted = store.submit(vec![Write::SetCounter { name: name.clone(), value }], move |result| {
        if let Err(error) = &result {
            tracing::error!(%error, counter = &*of, "a counter could not be stored");
        }
        tell(&at, of, result.is_ok());
    });
    if let Err(error) = submitted {
        tracing::warn!(%error, counter = &**name, "a counter could not be stored");
        tell(home, name.clone(), false);
    }
}
