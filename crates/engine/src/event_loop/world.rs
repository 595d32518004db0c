//! The connections of a loop, and what is to be written to them.

use std::time::Duration;

use bytes::Bytes;
use tautline_proto::app::{ConnectionId, Delivery, Message, Sent, Slow};
use tautline_proto::{CloseCode, Control, Header, Instant, Kind, MAX_CONTROL_FRAME, MAX_HEADER, Part};

use super::backlog::What;
use super::compression::{Compression, Variants};
use super::connection::{Assembly, Flags};
use super::slots::{Slots, slot_of};
use super::turn::Turn;
use super::write::Batching;
use crate::encoded::Encoded;
use crate::metrics::Counters;
use crate::timers::Timers;
use crate::transport::Transport;
use crate::wheel::Wheel;

/// From which size on a payload is written from where it lies, without a copy. Below it a copy costs less than a write.
const LARGE: usize = 16 * 1024;

/// Everything of a loop but its apps.
pub(super) struct World<T> {
    pub(super) slots: Slots<T>,
    pub(super) turn: Turn,
    /// Something was published in this turn, and more may follow for the same connections: answers wait for the turn's
    /// end, so that everything leaves in one write.
    pub(super) published: bool,
    pub(super) wheel: Wheel,
    /// The timers of each app.
    pub(super) timers: Vec<Timers>,
    /// The control frame that a connection owes whose transport takes it at once.
    pub(super) control: Control,
    pub(super) batching: Batching,
    /// Connections to look at before the turn ends.
    pub(super) listed: Vec<u32>,
    pub(super) compression: Compression,
    pub(super) random: fastrand::Rng,
    pub(super) now: Instant,
    pub(super) counters: Counters,
}

impl<T: Transport> World<T> {
    pub(super) fn new(loop_index: u8) -> Self {
        Self {
            slots: Slots::new(loop_index),
            turn: Turn::default(),
            published: false,
            wheel: Wheel::new(),
            timers: Vec::new(),
            control: Control::new(),
            batching: Batching::default(),
            listed: Vec::new(),
            compression: Compression::default(),
            random: fastrand::Rng::new(),
            now: Instant::ZERO,
            counters: Counters::default(),
        }
    }

    /// Sends a message, compressed if it may be, and that was agreed on. `shared`: where its payload lies, if that can be
    /// shared.
    pub(super) fn send(
        &mut self,
        to: ConnectionId,
        message: Message<'_>,
        compress: bool,
        shared: Option<&Bytes>,
    ) -> Sent {
        if self.turn.is_full() {
            self.write_all();
        }
        let slot = slot_of(to);
        let Some(connection) = self.slots.get(to).filter(|connection| connection.takes_messages()) else {
            return Sent::Closed;
        };
        if connection.is_full(&self.turn) {
            self.too_slow(to);
            return Sent::Closed;
        }
        let (part, payload) = (Part::Whole(message.kind()), message.as_bytes());
        let mut head = [0; MAX_HEADER];
        let compressed = match compress && connection.core.may_compress() {
            true => self.compression.deflate(slot, payload),
            false => None,
        };
        let (head_len, payload) = match compressed {
            Some(compressed) => (connection.core.send_compressed(part, compressed, [0; 4], &mut head), compressed),
            None => (connection.core.send(part, payload, [0; 4], &mut head), payload),
        };
        let Ok(head_len) = head_len else { return Sent::Closed };
        let copied = compressed.filter(|compressed| compressed.len() >= LARGE).map(Bytes::copy_from_slice);
        self.counters.messages_out += 1;
        let head = &head[..head_len];
        if payload.len() < LARGE {
            let frame = self.turn.push(head, payload);
            self.turn.give(&mut connection.entry, slot, frame, What::Own);
            self.list(slot);
            self.write_if_much(slot);
        } else {
            let payload = copied.as_deref().unwrap_or(message.as_bytes());
            let shared = copied.as_ref().or(shared).filter(|shared| shared.as_ptr_range().contains(&payload.as_ptr()));
            self.send_large(slot, head, payload, shared.map(|shared| shared.slice_ref(payload)), What::Own);
        }
        self.sent(slot)
    }

