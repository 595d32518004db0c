//! A client and a server over a link of which everything can go wrong: whatever is sent arrives intact and in order, or
//! the connection ends with a reason; and it does end.
//!
//! Input: two bytes of jitter, then operations of two bytes each, see [`Pair::operate`].

#![no_main]

use std::collections::VecDeque;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tautline_fuzz::Input;
use tautline_proto::{
    CloseCode, Config, Connection, Control, Ended, Event, Instant, Kind, MAX_CONTROL_FRAME, MAX_HEADER, Part, Role,
    Timeout, Transport, mask,
};

static CONFIG: Config =
    Config::new().ping_interval(Some(Duration::from_secs(10))).pong_timeout(Duration::from_secs(10));
/// Text of characters of every length; wherever a fragment ends, it may cut one.
const TEXT: &[u8] = "aé€𝄞".as_bytes();
const MOST_OPERATIONS: usize = 2_000;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let mut pair = Pair::new(input.byte(), input.byte());
    for _ in 0..MOST_OPERATIONS {
        if input.is_empty() {
            break;
        }
        pair.operate(input.byte(), input.byte());
    }
    pair.finish();
});

struct Pair {
    now: Instant,
    sides: [Side; 2],
    /// A pulled cable: what is sent disappears.
    cut: bool,
}

struct Side {
    connection: Connection<&'static Config>,
    control: Control,
    /// What is on its way to this side, and whether the other side ended behind it.
    arriving: VecDeque<u8>,
    end_arriving: bool,
    end_delivered: bool,
    /// Whether the transport takes bytes.
    takes: bool,
    end_sent: bool,
    closed: bool,
    failed: bool,
    leftover: Vec<u8>,
    message: Vec<u8>,
    unfinished: Option<(Kind, Vec<u8>)>,
    sent: Vec<(Kind, Vec<u8>)>,
    received: Vec<(Kind, Vec<u8>)>,
    close_received: bool,
    key: u32,
}

impl Pair {
    fn new(client_jitter: u8, server_jitter: u8) -> Self {
        let side = |role, jitter: u8| Side {
            connection: Connection::new(&CONFIG, role, Instant::ZERO, u32::from(jitter) << 24),
            control: Control::new(),
            arriving: VecDeque::new(),
            end_arriving: false,
            end_delivered: false,
            takes: true,
            end_sent: false,
            closed: false,
            failed: false,
            leftover: Vec::new(),
            message: Vec::new(),
            unfinished: None,
            sent: Vec::new(),
            received: Vec::new(),
            close_received: false,
            key: 0,
        };
        Self {
            now: Instant::ZERO,
            sides: [side(Role::Client, client_jitter), side(Role::Server, server_jitter)],
            cut: false,
        }
    }

    /// `what`: the side in its lowest bit, the operation in the next four, and in the highest whether it is large.
    fn operate(&mut self, what: u8, amount: u8) {
        let side = usize::from(what & 1);
        let kind = if amount & 1 == 0 { Kind::Text } else { Kind::Binary };
        // The largest need 64 bits for their length; such messages take time, so they are rare.
        let times = if what & 0x80 == 0 {
            1
        } else if amount == 255 {
            300
        } else {
            10
        };
        let len = usize::from(amount) * times;
        match (what >> 1) % 16 {
            0 => self.send(side, Part::Whole(kind), len),
            1 => self.send(side, Part::First(kind), len),
            2 => self.send(side, Part::Next, len),
            3 => self.send(side, Part::Last, len),
            4 => drop(self.sides[side].connection.ping(self.now)),
            5 => self.close(side, amount),
            6 => self.deliver(side, len.max(1)),
            7 => self.deliver(side, usize::MAX),
            8 => self.pass(Duration::from_millis(u64::from(amount) * 100)),
            9 => self.pass(Duration::from_secs(u64::from(amount))),
            10 if amount == 0xff => self.pull_the_cable(),
            10 => self.sides[side].connection.probe(self.now, Duration::from_millis(u64::from(amount) * 100)),
            11 if amount == 0xff => self.end(side),
            12 if amount == 0xff => self.fail(side),
            13 => self.sides[side].takes = amount & 1 != 0 && !self.sides[side].end_sent,
            // A timer that nobody asked for.
            14 => drop(self.sides[side].handle_timeout(self.now)),
            // Both programs stand still: nobody sees to the timers.
            15 => self.now = self.now + Duration::from_secs(amount.into()),
            _ => {}
        }
        self.drain();
    }

