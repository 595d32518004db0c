//! Devices that come and go, lose answers and give them twice, and a hub that is killed, at random: every command has to
//! come to one end.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tautline_rooms::{
    Command, CommandAnswer, CommandEffect, CommandSettings, CommandState, Commands, NewCommand, Timestamp,
};

const DEVICES: [&str; 3] = ["a", "b", "c"];
const IN_FLIGHT: usize = 2;

struct Model {
    rng: Rng,
    commands: Commands,
    now: Timestamp,
    next: u64,
    connections: HashMap<&'static str, u64>,
    /// What is on the way to a device, and back; a connection that ends takes it along.
    lines: HashMap<&'static str, VecDeque<Arc<Command>>>,
    answers: HashMap<&'static str, VecDeque<Arc<str>>>,
    /// Commands that are with a device, as far as the hub knows.
    in_flight: HashMap<Arc<str>, HashSet<Arc<str>>>,
    timeouts: HashMap<Arc<str>, Duration>,
    /// What waits to be stored, and what is, in order.
    storing: VecDeque<Write>,
    stored: Vec<(Arc<Command>, CommandState)>,
    states: HashMap<Arc<str>, CommandState>,
    tickets: HashSet<u64>,
    ends: HashMap<CommandState, usize>,
    redelivered: usize,
}

enum Write {
    Add(Arc<Command>),
    Change(Arc<str>, CommandState),
}