    /// Whether what was just sent is on its way.
    fn sent(&mut self, slot: usize) -> Sent {
        match self.slots.at(slot) {
            Some(connection) if connection.is(Flags::BLOCKED) => {
                connection.set(Flags::BUSY, true);
                Sent::Queued
            }
            _ => Sent::Written,
        }
    }

    /// Sends a message to many, compressed to those that have agreed on that.
    pub(super) fn publish(
        &mut self,
        to: &mut dyn Iterator<Item = ConnectionId>,
        message: Message<'_>,
        slow: Slow,
    ) -> Delivery {
        let (kind, payload) = (message.kind(), message.as_bytes());
        match payload.len() {
            LARGE.. => self.publish_large(to, &Encoded::new(message), slow),
            _ => self.publish_small(to, kind, payload, true, slow),
        }
    }

    /// Sends an encoded message to many.
    pub(super) fn publish_encoded(
        &mut self,
        to: &mut dyn Iterator<Item = ConnectionId>,
        message: &Encoded,
        slow: Slow,
    ) -> Delivery {
        match message.payload().len() {
            LARGE.. => self.publish_large(to, message, slow),
            _ => self.publish_small(to, message.kind(), message.payload(), message.may_compress(), slow),
        }
    }

    fn publish_small(
        &mut self,
        to: &mut dyn Iterator<Item = ConnectionId>,
        kind: Kind,
        payload: &[u8],
        compress: bool,
        slow: Slow,
    ) -> Delivery {
        if self.turn.is_full() {
            self.write_all();
        }
        let header =
            Header { fin: true, opcode: kind.opcode(), compressed: false, mask: None, len: payload.len() as u64 };
        let mut head = [0; MAX_HEADER];
        let head_len = header.encode(&mut head);
        // Once; everybody gets the same bytes.
        let frame = self.turn.push(&head[..head_len], payload);
        let mut delivery = Delivery::default();
        let mut variants = Variants::default();
        for id in to {
            if !self.makes_room(id, slow, &mut delivery)
                || compress && self.gave_compressed(id, kind, payload, slow, &mut variants)
            {
                continue;
            }
            let slot = slot_of(id);
            if let Some(connection) = self.slots.at(slot)
                && connection.core.send_encoded(&header, payload).is_ok()
            {
                self.turn.give(&mut connection.entry, slot, frame.clone(), What::Published);
            }
        }
        self.published = true;
        self.turn.forget_if_unused();
        self.counters.delivered(&delivery);
        delivery
    }

    fn publish_large(&mut self, to: &mut dyn Iterator<Item = ConnectionId>, message: &Encoded, slow: Slow) -> Delivery {
        let (kind, payload) = (message.kind(), message.payload());
        let mut delivery = Delivery::default();
        let mut variants = Variants::default();
        for id in to {
            if !self.makes_room(id, slow, &mut delivery)
                || message.may_compress() && self.gave_compressed(id, kind, payload, slow, &mut variants)
            {
                continue;
            }
            let slot = slot_of(id);
            if let Some(connection) = self.slots.at(slot)
                && connection.core.send_encoded(message.header(), payload).is_ok()
            {
                self.send_large(slot, &[], message.frame(), Some(message.frame().clone()), What::Published);
            }
        }
        self.turn.forget_if_unused();
        self.counters.delivered(&delivery);
        delivery
    }

    /// Gives a connection a published message compressed, if it compresses and the message is shorter that way.
    fn gave_compressed(
        &mut self,
        id: ConnectionId,
        kind: Kind,
        payload: &[u8],
        slow: Slow,
        variants: &mut Variants,
    ) -> bool {
        let slot = slot_of(id);
        let Some(connection) = self.slots.at(slot).filter(|connection| connection.core.may_compress()) else {
            return false;
        };
        let droppable = slow != Slow::Disconnect && connection.is(Flags::BLOCKED);
        let Some((header, frame, what)) =
            self.compression.publish(slot, kind, payload, droppable, &mut self.turn, variants)
        else {
            return false;
        };
        if connection.core.send_encoded(&header, &[]).is_ok() {
            self.turn.give(&mut connection.entry, slot, frame, what);
            self.list(slot);
        }
        true
    }

