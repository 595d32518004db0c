//! A simulated device that speaks the telemetry protocol, without sockets.

use std::time::Instant;

use tautline_telemetry::device::{Config, Event, Identity, PushError, Session};
use tautline_telemetry::{
    Acknowledgement, Command, ErrorCode, Key, Kind, MAX_MESSAGE, Message, Outcome, Problem, Status, Unencodable,
};

use super::crew::Member;
use super::ledger::Ledger;
use super::plan::Plan;
use super::schedule::Schedule;
use super::sensors::{Room, SENSORS};
use super::tally::Tally;

/// Bytes of the outbox of a device: some 300 times all sensors.
pub(super) const OUTBOX: usize = 32 * 1024;

/// A device. Times are in milliseconds, of one clock. After every input, drain: [`poll_transmit`](Self::poll_transmit) until there is
/// nothing.
#[derive(Debug)]
pub(super) struct Station<'a> {
    session: Session<'a, &'a mut [u8]>,
    room: Room,
    schedule: Schedule,
    ledger: Ledger<'a>,
    tally: &'a Tally,
    /// Whether the tally knows that nothing is read any more.
    finished: bool,
}

impl<'a> Station<'a> {
    /// A device that begins at `now`. `number` is its place in the fleet, from which follows what it measures; its session's
    /// number is random, whatever the seed.
    ///
    /// # Errors
    ///
    /// Its name does not fit into a hello.
    pub(super) fn new(
        now: u64,
        member: &'a Member,
        plan: &Plan,
        config: Config,
        tally: &'a Tally,
        outbox: &'a mut [u8],
    ) -> Result<Self, Unencodable> {
        let identity = Identity {
            device: member.number,
            name: &member.name,
            firmware: concat!("tautline simulate ", env!("CARGO_PKG_VERSION")),
            sensors: &SENSORS,
            key: member.key.as_ref().map(|key| Key::new(&key.0)),
        };
        Ok(Self {
            session: Session::new(now, identity, config, random(), rand::random(), outbox)?,
            room: Room::new(plan.seed_of(member, 1)),
            schedule: Schedule::new(now, plan.interval, plan.count, plan.seed_of(member, 2)),
            ledger: Ledger::new(&member.name, tally),
            tally,
            finished: false,
        })
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) or [`poll_transmit`](Self::poll_transmit) next.
    pub(super) fn poll_timeout(&self, connected: bool) -> Option<u64> {
        let session = if connected { self.session.poll_timeout() } else { None };
        session.into_iter().chain(self.schedule.due()).min()
    }

    /// Reads the sensors that are due.
    pub(super) fn handle_timeout(&mut self, now: u64) {
        for sensor in self.schedule.take(now) {
            let value = self.room.read(sensor);
            match self.session.push(now, sensor, value) {
                Ok(sequence) => self.ledger.pushed(sequence, now, sensor, value),
                // After four thousand million messages the same is true as if the memory were full.
                Err(PushError::Full | PushError::Exhausted | PushError::Value) => self.tally.skipped.add(1),
            }
        }
        self.finish();
    }

    /// A message of the hub's, whole.
    pub(super) fn receive(&mut self, now: u64, bytes: &[u8]) {
        let Ok((message, _)) = Message::parse(bytes) else { return };
        let Ok(Some(event)) = self.session.receive(now, &message) else { return };
        match event {
            Event::Linked(stored) | Event::Acknowledged(stored) => self.acknowledged(&stored),
            Event::Unlinked => self.tally.reconnected.add(1),
            Event::Command { number, command } => {
                let outcome = self.obey(now, &command);
                self.tally.commands.add(1);
                // What does not fit is none of ours: all that is answered is short.
                let _ = self.session.answer(number, &outcome);
            }
            Event::Refused { sequence, code } => {
                self.ledger.refused(sequence);
                self.tally.complain(format!("readings were not taken: {}", meaning(code)));
            }
            Event::Ended => {
                self.session.restart(now, random());
                self.ledger.renumbered();
                self.tally.reconnected.add(1);
            }
            Event::Problem(problem) | Event::Hint(problem) => self.tally.complain(told(&problem)),
            Event::Busy { .. } | Event::Time { .. } => {}
        }
    }

    /// Writes the next message to send and returns its length. `out` has room for the longest.
    pub(super) fn poll_transmit(&mut self, now: u64, out: &mut [u8; MAX_MESSAGE]) -> Option<usize> {
        let len = self.session.poll_transmit(now, out)?;
        if let Ok((message, _)) = Message::parse(&out[..len])
            && message.header().kind == Kind::Readings
        {
            let session = &self.session;
            self.ledger.transmitted(message.header().sequence, Instant::now(), |at| session.calendar(at));
        }
        Some(len)
    }

    /// There is another connection, or everybody is to greet the hub anew.
    pub(super) fn reconnected(&mut self, now: u64) {
        self.session.reconnected(now);
        self.tally.reconnected.add(1);
    }

    /// Reads nothing any more.
    pub(super) fn end(&mut self) {
        self.schedule.end();
        self.finish();
    }

    /// Whether everything was read that was to be, and everything is acknowledged.
    pub(super) fn is_done(&self) -> bool {
        self.schedule.is_over() && self.session.outstanding() == 0
    }

    fn finish(&mut self) {
        if self.schedule.is_over() && !std::mem::replace(&mut self.finished, true) {
            self.tally.finished.add(1);
        }
    }

    fn acknowledged(&mut self, stored: &Acknowledgement) {
        self.ledger.acknowledged(Instant::now(), stored);
    }

    fn obey(&mut self, now: u64, command: &Command<'_>) -> Outcome<'static> {
        match *command {
            Command::Interval { sensor, interval } if self.schedule.set_interval(now, sensor, interval) => {
                Outcome { status: Status::Done, value: None }
            }
            _ => self.room.obey(command),
        }
    }
}

/// 64 random bits, not 0, from a generator that is good for secrets.
fn random() -> u64 {
    rand::random::<u64>().max(1)
}

/// What the hub does not like, in words.
fn told(problem: &Problem<'_>) -> String {
    let meaning = meaning(problem.code);
    match problem.text {
        "" => meaning.to_owned(),
        text => format!("{meaning} ({})", crate::output::harmless(text)),
    }
}

fn meaning(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::MALFORMED => "a message is malformed",
        ErrorCode::NO_LINK => "the link is not known",
        ErrorCode::UNKNOWN_DEVICE => "the device is not known: `tautline device add` makes keys, for --key-file",
        ErrorCode::NOT_AUTHENTIC => {
            "the key is not right, or missing: `tautline device add` makes keys, for --key-file"
        }
        ErrorCode::REFUSED => "refused",
        ErrorCode::ENDED => "another session has begun",
        ErrorCode::CONFLICT => "the name belongs to another device: choose others with --name",
        _ => "an error that is not known here",
    }
}
