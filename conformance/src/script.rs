//! What a peer sends, and what must come of it.

use tautline_proto::{CloseCode, Ended, Kind, Role, Transport, Violation};

use crate::outcome::{Outcome, Seen, Sent, brief};
use crate::wire::{self, BINARY, CLOSE, CONTINUATION, FIN, Form, PING, PONG, TEXT};

/// One conversation with the endpoint under test, written down as it goes: each method adds what the peer sends and
/// what that must lead to. What follows a close frame or a violation is sent all the same, and must lead to nothing.
#[derive(Clone, Debug)]
pub struct Script {
    role: Role,
    limits: Limits,
    input: Vec<Vec<u8>>,
    we_close: Option<WeClose>,
    peer_ends: bool,
    seen: Vec<Seen>,
    sent: Vec<Sent>,
    ended: Option<Ended>,
    ended_at: Option<usize>,
    unfinished: Option<(Kind, Vec<u8>)>,
    frames: u32,
    key: Option<[u8; 4]>,
}

/// Limits of the endpoint under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest payload of a frame, in bytes.
    pub frame: u64,
    /// Largest message, in bytes.
    pub message: u64,
    /// Most frames of a message.
    pub fragments: u32,
}

impl Default for Limits {
    /// Those of [`tautline_proto::Config`].
    fn default() -> Self {
        Self { frame: 16 << 20, message: 16 << 20, fragments: 262_144 }
    }
}

/// The endpoint under test begins the closing handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeClose {
    /// After how many bytes of input.
    pub after: usize,
    /// How many things the application has seen by then.
    pub after_seen: usize,
    /// Its code.
    pub code: CloseCode,
    /// Its reason.
    pub reason: &'static str,
}

/// Writing.
impl Script {
    /// An empty script for an endpoint of this role.
    pub fn new(role: Role) -> Self {
        Self {
            role,
            limits: Limits::default(),
            input: vec![Vec::new()],
            we_close: None,
            peer_ends: false,
            seen: Vec::new(),
            sent: Vec::new(),
            ended: None,
            ended_at: None,
            unfinished: None,
            frames: 0,
            key: None,
        }
    }

    /// Limits of the endpoint under test.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// The key that all further frames are masked with, where the peer masks at all; otherwise each has its own.
    pub fn set_key(&mut self, key: [u8; 4]) {
        self.key = Some(key);
    }

    /// A text message in one frame.
    pub fn text(&mut self, text: &str) {
        self.message(Kind::Text, text.as_bytes());
    }

    /// A binary message in one frame.
    pub fn binary(&mut self, bytes: &[u8]) {
        self.message(Kind::Binary, bytes);
    }

    /// A message in one frame.
    pub fn message(&mut self, kind: Kind, payload: &[u8]) {
        self.frame(FIN | opcode(kind), payload);
        self.delivered(kind, payload.to_vec());
    }

    /// The first of several frames of a message.
    pub fn first(&mut self, kind: Kind, payload: &[u8]) {
        self.frame(opcode(kind), payload);
        self.unfinished = Some((kind, payload.to_vec()));
    }

    /// A further frame of a message.
    pub fn next(&mut self, payload: &[u8]) {
        self.frame(CONTINUATION, payload);
        self.unfinished.as_mut().expect("a message was begun").1.extend(payload);
    }

    /// The last frame of a message.
    pub fn last(&mut self, payload: &[u8]) {
        self.frame(FIN | CONTINUATION, payload);
        let (kind, mut message) = self.unfinished.take().expect("a message was begun");
        message.extend(payload);
        self.delivered(kind, message);
    }

    /// A message in frames of `size` bytes, the last one shorter or, if `size` divides the length, empty.
    pub fn fragmented(&mut self, kind: Kind, payload: &[u8], size: usize) {
        let mut rest = payload;
        while let Some((piece, after)) = rest.split_at_checked(size) {
            if self.unfinished.is_none() {
                self.first(kind, piece)
            } else {
                self.next(piece)
            }
            rest = after;
        }
        if self.unfinished.is_none() { self.message(kind, rest) } else { self.last(rest) }
    }

    /// A ping, which is answered while the connection is open.
    pub fn ping(&mut self, payload: &[u8]) {
        self.frame(FIN | PING, payload);
        if self.ended.is_none() {
            self.seen.push(Seen::Ping(payload.to_vec()));
            if self.we_close.is_none() {
                self.sent.push(Sent::Pong(payload.to_vec()));
            }
        }
    }

    /// A pong that nobody asked for.
    pub fn pong(&mut self, payload: &[u8]) {
        self.frame(FIN | PONG, payload);
        if self.ended.is_none() {
            self.seen.push(Seen::Pong(payload.to_vec()));
        }
    }

