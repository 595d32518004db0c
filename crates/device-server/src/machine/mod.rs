//! The server without I/O: bytes and time in, bytes out, for all clients.

mod http;
mod websocket;

use tautline_proto::handshake::Limits;
use tautline_proto::handshake::server::{Handshake, Refusal};
use tautline_proto::{CloseCode, Config, Connection, Instant, Transport};

use crate::client::{Client, Ending, Peer, Phase};
use crate::handler::{ClientId, Handler, Io};
use crate::settings::Settings;
use crate::view::View;

/// As much input as any control frame needs to be seen whole.
const WINDOW: usize = 256;

/// All clients of a server, their requests and WebSockets, and the program that serves them. Without I/O and without a clock.
///
/// `IN` is the size of the buffer that the driver collects each client's input in, `OUT` that of each client's queue. Who
/// wants to await sockets uses [`Server`](crate::Server), which drives this.
///
/// A driver asks for a place with [`accept`](Self::accept), gives it what arrives with [`receive`](Self::receive), writes what
/// [`transmit`](Self::transmit) gives, calls [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) says,
/// does with the transport what [`ending`](Self::ending) says, and gives the place back with [`release`](Self::release). After
/// every call that may change something ([`take_changed`](Self::take_changed)) it looks after all places.
#[derive(Debug)]
pub struct Machine<H, const N: usize, const IN: usize, const OUT: usize> {
    settings: &'static Settings,
    limits: Limits,
    handler: H,
    clients: [Client<OUT>; N],
    serial: u32,
    stopping: bool,
    changed: bool,
}

/// What the transport is to be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transmit {
    /// Nothing at the moment.
    Nothing,
    /// The first so many bytes of the buffer.
    Bytes(usize),
    /// These, from where they lie.
    Asset(&'static [u8]),
}

impl<H: Handler, const N: usize, const IN: usize, const OUT: usize> Machine<H, N, IN, OUT> {
    /// A server without clients.
    ///
    /// # Panics
    ///
    /// When it is compiled, if `N` is not 1 to 65,535, `IN` is less than 256 or `OUT` not 512 to 32,767.
    pub const fn new(settings: &'static Settings, handler: H) -> Self {
        const {
            assert!(N >= 1 && N <= u16::MAX as usize, "a server has 1 to 65,535 clients");
            assert!(IN >= WINDOW, "the input buffer has at least 256 bytes");
            assert!(OUT >= 512 && OUT < 32_768, "the queue has 512 to 32,767 bytes");
        }
        Self {
            settings,
            limits: settings.limits_within(IN),
            handler,
            clients: [const { Client::new() }; N],
            serial: 0,
            stopping: false,
            changed: false,
        }
    }

    /// A connection has come: gives it a place, or `None` if there is none.
    ///
    /// When this takes the last place, connections that only wait for another request end.
    pub fn accept(&mut self, now: Instant, peer: Peer) -> Option<ClientId> {
        if self.stopping {
            return None;
        }
        let slot = self.clients.iter().position(Client::is_free)?;
        self.serial = self.serial.wrapping_add(1);
        let client = &mut self.clients[slot];
        client.id = ClientId { slot: slot as u16, serial: self.serial };
        client.peer = peer;
        client.phase = Phase::Idle { until: now + self.limits.opening_timeout(), served: false };
        let id = client.id;
        if self.is_full() {
            self.end_idle(false);
        }
        Some(id)
    }

    /// Whether input is wanted now. While it is not, what was not consumed is kept and nothing more is read.
    pub fn reads(&self, id: ClientId) -> bool {
        match &self.clients[id.slot()].phase {
            Phase::Idle { .. } | Phase::Head(_) | Phase::Body { .. } => true,
            Phase::Open { .. } => !self.clients[id.slot()].blocked,
            _ => false,
        }
    }

