//! Two connections joined by a simulated link, in virtual time.

#![allow(dead_code, unreachable_pub, reason = "every test file uses its own part")]

use std::collections::VecDeque;
use std::time::Duration;

use tautline_proto::{
    CloseCode, Config, Connection, Context, Control, Ended, Event, Instant, Kind, MAX_CONTROL_FRAME, MAX_HEADER, Part,
    Role, SendError, Timeout, Transport, mask,
};

pub const SECOND: Duration = Duration::from_secs(1);
pub const MS: Duration = Duration::from_millis(1);
/// When every pair begins: not at zero, so that nothing can mistake zero for "never".
pub const START: Instant = Instant::from_millis(5_000);

/// A configuration that lives as long as the test program.
pub fn leak(config: Config) -> &'static Config {
    Box::leak(Box::new(config))
}

/// A configuration that never pings by itself.
pub fn quiet() -> &'static Config {
    leak(Config::new().ping_interval(None))
}

/// What a side was told, or did.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    Message(Kind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>, Option<Duration>),
    Close(CloseCode, String),
    Timeout(Timeout),
    Ended(Ended),
}

/// One side: a connection and the driver that follows the drain rule.
pub struct Side<C: Context> {
    pub connection: Connection<C>,
    pub control: Control,
    pub notes: Vec<(Instant, Note)>,
    pub end_received: bool,
    pub end_sent: bool,
    /// Whether this side's program runs: it neither reads nor sees to its timers otherwise.
    pub running: bool,
    /// Whether `close` was asked to end the transport, and when.
    pub closed_at: Option<Instant>,
    leftover: Vec<u8>,
    message: Vec<u8>,
    ended_noted: bool,
    random: fastrand::Rng,
}

/// One direction of the link: ordered, without loss, until it is cut.
pub struct Pipe {
    pub latency: Duration,
    /// Up to this much is added to the latency, anew for each piece; order is kept.
    pub jitter: Duration,
    /// The largest piece that arrives at once.
    pub chunk: usize,
    /// Whether the transport takes bytes at all. What it does not take stays with the sender.
    pub takes: bool,
    /// A cut link takes everything and delivers nothing, as a pulled cable does.
    pub cut: bool,
    on_its_way: VecDeque<(Instant, Piece)>,
    random: fastrand::Rng,
}

enum Piece {
    Bytes(Vec<u8>),
    End,
}

pub struct Pair<C: Context = &'static Config> {
    pub now: Instant,
    pub client: Side<C>,
    pub server: Side<C>,
    pub to_server: Pipe,
    pub to_client: Pipe,
}

impl Pair {
    /// Both sides with this configuration, joined by a link of 5 ms each way.
    pub fn new(config: &'static Config) -> Self {
        Self::with(config, config, 1)
    }

    pub fn seeded(config: &'static Config, seed: u64) -> Self {
        Self::with(config, config, seed)
    }
}

impl<C: Context> Pair<C> {
    pub fn with(client: C, server: C, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        Self {
            now: START,
            client: Side::new(client, Role::Client, &mut random),
            server: Side::new(server, Role::Server, &mut random),
            to_server: Pipe::new(&mut random),
            to_client: Pipe::new(&mut random),
        }
    }

    pub fn set_latency(&mut self, latency: Duration) {
        self.to_server.latency = latency;
        self.to_client.latency = latency;
    }

    /// Nothing arrives any more, in either direction, and nobody is told.
    pub fn cut(&mut self) {
        for pipe in [&mut self.to_server, &mut self.to_client] {
            pipe.cut = true;
            pipe.on_its_way.clear();
        }
    }

    /// Does everything that happens up to and including `end`.
    pub fn run_until(&mut self, end: Instant) {
        self.drain();
        while let Some(at) = self.next_at().filter(|&at| at <= end) {
            assert!(at >= self.now, "time runs backwards");
            self.now = at;
            self.step();
        }
        self.now = end;
        self.step();
    }

    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    /// Runs until both sides closed their transports.
    ///
    /// # Panics
    ///
    /// If that has not happened after `most`.
    pub fn run_to_the_end(&mut self, most: Duration) {
        let end = self.now + most;
        self.drain();
        while self.client.closed_at.is_none() || self.server.closed_at.is_none() {
            let at = self.next_at().filter(|&at| at <= end);
            self.now = at.unwrap_or_else(|| panic!("not over: {:?} and {:?}", self.client, self.server));
            self.step();
        }
    }

