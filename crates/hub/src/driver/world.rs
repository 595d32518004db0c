//! What an app can see and do.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tautline::{CloseCode, Delivery, Ended, Message, Published, SendError, Sender, Slow};
use tautline_proto::Instant;
use tautline_proto::app::{self, ConnectionId, Io, Sent, Vitals};
use tokio::sync::Notify;

use tautline_engine::timers::Timers;

/// Everything of an app but the app.
pub(super) struct World {
    /// Clients that are admitted and not open yet, and how long the app would wait for a sign of life from them.
    admitted: HashMap<ConnectionId, Option<Duration>>,
    connections: HashMap<ConnectionId, Connection>,
    pub(super) timers: Timers,
    random: fastrand::Rng,
    /// The origin of the app's clock.
    start: tokio::time::Instant,
}

struct Connection {
    sender: Sender,
    signals: Arc<Signals>,
    /// Whether the app was told `Queued` and not yet that everything is written.
    busy: bool,
    /// Whether the app has closed it.
    closing: bool,
    /// Within which time the app wants to hear from the client, until its task has asked.
    probe: Option<Duration>,
}

/// What the task of a connection is told.
#[derive(Default)]
pub(super) struct Signals {
    /// Something had to be queued: wait until it is written.
    pub(super) queued: Notify,
    /// The app wants to know whether the client is there: ask it.
    pub(super) probed: Notify,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            admitted: HashMap::new(),
            connections: HashMap::new(),
            timers: Timers::default(),
            random: fastrand::Rng::new(),
            start: tokio::time::Instant::now(),
        }
    }

    /// Adds a client whose connection is not open yet.
    pub(super) fn admit(&mut self, id: ConnectionId) {
        self.admitted.insert(id, None);
    }

    /// The connection of a client is open. The answer tells its task what there is to do.
    pub(super) fn add(&mut self, id: ConnectionId, sender: Sender) -> Arc<Signals> {
        let signals = Arc::<Signals>::default();
        let connection = Connection { sender, signals: signals.clone(), busy: false, closing: false, probe: None };
        self.connections.insert(id, connection);
        if let Some(within) = self.admitted.remove(&id).flatten() {
            self.probe(id, within);
        }
        signals
    }

    /// The sender of a connection; `None` if it never opened.
    fn sender(&self, id: ConnectionId) -> Option<&Sender> {
        self.connections.get(&id).map(|connection| &connection.sender)
    }

    /// How a connection that is gone has ended; `None` if it never opened.
    pub(super) fn ended(&self, id: ConnectionId) -> Option<Ended> {
        let connection = self.connections.get(&id)?;
        // Without an end the task was dropped while the connection was open.
        let ended = connection.sender.ended();
        Some(ended.unwrap_or(Ended::TransportFailed))
    }

    pub(super) fn remove(&mut self, id: ConnectionId) {
        self.admitted.remove(&id);
        self.connections.remove(&id);
    }

    pub(super) fn is_closing(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_some_and(|connection| connection.closing)
    }

    /// Whether the app is to be told that everything is written, now that it was a moment ago.
    pub(super) fn take_drained(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        if connection.sender.queued() > 0 {
            connection.signals.queued.notify_one();
            return false;
        }
        std::mem::take(&mut connection.busy) && !connection.closing
    }

    pub(super) fn close(&mut self, id: ConnectionId, code: CloseCode, reason: &str) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.close(code, reason);
        }
    }

    /// Has a client asked whether it is still there. One that is not connected yet is asked when it is.
    fn probe(&mut self, id: ConnectionId, within: Duration) {
        if let Some(to_probe) = self.admitted.get_mut(&id) {
            *to_probe = Some(to_probe.map_or(within, |other| other.min(within)));
            return;
        }
        let Some(connection) = self.connections.get_mut(&id).filter(|connection| !connection.closing) else { return };
        connection.probe = Some(connection.probe.map_or(within, |other| other.min(within)));
        connection.signals.probed.notify_one();
    }

    /// Within which time a client has to be heard from, if the app wants to know and nobody has asked yet.
    pub(super) fn take_probe(&mut self, id: ConnectionId) -> Option<Duration> {
        self.connections.get_mut(&id)?.probe.take()
    }

    pub(super) fn now(&self) -> Instant {
        Instant::from_micros(self.start.elapsed().as_micros() as u64)
    }

    pub(super) fn to_tokio(&self, at: Instant) -> tokio::time::Instant {
        // Beyond what tokio's clock can show is never: look again in a year.
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        let after = Duration::from_micros(at.as_micros());
        self.start.checked_add(after).unwrap_or_else(|| tokio::time::Instant::now() + YEAR)
    }
}

