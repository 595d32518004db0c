//! Clients as devices: what the hub knows of those that have ids of their own is elsewhere, and is told of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tautline_engine::Host;
use tautline_proto::Ended;
use tautline_proto::app::{ConnectionId, Io, Message, Sent};
use tautline_rooms::{Form, Known, Member, Update};

use super::app::{Rooms, connection, forbid, send};
use super::durability::{Durability, Seen};
use super::envelope::{self, Incoming};
use crate::devices::{Devices, Line, Way};
use crate::homes::Homes;

/// Where devices are known, and where these rooms are.
#[derive(Debug)]
pub(crate) struct Registry {
    devices: Arc<Homes<Devices>>,
    home: Host<Rooms>,
    /// What clients have said and the devices' loops have not looked at.
    on_the_way: Arc<AtomicUsize>,
}

impl Registry {
    pub(crate) fn new(devices: Arc<Homes<Devices>>, home: Host<Rooms>) -> Self {
        Self { devices, home, on_the_way: Arc::default() }
    }
}

/// How much may be on its way from one loop to the devices: clients may say more than the devices' loops can take.
const MOST_ON_THE_WAY: usize = 64;

/// The longest report or result, in bytes of its envelope: a little more than a twin may have.
const LONGEST: usize = 80 * 1024;

impl Rooms {
    /// Tells of devices from now on.
    pub(crate) fn set_registry(&mut self, registry: Registry) {
        self.registry = Some(registry);
    }

    /// Sends an envelope to a client. Answers whether it is still there.
    pub(crate) fn tell(&self, io: &mut dyn Io, to: ConnectionId, envelope: &str) -> bool {
        self.core.member(Member(to.0)).is_some() && io.send(to, Message::Text(envelope)) != Sent::Closed
    }

    /// Whether a client is a device: it has an id of its own, and no token that does not permit it.
    pub(super) fn is_device(&self, member: Member) -> bool {
        self.core.known(member).is_some_and(|known| !known.anonymous) && !self.no_devices.contains(&member)
    }

    /// Where a client is known as a device; `None` if it is none.
    fn device(&self, member: Member) -> Option<(&Registry, &Host<Devices>, Known<'_>)> {
        let registry = self.registry.as_ref()?;
        let known = self.core.known(member).filter(|_| self.is_device(member))?;
        Some((registry, registry.devices.of(known.client), known))
    }

    pub(super) fn device_came(&self, io: &dyn Io, member: Member) {
        let Some((registry, devices, known)) = self.device(member) else { return };
        let line = Line {
            device: known.client.clone(),
            identity: known.identity.map(Into::into),
            way: Way::Room { host: registry.home.clone(), raw: known.form == Form::Raw },
        };
        let _ = devices.visit(move |devices, io| devices.came(io, connection(member), line));
        self.remember(io, member, Durability::came);
    }

    pub(super) fn device_left(&self, io: &dyn Io, member: Member, ended: Ended) {
        let Some((_, devices, _)) = self.device(member) else { return };
        let _ = devices.visit(move |devices, io| devices.left(io, connection(member)));
        let closed = self.wall.now(io.now());
        let reason = crate::watch::reason(ended, io.vitals(connection(member)));
        self.remember(io, member, |durability, seen| durability.left(seen, closed, &reason));
    }

    /// Stores something of a device, where there is a store.
    fn remember(&self, io: &dyn Io, member: Member, how: impl FnOnce(&Durability, &Seen<'_>)) {
        let (Some(durability), Some(known)) = (self.durability(), self.core.known(member)) else { return };
        let Known { room, client, identity, opened, .. } = known;
        let peer = io.peer(connection(member));
        let transport = self.transport(member);
        how(durability, &Seen { id: client, room, identity, peer, transport, opened });
    }

    /// A client says, in an envelope of so many bytes, how it is or what has become of a command.
    pub(super) fn device_says(&self, io: &mut dyn Io, from: Member, bytes: usize, said: Incoming<'_>) {
        let (id, too_large) = match &said {
            Incoming::Report { id, .. } => (id.clone(), "a report has at most 64 KiB"),
            Incoming::Result { command, .. } => (Some(command.clone()), "a result has at most 64 KiB"),
            _ => return,
        };
        if self.no_devices.contains(&from) {
            return forbid(io, from, id.as_deref(), "the access token does not permit to speak as this device");
        }
        if bytes > LONGEST {
            send(io, from, &envelope::error(id.as_deref(), "too-large", too_large));
            return;
        }
        let passed_on = match said {
            Incoming::Report { id, update, if_version } => {
                self.device_reports(from, id.as_deref().map(Into::into), update, if_version)
            }
            Incoming::Result { command, result } => self.device_answers(from, (&*command).into(), result),
            _ => return,
        };
        if !passed_on {
            let message = "it cannot be taken now: try again later";
            send(io, from, &envelope::error(id.as_deref(), "busy", message));
        }
    }

    /// A client says how it is. Answers whether it can be passed on.
    fn device_reports(&self, member: Member, id: Option<Box<str>>, update: Update, if_version: Option<u64>) -> bool {
        let Some((registry, devices, _)) = self.device(member) else { return false };
        let Some(passed) = registry.pass() else { return false };
        let report = devices.visit(move |devices, io| {
            drop(passed);
            devices.report(io, connection(member), id, &update, if_version);
        });
        report.is_ok()
    }

    /// A client has answered a command. Answers whether that can be passed on.
    fn device_answers(&self, member: Member, command: Box<str>, result: Result<Box<str>, Box<str>>) -> bool {
        let Some((registry, devices, _)) = self.device(member) else { return false };
        let Some(passed) = registry.pass() else { return false };
        let answer = devices.visit(move |devices, io| {
            drop(passed);
            devices.result(io, connection(member), &command, &result);
        });
        answer.is_ok()
    }
}

impl Registry {
    /// A place among what is on its way to the devices; `None` if there are too many. It is left by dropping it.
    fn pass(&self) -> Option<Passed> {
        let passed = Passed(self.on_the_way.clone());
        (self.on_the_way.fetch_add(1, Ordering::Relaxed) < MOST_ON_THE_WAY).then_some(passed)
    }
}

/// Something that is on its way to the devices.
struct Passed(Arc<AtomicUsize>);

impl Drop for Passed {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