    /// Writes what both sides have to send.
    pub fn drain(&mut self) {
        self.client.drain(self.now, &mut self.to_server);
        self.server.drain(self.now, &mut self.to_client);
    }

    /// When something happens next: a piece arrives or a timer runs out.
    fn next_at(&self) -> Option<Instant> {
        let timers = [&self.client, &self.server]
            .into_iter()
            .filter(|side| side.running && side.closed_at.is_none())
            .filter_map(|side| side.connection.poll_timeout());
        let arrivals = [(&self.to_server, &self.server), (&self.to_client, &self.client)]
            .into_iter()
            .filter(|(_, side)| side.running)
            .filter_map(|(pipe, _)| pipe.on_its_way.front().map(|(at, _)| *at));
        timers.chain(arrivals).min().map(|at| at.max(self.now))
    }

    fn step(&mut self) {
        self.client.turn(self.now, &mut self.to_client);
        self.server.turn(self.now, &mut self.to_server);
        self.drain();
    }
}

impl<C: Context> Side<C> {
    fn new(context: C, role: Role, random: &mut fastrand::Rng) -> Self {
        Self {
            connection: Connection::new(context, role, START, random.u32(..)),
            control: Control::new(),
            notes: Vec::new(),
            end_received: false,
            end_sent: false,
            running: true,
            closed_at: None,
            leftover: Vec::new(),
            message: Vec::new(),
            ended_noted: false,
            random: random.fork(),
        }
    }

    /// Sends one frame of a message.
    pub fn send(&mut self, now: Instant, part: Part, payload: &[u8], pipe: &mut Pipe) -> Result<(), SendError> {
        let key = self.random.u32(..).to_be_bytes();
        let mut head = [0; MAX_HEADER];
        let len = self.connection.send(part, payload, key, &mut head)?;
        let mut frame = head[..len].to_vec();
        frame.extend_from_slice(payload);
        if self.connection.role() == Role::Client {
            mask::apply(key, 0, &mut frame[len..]);
        }
        pipe.send(now, &frame);
        Ok(())
    }

    pub fn close(&mut self, now: Instant, code: CloseCode, reason: &str) {
        self.connection.close(now, code, reason, &mut self.control);
    }

    pub fn ended(&self) -> Option<Ended> {
        self.connection.ended()
    }

    /// When something like this was noted.
    pub fn when(&self, like: impl Fn(&Note) -> bool) -> Vec<Instant> {
        self.notes.iter().filter(|(_, note)| like(note)).map(|(at, _)| *at).collect()
    }

    pub fn messages(&self) -> Vec<(Kind, Vec<u8>)> {
        let message = |note: &Note| match note {
            Note::Message(kind, bytes) => Some((*kind, bytes.clone())),
            _ => None,
        };
        self.notes.iter().filter_map(|(_, note)| message(note)).collect()
    }

    pub fn latencies(&self) -> Vec<Duration> {
        let latency = |note: &Note| match note {
            Note::Pong(_, latency) => *latency,
            _ => None,
        };
        self.notes.iter().filter_map(|(_, note)| latency(note)).collect()
    }

    pub fn ended_at(&self) -> Option<Instant> {
        self.when(|note| matches!(note, Note::Ended(_))).first().copied()
    }

