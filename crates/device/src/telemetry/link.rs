//! What the rest of the program has in its hands.

use core::cell::RefCell;
use core::fmt;
use core::task::Context;

use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_sync::waitqueue::{MultiWakerRegistration, WakerRegistration};
use tautline_proto::Instant;
use tautline_telemetry::device::{Config, Event, Identity, Ignored, PushError, Session};
use tautline_telemetry::{Key, Message, Outcome, Side, Unencodable, Value};

use super::line::millis;
use crate::drive::wait;
use crate::link::{Orders, WAITING};
use crate::machine::draw;
use crate::transport::{Clock, Random};

/// The way from the program to its [`Client`](super::Client), from any task and any priority: takes readings and results, stops, asks how
/// things are.
///
/// Nothing here waits for the network. `M` is the mutex that fits: `CriticalSectionRawMutex` between priorities or threads, `NoopRawMutex`
/// within one task's executor.
///
/// It is held while a message is copied and the outbox moves together, not while a tag is reckoned.
pub struct Link<'m, M: RawMutex> {
    /// For tags, which take their time.
    key: Option<Key>,
    shared: Mutex<M, RefCell<Shared<'m>>>,
}

struct Shared<'m> {
    session: Session<'m, &'m mut [u8]>,
    orders: Orders,
    /// Whether there is a connection to the hub.
    connected: bool,
    /// A reading was not taken because the session has no numbers left.
    exhausted: bool,
    client: WakerRegistration,
    waiting: MultiWakerRegistration<WAITING>,
}

impl<'m, M: RawMutex> Link<'m, M> {
    /// A link whose session begins. Make it once, at the start; `clock` and `random` are those that the client has.
    ///
    /// - `config`: [`Config::DATAGRAM`] for UDP and [`Config::STREAM`] for TCP, or what is made of them.
    /// - `outbox`: memory for readings that are not acknowledged: 6 bytes and the value for each, and 30 for each message. What is taken
    ///   while there is no link is in messages of up to 1152 bytes, so 4 KiB hold some 340 temperatures.
    /// - `random`: has to be good for secrets. Two sessions of one device must never have the same number.
    ///
    /// # Errors
    /// The identity cannot be sent: it is too long for a hello, or something in it is out of bounds.
    pub fn new(
        identity: Identity<'m>,
        config: Config,
        outbox: &'m mut [u8],
        clock: &impl Clock,
        random: &mut impl Random,
    ) -> Result<Self, Unencodable> {
        let key = identity.key.clone();
        let (number, seed) = (number(random), u64::from_ne_bytes(draw(random)));
        let shared = Shared {
            session: Session::new(millis(clock.now()), identity, config, number, seed, outbox)?,
            orders: Orders::default(),
            connected: false,
            exhausted: false,
            client: WakerRegistration::new(),
            waiting: MultiWakerRegistration::new(),
        };
        Ok(Self { key, shared: Mutex::new(RefCell::new(shared)) })
    }

    /// Puts a reading of `at`, a time of the client's clock, into the outbox, whether the link is up or not. Never waits. Answers the number
    /// of the message that it will be in, for comparison with [`Acknowledgement::covers`](super::Acknowledgement::covers).
    ///
    /// It stays in the outbox until the hub has stored it. A time earlier than the last that was sent or received counts as that one. One
    /// ahead of the clock delays nothing, and goes to the hub as it is, as far as a message can say that (a hub refuses more than a day).
    ///
    /// # Errors
    /// It was not taken; see [`PushError`]. If the outbox is full, those that are in it stay.
    pub fn push(&self, at: Instant, sensor: u8, value: Value<'_>) -> Result<u32, PushError> {
        self.lock(|shared| {
            let result = shared.session.push(millis(at), sensor, value);
            shared.exhausted |= result == Err(PushError::Exhausted);
            shared.client.wake();
            result
        })
    }

    /// The result of a command, which may come later and from elsewhere than the [event](super::Event). Answers whether the hub waits for
    /// it: only the last command has a result, and only one.
    ///
    /// # Errors
    /// It is too long or out of bounds; another one can be given.
    pub fn answer(&self, number: u32, outcome: &Outcome<'_>) -> Result<bool, Unencodable> {
        self.lock(|shared| {
            shared.client.wake();
            shared.session.answer(number, outcome)
        })
    }

