//! What a handler sees of the clients while it is called.

use tautline_proto::app::{Delivery, Message, Slow};
use tautline_proto::{CloseCode, Header, Instant, MAX_HEADER, Part, SendError as CoreError};

use crate::client::{Client, Phase};
use crate::handler::{ClientId, Io, SendError};
use crate::queue::PREFIX;

/// The clients: all of them, or all but the one whose request is being answered.
pub(crate) struct View<'m, const OUT: usize> {
    pub(crate) now: Instant,
    pub(crate) clients: &'m mut [Client<OUT>],
    pub(crate) others: &'m mut [Client<OUT>],
    /// Set when something may have to be sent.
    pub(crate) changed: &'m mut bool,
}

impl<'m, const OUT: usize> View<'m, OUT> {
    pub(crate) fn all(now: Instant, clients: &'m mut [Client<OUT>], changed: &'m mut bool) -> Self {
        Self { now, clients, others: &mut [], changed }
    }

    /// Splits off the client at `slot`, which must exist.
    pub(crate) fn except(
        now: Instant,
        clients: &'m mut [Client<OUT>],
        slot: usize,
        changed: &'m mut bool,
    ) -> (&'m mut Client<OUT>, Self) {
        let (before, rest) = clients.split_at_mut(slot);
        let (client, after) = rest.split_first_mut().expect("the driver has a place");
        (client, Self { now, clients: before, others: after, changed })
    }

    fn client(&mut self, id: ClientId) -> Option<&mut Client<OUT>> {
        self.clients.iter_mut().chain(self.others.iter_mut()).find(|client| client.id == id && !client.is_free())
    }

    fn each(&self) -> impl Iterator<Item = &Client<OUT>> {
        self.clients.iter().chain(self.others.iter())
    }
}

impl<const OUT: usize> Io for View<'_, OUT> {
    fn now(&self) -> Instant {
        self.now
    }

    fn open_clients(&self) -> usize {
        self.each().filter(|client| matches!(&client.phase, Phase::Open { ws, .. } if ws.is_open())).count()
    }

    fn send(&mut self, to: ClientId, message: Message<'_>) -> Result<(), SendError> {
        self.send_part(to, Part::Whole(message.kind()), message.as_bytes())
    }

    fn send_part(&mut self, to: ClientId, part: Part, payload: &[u8]) -> Result<(), SendError> {
        let now = self.now;
        let client = self.client(to).ok_or(SendError::Closed)?;
        let Phase::Open { ws, .. } = &mut client.phase else { return Err(SendError::Closed) };
        let needed = header_len(payload.len()) + payload.len();
        if ws.is_open() && needed + PREFIX > OUT {
            return Err(SendError::TooLong);
        }
        if ws.is_open() && needed > client.queue.free() {
            client.found_full = true;
            return Err(SendError::Full);
        }
        let mut head = [0; MAX_HEADER];
        let len = ws.send(part, payload, [0; 4], &mut head)?;
        client.queue.push(&[&head[..len], payload], false);
        client.watch(now);
        *self.changed = true;
        Ok(())
    }

    fn publish(&mut self, to: &mut dyn FnMut(ClientId) -> bool, message: Message<'_>, slow: Slow) -> Delivery {
        let payload = message.as_bytes();
        let header = Header {
            fin: true,
            opcode: message.kind().opcode(),
            compressed: false,
            mask: None,
            len: payload.len() as u64,
        };
        let mut head = [0; MAX_HEADER];
        let len = header.encode(&mut head);
        let mut delivery = Delivery::default();
        for client in self.clients.iter_mut().chain(self.others.iter_mut()) {
            if matches!(&client.phase, Phase::Open { ws, .. } if ws.is_open()) && to(client.id) {
                delivery += client.publish(self.now, &header, &head[..len], payload, slow);
                client.watch(self.now);
            }
        }
        *self.changed = true;
        delivery
    }

    fn ping(&mut self, to: ClientId) -> Result<(), SendError> {
        let now = self.now;
        let client = self.client(to).ok_or(SendError::Closed)?;
        let Phase::Open { ws, .. } = &mut client.phase else { return Err(SendError::Closed) };
        ws.ping(now)?;
        *self.changed = true;
        Ok(())
    }

    fn close(&mut self, client: ClientId, code: CloseCode, reason: &str) {
        let now = self.now;
        let Some(client) = self.client(client) else { return };
        if let Phase::Open { ws, .. } = &mut client.phase {
            ws.close(now, code, reason, &mut client.control);
            client.watch(now);
            *self.changed = true;
        }
    }

    fn queued(&self, client: ClientId) -> Option<usize> {
        self.each().find(|found| found.id == client && !found.is_free()).map(|client| client.queue.len())
    }
}

impl<const OUT: usize> Client<OUT> {
    /// Queues a published message, or does what is done with a slow client.
    fn publish(&mut self, now: Instant, header: &Header, head: &[u8], payload: &[u8], slow: Slow) -> Delivery {
        let mut delivery = Delivery::default();
        let Phase::Open { ws, .. } = &mut self.phase else { return delivery };
        let needed = head.len() + payload.len();
        if needed + PREFIX > OUT || ws.is_message_in_progress() {
            delivery.dropped = 1;
            return delivery;
        }
        if needed > self.queue.free() && slow == Slow::Disconnect {
            // What it has not received yet would keep the close frame from it.
            self.queue.clear();
            ws.close(now, CloseCode::TRY_AGAIN_LATER, "too slow", &mut self.control);
            delivery.disconnected = 1;
            return delivery;
        }
        let keep_latest = slow == Slow::KeepLatest && needed > self.queue.free();
        while (keep_latest || needed > self.queue.free()) && self.queue.drop_oldest() {
            delivery.dropped += 1;
        }
        if needed > self.queue.free() || ws.send_encoded(header, payload).is_err() {
            delivery.dropped += 1;
            return delivery;
        }
        self.queue.push(&[head, payload], true);
        delivery.sent = 1;
        delivery
    }
}

impl From<CoreError> for SendError {
    fn from(error: CoreError) -> Self {
        match error {
            // Nothing is compressed here.
            CoreError::Closed | CoreError::NotAgreed => Self::Closed,
            CoreError::MessageInProgress | CoreError::NoMessageInProgress => Self::OutOfOrder,
        }
    }
}

/// How long the header of a frame is that a server sends (RFC 6455 §5.2).
fn header_len(payload: usize) -> usize {
    match payload {
        ..126 => 2,
        126..65_536 => 4,
        _ => 10,
    }
}
