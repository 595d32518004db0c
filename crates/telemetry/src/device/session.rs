//! The device's session.

mod receive;

use super::clock::Clock;
use super::config::Config;
use super::event::{Event, Ignored};
use super::outbox::{Memory, Outbox, PushError};
use super::pacing::{LONGEST, Pacing};
use crate::command::{MAX_RESULT, Outcome, Status};
use crate::cursor::{Reader, Writer};
use crate::error::{Forged, Unencodable};
use crate::header::{Address, Header, Kind, MAX_MESSAGE, MAX_TIME, Side};
use crate::hello::{Hello, Sensor};
use crate::key::Key;
use crate::message::{Authentic, Body, Message};
use crate::random::Random;
use crate::readings::{Readings, Time};
use crate::value::Value;

/// The shortest and the first longest wait between hellos, in milliseconds.
const HELLO_WAIT: (u64, u64) = (200, 1_000);

/// The longest wait between hellos that nobody has refused, in milliseconds: on a bad network many get lost, and so do their answers.
const HELLO_LONGEST: u64 = 10_000;

/// Each of so many may wait longer all the same: an answer may take longer than that, and only the one to the last hello counts.
const PATIENT_HELLO: u32 = 8;

/// Who a device is.
#[derive(Clone, Debug)]
pub struct Identity<'a> {
    /// Its number, not 0.
    pub device: u32,
    /// Its name, 1 to 64 bytes.
    pub name: &'a str,
    /// What runs on it, 0 to 64 bytes.
    pub firmware: &'a str,
    /// Its sensors. They have to fit into one hello.
    pub sensors: &'a [Sensor<'a>],
    /// The key that the hub knows it by. Without one anybody can pose as the hub.
    pub key: Option<Key>,
}

/// A device's session: what is to be sent, and what comes of what the hub says.
#[derive(Debug)]
pub struct Session<'a, M> {
    identity: Identity<'a>,
    config: Config,
    outbox: Outbox<M>,
    pacing: Pacing,
    clock: Clock,
    random: Random,
    /// Its link is 0 while greeting.
    address: Address,
    hello: Question,
    time: Question,
    /// The hub has refused a hello since it last welcomed one.
    refused: bool,
    /// Milliseconds that the device may be silent; 0: for ever.
    quiet: u64,
    command: CommandState,
    /// The latest time that was passed in, but for those of readings.
    now: u64,
}

/// Something that is asked until it is answered.
#[derive(Debug, Default)]
struct Question {
    /// Of the last one asked.
    number: u32,
    attempts: u8,
    asked: u64,
    /// When to ask; `None`: not before something happens.
    due: Option<u64>,
    /// Whether the last one is not answered.
    open: bool,
}

/// The last command and its result.
#[derive(Debug)]
struct CommandState {
    last: u32,
    /// The last one that was carried out.
    done: u32,
    result: [u8; MAX_RESULT],
    len: usize,
    owed: bool,
}

impl<'a, M: Memory> Session<'a, M> {
    /// A session that begins.
    ///
    /// - `number`: 64 random bits, not 0, from a generator that is good for secrets: two sessions of one device must never
    ///   have the same.
    /// - `seed`: for jitter; different in each device.
    /// - `outbox`: memory for readings that are not acknowledged: 6 bytes and the value for each, and 30 for each message.
    ///
    /// # Errors
    /// The identity cannot be sent: it is too long for a hello, or something in it is out of bounds.
    pub fn new(
        now: u64,
        identity: Identity<'a>,
        config: Config,
        number: u64,
        seed: u64,
        outbox: M,
    ) -> Result<Self, Unencodable> {
        let address = Address { device: identity.device, session: number, link: 0 };
        let hello = Question { due: Some(now), ..Question::default() };
        let session = Self {
            pacing: Pacing::new(&config),
            config,
            outbox: Outbox::new(outbox),
            clock: Clock::default(),
            random: Random::new(seed ^ number),
            address,
            hello,
            time: Question::default(),
            refused: false,
            quiet: 0,
            command: CommandState { last: 0, done: 0, result: [0; MAX_RESULT], len: 0, owed: false },
            now,
            identity,
        };
        let body = session.hello();
        body.encode(address, 1, session.identity.key.as_ref(), &mut [0; MAX_MESSAGE])?;
        Ok(session)
    }

    /// Takes a reading of `at` to send. Readings that were taken one after the other travel in one message as long as it has not been
    /// sent. Returns the number of the message.
    ///
    /// The time is that of this reading only, and no timer follows it. Earlier than the last time that was passed in elsewhere, it counts as
    /// that one. Later than the time of sending, it goes to the hub as it is, as far as a message can say that (an age is not negative; a
    /// hub refuses more than a day), and does not linger.
    ///
    /// # Errors
    /// It was not taken; see [`PushError`].
    pub fn push(&mut self, at: u64, sensor: u8, value: Value<'_>) -> Result<u32, PushError> {
        self.outbox.push(self.now.max(at), self.config.linger_millis(), sensor, value)
    }

