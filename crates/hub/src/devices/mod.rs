//! Devices: their twins, and commands for them.
//!
//! A device is a client that comes with an id of its own, wherever it is connected. What is known of it is on one loop, which
//! its id tells; its connections are on the loops of their rooms, and tell this one that they are there.

mod effects;
mod keep;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tautline_engine::Host;
use tautline_proto::app::{App, ConnectionId, Io};
use tautline_rooms::{
    ChangeAnswer, CommandAnswer, CommandSettings, Commands, NewCommand, TwinPart, TwinSettings, TwinView, Twins, Update,
};

use crate::ingest;
use crate::rooms::{Rooms, Wall, device};
use crate::watch::Watch;
pub(crate) use keep::{Keeper, Kept, restore};

/// There is one timer, for whatever is due next.
const TIMER: u64 = 0;

/// What is known of the devices of a loop.
pub(crate) struct Devices {
    twins: Twins,
    commands: Commands,
    wall: Wall,
    /// Connections of devices.
    lines: HashMap<ConnectionId, Line>,
    /// The connections of each device, and which one counts.
    connected: HashMap<Arc<str>, Connected>,
    asked: HashMap<u64, Asker>,
    next_ticket: u64,
    home: Option<Host<Self>>,
    keeper: Option<Keeper>,
    watch: Watch,
}

/// A connection of a device.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) device: Arc<str>,
    /// The name that its client has proven.
    pub(crate) identity: Option<Box<str>>,
    /// How it is reached.
    pub(crate) way: Way,
}

/// How a device is reached.
#[derive(Debug)]
pub(crate) enum Way {
    /// As a member of a room.
    Room {
        /// Where the room is.
        host: Host<Rooms>,
        /// It gets what others publish as it is, and has no way to answer a command.
        raw: bool,
    },
    /// Over UDP or TCP, by its number.
    Telemetry(ingest::Shared, u32),
}

/// The connections of a device, oldest first.
#[derive(Debug, Default)]
struct Connected {
    all: Vec<ConnectionId>,
    /// The one that gets commands and deltas, and may answer and report.
    counts: Option<ConnectionId>,
}

/// Who waits for an answer.
enum Asker {
    /// A device, with the id of its envelope.
    Device {
        connection: ConnectionId,
        id: Option<Box<str>>,
    },
    Twin(Box<dyn FnOnce(ChangeAnswer) + Send>),
    Command(Box<dyn FnOnce(CommandAnswer) + Send>),
}

/// A command of somebody who waits for its outcome.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) device: String,
    pub(crate) name: String,
    /// JSON.
    pub(crate) payload: String,
    pub(crate) timeout: Option<Duration>,
    pub(crate) ttl: Option<Duration>,
}

impl fmt::Debug for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Devices").field("connected", &self.connected.len()).finish_non_exhaustive()
    }
}

impl Devices {
    /// Without a store twins and waiting commands are lost with the hub.
    pub(crate) fn new() -> Self {
        Self {
            twins: Twins::new(TwinSettings::default(), false),
            commands: Commands::new(CommandSettings::default()),
            wall: Wall::new(SystemTime::now),
            lines: HashMap::new(),
            connected: HashMap::new(),
            asked: HashMap::new(),
            next_ticket: 0,
            home: None,
            keeper: None,
            watch: Watch::default(),
        }
    }

    /// Who hears what happens.
    pub(crate) fn watched_by(mut self, watch: Watch) -> Self {
        self.watch = watch;
        self
    }

    /// Where these devices are, and what stores their twins and commands. To be called before anything else.
    pub(crate) fn set_home(&mut self, home: Host<Self>, keeper: Option<Keeper>) {
        self.home = Some(home);
        self.twins = Twins::new(TwinSettings::default(), keeper.is_some());
        self.keeper = keeper;
    }

    /// Brings back what is left of a device. To be called before it is there.
    pub(crate) fn restore(&mut self, io: &mut dyn Io, kept: Kept) {
        match kept {
            Kept::Twin { device, desired, reported } => {
                let part = |(version, json): &(u64, Arc<str>)| (*version, json.clone());
                let ((desired, want), (reported, is)) = (part(&desired), part(&reported));
                if let Err(error) = self.twins.restore(&device, (desired, &*want), (reported, &*is)) {
                    tracing::error!(device = &*device, %error, "a stored twin is left out");
                }
            }
            Kept::Command { command, sent } => {
                let now = self.wall.at(io.now());
                self.commands.restore(now, command, sent);
                self.work(io);
            }
        }
    }

    /// A device has a connection (more).
    pub(crate) fn came(&mut self, io: &mut dyn Io, connection: ConnectionId, line: Line) {
        let device = line.device.clone();
        self.lines.insert(connection, line);
        self.connected.entry(device.clone()).or_default().all.push(connection);
        self.choose(io, &device);
    }