    /// A close frame: the beginning of the closing handshake or, if the endpoint under test began it, the reply.
    pub fn close(&mut self, code: u16, reason: &str) {
        self.frame(FIN | CLOSE, &close_payload(code, reason.as_bytes()));
        self.closed(Some(code), reason);
    }

    /// A close frame without a code.
    pub fn close_without_code(&mut self) {
        self.frame(FIN | CLOSE, b"");
        self.closed(None, "");
    }

    /// A frame, masked as is right for the peer, of which nothing is expected yet.
    pub fn frame(&mut self, first: u8, payload: &[u8]) {
        let key = self.next_key();
        self.bytes(&wire::frame(first, key, payload));
    }

    /// As [`frame`](Self::frame), masked exactly if it must not be.
    pub fn frame_masked_wrongly(&mut self, first: u8, payload: &[u8]) {
        let key = match self.role {
            Role::Server => None,
            Role::Client => Some([0x11, 0x22, 0x33, 0x44]),
        };
        self.bytes(&wire::frame(first, key, payload));
    }

    /// A header alone, whatever it says, masked as is right for the peer.
    pub fn header(&mut self, first: u8, form: Form, len: u64) {
        let key = self.next_key();
        self.bytes(&wire::header(first, key, form, len));
    }

    /// Bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.input.last_mut().expect("there is always one piece").extend(bytes);
    }

    /// What was sent up to here arrives before what follows.
    pub fn pause(&mut self) {
        self.input.push(Vec::new());
    }

    /// The last `n` bytes are not sent after all.
    pub fn cut(&mut self, n: usize) {
        let piece = self.input.last_mut().expect("there is always one piece");
        piece.truncate(piece.len() - n);
    }

    /// What was sent up to here arrives in pieces of `size` bytes.
    pub fn chop(&mut self, size: usize) {
        self.input = self.input.concat().chunks(size).map(<[u8]>::to_vec).collect();
    }

    /// The endpoint must have noticed this violation by now, and not a byte earlier.
    pub fn violates(&mut self, violation: Violation) {
        self.violates_at(self.len(), violation);
    }

    /// The endpoint must notice this violation after `at` bytes of input, and not a byte earlier.
    pub fn violates_at(&mut self, at: usize, violation: Violation) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(Ended::Violation(violation));
        self.ended_at = Some(at);
        // §5.5.1: nothing follows a close frame, not even another one.
        if self.we_close.is_none() {
            self.sent.push(Sent::Close { code: Some(violation.close_code().as_u16()), reason: None });
        }
    }

    /// The endpoint under test begins the closing handshake.
    pub fn we_close(&mut self, code: CloseCode, reason: &'static str) {
        self.we_close = Some(WeClose { after: self.len(), after_seen: self.seen.len(), code, reason });
        self.sent.push(match CloseCode::new(code.as_u16()) {
            Some(code) => Sent::Close { code: Some(code.as_u16()), reason: Some(reason.into()) },
            None => Sent::Close { code: None, reason: Some(String::new()) },
        });
    }

    /// The peer's side of the transport ends. Nothing can follow.
    pub fn end(&mut self) {
        self.peer_ends = true;
        self.ended.get_or_insert(match self.we_close {
            Some(WeClose { code, .. }) => Ended::ClosedByUs { code, clean: false },
            None => Ended::TransportClosed,
        });
    }

    /// How many bytes the peer has sent.
    pub fn len(&self) -> usize {
        self.input.iter().map(Vec::len).sum()
    }

    /// Whether the peer has sent nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn next_key(&mut self) -> Option<[u8; 4]> {
        self.frames += 1;
        // Any keys do, as long as they differ from frame to frame and byte to byte.
        let key = self.key.unwrap_or(self.frames.wrapping_mul(0x9E37_79B9).to_be_bytes());
        (self.role == Role::Server).then_some(key)
    }

    fn delivered(&mut self, kind: Kind, payload: Vec<u8>) {
        if self.ended.is_none() {
            self.seen.push(match kind {
                Kind::Text => Seen::Text(String::from_utf8(payload).expect("a script delivers valid text")),
                Kind::Binary => Seen::Binary(payload),
            });
        }
    }

    fn closed(&mut self, code: Option<u16>, reason: &str) {
        if self.ended.is_some() {
            return;
        }
        let shown = code.map_or(CloseCode::NO_STATUS, |code| CloseCode::new(code).expect("a code that may be sent"));
        self.seen.push(Seen::Close(shown.as_u16(), reason.into()));
        self.ended_at = Some(self.len());
        self.ended = Some(match self.we_close {
            Some(WeClose { code, .. }) => Ended::ClosedByUs { code, clean: true },
            None => {
                self.sent.push(Sent::Close { code, reason: Some(String::new()) });
                Ended::ClosedByPeer { code: shown, clean: true }
            }
        });
    }
}