    /// The result of a command. Returns whether it was waited for: not if a later command has come, or a result was given.
    ///
    /// # Errors
    /// It is too long or out of bounds; another one can be given.
    pub fn answer(&mut self, number: u32, outcome: &Outcome<'_>) -> Result<bool, Unencodable> {
        let command = &mut self.command;
        if number == 0 || number != command.last || command.is_answered() {
            return Ok(false);
        }
        let mut writer = Writer::new(&mut command.result);
        outcome.write(&mut writer)?;
        (command.len, command.done, command.owed) = (writer.len(), number, true);
        Ok(true)
    }

    /// Writes the next message to send and returns its length; `None` if there is none at this time. `out` needs
    /// [`MAX_MESSAGE`] bytes; what fits into less is sent, but then `None` can also mean that something does not fit.
    pub fn poll_transmit(&mut self, now: u64, out: &mut [u8]) -> Option<usize> {
        let len = self.poll_unsigned(now, out)?;
        if let Some(key) = &self.identity.key {
            key.sign(out.get_mut(..len)?);
        }
        Some(len)
    }

    /// As [`poll_transmit`](Self::poll_transmit), without the tag, for which there is room at the end if there is a key: for whoever shares
    /// the session behind a lock, and has [`Key::sign`] called without holding it.
    pub fn poll_unsigned(&mut self, now: u64, out: &mut [u8]) -> Option<usize> {
        self.now = self.now.max(now);
        if self.is_linked() {
            self.transmit_result(out).or_else(|| self.transmit_readings(out)).or_else(|| self.transmit_request(out))
        } else {
            self.transmit_hello(out)
        }
    }

    /// When to call [`poll_transmit`](Self::poll_transmit) at the latest, if nothing happens before; may have passed.
    pub fn poll_timeout(&self) -> Option<u64> {
        if !self.is_linked() {
            return self.hello.due;
        }
        if self.command.owed {
            return Some(self.now);
        }
        let readings = self.outbox.poll_timeout(self.now, self.pacing.window());
        let readings = readings.map(|at| at.max(self.pacing.hold()));
        readings.into_iter().chain(self.time.due).min()
    }

