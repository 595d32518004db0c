//! WebSockets: their handshakes, frames and ends.

use tautline_proto::app::Opening;
use tautline_proto::handshake::server::{Options, Rejection, Request as Head};
use tautline_proto::{Connection, Ended, Event, Instant, MAX_CONTROL_FRAME, OpCode, Role, Transport};

use crate::client::{Client, Ending, Phase};
use crate::handler::Handler;
use crate::view::View;

use super::{Machine, WINDOW};

/// How much more than a piece of a message its echo can take: the longest header of a frame.
const HEADROOM: usize = 16;

impl<H: Handler, const N: usize, const IN: usize, const OUT: usize> Machine<H, N, IN, OUT> {
    /// A request for a WebSocket.
    pub(super) fn upgrade(&mut self, now: Instant, slot: usize, head: &Head<'_>) {
        let until = now + self.settings.answer_timeout;
        let (client, mut view) = View::except(now, &mut self.clients, slot, &mut self.changed);
        let options = Options {
            subprotocols: self.settings.subprotocols,
            origin: self.settings.origin,
            deflate: None,
            limits: self.limits,
        };
        let accepted = match head.accept(&options) {
            _ if self.stopping => {
                return client.refuse(until, Rejection::unavailable(self.settings.retry_after).into());
            }
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

    /// Frames are coming in.
    pub(super) fn frames(&mut self, now: Instant, slot: usize, input: &mut [u8]) -> usize {
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
                // The window has shown any header and control frame whole that has arrived whole.
                None => break,
                Some(Event::Data(data)) if is_open => self.handler.message(&mut view, id, &data),
                Some(Event::Pong { latency: Some(latency), .. }) => self.handler.pong(&mut view, id, latency),
                Some(_) => {}
            }
        }
        self.settle(now, slot);
        at
    }

    /// Tells the program that a WebSocket has ended, and goes on to the end of its transport.
    pub(super) fn settle(&mut self, now: Instant, slot: usize) {
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
}

impl<const OUT: usize> Client<OUT> {
    /// Fills `out` with what is to be sent next, and answers how much it is.
    pub(super) fn fill(&mut self, now: Instant, out: &mut [u8]) -> usize {
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