/// Reading.
impl Script {
    /// The role of the endpoint under test.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The limits of the endpoint under test.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// What the peer sends, in the pieces that it arrives in.
    pub fn input(&self) -> &[Vec<u8>] {
        &self.input
    }

    /// When and how the endpoint under test begins the closing handshake, if it does.
    pub fn closing(&self) -> Option<WeClose> {
        self.we_close
    }

    /// Whether the peer ends its side of the transport behind its last byte.
    pub fn peer_ends(&self) -> bool {
        self.peer_ends
    }

    /// After exactly how many bytes of input [`Outcome::ended`] is there, if input is what brings it about.
    pub fn ended_at(&self) -> Option<usize> {
        self.ended_at
    }

    /// What must come of it.
    pub fn expected(&self) -> Outcome {
        let transport = match (self.ended, self.role) {
            _ if self.peer_ends => Transport::Close,
            (None, _) => Transport::Keep,
            // The peer is given the time to read why before the transport goes.
            (Some(Ended::Violation(_)), _) => Transport::HalfClose,
            // §7.1.1: the server ends the transport first.
            (Some(_), Role::Client) => Transport::Keep,
            (Some(_), Role::Server) => Transport::Close,
        };
        Outcome { seen: self.seen.clone(), sent: self.sent.clone(), ended: self.ended, transport }
    }

    /// Whether `actual` is what had to come of it.
    ///
    /// # Errors
    ///
    /// The difference, in words.
    pub fn check(&self, actual: &Outcome) -> Result<(), String> {
        self.check_but_sent(actual)?;
        if actual.sent.len() != self.sent.len() || actual.sent.iter().zip(&self.sent).any(|(a, e)| !a.matches(e)) {
            return Err(format!("it sent {}, not {}", brief(&actual.sent), brief(&self.sent)));
        }
        Ok(())
    }

    /// As [`check`](Self::check), for an endpoint that could send only after it had read everything: of several pings it
    /// need answer the latest only (§5.5.3), and none once it has to close.
    ///
    /// # Errors
    ///
    /// The difference, in words.
    pub fn check_late_answers(&self, actual: &Outcome) -> Result<(), String> {
        self.check_but_sent(actual)?;
        if self.is_end_of(&self.sent, &actual.sent) {
            return Ok(());
        }
        if let (Some(Ended::Violation(violation)), Some(_)) = (self.ended, self.we_close) {
            // If our own close frame had not left yet, it may as well tell the peer what it did wrong.
            let (_, before) = self.sent.split_last().expect("we close");
            let failure = Sent::Close { code: Some(violation.close_code().as_u16()), reason: None };
            if self.is_end_of(&[before, &[failure]].concat(), &actual.sent) {
                return Ok(());
            }
        }
        Err(format!("it sent {}, which does not end as {}", brief(&actual.sent), brief(&self.sent)))
    }

    /// Whether `actual` leaves out some of `expected`, but not the last.
    fn is_end_of(&self, expected: &[Sent], actual: &[Sent]) -> bool {
        let mut rest = expected.iter();
        let in_order = actual.iter().all(|sent| rest.any(|expected| sent.matches(expected)));
        in_order
            && match (actual.last(), expected.last()) {
                (Some(actual), Some(expected)) => actual.matches(expected),
                (None, None) => true,
                // Nobody is left who waits for a pong.
                (None, Some(Sent::Pong(_))) => self.peer_ends,
                _ => false,
            }
    }

    fn check_but_sent(&self, actual: &Outcome) -> Result<(), String> {
        let expected = self.expected();
        for (i, (actual, expected)) in actual.seen.iter().zip(&expected.seen).enumerate() {
            if actual != expected {
                return Err(format!("it saw, as number {i}, {}, not {}", brief(actual), brief(expected)));
            }
        }
        if actual.seen.len() != expected.seen.len() {
            return Err(format!("it saw {}, not {}", brief(&actual.seen), brief(&expected.seen)));
        }
        if actual.ended != expected.ended {
            return Err(format!("it ended with {:?}, not {:?}", actual.ended, expected.ended));
        }
        if actual.transport != expected.transport {
            return Err(format!("the transport is to be {:?}, not {:?}", actual.transport, expected.transport));
        }
        Ok(())
    }
}

/// The payload of a close frame.
pub(crate) fn close_payload(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), reason].concat()
}

fn opcode(kind: Kind) -> u8 {
    match kind {
        Kind::Text => TEXT,
        Kind::Binary => BINARY,
    }
}
