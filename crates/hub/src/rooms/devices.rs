//! Clients as devices: what the hub knows of those that have ids of their own is elsewhere, and is told of them.

use std::sync::Arc;

use tautline_engine::Host;
use tautline_proto::Ended;
use tautline_proto::app::{ConnectionId, Io, Message};
use tautline_rooms::{Form, Member, Update};

use super::app::{Rooms, connection};
use super::durability::{Durability, Seen};
use crate::devices::{Devices, Line};
use crate::homes::Homes;

/// Where devices are known, and where these rooms are.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) devices: Arc<Homes<Devices>>,
    pub(crate) home: Host<Rooms>,
}

impl Rooms {
    /// Tells of devices from now on.
    pub(crate) fn set_registry(&mut self, registry: Registry) {
        self.registry = Some(registry);
    }

    /// Sends an envelope to a client, if it is still there.
    pub(crate) fn tell(&self, io: &mut dyn Io, to: ConnectionId, envelope: &str) {
        if self.core.member(Member(to.0)).is_some() {
            io.send(to, Message::Text(envelope));
        }
    }

    /// Where a client is known as a device; `None` if it has no id of its own.
    fn device(&self, member: Member) -> Option<(&Registry, &Host<Devices>, &Arc<str>, Form)> {
        let registry = self.registry.as_ref()?;
        let (_, client, form) = self.core.member(member).filter(|_| !self.core.is_anonymous(member))?;
        Some((registry, registry.devices.of(client), client, form))
    }

    pub(super) fn device_came(&self, io: &dyn Io, member: Member) {
        let Some((registry, devices, client, form)) = self.device(member) else { return };
        let line = Line { device: client.clone(), host: registry.home.clone(), raw: form == Form::Raw };
        let _ = devices.visit(move |devices, io| devices.came(io, connection(member), line));
        self.remember(io, member, |durability, seen| durability.came(seen));
    }

    pub(super) fn device_left(&self, io: &dyn Io, member: Member, ended: Ended) {
        let Some((_, devices, ..)) = self.device(member) else { return };
        let _ = devices.visit(move |devices, io| devices.left(io, connection(member)));
        let closed = self.wall.now(io.now());
        let reason = crate::watch::reason(ended, io.vitals(connection(member)));
        self.remember(io, member, |durability, seen| durability.left(seen, closed, &reason));
    }

    /// Stores something of a device, where there is a store.
    fn remember(&self, io: &dyn Io, member: Member, how: impl FnOnce(&Durability, &Seen<'_>)) {
        let (Some(durability), Some((room, client, _))) = (self.durability(), self.core.member(member)) else { return };
        let Some(room) = self.core.view(room) else { return };
        let (identity, opened) = (self.core.identity(member), self.core.opened(member).unwrap_or_default());
        let peer = io.peer(connection(member));
        how(durability, &Seen { id: client, room: &room.name, identity, peer, opened });
    }

    /// A client says how it is.
    pub(super) fn device_reports(&self, member: Member, id: Option<Box<str>>, update: Update, if_version: Option<u64>) {
        if let Some((_, devices, ..)) = self.device(member) {
            let _ = devices.visit(move |devices, io| devices.report(io, connection(member), id, &update, if_version));
        }
    }

    /// A client has answered a command.
    pub(super) fn device_answers(&self, member: Member, command: Box<str>, result: Result<Box<str>, Box<str>>) {
        if let Some((_, devices, ..)) = self.device(member) {
            let _ = devices.visit(move |devices, io| devices.result(io, connection(member), &command, &result));
        }
    }
}
