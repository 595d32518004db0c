//! One message to many connections.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
pub use tautline_proto::app::{Delivery, Slow};
use tautline_proto::compression::Backend;
use tautline_proto::deflate::WindowBits;
use tautline_proto::{CloseCode, Header, Kind, MAX_HEADER, OpCode, Part, Role, mask};

use crate::keeper::in_any_handler;
use crate::message::Message;
use crate::pool;
use crate::shared::{Shared, State, mask_key, notify};
use crate::websocket::Sender;

/// A message encoded once, for any number of recipients. For those who agreed to get messages compressed by themselves it is
/// compressed once for each window; for those who get them with reference to earlier ones, each time.
#[derive(Clone, Debug)]
pub struct Published {
    header: Header,
    payload: Bytes,
    /// Header and payload as a server sends them.
    frame: Bytes,
    part: Part,
    compress: bool,
    compressed: Arc<[OnceLock<Variant>; WINDOWS]>,
}

/// How many windows there are.
const WINDOWS: usize = (WindowBits::MAX.value() - WindowBits::MIN.value()) as usize + 1;

/// A published message compressed, as a server sends it; `None`: it is not shorter that way.
type Variant = Option<(Header, Bytes)>;

impl Published {
    /// Encodes `message`.
    pub fn new(message: impl Into<Message>) -> Self {
        let (kind, payload) = crate::shared::into_parts(message.into());
        let (header, frame) = encode(kind, false, &payload);
        let payload = frame.slice(frame.len() - payload.len()..);
        Self { header, payload, frame, part: Part::Whole(kind), compress: true, compressed: Arc::default() }
    }

    /// Whether it is compressed for those who have agreed on that. Default: yes. See
    /// [`Sender::compress`](crate::Sender::compress), whose choice makes no difference here.
    pub fn compress(mut self, compress: bool) -> Self {
        self.compress = compress;
        self
    }

    /// As it is for those who agreed to get messages compressed by themselves in this window. Who comes first has its backend
    /// compress it for all.
    fn compressed(&self, window: WindowBits, backend: Backend) -> Option<&(Header, Bytes)> {
        let variant = &self.compressed[usize::from(window.value() - WindowBits::MIN.value())];
        let compress = || {
            pool::with_deflate_space(|space| {
                space.deflate(window, backend, &self.payload).map(|compressed| encode(self.kind(), true, compressed))
            })
        };
        variant.get_or_init(compress).as_ref()
    }

    fn kind(&self) -> Kind {
        if self.header.opcode == OpCode::Text { Kind::Text } else { Kind::Binary }
    }
}

/// A server's frame with this payload.
fn encode(kind: Kind, compressed: bool, payload: &[u8]) -> (Header, Bytes) {
    let header = Header { fin: true, opcode: kind.opcode(), compressed, mask: None, len: payload.len() as u64 };
    let mut head = [0; MAX_HEADER];
    let head_len = header.encode(&mut head);
    let mut frame = Vec::with_capacity(head_len + payload.len());
    frame.extend_from_slice(&head[..head_len]);
    frame.extend_from_slice(payload);
    (header, frame.into())
}

impl Sender {
    /// Sends an encoded message without ever waiting: a full queue is met with `slow`.
    pub fn publish(&self, message: &Published, slow: Slow) -> Delivery {
        self.handle.0.publish(message, slow)
    }
}

/// A set of connections that messages are published to.
///
/// ```no_run
/// # async fn example(listener: tokio::net::TcpListener) -> std::io::Result<()> {
/// use std::sync::Arc;
/// use tautline::{Group, Slow};
///
/// let everybody = Arc::new(Group::new(Slow::DropOldest));
/// tautline::serve(listener, move |mut ws, _| {
///     let everybody = everybody.clone();
///     async move {
///         let membership = everybody.join(&ws.sender());
///         while let Some(message) = ws.recv().await {
///             everybody.publish_except(&membership, message);
///         }
///     }
/// }, std::future::pending::<()>()).await
/// # }
/// ```
#[derive(Debug)]
pub struct Group {
    slow: Slow,
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
struct Members {
    next: u64,
    senders: HashMap<u64, Sender>,
    total: Delivery,
}

impl Group {
    /// An empty group with this policy for slow members.
    pub fn new(slow: Slow) -> Self {
        Self { slow, members: Mutex::default() }
    }