    /// A message of the hub's. `None`: nothing that the program needs to know.
    ///
    /// # Errors
    /// It was ignored, and why; for counting.
    pub fn receive<'m>(&mut self, now: u64, message: &Message<'m>) -> Result<Option<Event<'m>>, Ignored> {
        if !self.is_own(message.header()) {
            return Err(Ignored::Foreign);
        }
        self.receive_checked(now, message, message.authenticate(Side::Hub, self.identity.key.as_ref()))
    }

    /// As [`receive`](Self::receive), with what [`Message::authenticate`] has answered for the side of the hub and the device's key: for
    /// whoever shares the session behind a lock, and has this reckoned without holding it.
    ///
    /// # Errors
    /// As there.
    pub fn receive_checked<'m>(
        &mut self,
        now: u64,
        message: &Message<'m>,
        checked: Result<Authentic<'m>, Forged>,
    ) -> Result<Option<Event<'m>>, Ignored> {
        self.now = self.now.max(now);
        let header = message.header();
        if !self.is_own(header) {
            return Err(Ignored::Foreign);
        }
        let authentic = match checked {
            Ok(authentic) => authentic,
            Err(forged) => {
                let hint = if self.identity.key.is_some() { message.unauthenticated_error() } else { None };
                return hint.map(|problem| Some(Event::Hint(problem))).ok_or(Ignored::Forged(forged));
            }
        };
        let current =
            if header.kind == Kind::Welcome { !self.is_linked() } else { self.address.link == header.address.link };
        if !current {
            return Err(Ignored::Stale);
        }
        match authentic.body() {
            Ok(body) => self.handle(header, body),
            Err(_) if header.kind == Kind::Command => {
                // A hub that is newer than this crate, perhaps. It should not have to wait.
                if self.begin_command(header.sequence)? {
                    let value = Some(Value::Text("not understood"));
                    let _ = self.answer(header.sequence, &Outcome { status: Status::Refused, value });
                }
                Ok(None)
            }
            Err(_) => Err(Ignored::Malformed),
        }
    }

    /// There is a new connection to the hub (TCP), or reason to think that the hub has to be greeted anew: what was not
    /// acknowledged is sent again when it has answered.
    pub fn reconnected(&mut self, now: u64) {
        self.now = self.now.max(now);
        self.greet();
    }

    /// Begins a new session with what the outbox has: 64 new random bits, as in [`new`](Self::new) (0 counts as 1). After
    /// [`Event::Ended`], and when the numbers are [exhausted](PushError::Exhausted).
    ///
    /// If the old session's readings were stored and their acknowledgement was lost, they are stored again.
    pub fn restart(&mut self, now: u64, number: u64) {
        self.now = self.now.max(now);
        self.address.session = number.max(1);
        self.outbox.renumber(self.now);
        self.command = CommandState { last: 0, done: 0, result: [0; MAX_RESULT], len: 0, owed: false };
        (self.hello.number, self.time.number) = (0, 0);
        self.greet();
    }

    /// The time of the calendar, in milliseconds since 1970 (UTC), once the hub has told it.
    pub fn calendar(&self, now: u64) -> Option<u64> {
        self.clock.calendar(now)
    }

    /// Whether the hub has answered the last hello.
    pub fn is_linked(&self) -> bool {
        self.address.link != 0
    }

    /// How many messages are in the outbox: not acknowledged, or stored behind one that is not.
    pub fn outstanding(&self) -> u32 {
        self.outbox.len()
    }

    fn is_own(&self, header: &Header) -> bool {
        header.address.device == self.address.device && header.address.session == self.address.session
    }

    fn hello(&self) -> Body<'a> {
        Body::Hello(Hello {
            last_command: self.command.done,
            name: self.identity.name,
            firmware: self.identity.firmware,
            sensors: self.identity.sensors.into(),
        })
    }

    fn greet(&mut self) {
        self.address.link = 0;
        self.time.open = false;
        self.hello = Question { number: self.hello.number, due: Some(self.now), ..Question::default() };
    }

    fn transmit_hello(&mut self, out: &mut [u8]) -> Option<usize> {
        if self.hello.due? > self.now {
            return None;
        }
        let number = self.hello.number.checked_add(1)?;
        let len = self.encode(&self.hello(), number, out)?;
        let (least, first) = HELLO_WAIT;
        let patient = self.refused || number.is_multiple_of(PATIENT_HELLO);
        let most = if patient { LONGEST } else { HELLO_LONGEST };
        let longest = (first << self.hello.attempts.min(6)).min(most);
        self.hello.asked(self.now, number, self.random.up_to(longest).max(least));
        Some(len)
    }

    fn transmit_result(&mut self, out: &mut [u8]) -> Option<usize> {
        if !self.command.owed {
            return None;
        }
        let outcome = Outcome::read(&mut Reader::new(self.command.result.get(..self.command.len)?)).ok()?;
        let len = self.encode(&Body::Result(outcome), self.command.last, out)?;
        self.command.owed = false;
        self.spoke();
        Some(len)
    }

    fn transmit_readings(&mut self, out: &mut [u8]) -> Option<usize> {
        if self.pacing.hold() > self.now {
            return None;
        }
        let entry = self.outbox.ready(self.now, self.pacing.window())?;
        let time = match self.clock.calendar(entry.base) {
            Some(time) => Time::Calendar(time),
            None => Time::Age((self.now - entry.base.min(self.now)).min(MAX_TIME)),
        };
        let readings = Readings { time, records: self.outbox.records(&entry) };
        let len = self.encode(&Body::Readings(readings), entry.sequence, out)?;
        if entry.attempts > 0 {
            self.pacing.lost(self.now);
        }
        let due = self.pacing.retry_at(self.now, entry.attempts.saturating_add(1), &mut self.random);
        self.outbox.sent(&entry, self.now, due);
        self.spoke();
        Some(len)
    }

    fn transmit_request(&mut self, out: &mut [u8]) -> Option<usize> {
        if self.time.due? > self.now {
            return None;
        }
        let number = self.time.number.checked_add(1)?;
        let len = self.encode(&Body::TimeRequest, number, out)?;
        let attempts = self.time.attempts.saturating_add(1);
        let wait = self.pacing.retry_at(self.now, attempts, &mut self.random) - self.now;
        self.time.asked(self.now, number, wait);
        Some(len)
    }

    fn encode(&self, body: &Body<'_>, sequence: u32, out: &mut [u8]) -> Option<usize> {
        // What was taken in can be written, so only room can be missing.
        body.encode_unsigned(self.address, sequence, self.identity.key.is_some(), out).ok()
    }

    /// Something was sent, so the next sign of life is not due yet.
    fn spoke(&mut self) {
        if self.quiet > 0 && !self.time.open {
            self.time.due = Some(self.next_request());
        }
    }

    /// When to ask for the time next.
    fn next_request(&self) -> u64 {
        let resync = match self.config.resync_millis() {
            0 => u64::MAX,
            wait => self.time.asked.max(self.hello.asked).saturating_add(wait),
        };
        let quiet = if self.quiet == 0 { u64::MAX } else { self.now.saturating_add(self.quiet) };
        resync.min(quiet)
    }
}

impl Question {
    fn asked(&mut self, now: u64, number: u32, wait: u64) {
        *self = Self {
            number,
            attempts: self.attempts.saturating_add(1),
            asked: now,
            due: Some(now.saturating_add(wait)),
            open: true,
        };
    }
}

impl CommandState {
    fn is_answered(&self) -> bool {
        self.last != 0 && self.done == self.last
    }
}
