//! The client without I/O.

mod input;
mod opening;
mod receive;
mod transmit;

use core::time::Duration;

use tautline_proto::handshake::client::{self, Handshake};
use tautline_proto::{
    Backoff, CloseCode, Config, Connection, Context, Control, Ended, Instant, Next, Timeout, Transport, Violation,
};

use crate::compression::Codec;
use crate::event::{Cause, Event, Stopped};
use crate::settings::Settings;
use crate::transport::{ConnectError, Random};

use transmit::Frame;

pub use input::Input;

/// A server that names a longer time is asked again after this one: nobody means to park a client for ever.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The longest reason in a close frame (RFC 6455 §5.5.1).
const MAX_REASON: usize = 123;

/// What a client does, without I/O: waits, connects, opens, talks, and begins again. Time, bytes and randomness are arguments.
///
/// # The drain rule
///
/// A driver does what [`state`](Self::state) says. While the link is up, and after every input to it (bytes, their end, a failure, a
/// timer, [`stop`](Self::stop) and the like), it calls [`poll_event`](Self::poll_event) until that gives nothing, writes what
/// [`poll_transmit`](Self::poll_transmit) gives until that gives nothing (and says so with [`took`](Self::took) and
/// [`flushed`](Self::flushed)), and waits until [`poll_timeout`](Self::poll_timeout).
/// When the link is down it tells the outbox with [`Outbox::disconnected`](crate::Outbox::disconnected).
#[derive(Debug)]
pub struct Machine<'a> {
    settings: &'a Settings<'a>,
    phase: Phase<'a>,
    /// The random client id.
    id: Option<[u8; 8]>,
    attempt: u32,
    /// Random bits of this attempt: for the first ping and for the wait that follows.
    jitter: u32,
    backoff: Backoff,
    goal: Goal,
    control: Control,
    codec: Codec<'a>,
    /// The data frame whose payload is going out.
    frame: Option<Frame>,
    /// Since when the transport has taken nothing of what was given to it.
    untaken: Option<Instant>,
    farewell: Farewell,
    tell: Tell,
    /// Why the last connection ended, and how long it will be until the next.
    cause: Cause,
    retry_in: Option<Duration>,
}

/// What a driver has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Wait until then, and call [`Machine::connect`].
    Waiting(Instant),
    /// Connect, until then at the latest; call [`Machine::open`] or [`Machine::connect_failed`].
    Connecting(Instant),
    /// Move bytes.
    Linked,
    /// Nothing more.
    Stopped(Stopped),
}

/// What the core knows of its surroundings.
///
/// A server that breaks a rule is told the code and no reason: the handler is told, and 18 sentences are 0.9 KB of a chip's flash.
#[derive(Debug)]
pub(crate) struct Surroundings<'a>(&'a Config);

#[derive(Debug)]
enum Phase<'a> {
    Waiting { until: Instant },
    Connecting { deadline: Instant },
    Opening(Handshake<'a>),
    Open(Connection<Surroundings<'a>>),
    Stopped(Stopped),
}

/// What the program wants after this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// The next one, when the table says.
    StayUp,
    /// The next one at once.
    Again,
    /// None.
    Stop,
}

/// What is still to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tell {
    Nothing,
    BeforeConnect,
    Error,
    Closed,
    Disconnected,
}

/// The reason in the peer's close frame.
#[derive(Debug)]
struct Farewell {
    reason: [u8; MAX_REASON],
    len: u8,
}

impl<'a> Machine<'a> {
    /// A client that has not begun.
    pub const fn new(settings: &'a Settings<'a>) -> Self {
        Self {
            settings,
            phase: Phase::Waiting { until: Instant::ZERO },
            id: None,
            attempt: 0,
            jitter: 0,
            backoff: settings.backoff,
            goal: Goal::StayUp,
            control: Control::new(),
            codec: Codec::NONE,
            frame: None,
            untaken: None,
            farewell: Farewell { reason: [0; MAX_REASON], len: 0 },
            tell: Tell::Nothing,
            cause: Cause::Dropped,
            retry_in: None,
        }
    }

