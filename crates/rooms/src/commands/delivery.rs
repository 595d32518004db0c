//! The way of a command to its device, and its end.

use std::mem;
use std::sync::Arc;

use super::effect::{CommandAnswer, CommandEffect, CommandState};
use super::{Commands, Pending, Stage};
use crate::message::Timestamp;

impl Commands {
    /// A command is new.
    pub(super) fn insert(&mut self, pending: Pending) -> u64 {
        let number = self.next;
        self.next += 1;
        self.ids.insert(pending.command.id.clone(), number);
        self.devices.entry(pending.command.device.clone()).or_default().commands += 1;
        self.pending.insert(number, pending);
        number
    }

    /// A command may be known from now on, and goes to its device as soon as that can be.
    pub(super) fn queue(&mut self, now: Timestamp, number: u64) {
        self.changed(now, number, CommandState::Queued, None);
        self.wait(now, number);
    }

    /// A command goes to its device as soon as that can be.
    pub(super) fn wait(&mut self, now: Timestamp, number: u64) {
        let Some(pending) = self.pending.get_mut(&number) else { return };
        pending.stage = Stage::Waiting;
        let device = pending.command.device.clone();
        self.devices.entry(device.clone()).or_default().waiting.insert(number);
        self.set_timer(number);
        self.deliver(now, &device);
    }

    /// Sends a device what waits for it, if it is there: as much as it can have at once.
    pub(super) fn deliver(&mut self, now: Timestamp, name: &Arc<str>) {
        while let Some(device) = self.devices.get_mut(name)
            && let Some(to) = device.connection
            && device.in_flight.len() < self.settings.in_flight
        {
            let in_time = |number: &&u64| self.pending.get(number).is_some_and(|it| now < it.deliver_until);
            let Some(number) = device.waiting.iter().find(in_time).copied() else { return };
            device.waiting.remove(&number);
            device.in_flight.insert(number);
            self.send(now, number, to);
        }
    }

    /// A device is not there any longer: what it has not answered waits for it once more.
    pub(super) fn disconnect(&mut self, now: Timestamp, name: &str) {
        if let Some(device) = self.devices.get_mut(name) {
            device.connection = None;
        }
        // Not before: what makes room now would let more go to a connection that is gone.
        self.handle_timeout(now);
        let Some(device) = self.devices.get_mut(name) else { return };
        let in_flight = mem::take(&mut device.in_flight);
        device.waiting.extend(&in_flight);
        for number in in_flight {
            let Some(pending) = self.pending.get_mut(&number) else { continue };
            pending.stage = Stage::Waiting;
            // Nobody knows when the device comes back. One that does not go to it again is over soon, and that is the answer.
            let is_kept = pending.command.expires.is_some_and(|expires| now < expires);
            self.set_timer(number);
            if is_kept {
                self.answer_waiter(number, CommandAnswer::Queued);
            }
        }
    }

    /// A command is over.
    pub(super) fn finish(
        &mut self,
        now: Timestamp,
        number: u64,
        state: CommandState,
        result: Option<Arc<str>>,
        answer: CommandAnswer,
    ) {
        self.changed(now, number, state, result);
        self.answer_waiter(number, answer);
        if let Some(device) = self.remove(number) {
            self.deliver(now, &device);
        }
    }

    /// Forgets a command, and answers whose it was.
    pub(super) fn remove(&mut self, number: u64) -> Option<Arc<str>> {
        let Pending { command, timer, .. } = self.pending.remove(&number)?;
        self.ids.remove(&command.id);
        if let Some(at) = timer {
            self.timers.remove(&(at, number));
        }
        if let Some(device) = self.devices.get_mut(&command.device) {
            device.waiting.remove(&number);
            device.in_flight.remove(&number);
            device.commands -= 1;
        }
        self.tidy(&command.device);
        Some(command.device.clone())
    }

    /// Forgets a device that is not there and has no commands.
    pub(super) fn tidy(&mut self, name: &str) {
        if self.devices.get(name).is_some_and(|device| device.connection.is_none() && device.commands == 0) {
            self.devices.remove(name);
        }
    }

    pub(super) fn answer_waiter(&mut self, number: u64, answer: CommandAnswer) {
        if let Some(ticket) = self.pending.get_mut(&number).and_then(|pending| pending.waiter.take()) {
            self.answer(ticket, answer);
        }
    }

    pub(super) fn answer(&mut self, ticket: u64, answer: CommandAnswer) {
        self.effects.push_back(CommandEffect::Answer { ticket, answer });
    }

    fn send(&mut self, now: Timestamp, number: u64, to: u64) {
        let Some(pending) = self.pending.get_mut(&number) else { return };
        let is_first = pending.answer_until.is_none();
        // One that is not kept has one timeout in all.
        let deadline = if pending.command.expires.is_some() { now + pending.timeout } else { pending.deliver_until };
        pending.stage = Stage::WithDevice;
        pending.answer_until = Some(deadline);
        let command = pending.command.clone();
        if is_first {
            self.changed(now, number, CommandState::Sent, None);
        }
        self.effects.push_back(CommandEffect::Send { to, command, deadline });
        self.set_timer(number);
    }

    fn changed(&mut self, at: Timestamp, number: u64, state: CommandState, result: Option<Arc<str>>) {
        if let Some(pending) = self.pending.get(&number) {
            let command = pending.command.clone();
            self.effects.push_back(CommandEffect::Changed { command, state, result, at });
        }
    }

    /// Something is to be done when the command's time runs out.
    fn set_timer(&mut self, number: u64) {
        let Some(pending) = self.pending.get_mut(&number) else { return };
        let at = match (pending.stage, pending.answer_until) {
            (Stage::WithDevice, Some(until)) => until,
            // It can be delivered again, or its answer can still come by another connection.
            (_, Some(until)) => until.max(pending.deliver_until),
            (_, None) => pending.deliver_until,
        };
        if let Some(old) = pending.timer.replace(at) {
            self.timers.remove(&(old, number));
        }
        self.timers.insert((at, number));
    }
}
