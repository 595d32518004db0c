//! Keep-alive and deadlines.

use core::time::Duration;

use crate::config::Context;
use crate::event::{Ended, Timeout};
use crate::time::Instant;

use super::{Connection, Phase};

/// The least lateness of a deadline that counts as our own program standing still rather than a coarse timer.
const MIN_STALL: Duration = Duration::from_secs(1);

impl<C: Context> Connection<C> {
    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest; `None`: not by itself. Ask again after
    /// every other call with `&mut self`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let at = match self.phase {
            Phase::Done => Instant::NEVER,
            Phase::Open => self.silence_deadline().min(self.stuck_deadline()).min(self.due),
            _ => self.due,
        };
        (at != Instant::NEVER).then_some(at)
    }

    /// Lets timers that are due by `now` take effect; early and repeated calls do no harm. First read what the
    /// transport has, so that an answer that is already here counts.
    pub fn handle_timeout(&mut self, now: Instant) -> Timeout {
        match self.phase {
            Phase::Done => Timeout::Idle,
            Phase::Open => self.keep_alive(now),
            _ if now < self.due => Timeout::Idle,
            Phase::CloseOwed(code) | Phase::CloseSent(code) => self.end(Ended::ClosedByUs { code, clean: false }),
            _ => {
                self.phase = Phase::Done;
                Timeout::Ended
            }
        }
    }

    fn keep_alive(&mut self, now: Instant) -> Timeout {
        let (stuck, silent) = (self.stuck_deadline(), self.silence_deadline());
        let deadline = stuck.min(silent);
        if now >= deadline {
            let late = now - deadline;
            let stalled = late > self.context.config().pong_timeout.max(MIN_STALL);
            // Forgiven once: a driver that is always late must not keep a dead peer alive for ever.
            if stalled && !self.stall_forgiven {
                self.stall_forgiven = true;
                for since in [&mut self.ping_owed, &mut self.unanswered] {
                    if *since != Instant::NEVER {
                        *since = now;
                    }
                }
                if now >= self.due {
                    self.beat(now);
                }
                return Timeout::Stalled { late };
            }
            return self.end(if stuck <= silent { Ended::SendStuck } else { Ended::PeerSilent });
        }
        if now < self.due {
            return Timeout::Idle;
        }
        self.beat(now);
        Timeout::Ping
    }

    /// The ping interval has passed.
    fn beat(&mut self, now: Instant) {
        if let Some(interval) = self.context.config().ping_interval {
            // Keeps its rhythm, unless so late that the next beat has passed as well.
            let beat = self.due + interval;
            self.due = if beat > now { beat } else { now + interval };
        }
        self.owe_ping(now);
    }

    fn end(&mut self, ended: Ended) -> Timeout {
        self.ended = Some(ended);
        self.phase = Phase::Done;
        Timeout::Ended
    }

    /// When the peer's silence ends the connection. Any byte counts as life: a peer in the middle of a long message
    /// cannot send a pong.
    fn silence_deadline(&self) -> Instant {
        self.deadline(self.unanswered, self.unanswered.max(self.heard))
    }

    /// When a ping that the transport does not take ends the connection. The peer owes nothing then: it is our queue
    /// that is stuck, whatever we hear.
    fn stuck_deadline(&self) -> Instant {
        self.deadline(self.ping_owed, self.ping_owed)
    }

    fn deadline(&self, pending: Instant, since: Instant) -> Instant {
        if pending == Instant::NEVER { Instant::NEVER } else { since + self.context.config().pong_timeout }
    }

    /// The transport took bytes while a ping was waiting to be transmitted. A large frame on a slow link may keep a ping
    /// waiting for longer than the pong timeout; as long as it moves, nothing is stuck.
    pub fn transport_took_bytes(&mut self, now: Instant) {
        if self.ping_owed != Instant::NEVER {
            self.ping_owed = now;
        }
    }

    /// The driver does not read at the moment, because what it has read is not consumed. The peer's answers may lie in
    /// the transport, so its silence proves nothing: its time begins anew.
    pub fn not_reading(&mut self, now: Instant) {
        if self.unanswered != Instant::NEVER {
            self.unanswered = now;
        }
    }

    pub(super) fn owe_ping(&mut self, now: Instant) {
        self.ping_number = self.ping_number.wrapping_add(1);
        self.ping_owed = self.ping_owed.min(now);
    }

    pub(super) fn ping_transmitted(&mut self, now: Instant) {
        self.ping_owed = Instant::NEVER;
        self.ping_sent = now;
        self.unanswered = self.unanswered.min(now);
    }

    /// A pong: the time since our latest ping if it answers that one (§5.5.3).
    pub(super) fn pong(&mut self, now: Instant, payload: &[u8]) -> Option<Duration> {
        let answers = payload == self.ping_number.to_be_bytes()
            && self.unanswered != Instant::NEVER
            && self.ping_owed == Instant::NEVER;
        answers.then(|| {
            self.unanswered = Instant::NEVER;
            self.stall_forgiven = false;
            now - self.ping_sent
        })
    }
}
