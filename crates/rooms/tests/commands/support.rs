//! A clock and short words for tests.

use std::time::Duration;

use tautline_rooms::{CommandAnswer, CommandEffect, CommandSettings, CommandState, Commands, NewCommand, Timestamp};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Commands to the device `esp`.
pub(crate) struct World {
    pub(crate) commands: Commands,
    pub(crate) now: Timestamp,
}

/// What is told of an effect, in tests' words.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    Answer(u64, CommandAnswer),
    Changed(String, CommandState, Option<String>),
    Sent(u64, String),
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(CommandSettings::default())
    }

    pub(crate) fn with(settings: CommandSettings) -> Self {
        settings.validate().unwrap();
        Self { commands: Commands::new(settings), now: Timestamp(1_000_000) }
    }

    pub(crate) fn connect(&mut self, connection: u64) {
        self.commands.device_connected(self.now, "esp", connection);
    }

    pub(crate) fn disconnect(&mut self, connection: u64) {
        self.commands.device_disconnected(self.now, "esp", connection);
    }

    pub(crate) fn issue(&mut self, ticket: u64, id: &str, ttl: Option<Duration>) {
        self.commands.issue(self.now, &command(ticket, id, ttl));
    }

    pub(crate) fn stored(&mut self, id: &str, stored: bool) {
        self.commands.stored(self.now, id, stored);
    }

    /// A command that is stored and waits, if the device is not there.
    pub(crate) fn keep(&mut self, id: &str, ttl: Duration) {
        self.issue(0, id, Some(ttl));
        self.stored(id, true);
        if self.commands.pending("esp").all(|(_, state)| state == CommandState::Queued) {
            self.drain();
        }
    }

    pub(crate) fn result(&mut self, id: &str, result: Result<&str, &str>) {
        self.commands.result(self.now, "esp", id, result);
    }

    /// Lets time pass, with everything that is due meanwhile.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.commands.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.commands.handle_timeout(self.now);
        }
        self.now = end;
    }

    pub(crate) fn drain(&mut self) -> Vec<CommandEffect> {
        std::iter::from_fn(|| self.commands.poll_effect()).collect()
    }

    /// Everything but what is to be stored.
    pub(crate) fn told(&mut self) -> Vec<Told> {
        let effects = self.drain().into_iter();
        effects
            .filter_map(|effect| match effect {
                CommandEffect::Answer { ticket, answer } => Some(Told::Answer(ticket, answer)),
                CommandEffect::Changed { command, state, result, .. } => {
                    Some(Told::Changed(command.id.to_string(), state, result.map(|json| json.to_string())))
                }
                CommandEffect::Send { to, command, .. } => Some(sent(to, &command.id)),
                CommandEffect::Store { .. } => None,
            })
            .collect()
    }

    /// The ids of the commands that were sent.
    pub(crate) fn sent(&mut self) -> Vec<String> {
        let told = self.told().into_iter();
        told.filter_map(|told| if let Told::Sent(_, id) = told { Some(id) } else { None }).collect()
    }
}

pub(crate) fn command(ticket: u64, id: &str, ttl: Option<Duration>) -> NewCommand<'_> {
    NewCommand { ticket, id, device: "esp", name: "led", payload: "true", timeout: None, ttl }
}

pub(crate) fn answer(ticket: u64, answer: CommandAnswer) -> Told {
    Told::Answer(ticket, answer)
}

pub(crate) fn changed(id: &str, state: CommandState, result: Option<&str>) -> Told {
    Told::Changed(id.into(), state, result.map(Into::into))
}

pub(crate) fn sent(to: u64, id: &str) -> Told {
    Told::Sent(to, id.into())
}
