//! The handle of a connection.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream as FuturesStream;
use futures_sink::Sink;
use tautline_proto::{CloseCode, Ended, Kind, Role};

use crate::keeper::{Keeper, in_handler};
use crate::message::{Chunk, Event, Message};
use crate::send::SendError;
use crate::shared::{Info, Item, Settings, Shared, notify};
use crate::stream::Stream;
use crate::wakers::Waiter;
use crate::writer::MessageWriter;

/// An open WebSocket connection.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut ws = tautline::connect("ws://localhost:8765").await?;
/// ws.send("Ada").await?;
/// while let Some(message) = ws.recv().await {
///     println!("{:?}", message.as_text());
/// }
/// println!("{}", ws.ended().unwrap());
/// # Ok(()) }
/// ```
///
/// Pings are answered, the peer is pinged, and the closing handshake is completed whatever the owner is doing. Every
/// method may be cancelled: each says what that means. Dropping the last handle closes the connection with 1001; a
/// server's handler that returns closes it with 1000.
#[derive(Debug)]
pub struct WebSocket {
    receiver: Receiver,
    sender: Sender,
}

/// The receiving half of a connection.
#[derive(Debug)]
pub struct Receiver {
    handle: Handle,
    /// The message that [`recv`](Self::recv) is putting together from chunks, after
    /// [`recv_event`](Self::recv_event) was used.
    assembled: Option<Vec<u8>>,
}

/// The sending half of a connection; it can be cloned and used from several tasks.
#[derive(Clone, Debug)]
pub struct Sender {
    pub(crate) handle: Handle,
    /// Whether what is sent by it is compressed, where that was agreed on.
    pub(crate) compress: bool,
}

impl WebSocket {
    /// A connection whose opening handshake has been done on `stream`, kept alive by a task of its own.
    ///
    /// `leftover` is what was read behind the handshake.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(stream: Stream, role: Role, settings: Arc<Settings>, leftover: &[u8], info: Info) -> Self {
        let shared = Shared::new(stream, role, settings, leftover, info);
        tokio::spawn(Keeper::new(shared.clone()));
        Self::from_shared(&shared)
    }

    pub(crate) fn from_shared(shared: &Arc<Shared>) -> Self {
        Self {
            receiver: Receiver { handle: Handle::new(shared), assembled: None },
            sender: Sender { handle: Handle::new(shared), compress: true },
        }
    }

    /// The next message; `None` when the connection has ended ([`ended`](Self::ended) tells why).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: the next call goes on where this one was.
    pub fn recv(&mut self) -> impl Future<Output = Option<Message>> + Send {
        self.receiver.recv()
    }

    /// The next event: data as it arrives, pings, pongs and the close frame. See [`Receiver::recv_event`].
    pub fn recv_event(&mut self) -> impl Future<Output = Option<Event>> + Send {
        self.receiver.recv_event()
    }

    /// Sends a message. See [`Sender::send`].
    pub fn send(&mut self, message: impl Into<Message>) -> impl Future<Output = Result<(), SendError>> + Send {
        self.sender.send(message)
    }

    /// As [`send`](Self::send), giving up after `timeout`. See [`Sender::send_within`].
    pub async fn send_within(&mut self, timeout: Duration, message: impl Into<Message>) -> Result<(), SendError> {
        self.sender.send_within(timeout, message).await
    }

    /// Queues a message for the next [`flush`](Self::flush). See [`Sender::feed`].
    pub fn feed(&mut self, message: impl Into<Message>) -> impl Future<Output = Result<(), SendError>> + Send {
        self.sender.feed(message)
    }

    /// Waits until everything queued has been written. See [`Sender::flush`].
    pub async fn flush(&mut self) -> Result<(), SendError> {
        self.sender.flush().await
    }

    /// Begins a message that is sent in fragments. See [`Sender::begin`].
    pub async fn begin(&mut self, kind: Kind) -> Result<MessageWriter, SendError> {
        self.sender.begin(kind).await
    }

    /// Pings the peer and answers the round-trip time. See [`Sender::ping`].
    pub async fn ping(&mut self) -> Result<Duration, SendError> {
        self.sender.ping().await
    }

    /// Asks the peer whether it is still there. See [`Sender::probe`].
    pub async fn probe(&mut self, within: Duration) -> Result<(), SendError> {
        self.sender.probe(within).await
    }

    /// Closes the connection and waits for its end. See [`Sender::close`].
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Ended {
        self.sender.close(code, reason).await
    }

    /// Why the connection ended; `None` while it is open.
    pub fn ended(&self) -> Option<Ended> {
        self.sender.ended()
    }

    /// The reason in the peer's close frame, if it sent one.
    pub fn close_reason(&self) -> Option<String> {
        self.sender.close_reason()
    }

    /// What was agreed when the connection was opened: subprotocol and peer address.
    pub fn info(&self) -> &Info {
        self.sender.info()
    }

    /// A further handle for sending, for other tasks.
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// The two halves, for two tasks. Control frames are taken care of whichever of them is used.
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }

    /// A handle that tells how the connection ended without keeping it open.
    pub fn end_watch(&self) -> EndWatch {
        EndWatch(self.sender.handle.0.clone())
    }
}

