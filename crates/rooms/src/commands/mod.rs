//! Commands to devices.

mod delivery;
mod effect;
mod settings;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::documents::part::is_name;
use crate::message::Timestamp;

pub use effect::{Command, CommandAnswer, CommandEffect, CommandProblem, CommandState, NewCommand};
pub use settings::CommandSettings;

/// Commands that are not over.
///
/// Without a time to live a command goes to a device that is there, or nowhere; it is over when the device answers, or after
/// its timeout. With a time to live it is stored first, and kept for the device until then; from its delivery on the device
/// has the timeout for its answer. If the device's connection is lost before it has answered, it gets the command again, in
/// time: **a command arrives at least once, and the device recognises it by its id**. What the device said is told to
/// whoever gave the command, unless that was told [`CommandAnswer::Queued`] already.
///
/// Without a clock, sockets and storage. **After every call, drain:** take effects with [`poll_effect`](Self::poll_effect)
/// until there is none, then ask [`poll_timeout`](Self::poll_timeout) when to call
/// [`handle_timeout`](Self::handle_timeout).
///
/// ```
/// use tautline_rooms::{CommandAnswer, CommandEffect, CommandSettings, Commands, NewCommand, Timestamp};
///
/// let mut commands = Commands::new(CommandSettings::default());
/// commands.device_connected(Timestamp(0), "esp", 7);
/// let issue = NewCommand { ticket: 1, id: "c1", device: "esp", name: "led", payload: "true", timeout: None, ttl: None };
/// commands.issue(Timestamp(0), &issue);
/// let sent = std::iter::from_fn(|| commands.poll_effect()).last().unwrap();
/// assert!(matches!(sent, CommandEffect::Send { to: 7, deadline: Timestamp(30_000), .. }));
///
/// commands.result(Timestamp(20), "esp", "c1", Ok("{}"));
/// let told = std::iter::from_fn(|| commands.poll_effect()).last().unwrap();
/// assert_eq!(told, CommandEffect::Answer { ticket: 1, answer: CommandAnswer::Done("{}".into()) });
/// ```
#[derive(Debug)]
pub struct Commands {
    settings: CommandSettings,
    /// By a number that counts up: later commands have higher ones.
    pending: HashMap<u64, Pending>,
    next: u64,
    ids: HashMap<Arc<str>, u64>,
    /// Devices that are there, or that something waits for.
    devices: HashMap<Arc<str>, Device>,
    timers: BTreeSet<(Timestamp, u64)>,
    ignored: u64,
    effects: VecDeque<CommandEffect>,
}

/// A command that is not over.
#[derive(Debug)]
struct Pending {
    command: Arc<Command>,
    /// Who waits for the answer.
    waiter: Option<u64>,
    timeout: Duration,
    stage: Stage,
    /// Until when it goes to the device.
    deliver_until: Timestamp,
    /// The device has or had it, and until when its answer counts at least.
    answer_until: Option<Timestamp>,
    /// When something is to be done about it.
    timer: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It is being stored, and nobody knows of it.
    Storing,
    Waiting,
    WithDevice,
}

#[derive(Debug, Default)]
struct Device {
    connection: Option<u64>,
    waiting: BTreeSet<u64>,
    /// What it has to answer.
    in_flight: BTreeSet<u64>,
    /// How many commands it has in all.
    commands: usize,
}

impl Commands {
    /// No commands.
    pub fn new(settings: CommandSettings) -> Self {
        Self {
            settings,
            pending: HashMap::new(),
            next: 0,
            ids: HashMap::new(),
            devices: HashMap::new(),
            timers: BTreeSet::new(),
            ignored: 0,
            effects: VecDeque::new(),
        }
    }

    /// Brings a stored command back that was not over, oldest first, and before any device is there; `sent` if its device
    /// had it. If it was not to be kept, or its time has run out, it is over now. The limits of numbers do not apply.
    pub fn restore(&mut self, now: Timestamp, command: Command, sent: bool) {
        if self.ids.contains_key(&command.id) {
            return;
        }
        let command = Arc::new(command);
        let Some(expires) = command.expires.filter(|expires| now < *expires) else {
            let state = if sent { CommandState::Failed } else { CommandState::Expired };
            return self.effects.push_back(CommandEffect::Changed { command, state, result: None, at: now });
        };
        let number = self.insert(Pending {
            command,
            waiter: None,
            timeout: self.settings.timeout,
            stage: Stage::Waiting,
            deliver_until: expires,
            answer_until: sent.then_some(now),
            timer: None,
        });
        self.wait(now, number);
    }

    /// What there is to do next.
    pub fn poll_effect(&mut self) -> Option<CommandEffect> {
        self.effects.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Time has passed. Every other call does what is due first.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        while let Some((_, number)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            let was_sent = self.pending.get(&number).is_some_and(|it| it.answer_until.is_some());
            let (state, answer) = match was_sent {
                true => (CommandState::Failed, CommandAnswer::TimedOut),
                false => (CommandState::Expired, CommandAnswer::Expired),
            };
            self.finish(now, number, state, None, answer);
        }
    }

