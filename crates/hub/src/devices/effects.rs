//! What twins and commands ask for.

use tautline_proto::app::{ConnectionId, Io};
use tautline_rooms::{CommandEffect, TwinEffect, TwinPart};

use super::{Asker, Devices, TIMER, Way};
use crate::rooms::device;

impl Devices {
    /// Does what twins and commands ask for, until there is nothing left.
    pub(super) fn work(&mut self, io: &mut dyn Io) {
        while let Some(effect) = self.twins.poll_effect() {
            self.apply_twin(io, effect);
        }
        while let Some(effect) = self.commands.poll_effect() {
            self.apply_command(io, effect);
        }
        match self.commands.poll_timeout() {
            Some(at) => io.set_timer(TIMER, self.wall.instant(at, io.now())),
            None => io.cancel_timer(TIMER),
        }
    }

    fn apply_twin(&mut self, io: &mut dyn Io, effect: TwinEffect) {
        match effect {
            TwinEffect::Answer { ticket, answer } => match self.asked.remove(&ticket) {
                Some(Asker::Device { connection, id }) => {
                    self.tell(connection, device::report_answer(id.as_deref(), &answer));
                }
                Some(Asker::Twin(tell)) => tell(answer),
                Some(Asker::Command(_)) | None => {}
            },
            TwinEffect::Store { device, desired, reported, at } => match &self.keeper {
                Some(keeper) => keeper.twin(device, desired, reported, at),
                // It was said that there is one.
                None => self.twins.stored(self.wall.at(io.now()), &device, false),
            },
            TwinEffect::Delta { to, version, delta, .. } => {
                self.tell(ConnectionId(to), device::desired(version, &delta));
            }
            TwinEffect::Changed { device, part, version, .. } => {
                let part = match part {
                    TwinPart::Desired => "desired",
                    TwinPart::Reported => "reported",
                };
                self.watch.events.twin(&device, part, version);
            }
        }
    }

    fn apply_command(&mut self, io: &mut dyn Io, effect: CommandEffect) {
        match effect {
            CommandEffect::Answer { ticket, answer } => {
                if let Some(Asker::Command(tell)) = self.asked.remove(&ticket) {
                    tell(answer);
                }
            }
            CommandEffect::Store { command } => match &self.keeper {
                Some(keeper) => keeper.command(&command),
                None => self.commands.stored(self.wall.at(io.now()), &command.id, true),
            },
            CommandEffect::Send { to, command, deadline } => {
                let connection = ConnectionId(to);
                let envelope = device::command(&command, deadline);
                match (self.lines.get(&connection).map(|line| &line.way), &self.home) {
                    (Some(Way::Telemetry(ingest, device)), _) => {
                        ingest.command(*device, command, deadline.since(self.wall.now(io.now())));
                    }
                    // That it is written is all that can be known of it.
                    (Some(Way::Room { host, raw: true }), Some(home)) => {
                        let home = home.clone();
                        let _ = host.visit(move |rooms, io| {
                            if rooms.tell(io, connection, &envelope) {
                                let done = Ok("null".into());
                                let _ =
                                    home.visit(move |devices, io| devices.result(io, connection, &command.id, &done));
                            }
                        });
                    }
                    _ => self.tell(connection, envelope),
                }
            }
            CommandEffect::Changed { command, state, result, at } => {
                tracing::debug!(
                    device = &*command.device,
                    command = &*command.name,
                    id = &*command.id,
                    ?state,
                    "command"
                );
                if let Some(keeper) = &self.keeper {
                    keeper.progress(&command, state, result.as_deref(), at);
                }
            }
        }
    }

    /// Sends an envelope to a device.
    pub(super) fn tell(&self, connection: ConnectionId, envelope: String) {
        // Over UDP and TCP there are no twins.
        if let Some(Way::Room { host, .. }) = self.lines.get(&connection).map(|line| &line.way) {
            let _ = host.visit(move |rooms, io| {
                rooms.tell(io, connection, &envelope);
            });
        }
    }
}