    /// The same, which offers to compress messages.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(mut self, deflate: &'a mut crate::Deflate<'a>) -> Self {
        self.codec = Codec::new(deflate);
        self
    }

    /// A driver begins. If another one was at it, what it had is lost.
    pub fn begin(&mut self, now: Instant) {
        if self.goal == Goal::Stop {
            // Also one that was dropped in the middle of its goodbye: it is run again to be up.
            self.goal = Goal::StayUp;
        }
        match self.phase {
            Phase::Waiting { .. } => {}
            Phase::Stopped(_) => self.phase = Phase::Waiting { until: now },
            _ => self.lost(now, Cause::Dropped),
        }
    }

    /// What to do.
    pub fn state(&self) -> State {
        match &self.phase {
            Phase::Waiting { until } => State::Waiting(*until),
            Phase::Connecting { deadline } => State::Connecting(*deadline),
            Phase::Opening(_) | Phase::Open(_) => State::Linked,
            Phase::Stopped(stopped) => State::Stopped(*stopped),
        }
    }

    /// Whether that is still what to do. (To compare states would be more code: of those that are over it does not matter which they are.)
    pub(crate) fn is_still(&self, state: State) -> bool {
        match (&self.phase, state) {
            (Phase::Waiting { until }, State::Waiting(before)) => *until == before,
            (Phase::Connecting { deadline }, State::Connecting(before)) => *deadline == before,
            (Phase::Opening(_) | Phase::Open(_), State::Linked) => true,
            _ => false,
        }
    }

    /// Whether messages can be sent now.
    pub fn is_open(&self) -> bool {
        matches!(&self.phase, Phase::Open(connection) if connection.is_open())
    }

    /// The wait is over: an attempt begins.
    pub fn connect(&mut self, now: Instant, random: &mut impl Random) {
        self.id.get_or_insert_with(|| draw(random));
        self.jitter = u32::from_ne_bytes(draw(random));
        self.attempt = self.attempt.saturating_add(1);
        self.phase = Phase::Connecting { deadline: now + self.settings.connect_timeout };
        self.tell = Tell::BeforeConnect;
    }

    /// There is no connection.
    pub fn connect_failed(&mut self, now: Instant, error: ConnectError) {
        self.lost(now, Cause::Connect(error));
    }

    /// The next event that has no bytes of the transport in it.
    pub fn poll_event(&mut self) -> Option<Event<'_>> {
        loop {
            let tell = self.tell;
            self.tell = match tell {
                Tell::Nothing => return None,
                Tell::BeforeConnect | Tell::Disconnected => Tell::Nothing,
                Tell::Error => Tell::Closed,
                Tell::Closed => Tell::Disconnected,
            };
            let cause = self.cause;
            return Some(match (tell, cause) {
                (Tell::BeforeConnect, _) => Event::BeforeConnect { attempt: self.attempt },
                (Tell::Error, _) => Event::Error(cause),
                (
                    Tell::Closed,
                    Cause::Ended(Ended::ClosedByPeer { code, clean } | Ended::ClosedByUs { code, clean }),
                ) => Event::Closed { code, reason: self.farewell.as_str(), clean },
                (Tell::Closed | Tell::Nothing, _) => continue,
                (Tell::Disconnected, _) => Event::Disconnected { cause, retry_in: self.retry_in },
            });
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Waiting { .. } | Phase::Stopped(_) => None,
            Phase::Connecting { deadline } => Some(*deadline),
            Phase::Opening(handshake) => handshake.poll_timeout(),
            Phase::Open(connection) => match (connection.poll_timeout(), self.stuck_at()) {
                (Some(timer), Some(stuck)) => Some(timer.min(stuck)),
                (timer, stuck) => timer.or(stuck),
            },
        }
    }

    /// Lets timers that are due take effect. First read what the transport has.
    pub fn handle_timeout(&mut self, now: Instant) {
        let stuck = self.stuck_at().is_some_and(|at| at <= now);
        match &mut self.phase {
            Phase::Connecting { deadline } if *deadline <= now => self.lost(now, Cause::ConnectTimedOut),
            Phase::Opening(handshake) => {
                if let Some(error) = handshake.handle_timeout(now) {
                    self.lost(now, Cause::Handshake(error));
                }
            }
            Phase::Open(connection) => match (connection.handle_timeout(now), connection.ended()) {
                // A deadline is over: nothing that is still to be written is waited for.
                (Timeout::Ended, Some(ended)) => self.lost(now, Cause::Ended(ended)),
                (_, ended) if stuck => self.lost(now, Cause::Ended(ended.unwrap_or(Ended::SendStuck))),
                _ => {}
            },
            _ => {}
        }
    }

    /// Has the server pinged now. Does nothing while there is no link.
    pub fn ping(&mut self, now: Instant) {
        if let Phase::Open(connection) = &mut self.phase {
            // Where it is closing already there is nobody to ping.
            let _ = connection.ping(now);
        }
    }

    /// Ends for good: at once where there is no link yet, else with a closing handshake, which has its deadline.
    pub fn stop(&mut self, now: Instant) {
        self.goal = Goal::Stop;
        match self.phase {
            Phase::Waiting { .. } => self.phase = Phase::Stopped(Stopped::Asked),
            Phase::Connecting { .. } | Phase::Opening(_) => self.lost(now, Cause::Asked),
            Phase::Open(_) => self.close(now, CloseCode::NORMAL, ""),
            Phase::Stopped(_) => {}
        }
    }

    /// Has the next attempt made at once; an open link is closed for it, and an attempt that is under way given up.
    pub fn reconnect(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Waiting { until } => *until = now,
            Phase::Stopped(_) => {}
            phase => {
                let is_open = matches!(phase, Phase::Open(_));
                if self.goal == Goal::StayUp {
                    self.goal = Goal::Again;
                }
                if is_open { self.close(now, CloseCode::NORMAL, "") } else { self.lost(now, Cause::Asked) }
            }
        }
    }

    /// Closes the link; what comes then is decided as if it had failed.
    pub fn close(&mut self, now: Instant, code: CloseCode, reason: &str) {
        if let Phase::Open(connection) = &mut self.phase {
            connection.close(now, code, reason, &mut self.control);
        }
    }

    /// The connection is over, or could not be made.
    fn lost(&mut self, now: Instant, cause: Cause) {
        self.frame = None;
        self.untaken = None;
        self.cause = cause;
        self.tell = if cause.is_clean() { Tell::Closed } else { Tell::Error };
        let next = match self.goal {
            Goal::Stop => Err(Stopped::Asked),
            Goal::Again => Ok(Duration::ZERO),
            Goal::StayUp => self.next(now, cause).ok_or(Stopped::Useless(cause)),
        };
        self.retry_in = next.ok();
        self.phase = match next {
            Ok(wait) => Phase::Waiting { until: now + wait },
            Err(stopped) => Phase::Stopped(stopped),
        };
        if self.goal == Goal::Again {
            self.goal = Goal::StayUp;
        }
    }

    /// How long to wait before the next attempt, unless it would be of no use.
    fn next(&mut self, now: Instant, cause: Cause) -> Option<Duration> {
        let (next, retry_after) = match cause {
            Cause::Request(_) => (Next::Stop, None),
            Cause::Handshake(client::Error::Refused { status, retry_after }) => {
                (Next::after_status(status), retry_after.map(|seconds| Duration::from_secs(seconds.into())))
            }
            // The table is about what the peer tells us, not about what we chose.
            Cause::Ended(Ended::ClosedByUs { .. }) => (Next::BackOff, None),
            Cause::Ended(ended) => (Next::after_close(ended.close_code()), None),
            _ => (Next::BackOff, None),
        };
        let retry_after = match next {
            Next::Stop => return None,
            Next::BackOff => None,
            Next::RetryAfter => retry_after.map(|wait| wait.min(LONGEST_RETRY_AFTER)),
        };
        Some(self.backoff.wait(now, self.jitter, retry_after))
    }

    /// Notices that the protocol is done with the transport, once it has what is owed to it.
    fn settle(&mut self, now: Instant) {
        if let Phase::Open(connection) = &self.phase
            && connection.transport() == Transport::Close
            && self.untaken.is_none()
            && let Some(ended) = connection.ended()
        {
            self.lost(now, Cause::Ended(ended));
        }
    }

    /// When the transport has taken nothing for too long.
    fn stuck_at(&self) -> Option<Instant> {
        self.untaken.map(|since| since + self.settings.send_timeout)
    }
}

impl Context for Surroundings<'_> {
    fn config(&self) -> &Config {
        self.0
    }

    fn reason(&self, _: Violation) -> &'static str {
        ""
    }
}

impl Farewell {
    fn keep(&mut self, reason: &str) {
        self.len = reason.len() as u8;
        self.reason[..reason.len()].copy_from_slice(reason.as_bytes());
    }

    fn as_str(&self) -> &str {
        core::str::from_utf8(&self.reason[..usize::from(self.len)]).unwrap_or_default()
    }
}

/// Random bytes.
pub(crate) fn draw<const N: usize>(random: &mut impl Random) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}
