//! What the rest of the program has in its hands.

use core::cell::RefCell;
use core::fmt;
use core::task::Context;

use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_sync::waitqueue::{MultiWakerRegistration, WakerRegistration};
use tautline_proto::{Instant, Kind, Part};

use crate::drive::wait;
use crate::outbox::{Counters, Outbox, Payload, Policy, PushError};
use crate::stream::{Stream, StreamError};
use crate::transport::Clock;

/// How many tasks wait for room without waking each other for nothing.
pub(crate) const WAITING: usize = 4;

/// The way from the program to its [`Client`](crate::Client), from any task and any priority: sends, stops, asks how things are.
///
/// Nothing here waits for the network. `M` is the mutex that fits: `CriticalSectionRawMutex` between priorities or threads, `NoopRawMutex`
/// within one task's executor. It is held while a message is copied and the outbox moves together, no longer.
pub struct Link<'m, M: RawMutex> {
    shared: Mutex<M, RefCell<Shared<'m>>>,
}

struct Shared<'m> {
    outbox: Outbox<'m>,
    orders: Orders,
    /// Counts connections, so that a stream knows its own.
    connection: u32,
    open: bool,
    streaming: bool,
    client: WakerRegistration,
    waiting: MultiWakerRegistration<WAITING>,
}

/// What the client is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Orders {
    pub(crate) stop: bool,
    pub(crate) reconnect: bool,
    pub(crate) ping: bool,
    /// A message in fragments was not finished.
    pub(crate) abandon: bool,
}

impl Orders {
    pub(crate) fn add(&mut self, more: Self) {
        let Self { stop, reconnect, ping, abandon } = self;
        *stop |= more.stop;
        *reconnect |= more.reconnect;
        *ping |= more.ping;
        *abandon |= more.abandon;
    }
}

/// A message to send.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    kind: Kind,
    payload: &'a [u8],
    policy: Policy,
}

impl<'a> Message<'a> {
    /// Text that is refused when the outbox is full.
    pub const fn text(text: &'a str) -> Self {
        Self { kind: Kind::Text, payload: text.as_bytes(), policy: Policy::DropNewest }
    }

    /// Bytes that are refused when the outbox is full.
    pub const fn binary(bytes: &'a [u8]) -> Self {
        Self { kind: Kind::Binary, payload: bytes, policy: Policy::DropNewest }
    }

    /// What gives way when the outbox is full. Default: [`Policy::DropNewest`].
    pub const fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }
}

impl<'m, M: RawMutex> Link<'m, M> {
    /// A link whose messages wait in `memory`: each takes its payload and 12 bytes.
    ///
    /// # Panics
    /// If the memory is larger than 2 GiB.
    pub const fn new(memory: &'m mut [u8]) -> Self {
        let shared = Shared {
            outbox: Outbox::new(memory),
            orders: Orders { stop: false, reconnect: false, ping: false, abandon: false },
            connection: 0,
            open: false,
            streaming: false,
            client: WakerRegistration::new(),
            waiting: MultiWakerRegistration::new(),
        };
        Self { shared: Mutex::new(RefCell::new(shared)) }
    }

    /// Puts a message into the outbox, whether the link is up or not. Never waits.
    ///
    /// It leaves the outbox when the transport has taken all of it. Whether it arrived nobody knows then; what has to be known is to be
    /// answered by the server.
    ///
    /// # Errors
    /// It was not taken; the counters have it as refused.
    pub fn try_send(&self, message: Message<'_>) -> Result<(), PushError> {
        self.push(message.kind, message.policy, false, &message.payload).map(drop)
    }

