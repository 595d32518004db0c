//! What comes from the transport.

use embedded_io_async::ErrorKind;
use tautline_proto::handshake::client::Progress;
use tautline_proto::handshake::deflate::Parameters;
use tautline_proto::{Connection, Data, Ended, Event as Wire, Instant, Role};

use crate::event::{Cause, Event};

use super::{Input, Machine, Phase, Surroundings};

impl Machine<'_> {
    /// Takes bytes that were received, and answers the next thing that they contain; call it until it answers `None`, and, if the input
    /// [is compressed](Input::is_compressed) then, [`inflate`](Self::inflate) until that does, and again.
    ///
    /// What is [left](Input::left) then has to stand in front of the bytes of the next input.
    pub fn receive<'b>(&mut self, now: Instant, input: &mut Input<'b>) -> Option<Event<'b>> {
        loop {
            let wire = match &mut self.phase {
                Phase::Opening(handshake) => {
                    let head_len = match handshake.receive(now, input.bytes) {
                        Progress::Incomplete => return None,
                        Progress::Complete(response) => response.head_len(),
                        Progress::Refused(response) => {
                            let refusal = response.refusal();
                            self.lost(now, Cause::Handshake(refusal));
                            continue;
                        }
                        Progress::Failed(error) => {
                            self.lost(now, Cause::Handshake(error));
                            continue;
                        }
                    };
                    let (head, rest) = core::mem::take(&mut input.bytes).split_at_mut(head_len);
                    input.bytes = rest;
                    // It repeats its answer, of which only the head is let go.
                    let Progress::Complete(response) = handshake.receive(now, head) else { return None };
                    self.opened(now, response.deflate());
                    return Some(Event::Connected(response));
                }
                Phase::Open(connection) => connection.receive(now, &mut input.bytes, &mut self.control),
                _ => {
                    input.bytes = &mut [];
                    return None;
                }
            };
            return match wire {
                Some(Wire::Data(data)) => Some(Event::Data(data)),
                Some(Wire::Compressed(piece)) => {
                    input.piece = Some(piece);
                    None
                }
                Some(Wire::Ping(payload)) => Some(Event::Ping(payload)),
                Some(Wire::Pong { payload, latency }) => Some(Event::Pong { payload, latency }),
                // Told when it is known whether the closing was clean.
                Some(Wire::Close { reason, .. }) => {
                    self.farewell.keep(reason);
                    continue;
                }
                None => {
                    self.settle(now);
                    None
                }
            };
        }
    }

    /// Inflates some more of a compressed message, as much as there is memory for: a message, or a piece of one.
    pub fn inflate(&mut self, now: Instant, input: &mut Input<'_>) -> Option<Data<'_>> {
        if !input.is_compressed() {
            return None;
        }
        let piece = input.piece.as_mut()?;
        let data = match &mut self.phase {
            Phase::Open(connection) => self.codec.inflate(now, connection, piece, &mut self.control),
            _ => None,
        };
        if data.is_none() {
            input.piece = None;
        }
        data
    }

    /// No more bytes will come.
    pub fn receive_end(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Opening(_) => self.lost(now, Cause::Ended(Ended::TransportClosed)),
            Phase::Open(connection) => {
                connection.receive_end();
                self.settle(now);
            }
            _ => {}
        }
    }

    /// The transport failed.
    pub fn transport_failed(&mut self, now: Instant, kind: ErrorKind) {
        match &mut self.phase {
            Phase::Opening(_) => self.lost(now, Cause::Transport(kind)),
            Phase::Open(connection) => {
                connection.transport_failed();
                let cause = match connection.ended() {
                    // Whoever closes may well tear the connection down before our answer is through.
                    Some(ended) if ended != Ended::TransportFailed => Cause::Ended(ended),
                    _ => Cause::Transport(kind),
                };
                self.lost(now, cause);
            }
            _ => {}
        }
    }

    fn opened(&mut self, now: Instant, agreed: Option<Parameters>) {
        self.backoff.connected(now);
        self.attempt = 0;
        self.farewell.len = 0;
        // A pong that the last connection owed.
        self.control = tautline_proto::Control::new();
        let agreed = self.codec.begin(agreed);
        let connection = Connection::new(Surroundings(&self.settings.config), Role::Client, now, self.jitter);
        self.phase = Phase::Open(connection.with_deflate(agreed));
    }
}