    /// Gives the connection bytes, cut as they are.
    pub fn receive(&mut self, now: Instant, bytes: &[u8]) {
        let mut buffer = std::mem::take(&mut self.leftover);
        buffer.extend_from_slice(bytes);
        let mut input = &mut buffer[..];
        while let Some(event) = self.connection.receive(now, &mut input, &mut self.control) {
            self.notes.push((
                now,
                match event {
                    Event::Data(data) => {
                        self.message.extend_from_slice(data.bytes());
                        if !data.is_last() {
                            continue;
                        }
                        Note::Message(data.kind(), std::mem::take(&mut self.message))
                    }
                    Event::Compressed(_) => unreachable!("pairs agree on no compression"),
                    Event::Ping(payload) => Note::Ping(payload.to_vec()),
                    Event::Pong { payload, latency } => Note::Pong(payload.to_vec(), latency),
                    Event::Close { code, reason } => Note::Close(code, reason.into()),
                },
            ));
        }
        self.leftover = input.to_vec();
    }

    /// What the program does when it wakes up: first what has arrived, then the timers.
    fn turn(&mut self, now: Instant, from: &mut Pipe) {
        if !self.running {
            return;
        }
        while let Some(piece) = from.arrived(now) {
            match piece {
                _ if self.closed_at.is_some() => {}
                Piece::Bytes(bytes) => self.receive(now, &bytes),
                Piece::End => {
                    self.end_received = true;
                    self.connection.receive_end();
                }
            }
        }
        let due = self.connection.poll_timeout().is_some_and(|at| at <= now);
        if due && self.closed_at.is_none() {
            let timeout = self.connection.handle_timeout(now);
            assert_ne!(timeout, Timeout::Idle, "a timer was due");
            self.notes.push((now, Note::Timeout(timeout)));
        }
        self.note_end(now);
    }

    fn drain(&mut self, now: Instant, to: &mut Pipe) {
        if !self.running || self.closed_at.is_some() {
            return;
        }
        let mut frame = [0; MAX_CONTROL_FRAME];
        while to.takes {
            let key = self.random.u32(..).to_be_bytes();
            match self.connection.poll_transmit(now, key, &mut self.control, &mut frame) {
                0 => break,
                len => to.send(now, &frame[..len]),
            }
        }
        let transport = self.connection.transport();
        if transport != Transport::Keep && !self.end_sent {
            self.end_sent = true;
            to.end(now);
        }
        if transport == Transport::Close {
            self.closed_at = Some(now);
        }
        self.note_end(now);
    }

    fn note_end(&mut self, now: Instant) {
        if let Some(ended) = self.ended().filter(|_| !self.ended_noted) {
            self.ended_noted = true;
            self.notes.push((now, Note::Ended(ended)));
        }
    }
}

impl<C: Context> std::fmt::Debug for Side<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = self.connection.poll_timeout();
        write!(f, "{:?}: {:?}, next timer {at:?}, notes {:?}", self.connection.role(), self.ended(), self.notes)
    }
}

impl Pipe {
    fn new(random: &mut fastrand::Rng) -> Self {
        Self {
            latency: 5 * MS,
            jitter: Duration::ZERO,
            chunk: usize::MAX,
            takes: true,
            cut: false,
            on_its_way: VecDeque::new(),
            random: random.fork(),
        }
    }

    /// Puts bytes on their way, in pieces of random sizes up to `chunk`.
    pub fn send(&mut self, now: Instant, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let most = rest.len().min(self.chunk);
            let len = if self.chunk == usize::MAX { most } else { self.random.usize(1..=most) };
            let (piece, after) = rest.split_at(len);
            self.push(now, Piece::Bytes(piece.to_vec()));
            rest = after;
        }
    }

    /// The sender ends its side.
    pub fn end(&mut self, now: Instant) {
        self.push(now, Piece::End);
    }

    fn push(&mut self, now: Instant, piece: Piece) {
        if self.cut {
            return;
        }
        let jitter = self.jitter.mul_f64(self.random.f64());
        let after = self.on_its_way.back().map_or(now, |(at, _)| *at);
        self.on_its_way.push_back(((now + self.latency + jitter).max(after), piece));
    }

    fn arrived(&mut self, now: Instant) -> Option<Piece> {
        if self.on_its_way.front()?.0 > now {
            return None;
        }
        Some(self.on_its_way.pop_front()?.1)
    }
}
