//! A recorded session, through the client without I/O: the same bytes at the same times give the same events, wherever.
//!
//! A recording is text. Each line begins with the time in milliseconds, and says what happened then:
//!
//! | line | |
//! |---|---|
//! | `0 connect` | the wait is over, and there is a connection |
//! | `12 receive 8105...` | these bytes came |
//! | `13 end` | no more will come |
//! | `14 send hello` | the program sends text |
//! | `15 ping`, `16 stop` | the program has the server pinged, and ends the client |
//! | `20000 wait` | time has passed |
//!
//! Lines that begin with `#` are for people. Random numbers are counted, so that the request is the one that was answered.

use core::fmt;

use tautline_device::{Event, Input, Instant, Kind, Machine, Outbox, Policy, Settings, State};

/// The client's buffers: small, so that messages come in pieces.
const RECEIVE: usize = 256;
const TRANSMIT: usize = 256;
const OUTBOX: usize = 512;

/// The line that is none, or that does not fit what was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotARecording {
    /// Its number, from 1.
    pub line: usize,
}

impl fmt::Display for NotARecording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of the recording cannot be replayed", self.line)
    }
}

impl core::error::Error for NotARecording {}

/// Replays a recording. Says what the client tells and what it sends, one line each.
///
/// # Errors
///
/// A line cannot be replayed.
pub fn replay(recording: &str, say: &mut dyn FnMut(fmt::Arguments<'_>)) -> Result<(), NotARecording> {
    let mut memory = [0; OUTBOX];
    let settings = Settings::new("server", 80).path("/recorded?with=query").subprotocols(&["echo_server"]);
    let mut session = Session {
        machine: Machine::new(&settings),
        outbox: Outbox::new(&mut memory),
        received: [0; RECEIVE],
        filled: 0,
        random: Counted(0),
    };
    let lines = recording.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
    for (index, line) in lines {
        session.follow(line, say).ok_or(NotARecording { line: index + 1 })?;
    }
    Ok(())
}

struct Session<'s> {
    machine: Machine<'s>,
    outbox: Outbox<'s>,
    received: [u8; RECEIVE],
    filled: usize,
    random: Counted,
}

impl Session<'_> {
    fn follow(&mut self, line: &str, say: &mut dyn FnMut(fmt::Arguments<'_>)) -> Option<()> {
        let (ms, what) = line.split_once(' ')?;
        let ms = ms.parse().ok()?;
        let now = Instant::from_millis(ms);
        let say = &mut |told: fmt::Arguments<'_>| say(format_args!("{ms} {told}"));
        if self.machine.poll_timeout().is_some_and(|at| at <= now) {
            self.machine.handle_timeout(now);
        }
        let (what, with) = what.split_once(' ').unwrap_or((what, ""));
        match what {
            "connect" => self.connect(now, say)?,
            "receive" => self.receive(now, with, say)?,
            "end" => self.machine.receive_end(now),
            "send" => self.outbox.push(Kind::Text, Policy::DropNewest, with.as_bytes()).map(drop).ok()?,
            "ping" => self.machine.ping(now),
            "stop" => self.machine.stop(now),
            "wait" => {}
            _ => return None,
        }
        self.drain(now, say);
        Some(())
    }

    fn connect(&mut self, now: Instant, say: &mut dyn FnMut(fmt::Arguments<'_>)) -> Option<()> {
        match self.machine.state() {
            State::Waiting(until) if until <= now => self.machine.connect(now, &mut self.random.bytes()),
            _ => return None,
        }
        self.drain(now, say);
        let mut request = [0; 2 * TRANSMIT];
        let nobody = &mut |_: Event<'_>| {};
        let length = self.machine.open(now, &mut self.random.bytes(), nobody, &mut self.received, &mut request)?;
        self.filled = 0;
        say(format_args!("sent {}", Hex(&request[..length])));
        Some(())
    }

    /// As a driver does: what does not fit the buffer waits in the transport.
    fn receive(&mut self, now: Instant, hex: &str, say: &mut dyn FnMut(fmt::Arguments<'_>)) -> Option<()> {
        let mut digits = hex.as_bytes().chunks_exact(2);
        loop {
            let room = &mut self.received[self.filled..];
            let mut read = 0;
            for (place, pair) in room.iter_mut().zip(digits.by_ref()) {
                *place = u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok()?;
                read += 1;
            }
            self.filled += read;
            if read == 0 {
                let all = digits.len() == 0 && digits.remainder().is_empty();
                return all.then_some(());
            }
            while self.take(now, say) {
                self.drain(now, say);
            }
        }
    }

    /// Takes the next thing of what was received, if there is one.
    fn take(&mut self, now: Instant, say: &mut dyn FnMut(fmt::Arguments<'_>)) -> bool {
        let mut input = Input::new(&mut self.received[..self.filled]);
        let event = self.machine.receive(now, &mut input);
        let told = event.is_some();
        if let Some(event) = event {
            tell(&event, say);
        }
        let left = input.left();
        self.received.copy_within(self.filled - left..self.filled, 0);
        self.filled = left;
        told
    }

    /// Tells and sends until there is nothing more.
    fn drain(&mut self, now: Instant, say: &mut dyn FnMut(fmt::Arguments<'_>)) {
        let mut bytes = [0; TRANSMIT];
        loop {
            while let Some(event) = self.machine.poll_event() {
                tell(&event, say);
            }
            let length = self.machine.poll_transmit(now, &mut self.random.bytes(), &mut self.outbox, &mut bytes);
            if length == 0 {
                break;
            }
            say(format_args!("sent {}", Hex(&bytes[..length])));
            self.machine.took(now, true, &mut self.outbox);
            self.machine.flushed(now);
        }
        if self.machine.state() != State::Linked {
            self.outbox.disconnected();
        }
    }
}

fn tell(event: &Event<'_>, say: &mut dyn FnMut(fmt::Arguments<'_>)) {
    match event {
        Event::BeforeConnect { attempt } => say(format_args!("connecting, attempt {attempt}")),
        Event::Connected(response) => say(format_args!("connected, subprotocol {:?}", response.subprotocol())),
        Event::Data(data) => {
            let (from, of) = (data.offset(), data.payload_len());
            let fin = if data.fin() { ", fin" } else { "" };
            say(format_args!("{:?} from {from} of {of}{fin}: {}", data.opcode(), Hex(data.bytes())));
        }
        Event::Ping(payload) => say(format_args!("ping {}", Hex(payload))),
        Event::Pong { payload, latency } => say(format_args!("pong {} after {latency:?}", Hex(payload))),
        Event::Error(cause) => say(format_args!("error: {cause}")),
        Event::Closed { code, reason, clean } => say(format_args!("closed with {code} {reason:?}, clean: {clean}")),
        Event::Disconnected { cause, retry_in } => say(format_args!("disconnected: {cause}; again in {retry_in:?}")),
        _ => say(format_args!("something else")),
    }
}

/// What stands for random numbers.
struct Counted(u8);

impl Counted {
    fn bytes(&mut self) -> impl FnMut(&mut [u8]) + '_ {
        |bytes| {
            for byte in bytes {
                self.0 = self.0.wrapping_add(1);
                *byte = self.0;
            }
        }
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