    /// Takes bytes from a client: those that the last call left, then what has arrived, which may be nothing. Answers how many
    /// it has consumed.
    pub fn receive(&mut self, now: Instant, id: ClientId, input: &mut [u8]) -> usize {
        let slot = id.slot();
        let mut at = 0;
        loop {
            let rest = &mut input[at..];
            let consumed = match &mut self.clients[slot].phase {
                Phase::Idle { .. } if rest.is_empty() => 0,
                Phase::Idle { .. } => {
                    self.clients[slot].phase = Phase::Head(Handshake::new(now, &self.limits));
                    continue;
                }
                Phase::Head(_) => self.head(now, slot, rest),
                Phase::Body { .. } => self.body(now, slot, rest),
                Phase::Open { .. } => self.frames(now, slot, rest),
                Phase::Answer { .. } => 0,
                Phase::Free | Phase::Leaving { .. } | Phase::Over(_) => rest.len(),
            };
            at += consumed;
            if consumed == 0 {
                break;
            }
        }
        self.clients[slot].watch(now);
        at
    }

    /// The client's side of the transport has ended.
    pub fn receive_end(&mut self, now: Instant, id: ClientId) {
        self.lost(now, id, Ending::Close, |ws| ws.receive_end());
    }

    /// The transport has failed.
    pub fn transport_failed(&mut self, now: Instant, id: ClientId) {
        self.lost(now, id, Ending::Drop, |ws| ws.transport_failed());
    }

    /// What the transport is to be given, after it has taken what it was given before. `out` has room for a control frame (131
    /// bytes) at least, and for an answer in one piece if clients want that.
    pub fn transmit(&mut self, now: Instant, id: ClientId, out: &mut [u8]) -> Transmit {
        let slot = id.slot();
        let client = &mut self.clients[slot];
        client.writing = false;
        let len = client.fill(now, out);
        let transmit = match len {
            0 if client.asset.is_empty() => Transmit::Nothing,
            0 => Transmit::Asset(client.take_asset()),
            len => Transmit::Bytes(len),
        };
        client.writing = transmit != Transmit::Nothing;
        if client.writing {
            client.waiting = None;
            client.watch(now);
        }
        // There may be room for more input now.
        self.changed |= core::mem::take(&mut client.blocked);
        if client.found_full && client.queue.is_empty() {
            client.found_full = false;
            self.handler.drained(&mut View::all(now, &mut self.clients, &mut self.changed), id);
        }
        self.settle(now, slot);
        if transmit == Transmit::Nothing {
            self.all_sent(now, slot);
        }
        transmit
    }

