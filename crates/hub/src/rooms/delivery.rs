//! What is published to members, and told to those who watch.

use std::collections::HashMap;
use std::sync::Arc;

use tautline_proto::Ended;
use tautline_proto::app::{Delivery, Io, Message, Slow};
use tautline_rooms::{Member, PresenceChange, RoomId, Rooms as Core, SlowConsumer};

use super::app::{Rooms, connection};
use super::envelope;
use super::latest::raw;
use crate::events;

impl Rooms {
    /// Publishes a message in both forms.
    pub(super) fn deliver(
        &mut self,
        io: &mut dyn Io,
        room: RoomId,
        message: &Arc<tautline_rooms::Message>,
        except: Option<Member>,
    ) {
        let mut delivery = Delivery::default();
        let mut envelope = None;
        if self.keeps_latest(room) {
            delivery += self.deliver_latest(io, room, message, except);
        } else {
            let raw_members = self.core.raw_members(room);
            if !raw_members.is_empty() {
                let to = others(raw_members, except).map(connection);
                delivery += io.publish(&mut { to }, raw(&message.payload), self.slow(room));
            }
            if !self.core.event_members(room).is_empty() {
                let written = envelope.insert(envelope::message(message));
                delivery += self.publish_events(io, room, except, written);
            }
        }
        self.deliveries.add(&self.core, room, delivery);
        if self.watch.events.wanted()
            && let Some(name) = self.name(room)
        {
            let fits = message.payload.as_bytes().len() <= events::LARGEST;
            let envelope = fits.then(|| envelope.unwrap_or_else(|| envelope::message(message)));
            self.watch.events.message(&name, message.offset, envelope.as_deref());
        }
    }

    /// Tells who came and left.
    pub(super) fn announce(&self, io: &mut dyn Io, room: RoomId, change: &PresenceChange) {
        let presence = envelope::presence(change);
        self.publish_events(io, room, None, &presence);
        let behind = self.core.catching_up_members(room);
        io.publish(&mut others(behind, None).map(connection), Message::Text(&presence), self.slow(room));
        if self.watch.events.wanted()
            && let Some(name) = self.name(room)
        {
            self.watch.events.presence(&name, &presence);
        }
    }

    /// Tells those who watch that a client has come.
    pub(super) fn tell_came(&self, io: &dyn Io, member: Member) {
        if let Some((room, client, _)) = self.core.member(member)
            && let Some(room) = self.name(room)
        {
            self.watch.events.connected(&room, client, io.peer(connection(member)));
        }
    }

    /// Tells everybody, once, that a client has left, and why.
    pub(super) fn tell_left(&self, io: &dyn Io, member: Member, ended: Ended) {
        let id = connection(member);
        let (peer, reason) = (crate::apps::peer(io, id), self.watch.left(ended, io.vitals(id)));
        let Some(known) = self.core.known(member) else { return };
        tracing::info!(peer, room = &**known.room, reason, "Client left: {}", known.client);
        self.watch.events.disconnected(known.room, known.client, io.peer(id), &reason);
    }

    fn publish_events(&self, io: &mut dyn Io, room: RoomId, except: Option<Member>, envelope: &str) -> Delivery {
        let members = self.core.event_members(room);
        io.publish(&mut others(members, except).map(connection), Message::Text(envelope), self.slow(room))
    }

    fn slow(&self, room: RoomId) -> Slow {
        match self.core.settings(room).slow {
            SlowConsumer::Disconnect => Slow::Disconnect,
            // Messages of the latter do not get here; who comes and goes is told without a limit of its own.
            SlowConsumer::DropOldest | SlowConsumer::LatestPerKey => Slow::DropOldest,
            SlowConsumer::KeepLatest => Slow::KeepLatest,
        }
    }

    fn name(&self, room: RoomId) -> Option<Arc<str>> {
        self.core.view(room).map(|room| room.name)
    }
}

pub(super) fn others(members: &[Member], except: Option<Member>) -> impl Iterator<Item = Member> {
    members.iter().copied().filter(move |member| Some(*member) != except)
}

/// What became of the messages that were published, by room.
#[derive(Debug, Default)]
pub(super) struct Deliveries(HashMap<RoomId, (u64, Delivery)>);

impl Deliveries {
    /// What became of them in a room.
    pub(super) fn of(&self, core: &Core, room: RoomId) -> Delivery {
        let epoch = core.view(room).map(|view| view.epoch);
        self.0.get(&room).filter(|(of, _)| Some(*of) == epoch).map(|(_, delivery)| *delivery).unwrap_or_default()
    }

    fn add(&mut self, core: &Core, room: RoomId, delivery: Delivery) {
        let Some(view) = core.view(room) else { return };
        let entry = self.0.entry(room).or_default();
        // A room that was forgotten leaves its number to another one, with another epoch.
        if entry.0 != view.epoch {
            *entry = (view.epoch, Delivery::default());
        }
        entry.1 += delivery;
    }
}

#[cfg(test)]
mod tests {
    use tautline_rooms::{Payload, Settings, Timestamp};

    use super::*;

    fn publish(core: &mut Core, room: &str) -> RoomId {
        core.publish_from_outside(Timestamp(0), room, "api", 1, None, Payload::Text("".into())).unwrap();
        core.room(room).unwrap()
    }

    #[test]
    fn deliveries_are_added_up_and_not_passed_on_to_another_room() {
        let mut core = Core::new(Settings { rooms: 1, ..Settings::default() }, 7);
        let mut deliveries = Deliveries::default();
        let first = publish(&mut core, "first");
        for disconnected in [0, 1] {
            deliveries.add(&core, first, Delivery { sent: 3, dropped: 2, disconnected, closed: 0 });
        }
        assert_eq!(deliveries.of(&core, first), Delivery { sent: 6, dropped: 4, disconnected: 1, closed: 0 });
        let second = publish(&mut core, "second");
        assert_eq!(second, first, "it has made way, and left its number");
        assert_eq!(deliveries.of(&core, second), Delivery::default());
        let delivery = Delivery { sent: 1, ..Delivery::default() };
        deliveries.add(&core, second, delivery);
        assert_eq!(deliveries.of(&core, second), delivery);
    }
}