    /// One of a device's connections has ended.
    pub(crate) fn left(&mut self, io: &mut dyn Io, connection: ConnectionId) {
        let Some(Line { device, .. }) = self.lines.remove(&connection) else { return };
        let Some(connected) = self.connected.get_mut(&device) else { return };
        connected.all.retain(|other| *other != connection);
        self.choose(io, &device);
    }

    /// Finds out which connection of a device counts: the last one of those that have proven most. Whoever has proven a name
    /// is not pushed aside by somebody who only says it.
    fn choose(&mut self, io: &mut dyn Io, device: &Arc<str>) {
        let Some(connected) = self.connected.get_mut(device) else { return };
        let proven = |connection: &ConnectionId| {
            let identity = self.lines.get(connection).and_then(|line| line.identity.as_deref());
            (identity == Some(&**device), identity.is_some())
        };
        let best = connected.all.iter().copied().max_by_key(proven);
        let before = std::mem::replace(&mut connected.counts, best);
        if best.is_none() {
            self.connected.remove(device);
        }
        let now = self.wall.at(io.now());
        match (before, best) {
            (before, Some(best)) if before != Some(best) => {
                self.twins.device_connected(device, best.0);
                self.commands.device_connected(now, device, best.0);
            }
            (Some(before), None) => {
                self.twins.device_disconnected(device, before.0);
                self.commands.device_disconnected(now, device, before.0);
            }
            _ => return,
        }
        self.work(io);
    }

    /// Whose connection this is, if it is the one that counts.
    fn speaks_for(&self, connection: ConnectionId) -> Option<Arc<str>> {
        let device = &self.lines.get(&connection)?.device;
        (self.connected.get(device)?.counts == Some(connection)).then(|| device.clone())
    }

    /// A device says how it is.
    pub(crate) fn report(
        &mut self,
        io: &mut dyn Io,
        connection: ConnectionId,
        id: Option<Box<str>>,
        update: &Update,
        if_version: Option<u64>,
    ) {
        let Some(device) = self.speaks_for(connection) else {
            let refused = "another connection speaks for this device";
            return self.tell(connection, device::refusal(id.as_deref(), "not-the-device", refused));
        };
        let ticket = self.ask(Asker::Device { connection, id });
        let now = self.wall.at(io.now());
        self.twins.update(now, ticket, &device, TwinPart::Reported, update, if_version);
        self.work(io);
    }

    /// A device has answered a command: with JSON, or with the reason why it does not do it.
    pub(crate) fn result(
        &mut self,
        io: &mut dyn Io,
        connection: ConnectionId,
        command: &str,
        result: &Result<Box<str>, Box<str>>,
    ) {
        let Some(device) = self.speaks_for(connection) else { return };
        let now = self.wall.at(io.now());
        let result = result.as_ref().map(|json| &**json).map_err(|reason| &**reason);
        self.commands.result(now, &device, command, result);
        self.work(io);
    }

    /// Somebody wants a device to be so. `answer` must not block.
    pub(crate) fn desire(
        &mut self,
        io: &mut dyn Io,
        device: &str,
        update: &Update,
        if_version: Option<u64>,
        answer: impl FnOnce(ChangeAnswer) + Send + 'static,
    ) {
        let ticket = self.ask(Asker::Twin(Box::new(answer)));
        let now = self.wall.at(io.now());
        self.twins.update(now, ticket, device, TwinPart::Desired, update, if_version);
        self.work(io);
    }

    /// Somebody gives a device a command. `answer` must not block.
    pub(crate) fn command(
        &mut self,
        io: &mut dyn Io,
        order: &Order,
        answer: impl FnOnce(CommandAnswer) + Send + 'static,
    ) {
        let ticket = self.ask(Asker::Command(Box::new(answer)));
        let Order { id, device, name, payload, timeout, ttl } = order;
        let now = self.wall.at(io.now());
        let (timeout, ttl) = (*timeout, *ttl);
        self.commands.issue(now, &NewCommand { ticket, id, device, name, payload, timeout, ttl });
        self.work(io);
    }

    /// A device's twin.
    pub(crate) fn twin(&self, device: &str) -> Option<TwinView> {
        self.twins.view(device)
    }

    fn ask(&mut self, asker: Asker) -> u64 {
        self.next_ticket += 1;
        self.asked.insert(self.next_ticket, asker);
        self.next_ticket
    }
}

impl App for Devices {
    fn timer(&mut self, io: &mut dyn Io, _: u64) {
        let now = self.wall.at(io.now());
        self.commands.handle_timeout(now);
        self.work(io);
    }
}
