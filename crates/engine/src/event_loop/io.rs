//! What an app can see and do.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tautline_proto::app::{ConnectionId, Delivery, Io, Message, Sent, Slow, Vitals};
use tautline_proto::{CloseCode, Instant};

use super::world::World;
use crate::transport::Transport;

/// The world during one call of an app.
pub(super) struct Call<'a, T> {
    pub(super) world: &'a mut World<T>,
    pub(super) app: u8,
    /// Where the message lies that the call is about, if it can be shared.
    pub(super) shared: Option<&'a Bytes>,
}

impl<T: Transport> Io for Call<'_, T> {
    fn peer(&self, id: ConnectionId) -> Option<SocketAddr> {
        self.world.slots.peer(id).address()
    }

    fn vitals(&self, id: ConnectionId) -> Option<Vitals> {
        let connection = self.world.slots.look(id)?;
        let queued = connection.queued(&self.world.turn);
        let core = &connection.core;
        Some(Vitals { silence: self.world.now - core.last_heard(), queued, latency: core.latency() })
    }

    fn now(&self) -> Instant {
        self.world.now
    }

    fn random(&mut self) -> u32 {
        self.world.random.u32(..)
    }

    fn send(&mut self, to: ConnectionId, message: Message<'_>) -> Sent {
        self.world.send(to, message, true, self.shared)
    }

    fn send_uncompressed(&mut self, to: ConnectionId, message: Message<'_>) -> Sent {
        self.world.send(to, message, false, self.shared)
    }

    fn publish(&mut self, to: &mut dyn Iterator<Item = ConnectionId>, message: Message<'_>, slow: Slow) -> Delivery {
        self.world.publish(to, message, slow)
    }

    fn close(&mut self, id: ConnectionId, code: CloseCode, reason: &str) {
        self.world.close(id, code, reason);
    }

    fn probe(&mut self, id: ConnectionId, within: Duration) {
        self.world.probe(id, within);
    }

    fn set_timer(&mut self, timer: u64, at: Instant) {
        self.world.timers[usize::from(self.app)].set(timer, at);
    }

    fn cancel_timer(&mut self, timer: u64) {
        self.world.timers[usize::from(self.app)].cancel(timer);
    }
}