    /// The transport has taken some of what it was given, but not all of it yet: a slow client is not a stuck one.
    pub fn transport_took_bytes(&mut self, now: Instant, id: ClientId) {
        let client = &mut self.clients[id.slot()];
        client.waiting = None;
        client.watch(now);
        if let Phase::Open { ws, .. } = &mut client.phase {
            ws.transport_took_bytes(now);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) for a client; `None`: not by itself. Ask again after every other
    /// call.
    pub fn poll_timeout(&self, id: ClientId) -> Option<Instant> {
        let client = &self.clients[id.slot()];
        match &client.phase {
            Phase::Free | Phase::Over(_) => None,
            Phase::Head(handshake) => handshake.poll_timeout(),
            Phase::Idle { until, .. }
            | Phase::Body { until, .. }
            | Phase::Answer { until, .. }
            | Phase::Leaving { until, .. } => Some(*until),
            Phase::Open { ws, .. } => {
                let stuck = client.waiting.map(|since| since + self.settings.send_timeout);
                [ws.poll_timeout(), stuck].into_iter().flatten().min()
            }
        }
    }

    /// Lets what is due by `now` take effect; early and repeated calls do no harm.
    pub fn handle_timeout(&mut self, now: Instant, id: ClientId) {
        let slot = id.slot();
        if self.poll_timeout(id).is_none_or(|at| now < at) {
            return;
        }
        self.changed = true;
        let answer_until = now + self.settings.answer_timeout;
        let client = &mut self.clients[slot];
        match &mut client.phase {
            Phase::Free | Phase::Over(_) => {}
            Phase::Idle { .. } => client.phase = Phase::Over(Ending::Linger),
            Phase::Head(handshake) => {
                if let Some(refusal) = handshake.handle_timeout(now) {
                    client.refuse(answer_until, refusal);
                }
            }
            Phase::Body { .. } => {
                client.refuse(answer_until, Refusal::TimedOut);
                self.handler.aborted(&mut View::all(now, &mut self.clients, &mut self.changed), id);
            }
            Phase::Answer { .. } | Phase::Leaving { .. } => client.phase = Phase::Over(Ending::Drop),
            Phase::Open { ws, .. } => {
                if client.waiting.is_some_and(|since| now >= since + self.settings.send_timeout) {
                    ws.transport_failed();
                } else {
                    if client.blocked {
                        ws.not_reading(now);
                    }
                    ws.handle_timeout(now);
                }
                let over = ws.transport() == Transport::Close;
                self.settle(now, slot);
                if over {
                    self.clients[slot].phase = Phase::Over(Ending::Drop);
                }
            }
        }
    }

    /// What to do with a client's transport. Ask after every other call; what is being written is given up then.
    pub fn ending(&self, id: ClientId) -> Ending {
        match self.clients[id.slot()].phase {
            Phase::Over(ending) => ending,
            _ => Ending::Keep,
        }
    }

    /// Gives a place back. A client that was still there is gone with it.
    pub fn release(&mut self, now: Instant, id: ClientId) {
        self.transport_failed(now, id);
        self.clients[id.slot()].free();
    }

    /// Calls the program with its handler and what it can do to clients.
    pub fn with<R>(&mut self, now: Instant, call: impl FnOnce(&mut H, &mut dyn Io) -> R) -> R {
        call(&mut self.handler, &mut View::all(now, &mut self.clients, &mut self.changed))
    }

    /// Begins to stop: nobody gets a place any more, WebSockets are closed with 1001, requests are answered and their
    /// connections end.
    pub fn stop(&mut self, now: Instant) {
        self.stopping = true;
        self.changed = true;
        self.end_idle(true);
        for client in &mut self.clients {
            if let Phase::Open { ws, .. } = &mut client.phase {
                ws.close(now, CloseCode::GOING_AWAY, "", &mut client.control);
            }
        }
    }

    /// Whether [`stop`](Self::stop) was called.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether all places are taken.
    pub fn is_full(&self) -> bool {
        !self.clients.iter().any(Client::is_free)
    }

    /// Whether something of any client may have changed since this was last asked.
    pub fn take_changed(&mut self) -> bool {
        core::mem::take(&mut self.changed)
    }

    /// Ends connections that wait for another request, and if `all` those that wait for their first.
    fn end_idle(&mut self, all: bool) {
        for client in &mut self.clients {
            if matches!(client.phase, Phase::Idle { served, .. } if served || all) {
                client.phase = Phase::Over(Ending::Linger);
                self.changed = true;
            }
        }
    }

    fn lost(
        &mut self,
        now: Instant,
        id: ClientId,
        ending: Ending,
        tell: impl FnOnce(&mut Connection<&'static Config>),
    ) {
        let client = &mut self.clients[id.slot()];
        match &mut client.phase {
            Phase::Open { ws, .. } => {
                tell(ws);
                self.settle(now, id.slot());
            }
            Phase::Body { .. } => {
                client.phase = Phase::Over(ending);
                self.handler.aborted(&mut View::all(now, &mut self.clients, &mut self.changed), id);
            }
            Phase::Free | Phase::Over(_) => {}
            _ => client.phase = Phase::Over(ending),
        }
    }

    /// Everything that was to be sent has been taken.
    fn all_sent(&mut self, now: Instant, slot: usize) {
        let keeps = !self.stopping && !self.is_full();
        let client = &mut self.clients[slot];
        client.phase = match &client.phase {
            Phase::Answer { keep_alive: true, .. } if keeps => {
                Phase::Idle { until: now + self.settings.keep_alive, served: true }
            }
            Phase::Answer { .. } => Phase::Over(Ending::Linger),
            Phase::Leaving { ending, .. } => Phase::Over(*ending),
            Phase::Open { ws, .. } if ws.transport() == Transport::HalfClose => Phase::Over(Ending::Linger),
            _ => return,
        };
        self.changed = true;
    }
}