    /// Adds a connection until the answer is dropped.
    pub fn join(self: &Arc<Self>, sender: &Sender) -> Membership {
        let mut members = self.members();
        members.next += 1;
        let id = members.next;
        members.senders.insert(id, sender.clone());
        Membership { group: self.clone(), id }
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members().senders.len()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What became of everything published so far.
    pub fn total(&self) -> Delivery {
        self.members().total
    }

    /// Publishes to all members, writing to each what its socket takes: at once, or, in a handler that has more messages at hand,
    /// together with what it publishes for those. Every member gets the messages in the order in which they were published.
    pub fn publish(&self, message: impl Into<Message>) -> Delivery {
        self.publish_to(message.into(), None)
    }

    /// Publishes to all members but one.
    pub fn publish_except(&self, except: &Membership, message: impl Into<Message>) -> Delivery {
        self.publish_to(message.into(), Some(except.id))
    }

    fn publish_to(&self, message: Message, except: Option<u64>) -> Delivery {
        let message = Published::new(message);
        let mut members = self.members();
        let mut delivery = Delivery::default();
        for (&id, sender) in &members.senders {
            if Some(id) != except {
                delivery += sender.publish(&message, self.slow);
            }
        }
        members.total += delivery;
        delivery
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place in a [`Group`]; dropping it leaves the group.
#[derive(Debug)]
pub struct Membership {
    group: Arc<Group>,
    id: u64,
}

impl Drop for Membership {
    fn drop(&mut self) {
        let sender = self.group.members().senders.remove(&self.id);
        // Outside of the lock: it may be the last handle, and closing writes.
        drop(sender);
    }
}

thread_local! {
    /// Whether the handler that is being polled has more input at hand.
    static BATCH: Cell<bool> = const { Cell::new(false) };
    /// Connections that were published to in this batch and not written to.
    static HELD: RefCell<Vec<Arc<Shared>>> = const { RefCell::new(Vec::new()) };
}

/// Notes whether the handler that is being polled has more input at hand: as long as it has, what it publishes is held,
/// to leave in one write for each recipient.
pub(crate) fn set_batch(more: bool) {
    BATCH.set(more);
}

/// Whether something published is held.
pub(crate) fn holds_any() -> bool {
    HELD.with_borrow(|held| !held.is_empty())
}

/// Writes what was published in this batch: to each connection in one gathered write.
pub(crate) fn release() {
    BATCH.set(false);
    // Writing wakes tasks but runs none, so nothing is published meanwhile.
    while let Some(shared) = HELD.with_borrow_mut(Vec::pop) {
        let mut state = shared.lock();
        let blocked = without_budget(|| state.drain()).is_pending();
        if !blocked && !state.waiting.is_empty() {
            notify(state);
        }
    }
}

/// Writes whatever the sockets take. Within a task, tokio lets a socket seem busy after 128 operations so that other
/// tasks get their turn; to a publisher every further recipient would then seem slow.
fn without_budget<R>(write: impl FnOnce() -> R) -> R {
    let mut write = Some(write);
    let once = tokio::task::coop::unconstrained(std::future::poll_fn(|_| match write.take() {
        Some(write) => Poll::Ready(write()),
        None => Poll::Pending,
    }));
    match pin!(once).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("polled once, it is ready"),
    }
}

impl Shared {
    fn publish(self: &Arc<Self>, message: &Published, slow: Slow) -> Delivery {
        let mut state = self.lock();
        let mut delivery = Delivery::default();
        if !state.core.is_open() {
            delivery.closed = 1;
            return delivery;
        }
        if state.streaming {
            delivery.dropped = 1;
            return delivery;
        }
        if state.is_full() {
            let _ = without_budget(|| state.drain());
        }
        if state.is_full() {
            let room = match slow {
                Slow::Disconnect => {
                    delivery.disconnected = 1;
                    drop(state);
                    self.begin_close(CloseCode::TRY_AGAIN_LATER, "too slow");
                    return delivery;
                }
                Slow::DropOldest => state.excess(),
                Slow::KeepLatest => usize::MAX,
            };
            let (messages, _) = state.queue.drop_published(room);
            delivery.dropped = messages;
            // What is left was sent by the connection's owner, which is not ours to drop. The new message takes the place
            // of those that went, so that a receiver behind its owner's bytes still gets the latest.
            if state.is_full() && messages == 0 {
                delivery.dropped += 1;
                return delivery;
            }
        }
        let hold = BATCH.get() && in_any_handler();
        let held_before = state.held;
        if state.publish(message, slow, hold) {
            delivery.sent = 1;
        } else {
            delivery.closed = 1;
        }
        state.held |= hold;
        drop(state);
        if hold && !held_before {
            HELD.with_borrow_mut(|held| held.push(self.clone()));
        }
        delivery
    }
}

impl State {
    /// Queues a published message, and writes it unless it is held for more.
    fn publish(&mut self, message: &Published, slow: Slow, hold: bool) -> bool {
        // What may be dropped again must not be what later messages refer to: with takeover it goes as it is.
        let droppable = self.behind && slow != Slow::Disconnect;
        let own = self.compression.as_deref().filter(|_| message.compress);
        let own = own.map(|(_, deflater)| (deflater.sender(), deflater.backend()));
        let own = own.filter(|(own, _)| !(own.takeover && droppable));
        let frame = match (self.core.role(), own) {
            // It refers to earlier ones, and so is the connection's own.
            (_, Some((own, _))) if own.takeover => {
                return without_budget(|| self.send(message.part, &mut message.payload.clone(), true, hold)).is_ok();
            }
            (Role::Server, own) => {
                let compressed = own.and_then(|(own, backend)| message.compressed(own.window, backend));
                let (header, frame) =
                    compressed.map_or((&message.header, &message.frame), |(header, frame)| (header, frame));
                self.core.send_encoded(header, &message.payload).map(|()| frame.clone())
            }
            (Role::Client, _) => self.masked(message),
        };
        let Ok(frame) = frame else { return false };
        self.queue.push_published(frame);
        if !hold {
            let _ = without_budget(|| self.drain());
        }
        true
    }

    /// A client's frame is its own: each has another masking key.
    fn masked(&mut self, message: &Published) -> Result<Bytes, tautline_proto::SendError> {
        let key = mask_key(Role::Client);
        let mut head = [0; MAX_HEADER];
        let head_len = self.core.send(message.part, &message.payload, key, &mut head)?;
        let mut frame = Vec::with_capacity(head_len + message.payload.len());
        frame.extend_from_slice(&head[..head_len]);
        frame.extend_from_slice(&message.payload);
        mask::apply(key, 0, &mut frame[head_len..]);
        Ok(frame.into())
    }
}