    fn send(&mut self, side: usize, part: Part, len: usize) {
        if self.sides[side].closed || !self.sides[side].takes {
            return;
        }
        if let Some(frame) = self.sides[side].send(part, len) {
            self.carry(side, &frame);
        }
    }

    fn close(&mut self, side: usize, amount: u8) {
        let code = [1000, 1001, 1011, 1012, 3000, 4999].get(usize::from(amount % 8)).copied();
        let code = code.and_then(CloseCode::new).unwrap_or(CloseCode::NO_STATUS);
        let reason = "é".repeat(usize::from(amount / 3));
        let Side { connection, control, .. } = &mut self.sides[side];
        connection.close(self.now, code, &reason, control);
    }

    fn deliver(&mut self, side: usize, most: usize) {
        let now = self.now;
        self.sides[side].deliver(now, most);
    }

    /// Time goes by, and both programs see to their timers when they are due.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        for _ in 0..1_000 {
            let timers =
                self.sides.iter().filter(|side| !side.closed).filter_map(|side| side.connection.poll_timeout());
            let Some(at) = timers.min().filter(|&at| at <= end) else { break };
            self.now = self.now.max(at);
            let now = self.now;
            for side in self.sides.iter_mut().filter(|side| !side.closed) {
                if side.connection.poll_timeout().is_some_and(|at| at <= now) {
                    assert_ne!(side.handle_timeout(now), Timeout::Idle, "a timer was due");
                }
            }
            self.drain();
        }
        self.now = self.now.max(end);
    }

    fn pull_the_cable(&mut self) {
        self.cut = true;
        for side in &mut self.sides {
            side.arriving.clear();
            side.end_arriving &= side.end_delivered;
        }
    }

    /// This side's program ends its direction of the transport without a word.
    fn end(&mut self, side: usize) {
        self.sides[side].takes = false;
        self.carry_end(side);
    }

    fn fail(&mut self, side: usize) {
        self.sides[side].failed = true;
        self.sides[side].connection.transport_failed();
    }

    /// The drain rule, for both sides.
    fn drain(&mut self) {
        for side in 0..2 {
            if self.sides[side].closed {
                continue;
            }
            while self.sides[side].takes {
                let Some(frame) = self.sides[side].transmit(self.now) else { break };
                self.carry(side, &frame);
            }
            match self.sides[side].connection.transport() {
                Transport::Keep => {}
                Transport::HalfClose => self.carry_end(side),
                Transport::Close => {
                    self.carry_end(side);
                    self.sides[side].closed = true;
                    assert!(self.sides[side].connection.ended().is_some());
                    assert_eq!(self.sides[side].connection.poll_timeout(), None);
                }
            }
        }
    }

    fn carry(&mut self, from: usize, frame: &[u8]) {
        assert!(!self.sides[from].end_sent, "a frame is sent behind the end");
        if !self.cut {
            self.sides[1 - from].arriving.extend(frame);
        }
    }

    fn carry_end(&mut self, from: usize) {
        self.sides[from].takes = false;
        if !std::mem::replace(&mut self.sides[from].end_sent, true) && !self.cut {
            self.sides[1 - from].end_arriving = true;
        }
    }

    /// Both close, everything arrives, and time goes by: then both have ended.
    fn finish(mut self) {
        self.close(0, 0);
        self.close(1, 1);
        for _ in 0..4 {
            self.drain();
            self.deliver(0, usize::MAX);
            self.deliver(1, usize::MAX);
        }
        for _ in 0..4 {
            self.pass(Duration::from_secs(15));
        }
        let [client, server] = &self.sides;
        client.check(server);
        server.check(client);
    }
}

