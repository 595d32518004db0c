//! Keep-alive and deadlines.

use core::time::Duration;

use crate::config::Context;
use crate::event::{Ended, Timeout};
use crate::time::{Instant, Micros};

use super::{Connection, Phase, UNKNOWN};

/// The least lateness of a deadline that counts as our own program standing still rather than a coarse timer.
const MIN_STALL: Micros = Micros(1_000_000);

/// Microseconds of a hundredth of a second.
const HUNDREDTH: u64 = 10_000;

impl<C: Context> Connection<C> {
    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest; `None`: not by itself. Ask again after
    /// every other call with `&mut self`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let at = match self.phase {
            Phase::Done => Instant::NEVER,
            Phase::Open => self.deadline().min(self.due),
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

    /// Finds out whether the peer is still there: has it pinged now, whatever the ping interval, and ends the connection if
    /// nothing at all arrives within the time. Any byte is an answer, and [`poll_alive`](Self::poll_alive) tells of it.
    ///
    /// `within` is rounded up to hundredths of a second, of which it has 1 to 65,535 (11 minutes). It begins now: a ping that the transport
    /// does not take in time ends the connection as well, with [`Ended::SendStuck`]. While an answer is outstanding nothing
    /// more is sent, and of two times the one that is over first counts. Does nothing unless the connection is open.
    pub fn probe(&mut self, now: Instant, within: Duration) {
        if self.phase != Phase::Open {
            return;
        }
        if self.probed != Instant::NEVER {
            self.probe_hundredths = self.probe_hundredths.min(hundredths((now + within).since(self.probed)));
            return;
        }
        // What arrived before is no answer, also if the clock has not moved since.
        if self.heard >= now {
            self.heard = Instant::from_micros(now.as_micros().saturating_sub(1));
        }
        self.probed = now;
        self.probe_hundredths = hundredths(Micros::of(within));
        self.owe_ping(now);
    }

    /// Whether something has arrived since [`probe`](Self::probe) asked: `true` once. Ask after
    /// [`receive`](Self::receive). A connection that is closing gives no answer but its end.
    pub fn poll_alive(&mut self) -> bool {
        let alive = self.heard >= self.probed && self.phase == Phase::Open;
        if alive {
            self.probed = Instant::NEVER;
        }
        alive
    }

    fn keep_alive(&mut self, now: Instant) -> Timeout {
        let deadline = self.deadline();
        if now >= deadline {
            let (stuck, probe) = (self.stuck_deadline(), self.probe_deadline());
            let late = now.since(deadline);
            let time = if deadline == probe { self.probe_time() } else { self.context.config().pong_timeout };
            // Forgiven once: a driver that is always late must not keep a dead peer alive for ever.
            if late > time.max(MIN_STALL) && !self.stall_forgiven {
                self.stall_forgiven = true;
                self.begin_anew(now);
                if now >= self.due {
                    self.beat(now);
                }
                return Timeout::Stalled { late: late.duration() };
            }
            let ours = deadline == stuck || (deadline == probe && self.ping_owed);
            return self.end(if ours { Ended::SendStuck } else { Ended::PeerSilent });
        }
        if now < self.due {
            return Timeout::Idle;
        }
        self.beat(now);
        Timeout::Ping
    }

    /// Whoever had a deadline has all of its time again.
    fn begin_anew(&mut self, now: Instant) {
        if self.ping_owed {
            self.ping_at = now;
        }
        if self.unanswered != Instant::NEVER {
            self.unanswered = now;
        }
        if self.is_probing() {
            self.probed = now;
        }
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

    /// When the connection ends, unless something happens before.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn deadline(&self) -> Instant {
        self.silence_deadline().min(self.stuck_deadline()).min(self.probe_deadline())
    }

    /// When the peer's silence ends the connection. Any byte counts as life: a peer in the middle of a long message
    /// cannot send a pong.
    fn silence_deadline(&self) -> Instant {
        if self.unanswered == Instant::NEVER {
            return Instant::NEVER;
        }
        self.unanswered.max(self.heard) + self.context.config().pong_timeout
    }

    /// When a ping that the transport does not take ends the connection. The peer owes nothing then: it is our queue
    /// that is stuck, whatever we hear.
    fn stuck_deadline(&self) -> Instant {
        if self.ping_owed { self.ping_at + self.context.config().pong_timeout } else { Instant::NEVER }
    }

    /// When a probe that is not answered ends the connection.
    fn probe_deadline(&self) -> Instant {
        if self.is_probing() { self.probed + self.probe_time() } else { Instant::NEVER }
    }

    fn probe_time(&self) -> Micros {
        Micros(HUNDREDTH * u64::from(self.probe_hundredths))
    }

    /// Whether the answer to a probe is outstanding.
    fn is_probing(&self) -> bool {
        self.probed != Instant::NEVER && self.heard < self.probed
    }

    /// The transport took bytes while a ping was waiting to be transmitted. A large frame on a slow link may keep a ping
    /// waiting for longer than the pong timeout; as long as it moves, nothing is stuck.
    pub fn transport_took_bytes(&mut self, now: Instant) {
        if self.ping_owed {
            self.ping_at = now;
        }
    }

    /// The driver does not read at the moment, because what it has read is not consumed. The peer's answers may lie in
    /// the transport, so its silence proves nothing: its time begins anew.
    pub fn not_reading(&mut self, now: Instant) {
        if self.unanswered != Instant::NEVER {
            self.unanswered = now;
        }
        // A probe asks again: if the transport takes nothing either, the ping will tell.
        if self.is_probing() && !self.ping_owed {
            self.probed = now;
            self.owe_ping(now);
        }
    }

    pub(super) fn owe_ping(&mut self, now: Instant) {
        self.ping_number = self.ping_number.wrapping_add(1);
        if !self.ping_owed {
            self.ping_owed = true;
            self.ping_at = now;
        }
    }

    pub(super) fn ping_transmitted(&mut self, now: Instant) {
        self.ping_owed = false;
        self.ping_at = now;
        self.unanswered = self.unanswered.min(now);
    }

    /// A pong: the time since our latest ping if it answers that one (§5.5.3).
    pub(super) fn pong(&mut self, now: Instant, payload: &[u8]) -> Option<Duration> {
        let answers = payload == self.ping_number.to_be_bytes() && self.unanswered != Instant::NEVER && !self.ping_owed;
        answers.then(|| {
            self.unanswered = Instant::NEVER;
            self.stall_forgiven = false;
            let latency = now.since(self.ping_at);
            // Within what is kept, 32 bits are enough; on a chip a division of 64 is much code.
            let tenths =
                u32::try_from(latency.0).map_or(UNKNOWN, |micros| u16::try_from(micros / 100).unwrap_or(UNKNOWN));
            self.latency = tenths.min(UNKNOWN - 1);
            latency.duration()
        })
    }
}

/// Rounded up, and not nothing, so that a time that has just begun is never over.
fn hundredths(time: Micros) -> u16 {
    u16::try_from(time.0.div_ceil(HUNDREDTH)).unwrap_or(u16::MAX).max(1)
}