    /// Whether a connection gets a published message, after `slow` has made room for it if need be.
    fn makes_room(&mut self, id: ConnectionId, slow: Slow, delivery: &mut Delivery) -> bool {
        let Some(connection) = self.slots.get(id).filter(|connection| connection.takes_messages()) else {
            delivery.closed += 1;
            return false;
        };
        if connection.is_full(&self.turn) {
            if slow == Slow::Disconnect {
                delivery.disconnected += 1;
                self.too_slow(id);
                return false;
            }
            connection.spill(&mut self.turn);
            let queued = connection.queued(&self.turn);
            let room = match slow {
                Slow::DropOldest => queued + 1 - connection.core.context().queue_limit(),
                _ => usize::MAX,
            };
            let dropped = connection.more().backlog.drop_published(room);
            delivery.dropped += dropped;
            // What is left was sent to this connection alone, and is not ours to drop. The new message takes the place of
            // those that went, so that a receiver behind such bytes still gets the latest.
            if dropped == 0 {
                delivery.dropped += 1;
                return false;
            }
        }
        // It is open, and never in the middle of a message: nothing keeps it from being sent.
        delivery.sent += 1;
        true
    }

    /// Begins to close a connection.
    pub(super) fn close(&mut self, id: ConnectionId, code: CloseCode, reason: &str) {
        let now = self.now;
        let Some(connection) = self.slots.get(id).filter(|connection| !connection.is(Flags::CLOSING)) else { return };
        connection.set(Flags::CLOSING, true);
        if let Some(more) = &mut connection.more {
            more.message = Assembly::default();
        }
        let (core, control) = connection.core_and_control(&mut self.control);
        core.close(now, code, reason, control);
        self.transmit_owed(slot_of(id));
        self.list(slot_of(id));
    }

    /// Begins to find out whether a peer is still there.
    pub(super) fn probe(&mut self, id: ConnectionId, within: Duration) {
        let now = self.now;
        let Some(connection) = self.slots.get(id).filter(|connection| connection.takes_messages()) else { return };
        if connection.transport.is_none() {
            let to_probe = &mut connection.more().to_probe;
            *to_probe = Some(to_probe.map_or(within, |other| other.min(within)));
            return;
        }
        connection.core.probe(now, within);
        // Its deadline has come nearer, and the wheel has to know.
        self.list(slot_of(id));
    }

    fn too_slow(&mut self, id: ConnectionId) {
        let Some(connection) = self.slots.get(id) else { return };
        let peer = connection.peer.address().map(tracing::field::display);
        tracing::info!(peer, queued = connection.queued(&self.turn), "client too slow: closed with 1013");
        self.counters.disconnected += 1;
        self.close(id, CloseCode::TRY_AGAIN_LATER, "too slow");
    }

    /// Has a connection looked at before the turn ends.
    pub(super) fn list(&mut self, slot: usize) {
        if let Some(connection) = self.slots.at(slot)
            && !connection.replace(Flags::LISTED, true)
        {
            self.listed.push(slot as u32);
        }
    }

    /// Adds the control frames that are owed to what the connection gets in this turn, or leaves them for the backlog.
    pub(super) fn transmit_owed(&mut self, slot: usize) {
        let Some(connection) = self.slots.at(slot).filter(|connection| !connection.is(Flags::BLOCKED)) else { return };
        if self.control.is_empty() && connection.core.next_transmit(&self.control).is_none() {
            return;
        }
        let mut out = [0; MAX_CONTROL_FRAME];
        loop {
            let n = connection.core.poll_transmit(self.now, [0; 4], &mut self.control, &mut out);
            if n == 0 {
                return;
            }
            let frame = self.turn.push(&out[..n], &[]);
            self.turn.give(&mut connection.entry, slot, frame, What::Control);
        }
    }

    /// Whether what the app has sent to a connection does not fit its queue.
    pub(super) fn is_full(&mut self, slot: usize) -> bool {
        self.slots.at(slot).is_some_and(|connection| connection.is_full(&self.turn))
    }
}