impl Side {
    /// The next frame of a message, if it may be sent now.
    fn send(&mut self, part: Part, len: usize) -> Option<Vec<u8>> {
        let begun = match part {
            Part::Whole(kind) | Part::First(kind) => (kind, Vec::new()),
            Part::Next | Part::Last => self.unfinished.clone().unwrap_or((Kind::Binary, Vec::new())),
        };
        let (kind, mut message) = begun;
        let last = matches!(part, Part::Whole(_) | Part::Last);
        let at = message.len();
        let text = TEXT.iter().cycle().skip(at % TEXT.len());
        match kind {
            Kind::Text => message.extend(text.take(len)),
            Kind::Binary => message.resize(at + len, self.key as u8),
        }
        while last && kind == Kind::Text && std::str::from_utf8(&message).is_err() {
            message.push(TEXT[message.len() % TEXT.len()]);
        }

        self.key = self.key.wrapping_add(0x0123_4567);
        let key = self.key.to_be_bytes();
        let mut head = [0; MAX_HEADER];
        let allowed = match part {
            Part::Whole(_) | Part::First(_) => self.unfinished.is_none(),
            Part::Next | Part::Last => self.unfinished.is_some(),
        };
        let result = self.connection.send(part, &message[at..], key, &mut head);
        assert_eq!(result.is_ok(), allowed && self.connection.is_open());
        let mut frame = head[..result.ok()?].to_vec();
        let head_len = frame.len();
        frame.extend_from_slice(&message[at..]);
        if self.connection.role() == Role::Client {
            mask::apply(key, 0, &mut frame[head_len..]);
        }
        self.unfinished = None;
        if last {
            self.sent.push((kind, message));
        } else {
            self.unfinished = Some((kind, message));
        }
        Some(frame)
    }

    fn transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        let mut frame = [0; MAX_CONTROL_FRAME];
        self.key = self.key.wrapping_add(0x0123_4567);
        let len = self.connection.poll_transmit(now, self.key.to_be_bytes(), &mut self.control, &mut frame);
        (len > 0).then(|| frame[..len].to_vec())
    }

    fn deliver(&mut self, now: Instant, most: usize) {
        let arrived: Vec<u8> = self.arriving.drain(..most.min(self.arriving.len())).collect();
        if self.closed || self.failed {
            return;
        }
        self.leftover.extend(arrived);
        let mut input = &mut self.leftover[..];
        while let Some(event) = self.connection.receive(now, &mut input, &mut self.control) {
            match event {
                Event::Data(data) => {
                    self.message.extend_from_slice(data.bytes());
                    if data.is_last() {
                        self.received.push((data.kind(), std::mem::take(&mut self.message)));
                    }
                }
                Event::Compressed(_) => panic!("compression was not agreed on"),
                Event::Close { .. } => self.close_received = true,
                Event::Ping(_) | Event::Pong { .. } => {}
            }
        }
        // Something arrived, so whoever was asked for is there; it is told once.
        if self.connection.poll_alive() {
            assert!(!self.connection.poll_alive());
        }
        self.leftover = input.to_vec();
        if self.arriving.is_empty() && self.end_arriving && !self.end_delivered {
            self.end_delivered = true;
            self.connection.receive_end();
        }
    }

    fn handle_timeout(&mut self, now: Instant) -> Timeout {
        let timeout = self.connection.handle_timeout(now);
        assert!(self.connection.poll_timeout().is_none_or(|at| at > now), "after {timeout:?} a timer is due already");
        timeout
    }

    fn check(&self, other: &Self) {
        let Some(ended) = self.connection.ended() else { panic!("not ended") };
        assert!(self.closed && self.connection.transport() == Transport::Close, "{ended:?}");
        assert!(!matches!(ended, Ended::Violation(_)), "both keep to the rules: {ended:?}");
        assert!(self.received.len() <= other.sent.len() && self.received[..] == other.sent[..self.received.len()]);
        if self.close_received {
            assert_eq!(self.received.len(), other.sent.len(), "what was sent before a close frame arrives before it");
        }
        assert!(!ended.is_clean() || self.close_received);
    }
}