impl Receiver {
    /// The next message; `None` when the connection has ended.
    ///
    /// While this connection is being closed from here, and nobody receives, up to 64 KiB of what the peer still sends are kept; what
    /// comes after them is discarded.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: the next call goes on where this one was.
    pub fn recv(&mut self) -> impl Future<Output = Option<Message>> + Send {
        let Self { handle, assembled } = self;
        let mut attending = Attending { shared: &handle.0, pending: false };
        std::future::poll_fn(move |cx| {
            loop {
                match ready!(attending.poll(cx, false)) {
                    Some(Item::Message(message)) => return Poll::Ready(Some(message)),
                    Some(Item::Event(event)) => {
                        if let Event::Data(chunk) = *event
                            && let Some(message) = assemble(assembled, chunk)
                        {
                            return Poll::Ready(Some(message));
                        }
                    }
                    None => return Poll::Ready(None),
                }
            }
        })
    }

    /// The next event: data as it arrives, with the frame's opcode, length and offset; pings, pongs and the close
    /// frame. `None` when the connection has ended.
    ///
    /// From the first call on, frames are reported one by one, so that a message larger than memory can be handled;
    /// what had begun to arrive before is reported as whole messages. [`recv`](Self::recv) goes on working, beginning
    /// with the next message of which nothing has been reported; a message that it has begun with is reported whole.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub fn recv_event(&mut self) -> impl Future<Output = Option<Event>> + Send {
        let Self { handle, assembled } = self;
        let mut attending = Attending { shared: &handle.0, pending: false };
        std::future::poll_fn(move |cx| {
            loop {
                let message = match ready!(attending.poll(cx, true)) {
                    Some(Item::Message(message)) => message,
                    Some(Item::Event(event)) => match *event {
                        Event::Data(chunk) if assembled.is_some() => match assemble(assembled, chunk) {
                            Some(message) => message,
                            None => continue,
                        },
                        event => return Poll::Ready(Some(event)),
                    },
                    None => return Poll::Ready(None),
                };
                let kind = message.kind();
                let data = message.into_bytes();
                let payload_len = data.len() as u64;
                let chunk = Chunk { data, kind, opcode: kind.opcode(), fin: true, payload_len, offset: 0 };
                return Poll::Ready(Some(Event::Data(chunk)));
            }
        })
    }

    /// Why the connection ended; `None` while it is open.
    pub fn ended(&self) -> Option<Ended> {
        self.handle.0.lock().core.ended()
    }
}

/// Puts a chunk to the others of its message; answers the message when it is whole.
fn assemble(assembled: &mut Option<Vec<u8>>, chunk: Chunk) -> Option<Message> {
    if chunk.offset == 0 && chunk.opcode == chunk.kind.opcode() {
        *assembled = Some(Vec::new());
    }
    // Of any other message the beginning was reported as events: the rest alone is not a message.
    let bytes = assembled.as_mut()?;
    bytes.extend_from_slice(&chunk.data);
    if !chunk.is_last() {
        return None;
    }
    Some(crate::receive::message(chunk.kind, assembled.take()?.into()))
}

