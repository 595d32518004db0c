//! The client without I/O: waits, attempts, what is unanswered, and what comes in.

use core::task::Context;
use core::time::Duration;

use embassy_sync::blocking_mutex::raw::RawMutex;
use tautline_proto::{Backoff, Instant};
use tautline_telemetry::device::{Event as FromHub, Ignored};
use tautline_telemetry::{Kind, MAX_MESSAGE, Malformed, Message};

use super::event::{Cause, Event, Handler};
use super::link::Link;
use super::settings::Settings;
use crate::drive::Driven;
use crate::event::Stopped;
use crate::link::Orders;
use crate::machine::{State, draw};
use crate::transport::{ConnectError, Random};

/// How the way to the hub is.
#[derive(Debug)]
pub(super) struct Line<'a> {
    settings: &'a Settings,
    state: State,
    backoff: Backoff,
    attempt: u32,
    /// Since when the hub owes an answer.
    owed: Option<Instant>,
    /// Whether the transport has taken everything, and the next message is waited for.
    pub(super) idle: bool,
}

/// What both halves of a connection use, one at a time.
pub(super) struct Core<'r, 'a, 'm, M: RawMutex, R, H> {
    pub(super) line: &'r mut Line<'a>,
    pub(super) link: &'r Link<'m, M>,
    pub(super) random: &'r mut R,
    pub(super) handler: &'r mut H,
}

/// A time of the client's clock as the session has it.
pub(super) fn millis(at: Instant) -> u64 {
    at.as_micros() / 1_000
}

impl<'a> Line<'a> {
    pub(super) const fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            state: State::Waiting(Instant::ZERO),
            backoff: settings.backoff,
            attempt: 0,
            owed: None,
            idle: false,
        }
    }

    /// A driver begins. If another one was at it, what it had is lost.
    pub(super) fn begin(&mut self, now: Instant) {
        if !matches!(self.state, State::Waiting(_)) {
            self.state = State::Waiting(now);
        }
    }
}

impl<M: RawMutex, R: Random, H: Handler> Core<'_, '_, '_, M, R, H> {
    /// The wait is over: an attempt begins.
    pub(super) fn connect(&mut self, now: Instant) {
        self.line.attempt = self.line.attempt.saturating_add(1);
        self.line.state = State::Connecting(now + self.line.settings.connect_timeout);
        self.handler.event(Event::BeforeConnect { attempt: self.line.attempt });
    }

    /// There is no connection.
    pub(super) fn connect_failed(&mut self, now: Instant, error: ConnectError) {
        self.lost(now, Cause::Connect(error));
    }

    /// There is a connection: the hub is greeted.
    pub(super) fn open(&mut self, now: Instant) {
        self.link.note_connected(now, true);
        (self.line.owed, self.line.idle) = (None, false);
        self.line.state = State::Linked;
    }

    /// The connection is over, or could not be made.
    pub(super) fn lost(&mut self, now: Instant, cause: Cause) {
        if !matches!(self.line.state, State::Connecting(_) | State::Linked) {
            // The other half has noticed first.
            return;
        }
        let wait = match cause {
            // What was asked for has nothing to wait for.
            Cause::Asked => Duration::ZERO,
            _ => self.line.backoff.wait(now, u32::from_ne_bytes(draw(self.random)), None),
        };
        self.line.state = State::Waiting(now + wait);
        self.handler.event(Event::Disconnected { cause, retry_in: Some(wait) });
    }

    /// Writes the next message to send and answers its length.
    pub(super) fn transmit(&mut self, now: Instant, out: &mut [u8; MAX_MESSAGE]) -> Option<usize> {
        let len = self.link.transmit(now, out)?;
        let (message, _) = Message::parse(out.get(..len)?).ok()?;
        // Results are the only messages that nobody answers.
        if message.header().kind != Kind::Result {
            self.line.owed.get_or_insert(now);
        }
        Some(len)
    }

    /// Whether there is something to send.
    pub(super) fn has_transmit(&self, now: Instant) -> bool {
        self.link.poll_timeout().is_some_and(|due| due <= now)
    }

    /// Takes what has come. Answers how many bytes of it are done with; the rest begins a message.
    ///
    /// # Errors
    /// What came over a stream is no telemetry. Among datagrams that can be anybody's, and is passed over.
    pub(super) fn receive(&mut self, now: Instant, bytes: &[u8], datagrams: bool) -> Result<usize, Malformed> {
        let mut rest = bytes;
        loop {
            match Message::parse(rest) {
                Ok((message, behind)) => {
                    self.hear(now, &message);
                    rest = behind;
                }
                Err(_) if datagrams => {
                    if !rest.is_empty() {
                        self.handler.event(Event::Ignored(Ignored::Malformed));
                    }
                    return Ok(bytes.len());
                }
                Err(Malformed::Truncated) => return Ok(bytes.len() - rest.len()),
                Err(malformed) => return Err(malformed),
            }
        }
    }

    fn hear(&mut self, now: Instant, message: &Message<'_>) {
        let heard = self.link.receive(now, message);
        match heard {
            // Not from the hub, or nobody can tell.
            Ok(Some(FromHub::Hint(_))) | Err(Ignored::Foreign | Ignored::Forged(_)) => {}
            _ => self.line.owed = None,
        }
        match heard {
            Ok(Some(FromHub::Linked(_))) => {
                self.line.attempt = 0;
                self.line.backoff.connected(now);
            }
            Ok(Some(FromHub::Ended)) => self.link.restart(now, self.random),
            _ => {}
        }
        match heard {
            Ok(Some(event)) => self.handler.event(Event::Hub(event)),
            Ok(None) => {}
            Err(why) => self.handler.event(Event::Ignored(why)),
        }
    }

    /// When the hub counts as silent.
    fn silent_at(&self) -> Option<Instant> {
        self.line.owed.map(|since| since + self.line.settings.answer_timeout)
    }
}

impl<M: RawMutex, R: Random, H: Handler> Driven for Core<'_, '_, '_, M, R, H> {
    fn obey(&mut self, cx: &Context<'_>, now: Instant) {
        let Orders { stop, reconnect, .. } = self.link.orders(cx);
        if self.link.is_exhausted() {
            self.link.restart(now, self.random);
        }
        match self.line.state {
            _ if stop => {
                if matches!(self.line.state, State::Connecting(_) | State::Linked) {
                    self.handler.event(Event::Disconnected { cause: Cause::Asked, retry_in: None });
                }
                self.line.state = State::Stopped(Stopped::Asked);
            }
            State::Waiting(_) if reconnect => self.line.state = State::Waiting(now),
            State::Connecting(_) | State::Linked if reconnect => self.lost(now, Cause::Asked),
            _ => {}
        }
    }

    /// Everything is told when it happens.
    fn tell(&mut self) {}

    fn state(&self) -> State {
        self.line.state
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self.line.state {
            State::Waiting(_) | State::Stopped(_) => None,
            State::Connecting(deadline) => Some(deadline),
            State::Linked => {
                // While the transport takes nothing, it is of no use that something is due.
                let due = if self.line.idle { self.link.poll_timeout() } else { None };
                due.into_iter().chain(self.silent_at()).min()
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self.line.state {
            State::Connecting(deadline) if deadline <= now => self.lost(now, Cause::ConnectTimedOut),
            State::Linked if self.silent_at().is_some_and(|at| at <= now) => self.lost(now, Cause::Silent),
            _ => {}
        }
    }
}