    /// Waits until everything is stored, or refused by the hub. Answers whether that happened until `deadline`.
    ///
    /// # Cancel safety
    /// Dropping the future is harmless.
    pub async fn flush(&self, clock: &impl Clock, deadline: Instant) -> bool {
        let look = |shared: &mut Shared<'m>, cx: &Context<'_>| {
            let done = shared.session.outstanding() == 0;
            if !done {
                shared.waiting.register(cx.waker());
            }
            done.then_some(())
        };
        wait(clock, deadline, |cx| self.lock(|shared| look(shared, cx))).await.is_some()
    }

    /// Has the next attempt made at once, for instance because the network has come back: an attempt that is under way is given up
    /// for it. If there is a connection, it is given up and made anew.
    pub fn reconnect(&self) {
        self.order(Orders { reconnect: true, ..Orders::default() });
    }

    /// Ends the client and returns at once, whatever it is doing. What is in the outbox stays there.
    ///
    /// Without a running client the next one ends at once.
    pub fn stop(&self) {
        self.order(Orders { stop: true, ..Orders::default() });
    }

    /// Whether there is a connection over which the hub has welcomed the device.
    pub fn is_open(&self) -> bool {
        self.lock(|shared| shared.connected && shared.session.is_linked())
    }

    /// How many messages are in the outbox: not acknowledged, or stored behind one that is not.
    pub fn outstanding(&self) -> u32 {
        self.lock(|shared| shared.session.outstanding())
    }

    /// The time of the calendar at a time of the client's clock, in milliseconds since 1970 (UTC), once the hub has told it.
    pub fn calendar(&self, at: Instant) -> Option<u64> {
        self.lock(|shared| shared.session.calendar(millis(at)))
    }

    /// What the client is to do now; it is woken when there is more.
    pub(super) fn orders(&self, cx: &Context<'_>) -> Orders {
        self.lock(|shared| {
            shared.client.register(cx.waker());
            core::mem::take(&mut shared.orders)
        })
    }

    /// The client has a connection, or has none any more.
    pub(super) fn note_connected(&self, now: Instant, connected: bool) {
        self.lock(|shared| {
            shared.connected = connected;
            if connected {
                shared.session.reconnected(millis(now));
            }
        });
    }

    /// Begins another session, with what is not acknowledged.
    pub(super) fn restart(&self, now: Instant, random: &mut impl Random) {
        let number = number(random);
        self.lock(|shared| {
            shared.exhausted = false;
            shared.session.restart(millis(now), number);
        });
    }

    /// Whether the session has no numbers left, and everything is stored.
    pub(super) fn is_exhausted(&self) -> bool {
        self.lock(|shared| shared.exhausted && shared.session.outstanding() == 0)
    }

    /// Writes the next message to send and answers its length.
    pub(super) fn transmit(&self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let len = self.lock(|shared| shared.session.poll_unsigned(millis(now), out))?;
        if let Some(key) = &self.key {
            key.sign(out.get_mut(..len)?);
        }
        Some(len)
    }

    /// When there is something to send.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.lock(|shared| shared.session.poll_timeout()).map(Instant::from_millis)
    }

    /// A message of the hub's, perhaps. Wakes those who wait for acknowledgements.
    pub(super) fn receive<'b>(&self, now: Instant, message: &Message<'b>) -> Result<Option<Event<'b>>, Ignored> {
        let checked = message.authenticate(Side::Hub, self.key.as_ref());
        self.lock(|shared| {
            let result = shared.session.receive_checked(millis(now), message, checked);
            if shared.session.outstanding() == 0 {
                shared.waiting.wake();
            }
            result
        })
    }

    fn order(&self, order: Orders) {
        self.lock(|shared| {
            shared.orders.add(order);
            shared.client.wake();
        });
    }

    fn lock<T>(&self, look: impl FnOnce(&mut Shared<'m>) -> T) -> T {
        self.shared.lock(|shared| look(&mut shared.borrow_mut()))
    }
}

impl<M: RawMutex> fmt::Debug for Link<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("open", &self.is_open())
            .field("outstanding", &self.outstanding())
            .finish_non_exhaustive()
    }
}

/// A number for a session.
fn number(random: &mut impl Random) -> u64 {
    u64::from_ne_bytes(draw(random)).max(1)
}
