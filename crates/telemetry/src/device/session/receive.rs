//! What the hub's messages do to the session.

use super::Session;
use crate::acknowledgement::Acknowledgement;
use crate::answer::{ErrorCode, Problem};
use crate::command::Command;
use crate::device::event::{Event, Ignored};
use crate::device::outbox::Memory;
use crate::device::pacing::busy_until;
use crate::header::{Header, Kind};
use crate::hello::Welcome;
use crate::message::Body;

impl<M: Memory> Session<'_, M> {
    pub(super) fn handle<'m>(&mut self, header: &Header, body: Body<'m>) -> Result<Option<Event<'m>>, Ignored> {
        match body {
            Body::Welcome(welcome) => self.handle_welcome(header, &welcome),
            Body::Acknowledgement(stored) => self.handle_stored(&stored).map(|()| Some(Event::Acknowledged(stored))),
            Body::Command(command) => self.handle_command(header.sequence, command),
            Body::Time(time) => self.handle_time(header.sequence, time),
            Body::Busy(busy) if busy.about == Kind::Hello => {
                self.check_hello(header.sequence)?;
                let until = busy_until(self.now, busy.retry, &mut self.random);
                (self.hello.due, self.hello.open) = (Some(until), false);
                Ok(Some(Event::Busy { until }))
            }
            Body::Busy(busy) if self.outbox.take_back(header.sequence, self.now) => {
                Ok(Some(Event::Busy { until: self.pacing.busy(self.now, busy.retry, &mut self.random) }))
            }
            Body::Busy(_) => Err(Ignored::Stale),
            Body::Error(problem) => self.handle_error(header.sequence, problem),
            // These do not come from a hub, which the kind has told already.
            Body::Hello(_) | Body::Readings(_) | Body::Result(_) | Body::TimeRequest => Err(Ignored::Foreign),
        }
    }

    fn handle_welcome<'m>(&mut self, header: &Header, welcome: &Welcome) -> Result<Option<Event<'m>>, Ignored> {
        self.check_hello(header.sequence)?;
        self.hello.open = false;
        self.hello.due = None;
        self.refused = false;
        if !self.outbox.allows(&welcome.stored) {
            return Ok(Some(Event::Ended));
        }
        self.address.link = header.address.link;
        self.clock.learn(self.now, self.hello.asked, welcome.time);
        self.quiet = u64::from(welcome.quiet) * 1_000;
        self.handle_stored(&welcome.stored)?;
        self.outbox.rewind(self.now);
        // At once: the hub gives commands when it has seen that the welcome arrived.
        self.time.attempts = 0;
        self.time.due = Some(self.now);
        Ok(Some(Event::Linked(welcome.stored)))
    }

    fn handle_stored(&mut self, stored: &Acknowledgement) -> Result<(), Ignored> {
        // One that is older than another says nothing new, and one of more than was sent is of somebody else.
        if !self.outbox.allows(stored) {
            return Err(Ignored::Stale);
        }
        let progress = self.outbox.acknowledge(self.now, stored);
        if let Some(round_trip) = progress.round_trip {
            self.pacing.measured(round_trip);
        }
        self.pacing.stored(progress.stored);
        if progress.lost {
            self.pacing.lost(self.now);
        }
        Ok(())
    }

    fn handle_command<'m>(&mut self, number: u32, command: Command<'m>) -> Result<Option<Event<'m>>, Ignored> {
        Ok(self.begin_command(number)?.then_some(Event::Command { number, command }))
    }

    /// Whether a command is new; a copy of the last one is answered again.
    pub(super) fn begin_command(&mut self, number: u32) -> Result<bool, Ignored> {
        let command = &mut self.command;
        if number < command.last {
            return Err(Ignored::Stale);
        }
        if number == command.last {
            command.owed = command.is_answered();
            return Ok(false);
        }
        (command.last, command.owed) = (number, false);
        Ok(true)
    }

    fn handle_time<'m>(&mut self, number: u32, time: u64) -> Result<Option<Event<'m>>, Ignored> {
        if !self.time.open || number != self.time.number {
            return Err(Ignored::Stale);
        }
        let asked = self.time.asked;
        self.time.open = false;
        self.time.attempts = 0;
        self.time.due = Some(self.next_request()).filter(|&at| at != u64::MAX);
        Ok(self.clock.learn(self.now, asked, time).map(|round_trip| Event::Time { round_trip }))
    }

    fn handle_error<'m>(&mut self, sequence: u32, problem: Problem<'m>) -> Result<Option<Event<'m>>, Ignored> {
        match problem.about {
            Kind::Hello => {
                self.check_hello(sequence)?;
                self.refused = true;
            }
            Kind::Readings if self.outbox.awaits(sequence) => {}
            Kind::TimeRequest if self.time.open && sequence == self.time.number => {}
            Kind::Result if self.command.is_answered() && sequence == self.command.last => {}
            _ => return Err(Ignored::Stale),
        }
        Ok(Some(match (problem.code, problem.about) {
            (ErrorCode::NO_LINK, _) if self.is_linked() => {
                // The result may not have arrived either.
                self.command.owed = self.command.is_answered();
                self.greet();
                Event::Unlinked
            }
            (ErrorCode::ENDED, _) => {
                self.greet();
                self.hello.due = None;
                Event::Ended
            }
            (code @ (ErrorCode::MALFORMED | ErrorCode::REFUSED), Kind::Readings) => {
                if !self.outbox.refuse(sequence, self.now) {
                    return Err(Ignored::Stale);
                }
                Event::Refused { sequence, code }
            }
            _ => Event::Problem(problem),
        }))
    }

    /// Whether an answer is for the last hello, and the first one for it.
    fn check_hello(&self, sequence: u32) -> Result<(), Ignored> {
        if self.hello.open && sequence == self.hello.number { Ok(()) } else { Err(Ignored::Stale) }
    }
}