/// A task that waits for the next item. Dropping it tells the keeper that nobody does.
struct Attending<'a> {
    shared: &'a Arc<Shared>,
    pending: bool,
}

impl Attending<'_> {
    fn poll(&mut self, cx: &mut Context<'_>, by_event: bool) -> Poll<Option<Item>> {
        let handled = in_handler(self.shared);
        let mut state = self.shared.lock();
        // Before this connection waits for more input, what its handler has published goes out. Not under our own
        // lock: this connection may be among the recipients.
        if handled && !state.unparsed && crate::broadcast::holds_any() {
            drop(state);
            crate::broadcast::release();
            state = self.shared.lock();
        }
        state.by_event |= by_event;
        let before = (!state.waiting.is_empty()).then(|| state.landmarks());
        // In a handler the keeper is polled next anyway.
        let due = (!handled).then(|| state.core.poll_timeout());
        let polled = match state.item_at_hand() {
            Some(item) => Poll::Ready(Some(item)),
            None => {
                self.shared.wakers.register(Waiter::Receiver, cx.waker());
                state.poll_item()
            }
        };
        state.receives = state.receives.wrapping_add(1);
        state.attended = polled.is_pending();
        self.pending = state.attended;
        if handled {
            crate::broadcast::set_batch(state.unparsed);
        }
        let watch = polled.is_ready() && !state.watched && !handled;
        state.watched |= watch;
        let sooner = due.is_some_and(|due| {
            let at = state.core.poll_timeout();
            at.is_some_and(|at| due.is_none_or(|due| at < due))
        });
        if before.is_some_and(|before| state.landmarks() != before) {
            notify(state);
        } else {
            drop(state);
        }
        if watch || sooner || (!handled && matches!(polled, Poll::Ready(None))) {
            self.shared.wakers.wake_one(Waiter::Keeper);
        }
        polled
    }
}

impl Drop for Attending<'_> {
    fn drop(&mut self) {
        if self.pending {
            self.shared.lock().attended = false;
            if !in_handler(self.shared) {
                self.shared.wakers.wake_one(Waiter::Keeper);
            }
        }
    }
}

/// Tells how a connection ended; does not keep it open.
#[derive(Clone, Debug)]
pub struct EndWatch(Arc<Shared>);

impl EndWatch {
    /// Why the connection ended; `None` while it is open.
    pub fn ended(&self) -> Option<Ended> {
        self.0.lock().core.ended()
    }
}

/// Keeps the connection open: when the last one is dropped, the connection is closed.
#[derive(Debug)]
pub(crate) struct Handle(pub(crate) Arc<Shared>);

impl Handle {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.lock().handles += 1;
        Self(shared.clone())
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        Self::new(&self.0)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.handles -= 1;
        if state.handles > 0 {
            return;
        }
        state.discard = true;
        let open = state.core.is_open();
        drop(state);
        // A handler that is done with its connection has fulfilled its purpose.
        let code = match (std::thread::panicking(), in_handler(&self.0)) {
            (true, _) => CloseCode::INTERNAL_ERROR,
            (false, true) => CloseCode::NORMAL,
            (false, false) => CloseCode::GOING_AWAY,
        };
        if open {
            self.0.begin_close(code, "");
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Whatever still comes is for nobody; reading it lets control frames through.
        let mut state = self.handle.0.lock();
        state.discard = true;
        state.forget_received();
        drop(state);
        self.handle.0.wakers.wake_one(Waiter::Keeper);
    }
}

impl FuturesStream for Receiver {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        // `recv` keeps all its state in the connection, so a fresh future every time is the same as one future.
        let future = pin!(self.recv());
        future.poll(cx)
    }
}

impl FuturesStream for WebSocket {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        Pin::new(&mut self.receiver).poll_next(cx)
    }
}

impl Sink<Message> for Sender {
    type Error = SendError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.handle.0.poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), SendError> {
        self.handle.0.start_send(message, self.compress)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.handle.0.poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.handle.0.poll_close(cx)
    }
}

impl Sink<Message> for WebSocket {
    type Error = SendError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Pin::new(&mut self.sender).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), SendError> {
        Pin::new(&mut self.sender).start_send(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Pin::new(&mut self.sender).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Pin::new(&mut self.sender).poll_close(cx)
    }
}
