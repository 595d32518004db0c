//! Members that are behind, in rooms that keep the latest message of each client for them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tautline_proto::app::{Delivery, Io, Message as Sendable, Sent};
use tautline_rooms::{Form, Member, Message, Payload, RoomId, SlowConsumer};

use super::app::{Rooms, connection, send};
use super::delivery::others;
use super::envelope;

/// What waits for members whose connections take nothing more.
#[derive(Debug, Default)]
pub(super) struct Behind(HashMap<Member, Waiting>);

/// The latest message of each client, for one member.
#[derive(Debug, Default)]
struct Waiting {
    by_client: HashMap<Arc<str>, u64>,
    by_offset: BTreeMap<u64, Arc<Message>>,
    bytes: usize,
}

impl Waiting {
    /// Adds a message, which takes the place of an older one of the same client. If it is too much then, the oldest go.
    /// Answers how many have gone.
    fn add(&mut self, message: Arc<Message>, limit: usize) -> u64 {
        let mut gone = 0;
        if let Some(old) = self.by_client.insert(message.from.clone(), message.offset) {
            gone += u64::from(self.remove(old).is_some());
        }
        self.bytes += message.weight();
        self.by_offset.insert(message.offset, message);
        // The newest stays, however large it is.
        while self.bytes > limit && self.by_offset.len() > 1 {
            gone += u64::from(self.next().is_some());
        }
        gone
    }

    /// Takes the oldest message.
    fn next(&mut self) -> Option<Arc<Message>> {
        let (&offset, _) = self.by_offset.first_key_value()?;
        let message = self.remove(offset)?;
        self.by_client.remove(&message.from);
        Some(message)
    }

    fn remove(&mut self, offset: u64) -> Option<Arc<Message>> {
        let message = self.by_offset.remove(&offset)?;
        self.bytes -= message.weight();
        Some(message)
    }
}

impl Rooms {
    /// Sends a message to all members that take it, and keeps it for those that are behind.
    pub(super) fn deliver_latest(
        &mut self,
        io: &mut dyn Io,
        room: RoomId,
        message: &Arc<Message>,
        except: Option<Member>,
    ) -> Delivery {
        let limit = self.core.settings(room).queue_bytes.unwrap_or(self.queue_bytes);
        let mut delivery = Delivery::default();
        let mut envelope = None;
        for (form, members) in [(Form::Raw, self.core.raw_members(room)), (Form::Events, self.core.event_members(room))]
        {
            for member in others(members, except) {
                if let Some(waiting) = self.behind.0.get_mut(&member) {
                    delivery.dropped += waiting.add(message.clone(), limit);
                    delivery.sent += 1;
                    continue;
                }
                let sent = match form {
                    Form::Raw => send_raw(io, member, message),
                    Form::Events => send(io, member, envelope.get_or_insert_with(|| envelope::message(message))),
                };
                match sent {
                    Sent::Written => delivery.sent += 1,
                    Sent::Queued => {
                        delivery.sent += 1;
                        self.behind.0.insert(member, Waiting::default());
                    }
                    Sent::Closed => delivery.closed += 1,
                }
            }
        }
        delivery
    }

    /// A member's connection takes messages again.
    pub(super) fn catch_up(&mut self, io: &mut dyn Io, member: Member) {
        let Some((_, _, form)) = self.core.member(member) else { return };
        while let Some(waiting) = self.behind.0.get_mut(&member) {
            let Some(message) = waiting.next() else {
                self.behind.0.remove(&member);
                return;
            };
            let sent = match form {
                Form::Raw => send_raw(io, member, &message),
                Form::Events => send(io, member, &envelope::message(&message)),
            };
            if sent != Sent::Written {
                return;
            }
        }
    }

    pub(super) fn keeps_latest(&self, room: RoomId) -> bool {
        self.core.settings(room).slow == SlowConsumer::LatestPerKey
    }

    pub(super) fn forget_behind(&mut self, member: Member) {
        self.behind.0.remove(&member);
    }
}

fn send_raw(io: &mut dyn Io, to: Member, message: &Message) -> Sent {
    io.send(connection(to), raw(&message.payload))
}

