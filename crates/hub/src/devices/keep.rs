//! What is stored of devices.

use std::fmt;
use std::sync::Arc;

use tautline_engine::Host;
use tautline_proto::app::Io;
use tautline_rooms::{Command, CommandState, Document, Timestamp};
use tautline_store::{CommandState as State, Reader, Store, StoreError, SubmitError, Twin, Write};

use super::Devices;
use crate::rooms::{millis, timestamp};

/// Where twins and commands of a loop are kept, and who hears that they are.
pub(crate) struct Keeper {
    store: Store,
    home: Host<Devices>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

/// What is left from before a restart.
#[derive(Clone, Debug)]
pub(crate) enum Kept {
    Twin { device: Arc<str>, desired: (u64, Arc<str>), reported: (u64, Arc<str>) },
    Command { command: Command, sent: bool },
}

impl Kept {
    /// Whose it is.
    pub(crate) fn device(&self) -> &str {
        match self {
            Self::Twin { device, .. } => device,
            Self::Command { command, .. } => &command.device,
        }
    }
}

/// What a store has of twins and of commands that are not over. It blocks.
pub(crate) fn restore(reader: &mut dyn Reader) -> Result<Vec<Kept>, StoreError> {
    let twins = reader.twins()?.into_iter().map(|twin| Kept::Twin {
        device: twin.device,
        desired: (twin.desired_version, twin.desired),
        reported: (twin.reported_version, twin.reported),
    });
    let commands = reader.pending_commands()?.into_iter().map(|command| Kept::Command {
        sent: command.state == State::Sent,
        command: Command {
            id: command.id,
            device: command.device,
            name: command.name.into(),
            payload: command.payload.into(),
            created: timestamp(command.created_ms),
            expires: command.expires_ms.map(timestamp),
        },
    });
    Ok(twins.chain(commands).collect())
}

impl Keeper {
    pub(crate) fn new(store: Store, home: Host<Devices>) -> Self {
        Self { store, home }
    }

    pub(super) fn twin(&self, device: Arc<str>, desired: Document, reported: Document, at: Timestamp) {
        let twin = Twin {
            device: device.clone(),
            desired: desired.json,
            desired_version: desired.version,
            reported: reported.json,
            reported_version: reported.version,
            at_ms: millis(at),
        };
        self.submit(Write::Twin(twin), move |devices, io, stored| {
            let now = devices.wall.at(io.now());
            devices.twins.stored(now, &device, stored);
            devices.work(io);
        });
    }

    pub(super) fn command(&self, command: &Command) {
        let id = command.id.clone();
        let command = tautline_store::Command {
            id: command.id.clone(),
            device: command.device.clone(),
            name: command.name.to_string(),
            payload: command.payload.to_string(),
            created_ms: millis(command.created),
            expires_ms: command.expires.map(millis),
            state: State::Queued,
            result: None,
            changed_ms: millis(command.created),
        };
        self.submit(Write::AddCommand(command), move |devices, io, stored| {
            let now = devices.wall.at(io.now());
            devices.commands.stored(now, &id, stored);
            devices.work(io);
        });
    }

    pub(super) fn progress(&self, command: &Command, state: CommandState, result: Option<&str>, at: Timestamp) {
        let state = match state {
            // As such it was stored.
            CommandState::Queued => return,
            CommandState::Sent => State::Sent,
            CommandState::Done => State::Done,
            CommandState::Refused => State::Refused,
            CommandState::Expired => State::Expired,
            CommandState::Failed => State::Failed,
        };
        let (id, result) = (command.id.clone(), result.map(str::to_owned));
        let write = Write::ChangeCommand { id, state, result, at_ms: millis(at) };
        let submitted = self.store.submit(vec![write], |result| match result {
            // A command that is not to be kept is given even if it could not be stored.
            Ok(()) | Err(StoreError::Missing(_)) => {}
            Err(error) => tracing::error!(%error, "how far a command has come could not be stored"),
        });
        log(submitted);
    }

    fn submit(&self, write: Write, done: impl FnOnce(&mut Devices, &mut dyn Io, bool) + Send + 'static) {
        let home = self.home.clone();
        // Called from either side, but only once.
        let tell = Tell { home, done: Some(Box::new(done)) };
        let submitted = self.store.submit(vec![write], move |result| {
            if let Err(error) = &result {
                tracing::error!(%error, "something of a device could not be stored");
            }
            tell.tell(result.is_ok());
        });
        log(submitted);
    }
}

fn log(submitted: Result<(), SubmitError>) {
    if let Err(error) = submitted {
        tracing::warn!(%error, "something of a device was not stored");
    }
}

type Done = Box<dyn FnOnce(&mut Devices, &mut dyn Io, bool) + Send>;

/// Tells the devices what became of something. Dropped before, it tells that it is not stored: so a store that takes
/// nothing any more need not be told apart.
struct Tell {
    home: Host<Devices>,
    done: Option<Done>,
}

impl Tell {
    fn tell(mut self, stored: bool) {
        self.send(stored);
    }

    fn send(&mut self, stored: bool) {
        if let Some(done) = self.done.take() {
            let _ = self.home.visit(move |devices, io| done(devices, io, stored));
        }
    }
}

impl Drop for Tell {
    fn drop(&mut self) {
        self.send(false);
    }
}