impl Connection {
    fn close(&mut self, code: CloseCode, reason: &str) {
        self.closing = true;
        self.sender.start_close(code, reason);
    }

    fn send(&mut self, message: Message, compress: bool) -> Sent {
        if self.closing {
            return Sent::Closed;
        }
        let sent = match compress {
            true => self.sender.try_send(message),
            false => self.sender.clone().compress(false).try_send(message),
        };
        match sent {
            Ok(()) if self.sender.queued() == 0 => Sent::Written,
            Ok(()) => {
                self.busy = true;
                self.signals.queued.notify_one();
                Sent::Queued
            }
            Err(SendError::Closed) => Sent::Closed,
            Err(_) => {
                self.too_slow();
                Sent::Closed
            }
        }
    }

    fn publish(&mut self, message: &Published, slow: Slow) -> Delivery {
        if self.closing {
            return Delivery { closed: 1, ..Delivery::default() };
        }
        let delivery = self.sender.publish(message, slow);
        if delivery.disconnected > 0 {
            self.too_slow();
        }
        delivery
    }

    fn too_slow(&mut self) {
        let peer = self.sender.info().peer.map(tracing::field::display);
        tracing::info!(peer, queued = self.sender.queued(), "client too slow: closed with 1013");
        self.close(CloseCode::TRY_AGAIN_LATER, "too slow");
    }
}

/// The world during one call of the app.
pub(super) struct Call<'a> {
    pub(super) world: &'a mut World,
    pub(super) current: Option<Current<'a>>,
}

/// The message that a call is about.
pub(super) struct Current<'a> {
    pub(super) message: &'a Message,
    pub(super) from: ConnectionId,
    /// Whether something was sent to whom it is from.
    pub(super) answered: &'a mut bool,
}

impl Call<'_> {
    /// A message that outlives the call. What just came in is shared and not copied.
    fn own(&self, message: app::Message<'_>) -> Message {
        if let Some(current) = &self.current
            && current.message.kind() == message.kind()
            && std::ptr::eq(current.message.as_bytes(), message.as_bytes())
        {
            return current.message.clone();
        }
        match message {
            app::Message::Text(text) => text.into(),
            app::Message::Binary(bytes) => bytes.into(),
        }
    }

    fn send_as(&mut self, to: ConnectionId, message: app::Message<'_>, compress: bool) -> Sent {
        let message = self.own(message);
        let Some(connection) = self.world.connections.get_mut(&to) else { return Sent::Closed };
        if let Some(current) = &mut self.current {
            *current.answered |= current.from == to;
        }
        connection.send(message, compress)
    }
}

impl Io for Call<'_> {
    fn peer(&self, id: ConnectionId) -> Option<SocketAddr> {
        self.world.sender(id)?.info().peer
    }

    fn vitals(&self, id: ConnectionId) -> Option<Vitals> {
        let sender = self.world.sender(id)?;
        Some(Vitals { silence: sender.silence(), queued: sender.queued(), latency: sender.latency() })
    }

    fn now(&self) -> Instant {
        self.world.now()
    }

    fn random(&mut self) -> u32 {
        self.world.random.u32(..)
    }

    fn send(&mut self, to: ConnectionId, message: app::Message<'_>) -> Sent {
        self.send_as(to, message, true)
    }

    fn send_uncompressed(&mut self, to: ConnectionId, message: app::Message<'_>) -> Sent {
        self.send_as(to, message, false)
    }

    fn publish(
        &mut self,
        to: &mut dyn Iterator<Item = ConnectionId>,
        message: app::Message<'_>,
        slow: Slow,
    ) -> Delivery {
        let mut delivery = Delivery::default();
        let Some(first) = to.next() else { return delivery };
        let message = Published::new(self.own(message));
        for id in std::iter::once(first).chain(to) {
            if let Some(current) = &mut self.current {
                *current.answered |= current.from == id;
            }
            delivery += match self.world.connections.get_mut(&id) {
                Some(connection) => connection.publish(&message, slow),
                None => Delivery { closed: 1, ..Delivery::default() },
            };
        }
        delivery
    }

    fn close(&mut self, id: ConnectionId, code: CloseCode, reason: &str) {
        self.world.close(id, code, reason);
    }

    fn probe(&mut self, id: ConnectionId, within: Duration) {
        self.world.probe(id, within);
    }

    fn set_timer(&mut self, timer: u64, at: Instant) {
        self.world.timers.set(timer, at);
    }

    fn cancel_timer(&mut self, timer: u64) {
        self.world.timers.cancel(timer);
    }
}