/// A message as raw members get it.
pub(super) fn raw(payload: &Payload) -> Sendable<'_> {
    match payload {
        Payload::Text(text) | Payload::Json(text) => Sendable::Text(text),
        Payload::Binary(bytes) => Sendable::Binary(bytes),
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use tautline_proto::app::{App, ConnectionId};
    use tautline_rooms::{RoomSettings, Settings, Timestamp};

    use super::*;
    use crate::apps::testing::{Asked, FakeIo, connect, disconnect};

    fn message(offset: u64, from: &str, size: usize) -> Arc<Message> {
        let payload = Payload::Text("x".repeat(size).into());
        Arc::new(Message { offset, at: Timestamp(0), from: from.into(), id: None, payload })
    }

    fn offsets(waiting: &mut Waiting) -> Vec<u64> {
        std::iter::from_fn(|| waiting.next()).map(|message| message.offset).collect()
    }

    #[test]
    fn the_latest_of_each_client_waits_in_the_order_of_the_room() {
        let mut waiting = Waiting::default();
        let gone: Vec<u64> = [(1, "a"), (2, "b"), (3, "a"), (4, "a"), (5, "c")]
            .map(|(offset, from)| waiting.add(message(offset, from, 1), usize::MAX))
            .into();
        assert_eq!(gone, [0, 0, 1, 1, 0]);
        assert_eq!(offsets(&mut waiting), [2, 4, 5]);
        assert_eq!((waiting.bytes, waiting.by_client.len()), (0, 0), "nothing is left behind");
    }

    #[test]
    fn what_waits_is_bounded_and_the_newest_stays() {
        let mut waiting = Waiting::default();
        let limit = 2 * message(1, "a", 100).weight();
        assert_eq!(waiting.add(message(1, "a", 100), limit), 0);
        assert_eq!(waiting.add(message(2, "b", 100), limit), 0);
        assert_eq!(waiting.add(message(3, "c", 100), limit), 1);
        assert_eq!(waiting.add(message(4, "d", 10_000), limit), 2);
        assert_eq!(offsets(&mut waiting), [4]);
    }

    fn rooms() -> Rooms {
        let room = RoomSettings { slow: SlowConsumer::LatestPerKey, ..RoomSettings::default() };
        let settings = Settings { default: room.into(), ..Settings::default() };
        Rooms::new(settings, || UNIX_EPOCH, 1)
    }

    fn publish(app: &mut Rooms, io: &mut FakeIo, from: u64, text: &str) {
        app.message(io, ConnectionId(from), Sendable::Text(text));
    }

    fn sent_to(io: &mut FakeIo, to: u64) -> Vec<String> {
        let text = |asked| match asked {
            Asked::Text(id, text) if id == to => Some(text),
            _ => None,
        };
        io.asked().into_iter().filter_map(text).collect()
    }

    #[test]
    fn a_member_that_is_behind_gets_the_latest_of_each_client_when_it_takes_them() {
        let (mut app, mut io) = (rooms(), FakeIo::default());
        for (id, path) in [(1, "/a"), (2, "/b"), (3, "/slow")] {
            connect(&mut app, &mut io, id, path);
        }
        io.asked();
        publish(&mut app, &mut io, 1, "a1");
        assert_eq!(sent_to(&mut io, 3), ["a1"], "it is not behind yet");
        io.busy = true;
        publish(&mut app, &mut io, 1, "a2");
        assert_eq!(sent_to(&mut io, 3), ["a2"], "this one is queued");
        io.busy = false;
        app.drained(&mut io, ConnectionId(2));
        for (from, message) in [(1, "a3"), (2, "b1"), (1, "a4"), (2, "b2")] {
            publish(&mut app, &mut io, from, message);
        }
        assert_eq!(sent_to(&mut io, 3), [""; 0]);
        app.drained(&mut io, ConnectionId(3));
        assert_eq!(sent_to(&mut io, 3), ["a4", "b2"]);
        publish(&mut app, &mut io, 1, "a5");
        assert_eq!(sent_to(&mut io, 3), ["a5"], "it has caught up");
        let delivery = app.deliveries.of(&app.core, app.core.room("main").unwrap());
        assert_eq!((delivery.sent, delivery.dropped), (14, 2), "a3 and b1 reached one each");
    }

    #[test]
    fn one_that_does_not_take_everything_goes_on_next_time_and_one_that_leaves_is_forgotten() {
        let (mut app, mut io) = (rooms(), FakeIo::default());
        for (id, path) in [(1, "/a"), (2, "/b"), (3, "/slow")] {
            connect(&mut app, &mut io, id, path);
        }
        io.busy = true;
        for (from, message) in [(1, "a1"), (1, "a2"), (2, "b1")] {
            publish(&mut app, &mut io, from, message);
        }
        assert_eq!(sent_to(&mut io, 3), ["a1"]);
        app.drained(&mut io, ConnectionId(3));
        assert_eq!(sent_to(&mut io, 3), ["a2"]);
        app.drained(&mut io, ConnectionId(3));
        assert_eq!(sent_to(&mut io, 3), ["b1"]);
        disconnect(&mut app, &mut io, 3);
        assert!(!app.behind.0.contains_key(&Member(3)));
    }
}