impl Model {
    fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            commands: Commands::new(settings()),
            now: Timestamp(1_000),
            next: 1,
            connections: HashMap::new(),
            lines: HashMap::new(),
            answers: HashMap::new(),
            in_flight: HashMap::new(),
            timeouts: HashMap::new(),
            storing: VecDeque::new(),
            stored: Vec::new(),
            states: HashMap::new(),
            tickets: HashSet::new(),
            ends: HashMap::new(),
            redelivered: 0,
        }
    }

    fn step(&mut self) {
        let device = *self.rng.choice(&DEVICES).unwrap();
        match self.rng.u32(..100) {
            0..30 => self.issue(device),
            30..38 => self.connect(device),
            38..43 => self.disconnect(device),
            43..60 => self.receive(device),
            60..75 => self.answer(device),
            75..90 => self.store(),
            90..99 => {
                self.now = self.now + Duration::from_millis(self.rng.u64(..3_000));
                if self.rng.bool() {
                    self.commands.handle_timeout(self.now);
                }
            }
            _ if self.rng.u32(..3) == 0 => self.restart(),
            _ => {}
        }
        self.drain();
    }

    fn issue(&mut self, device: &'static str) {
        let ticket = self.next;
        self.next += 1;
        let id = format!("c{ticket}");
        let timeout = Duration::from_millis(self.rng.u64(1_000..6_000));
        let ttl = self.rng.bool().then(|| Duration::from_millis(self.rng.u64(1..12_000)));
        self.timeouts.insert(id.as_str().into(), timeout);
        self.tickets.insert(ticket);
        let issue = NewCommand { ticket, id: &id, device, name: "led", payload: "1", timeout: Some(timeout), ttl };
        self.commands.issue(self.now, &issue);
        self.is_due_done();
    }

    fn connect(&mut self, device: &'static str) {
        let connection = self.next;
        self.next += 1;
        self.lose(device);
        self.connections.insert(device, connection);
        self.commands.device_connected(self.now, device, connection);
        self.is_due_done();
    }

    fn disconnect(&mut self, device: &'static str) {
        self.lose(device);
        if let Some(connection) = self.connections.remove(device) {
            self.commands.device_disconnected(self.now, device, connection);
            self.is_due_done();
        }
    }

    fn lose(&mut self, device: &'static str) {
        self.lines.remove(device);
        self.answers.remove(device);
        self.in_flight.remove(device);
    }

    /// A device takes a command, and answers it once, twice or not at all.
    fn receive(&mut self, device: &'static str) {
        let Some(command) = self.lines.get_mut(device).and_then(VecDeque::pop_front) else { return };
        assert_eq!(&*command.device, device);
        let answers = self.answers.entry(device).or_default();
        answers.extend(std::iter::repeat_n(command.id.clone(), self.rng.choice([0, 1, 1, 2]).unwrap()));
    }

    fn answer(&mut self, device: &'static str) {
        let Some(id) = self.answers.get_mut(device).and_then(VecDeque::pop_front) else { return };
        let result = if self.rng.u32(..4) > 0 { Ok("1") } else { Err("no") };
        self.commands.result(self.now, device, &id, result);
        self.is_due_done();
    }

    /// The store finishes something.
    fn store(&mut self) {
        let Some(write) = self.storing.pop_front() else { return };
        let Write::Add(command) = &write else { return self.write(&write) };
        let (works, id) = (self.rng.u32(..8) > 0, command.id.clone());
        if works {
            self.write(&write);
        }
        self.commands.stored(self.now, &id, works);
        self.is_due_done();
    }

    fn write(&mut self, write: &Write) {
        match write {
            Write::Add(command) => self.stored.push((command.clone(), CommandState::Queued)),
            Write::Change(id, state) => {
                // One that could not be stored is missing.
                if let Some((_, old)) = self.stored.iter_mut().find(|(command, _)| command.id == *id) {
                    assert!(!old.is_final() && *state > *old, "{id}: {state:?} after {old:?}");
                    *old = *state;
                }
            }
        }
    }

    /// The hub is killed: what is not stored is lost, and so are all connections.
    fn restart(&mut self) {
        let lost = self.rng.usize(..=self.storing.len());
        for write in self.storing.split_off(0).into_iter().skip(lost) {
            self.write(&write);
        }
        DEVICES.iter().for_each(|device| self.lose(device));
        self.connections.clear();
        self.tickets.clear();
        self.commands = Commands::new(settings());
        self.states = self.stored.iter().map(|(command, state)| (command.id.clone(), *state)).collect();
        for (command, state) in self.stored.iter().filter(|(_, state)| !state.is_final()) {
            self.commands.restore(self.now, (**command).clone(), *state == CommandState::Sent);
        }
    }

    fn drain(&mut self) {
        while let Some(effect) = self.commands.poll_effect() {
            match effect {
                CommandEffect::Store { command } => self.storing.push_back(Write::Add(command)),
                CommandEffect::Changed { command, state, .. } => self.changed(&command, state),
                CommandEffect::Send { to, command, deadline } => self.sent(to, command, deadline),
                CommandEffect::Answer { ticket, answer } => self.answered(ticket, &answer),
            }
        }
    }

    fn changed(&mut self, command: &Command, state: CommandState) {
        let old = self.states.insert(command.id.clone(), state);
        assert!(old.is_none_or(|old| !old.is_final()), "{old:?} was its end");
        assert!(old < Some(state), "{state:?} after {old:?}");
        assert_eq!(old.is_none(), state == CommandState::Queued);
        if state != CommandState::Queued {
            self.storing.push_back(Write::Change(command.id.clone(), state));
        }
        if state.is_final() {
            *self.ends.entry(state).or_default() += 1;
            if let Some(in_flight) = self.in_flight.get_mut(&command.device) {
                in_flight.remove(&command.id);
            }
        }
    }

    fn sent(&mut self, to: u64, command: Arc<Command>, deadline: Timestamp) {
        let device = *DEVICES.iter().find(|device| **device == &*command.device).unwrap();
        assert_eq!(self.connections.get(device), Some(&to), "to whom it is for");
        let latest = command.expires.unwrap_or(command.created + self.timeouts[&command.id]);
        assert!(self.now < latest && self.now < deadline, "not when it is too late");
        assert_eq!(self.states[&command.id], CommandState::Sent);
        let in_flight = self.in_flight.entry(command.device.clone()).or_default();
        assert!(in_flight.insert(command.id.clone()), "once for each connection");
        assert!(in_flight.len() <= IN_FLIGHT);
        self.redelivered += usize::from(command.created < self.now);
        self.lines.entry(device).or_default().push_back(command);
    }

    fn answered(&mut self, ticket: u64, answer: &CommandAnswer) {
        assert!(self.tickets.remove(&ticket), "{ticket} was answered already");
        let id: Arc<str> = format!("c{ticket}").into();
        let state = self.states.get(&id).copied();
        let expected = match answer {
            CommandAnswer::Done(_) => Some(CommandState::Done),
            CommandAnswer::Refused(_) => Some(CommandState::Refused),
            CommandAnswer::TimedOut => Some(CommandState::Failed),
            CommandAnswer::Expired => Some(CommandState::Expired),
            CommandAnswer::NotConnected | CommandAnswer::Rejected(_) => None,
            CommandAnswer::Queued => {
                assert!(self.stored.iter().any(|(command, _)| command.id == id), "only what is stored");
                return assert!(!state.unwrap().is_final());
            }
        };
        assert_eq!(state, expected, "{answer:?}");
    }

    /// What is due was done: by every call that is told the time.
    fn is_due_done(&self) {
        assert!(self.commands.poll_timeout().is_none_or(|at| at > self.now));
    }

    /// Time runs out for everything.
    fn end(&mut self) {
        for _ in 0..2 {
            while !self.storing.is_empty() {
                self.store();
                self.drain();
            }
            while let Some(at) = self.commands.poll_timeout() {
                self.now = self.now.max(at);
                self.commands.handle_timeout(self.now);
                self.drain();
            }
        }
        assert!(self.storing.is_empty() && self.tickets.is_empty(), "everybody was answered");
        for (command, state) in &self.stored {
            assert!(state.is_final(), "{}: {state:?}", command.id);
        }
        assert!(self.states.values().all(|state| state.is_final()));
        for device in DEVICES {
            assert_eq!(self.commands.pending(device).count(), 0);
        }
    }
}

fn settings() -> CommandSettings {
    CommandSettings {
        in_flight: IN_FLIGHT,
        per_device: 6,
        timeout: Duration::from_secs(2),
        ..CommandSettings::default()
    }
}

#[test]
fn every_command_comes_to_one_end_and_none_is_delivered_too_late() {
    let (mut ends, mut redelivered) = (HashMap::<CommandState, usize>::new(), 0);
    for seed in 0..100 {
        let mut model = Model::new(seed);
        for _ in 0..600 {
            model.step();
        }
        model.end();
        for (state, count) in model.ends {
            *ends.entry(state).or_default() += count;
        }
        redelivered += model.redelivered;
    }
    assert_eq!(ends.len(), 4, "all of them were seen: {ends:?}");
    assert!(ends.values().all(|count| *count > 100) && redelivered > 100, "{ends:?} {redelivered}");
}
