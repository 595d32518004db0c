//! Requests and their bodies.

use tautline_proto::Instant;
use tautline_proto::handshake::server::{Progress, Refusal, Rejection, Request as Head};

use crate::body::{Body, Framing, Piece};
use crate::client::Phase;
use crate::handler::Handler;
use crate::request::{Method, Request};
use crate::respond::{Outcome, Respond};
use crate::view::View;

use super::Machine;

impl<H: Handler, const N: usize, const IN: usize, const OUT: usize> Machine<H, N, IN, OUT> {
    /// A head is coming in.
    pub(super) fn head(&mut self, now: Instant, slot: usize, input: &[u8]) -> usize {
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

    /// A body is coming in.
    pub(super) fn body(&mut self, now: Instant, slot: usize, input: &[u8]) -> usize {
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