    /// Somebody gives a command.
    pub fn issue(&mut self, now: Timestamp, issue: &NewCommand<'_>) {
        self.handle_timeout(now);
        if let Err(problem) = self.check(issue) {
            return self.answer(issue.ticket, CommandAnswer::Rejected(problem));
        }
        let connected = self.devices.get(issue.device).is_some_and(|device| device.connection.is_some());
        if issue.ttl.is_none() && !connected {
            return self.answer(issue.ticket, CommandAnswer::NotConnected);
        }
        let timeout = issue.timeout.unwrap_or(self.settings.timeout);
        let expires = issue.ttl.map(|ttl| now + ttl);
        let command = Arc::new(Command {
            id: issue.id.into(),
            device: issue.device.into(),
            name: issue.name.into(),
            payload: issue.payload.into(),
            created: now,
            expires,
        });
        let number = self.insert(Pending {
            command: command.clone(),
            waiter: Some(issue.ticket),
            timeout,
            stage: Stage::Storing,
            deliver_until: expires.unwrap_or(now + timeout),
            answer_until: None,
            timer: None,
        });
        self.effects.push_back(CommandEffect::Store { command });
        if expires.is_none() {
            self.queue(now, number);
        }
    }

    /// A command is stored, or could not be. For one that is not to be kept that makes no difference.
    pub fn stored(&mut self, now: Timestamp, id: &str, stored: bool) {
        self.handle_timeout(now);
        let Some(number) = self.ids.get(id).copied() else { return };
        let Some(pending) = self.pending.get_mut(&number).filter(|it| it.stage == Stage::Storing) else { return };
        if !stored {
            let waiter = pending.waiter.take();
            self.remove(number);
            if let Some(ticket) = waiter {
                self.answer(ticket, CommandAnswer::Rejected(CommandProblem::NotStored));
            }
            return;
        }
        self.queue(now, number);
        // To store it may have taken longer than it was to be kept.
        self.handle_timeout(now);
        if self.pending.get(&number).is_some_and(|it| it.stage == Stage::Waiting) {
            self.answer_waiter(number, CommandAnswer::Queued);
        }
    }

    /// A device is there, by a connection that the caller gives a number; an earlier one is of no interest any longer. It
    /// gets what waits for it, oldest first.
    pub fn device_connected(&mut self, now: Timestamp, device: &str, connection: u64) {
        self.disconnect(now, device);
        let device: Arc<str> = device.into();
        self.devices.entry(device.clone()).or_default().connection = Some(connection);
        self.deliver(now, &device);
    }

    /// A device's connection is gone; there may be a later one.
    pub fn device_disconnected(&mut self, now: Timestamp, device: &str, connection: u64) {
        if self.devices.get(device).is_none_or(|it| it.connection != Some(connection)) {
            return self.handle_timeout(now);
        }
        self.disconnect(now, device);
        self.tidy(device);
    }

    /// A device has answered a command: with JSON text, which the caller has checked, or with the reason why it refuses. A
    /// command that is over, was not sent, or is another device's is not touched, and the answer is counted.
    pub fn result(&mut self, now: Timestamp, device: &str, id: &str, result: Result<&str, &str>) {
        self.handle_timeout(now);
        let number = self.ids.get(id).copied().filter(|number| {
            let pending = self.pending.get(number);
            pending.is_some_and(|it| *it.command.device == *device && it.answer_until.is_some())
        });
        let Some(number) = number else {
            self.ignored += 1;
            return;
        };
        match result {
            Ok(json) => {
                let json: Arc<str> = json.into();
                self.finish(now, number, CommandState::Done, Some(json.clone()), CommandAnswer::Done(json));
            }
            Err(reason) => {
                let json = serde_json::Value::from(reason).to_string().into();
                let answer = CommandAnswer::Refused(reason.into());
                self.finish(now, number, CommandState::Refused, Some(json), answer);
            }
        }
    }

    /// How many answers of devices did not count: late, doubled, or to other devices' commands.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// The commands of a device that are not over, oldest first.
    pub fn pending(&self, device: &str) -> impl Iterator<Item = (&Arc<Command>, CommandState)> {
        let numbers = self.devices.get(device).into_iter().flat_map(|it| it.waiting.union(&it.in_flight));
        numbers.filter_map(|number| {
            let Pending { command, answer_until, .. } = self.pending.get(number)?;
            Some((command, if answer_until.is_some() { CommandState::Sent } else { CommandState::Queued }))
        })
    }

    fn check(&self, issue: &NewCommand<'_>) -> Result<(), CommandProblem> {
        let settings = &self.settings;
        let fits = |time: Option<Duration>, longest| time.is_none_or(|time| !time.is_zero() && time <= longest);
        let of_device = self.devices.get(issue.device).map_or(0, |device| device.commands);
        if [issue.id, issue.device, issue.name].iter().any(|name| !is_name(name, settings.name_bytes)) {
            Err(CommandProblem::BadName)
        } else if issue.payload.len() > settings.payload_bytes {
            Err(CommandProblem::TooLarge)
        } else if !fits(issue.timeout, settings.longest_timeout) || !fits(issue.ttl, settings.longest_ttl) {
            Err(CommandProblem::BadTime)
        } else if self.ids.contains_key(issue.id) {
            Err(CommandProblem::Exists)
        } else if of_device >= settings.per_device || self.pending.len() >= settings.commands {
            Err(CommandProblem::Busy)
        } else {
            Ok(())
        }
    }
}