    /// Puts a message into the outbox as soon as there is room for it, until `deadline` at the latest.
    ///
    /// # Errors
    /// It was not taken; the counters have it as refused.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is ready, the message was not taken.
    pub async fn send(&self, message: Message<'_>, clock: &impl Clock, deadline: Instant) -> Result<(), PushError> {
        let Message { kind, policy, payload } = message;
        let attempt = |shared: &mut Shared<'m>| match shared.push(Part::Whole(kind), policy, false, &payload) {
            Err(PushError::Full) => None,
            result => Some(result.map(drop)),
        };
        let result = self.wait(clock, deadline, attempt).await.unwrap_or(Err(PushError::Full));
        result.inspect_err(|_| self.lock(|shared| shared.outbox.refuse()))
    }

    /// Waits until the transport has taken everything, and what is to be acknowledged was. Answers whether that happened until
    /// `deadline`.
    ///
    /// # Cancel safety
    /// Dropping the future is harmless.
    pub async fn flush(&self, clock: &impl Clock, deadline: Instant) -> bool {
        self.wait(clock, deadline, |shared| shared.outbox.is_empty().then_some(())).await.is_some()
    }

    /// Begins a message that is sent piece by piece, in fragments (RFC 6455 §5.4): for what does not fit into memory as a whole.
    ///
    /// Other messages wait until it is finished. `None`: the link is not up, or another one is being sent. That lasts until the transport
    /// has taken its end, also if it was finished: what waits of it and what is begun here could not be told apart.
    pub fn begin(&self, kind: Kind) -> Option<Stream<'_, 'm, M>> {
        self.lock(|shared| {
            let free = shared.open && !shared.streaming && !shared.outbox.has_fragments();
            free.then(|| {
                shared.streaming = true;
                shared.outbox.reserve(true);
                Stream::new(self, kind, shared.connection)
            })
        })
    }

    /// Has the server pinged; the client tells of its answer. Does nothing while the link is down.
    pub fn ping(&self) {
        self.order(Orders { ping: true, ..Orders::default() });
    }

    /// Has the next attempt made at once, for instance because the network has come back: an attempt that is under way is given up
    /// for it. If the link is up, it is closed and made anew.
    pub fn reconnect(&self) {
        self.order(Orders { reconnect: true, ..Orders::default() });
    }

    /// Ends the client and returns at once, whatever it is doing: a wait and an attempt end where they are, an open link is
    /// closed as it should be, within the close timeout. What is in the outbox stays there.
    ///
    /// Without a running client the next one ends at once.
    pub fn stop(&self) {
        self.order(Orders { stop: true, ..Orders::default() });
    }

    /// Whether the link is up.
    pub fn is_open(&self) -> bool {
        self.lock(|shared| shared.open)
    }

    /// What became of messages.
    pub fn counters(&self) -> Counters {
        self.lock(|shared| shared.outbox.counters())
    }

    /// As [`try_send`](Self::try_send), for any payload; answers the message's number.
    pub(crate) fn push(&self, kind: Kind, policy: Policy, kept: bool, payload: &dyn Payload) -> Result<u32, PushError> {
        self.lock(|shared| {
            shared.push(Part::Whole(kind), policy, kept, payload).inspect_err(|_| shared.outbox.refuse())
        })
    }

    /// The server has acknowledged a message that waits for it. Answers whether it did.
    pub(crate) fn acknowledge(&self, id: u32) -> bool {
        self.outbox(|outbox| outbox.acknowledge(id))
    }

    /// What is not acknowledged is to be sent again.
    pub(crate) fn again(&self) {
        self.outbox(Outbox::again);
    }

    /// Lets the client look at the outbox, and wakes those who wait for room.
    pub(crate) fn outbox<T>(&self, look: impl FnOnce(&mut Outbox<'m>) -> T) -> T {
        self.lock(|shared| {
            let before = shared.outbox.room();
            let result = look(&mut shared.outbox);
            shared.wake_for_room(before);
            result
        })
    }

    /// What the client is to do now; it is woken when there is more.
    pub(crate) fn orders(&self, cx: &Context<'_>) -> Orders {
        self.lock(|shared| {
            shared.client.register(cx.waker());
            core::mem::take(&mut shared.orders)
        })
    }

    /// The client says whether messages can be sent.
    pub(crate) fn note_open(&self, open: bool) {
        self.lock(|shared| {
            if open != shared.open {
                shared.open = open;
                shared.connection = shared.connection.wrapping_add(1);
                shared.waiting.wake();
            }
        });
    }

    /// The client has no connection.
    pub(crate) fn down(&self) {
        self.note_open(false);
        self.outbox(Outbox::disconnected);
    }

    /// Takes of the next piece of the stream of connection `connection` as much as there is room for. Answers how much.
    pub(crate) async fn push_fragment(
        &self,
        connection: u32,
        part: Part,
        piece: &[u8],
        clock: &impl Clock,
        deadline: Instant,
    ) -> Result<usize, StreamError> {
        let attempt = |shared: &mut Shared<'m>| {
            if !shared.open || shared.connection != connection {
                return Some(Err(StreamError::Disconnected));
            }
            let room = shared.outbox.room();
            // Small pieces are put off until there is room for one that is worth its header; without any, not even that may fit.
            if room < piece.len().min(shared.outbox.worthwhile()).max(1) {
                return None;
            }
            let len = piece.len().min(room);
            let part = match part {
                Part::Last if len < piece.len() => Part::Next,
                Part::Whole(kind) if len < piece.len() => Part::First(kind),
                part => part,
            };
            // A message that is begun and finished in one piece leaves nothing to keep room for, and may need that room itself.
            shared.outbox.reserve(!matches!(part, Part::Whole(_)));
            shared.push(part, Policy::DropNewest, false, &&piece[..len]).ok().map(|_| Ok(len))
        };
        self.wait(clock, deadline, attempt).await.unwrap_or(Err(StreamError::TimedOut))
    }

    /// The stream is over; it has not been `finished`, perhaps.
    pub(crate) fn end_stream(&self, connection: u32, finished: bool) {
        self.lock(|shared| {
            shared.streaming = false;
            shared.outbox.reserve(false);
            if !finished && shared.connection == connection && shared.outbox.abandon_fragments() {
                shared.orders.abandon = true;
            }
            // There is room for others: what was reserved for it, and where its fragments were.
            shared.waiting.wake();
            shared.client.wake();
        });
    }

    /// Tries `attempt` whenever something has changed, until `deadline`.
    async fn wait<T>(
        &self,
        clock: &impl Clock,
        deadline: Instant,
        mut attempt: impl FnMut(&mut Shared<'m>) -> Option<T>,
    ) -> Option<T> {
        let mut look = |shared: &mut Shared<'m>, cx: &Context<'_>| {
            attempt(shared).or_else(|| {
                shared.waiting.register(cx.waker());
                None
            })
        };
        wait(clock, deadline, |cx| self.lock(|shared| look(shared, cx))).await
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

impl Shared<'_> {
    fn push(&mut self, part: Part, policy: Policy, kept: bool, payload: &dyn Payload) -> Result<u32, PushError> {
        let id = self.outbox.push_payload(part, policy, kept, payload)?;
        self.client.wake();
        Ok(id)
    }

    /// Wakes those who wait for room, if there is more than `before`.
    #[inline(never)] // once for each look at the outbox, it would be 400 bytes on a chip
    fn wake_for_room(&mut self, before: usize) {
        if self.outbox.room() > before {
            self.waiting.wake();
        }
    }
}

impl<M: RawMutex> fmt::Debug for Link<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("open", &self.is_open())
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}
