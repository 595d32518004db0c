//! The server without I/O: bytes and time in, bytes out, for all clients.

use tautline_proto::app::Opening;
use tautline_proto::handshake::Limits;
use tautline_proto::handshake::server::{Handshake, Options, Progress, Refusal, Rejection, Request as Head};
use tautline_proto::{
    CloseCode, Config, Connection, Ended, Event, Instant, MAX_CONTROL_FRAME, OpCode, Role, Transport,
};

use crate::body::{Body, Framing, Piece};
use crate::client::{Client, Ending, Peer, Phase};
use crate::handler::{ClientId, Handler, Io};
use crate::request::{Method, Request};
use crate::respond::{Outcome, Respond};
use crate::settings::Settings;
use crate::view::View;

/// How much more than a piece of a message its echo can take: the longest header of a frame.
const HEADROOM: usize = 16;

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
            // There may be room for more input now.
            self.changed |= client.blocked;
            client.blocked = false;
        }
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

    /// A head is coming in.
    fn head(&mut self, now: Instant, slot: usize, input: &[u8]) -> usize {
        let until = now + self.settings.answer_timeout;
        let client = &mut self.clients[slot];
        let Phase::Head(handshake) = &mut client.phase else { return 0 };
        let (head, checked) = match handshake.receive(now, input) {
            Progress::Incomplete => return 0,
            Progress::Refused(refusal) => {
                client.refuse(until, refusal);
                return 0;
            }
            Progress::Complete(head) => {
                let checked = check(&head, &input[..head.head_len()]);
                (head, checked)
            }
        };
        match checked {
            Err(refusal) => client.refuse(until, refusal),
            Ok(_) if head.is_upgrade() => self.upgrade(now, slot, &head),
            Ok((method, framing)) => {
                self.request(now, slot, method, framing, head.clone(), input.len() > head.head_len())
            }
        }
        head.head_len()
    }

    /// A request for a page.
    fn request(&mut self, now: Instant, slot: usize, method: Method, framing: Framing, head: Head<'_>, more: bool) {
        let until = now + self.settings.answer_timeout;
        let keeps = !self.stopping && !self.is_full();
        let (client, mut view) = View::except(now, &mut self.clients, slot, &mut self.changed);
        let request = Request { client: client.id, method, head, framing, secure: client.peer.secure };
        let keep_alive = keeps && request.keeps_alive();
        let expects_continue = match request.expects_continue() {
            Ok(expects) => expects,
            Err(status) => return client.refuse_with(until, status),
        };
        let respond = Respond {
            room: client.queue.room(),
            head_only: method == Method::Head,
            reads: matches!(method, Method::Get | Method::Head),
            // A body that nobody takes would be read as the next request.
            keep_alive: keep_alive && matches!(framing, Framing::None | Framing::Length(0)),
            if_none_match: request.header("If-None-Match"),
            headers: &[],
        };
        let limit = match self.handler.request(&mut view, &request, respond) {
            Outcome::Answered(responded) => return client.answer(until, responded),
            Outcome::Json { .. } if !request.is_json() => return client.refuse_with(until, 415),
            _ if framing == Framing::None => return client.refuse_with(until, 411),
            Outcome::Json { limit } | Outcome::Body { limit } => limit,
        };
        match Body::new(framing, limit) {
            Err(status) => client.refuse_with(until, status),
            Ok(body) => {
                if expects_continue && !more {
                    client.queue.push(&[b"HTTP/1.1 100 Continue\r\n\r\n"], false);
                }
                let until = now + self.settings.body_timeout;
                client.phase = Phase::Body { body, until, head_only: method == Method::Head, keep_alive };
            }
        }
    }

    /// A request for a WebSocket.
    fn upgrade(&mut self, now: Instant, slot: usize, head: &Head<'_>) {
        let until = now + self.settings.answer_timeout;
        let (client, mut view) = View::except(now, &mut self.clients, slot, &mut self.changed);
        let options =
            Options { subprotocols: self.settings.subprotocols, origin: self.settings.origin, limits: self.limits };
        let accepted = match head.accept(&options) {
            _ if self.stopping => return client.refuse_with(until, 503),
            Err(refusal) => return client.refuse(until, refusal),
            Ok(accepted) => accepted,
        };
        let opening = Opening {
            path: head.path(),
            query: head.query(),
            subprotocol: accepted.subprotocol(),
            peer: client.peer.address,
            secure: client.peer.secure,
            ..Opening::default()
        };
        let id = client.id;
        if let Err(rejection) = self.handler.admit(&mut view, id, &opening) {
            return client.refuse(until, rejection.into());
        }
        let Ok(len) = accepted.write_response(&[], client.queue.room()) else {
            return client.refuse_with(until, 500);
        };
        client.queue.commit(len, false);
        // Spreads the first pings, which need not be unpredictable.
        let jitter = id.serial.wrapping_mul(0x9e37_79b9);
        client.phase =
            Phase::Open { ws: Connection::new(&self.settings.websocket, Role::Server, now, jitter), told: false };
        self.handler.open(&mut View::all(now, &mut self.clients, &mut self.changed), id, &opening);
    }

    /// A body is coming in.
    fn body(&mut self, now: Instant, slot: usize, input: &[u8]) -> usize {
        let until = now + self.settings.answer_timeout;
        let mut rest = input;
        loop {
            let keeps = !self.stopping && !self.is_full();
            let (client, mut view) = View::except(now, &mut self.clients, slot, &mut self.changed);
            let Phase::Body { body, head_only, keep_alive, .. } = &mut client.phase else { break };
            let (head_only, keep_alive) = (*head_only, *keep_alive && keeps);
            match body.next(&mut rest) {
                Ok(Piece::Incomplete) => break,
                Ok(Piece::Bytes(bytes)) => self.handler.body(&mut view, client.id, bytes),
                Ok(Piece::End) => {
                    let room = client.queue.room();
                    let respond =
                        Respond { room, head_only, reads: head_only, keep_alive, if_none_match: None, headers: &[] };
                    let responded = self.handler.complete(&mut view, client.id, respond);
                    client.answer(until, responded);
                }
                Err(status) => {
                    client.refuse_with(until, status);
                    self.handler.aborted(&mut view, client.id);
                }
            }
        }
        input.len() - rest.len()
    }

    /// Frames are coming in.
    fn frames(&mut self, now: Instant, slot: usize, input: &mut [u8]) -> usize {
        let mut at = 0;
        loop {
            let client = &mut self.clients[slot];
            let id = client.id;
            let Phase::Open { ws, .. } = &mut client.phase else { break };
            let rest = &mut input[at..];
            // What is sent back always fits, and each ping is answered before the next: otherwise the input waits.
            let room = client.queue.free().saturating_sub(HEADROOM);
            let waits = room < rest.len().min(WINDOW) || !client.control.is_empty();
            if waits && ws.ended().is_none() {
                client.blocked = true;
                ws.not_reading(now);
                break;
            }
            let given = if ws.ended().is_none() { rest.len().min(room) } else { rest.len() };
            let mut window = &mut rest[..given];
            // Who is closing hears nothing more but the end.
            let is_open = ws.is_open();
            let event = ws.receive(now, &mut window, &mut client.control);
            at += given - window.len();
            let mut view = View::all(now, &mut self.clients, &mut self.changed);
            match event {
                None => break,
                Some(Event::Data(data)) if is_open => self.handler.message(&mut view, id, &data),
                Some(Event::Pong { latency: Some(latency), .. }) => self.handler.pong(&mut view, id, latency),
                Some(_) => {}
            }
        }
        self.settle(now, slot);
        at
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

    /// Tells the program that a WebSocket has ended, and goes on to the end of its transport.
    fn settle(&mut self, now: Instant, slot: usize) {
        let until = now + self.settings.linger;
        let client = &mut self.clients[slot];
        let Phase::Open { ws, told } = &mut client.phase else { return };
        let Some(ended) = ws.ended() else { return };
        // Our reply is still owed; whether it leaves belongs to what is told.
        if ws.transport() == Transport::Keep {
            return;
        }
        let tell = !core::mem::replace(told, true);
        if ws.transport() == Transport::Close {
            let ending = match ended {
                Ended::TransportFailed | Ended::PeerSilent | Ended::SendStuck => Ending::Drop,
                _ => Ending::Close,
            };
            // The last bytes may not be written yet.
            client.phase = if client.writing { Phase::Leaving { until, ending } } else { Phase::Over(ending) };
        }
        if tell {
            let id = client.id;
            self.handler.closed(&mut View::all(now, &mut self.clients, &mut self.changed), id, ended);
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

impl<const OUT: usize> Client<OUT> {
    /// Fills `out` with what is to be sent next, and answers how much it is.
    fn fill(&mut self, now: Instant, out: &mut [u8]) -> usize {
        let mut len = 0;
        loop {
            if let Phase::Open { ws, .. } = &mut self.phase
                && self.queue.is_between()
                // Nothing follows a close frame (RFC 6455 §5.5.1), so it goes last.
                && (ws.next_transmit(&self.control) != Some(OpCode::Close) || self.queue.is_empty())
            {
                let Some(room) = out[len..].first_chunk_mut::<MAX_CONTROL_FRAME>() else { return len };
                let sent = ws.poll_transmit(now, [0; 4], &mut self.control, room);
                if sent > 0 {
                    len += sent;
                    continue;
                }
            }
            match self.queue.take(&mut out[len..]) {
                0 => return len,
                taken => len += taken,
            }
        }
    }
}

/// The rules of HTTP for any request.
fn check(head: &Head<'_>, bytes: &[u8]) -> Result<(Method, Framing), Refusal> {
    // RFC 9112 section 2.2 lets a recipient take LF alone for a line end. Not every proxy does, so none is taken here.
    let mut before = 0;
    for &byte in bytes {
        if byte == b'\n' && before != b'\r' {
            return Err(Refusal::Malformed);
        }
        before = byte;
    }
    let status = |status| Refusal::from(Rejection::new(status));
    let method = Method::parse(head.method()).ok_or(status(501))?;
    head.check_routing()?;
    let framing = Framing::of(head.headers(), head.version()).map_err(status)?;
    Ok((method, framing))
}
