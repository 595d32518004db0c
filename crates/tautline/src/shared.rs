//! The state of a connection that its handles and its keeper share.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tautline_proto::compression::{Backend, Deflater, Inflater};
use tautline_proto::handshake::deflate::Parameters;
use tautline_proto::{
    CloseCode, Config, Connection, Control, Ended, Instant, Kind, MAX_CONTROL_FRAME, OpCode, Role, Transport,
};
use tokio::io::AsyncWrite;

use crate::message::{Event, Message};
use crate::pool;
use crate::queue::Queue;
use crate::receive::Ready;
use crate::stream::Stream;
use crate::wakers::{Waiter, Waiting, Wakers};

/// How a connection behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(crate) protocol: Config,
    pub(crate) send_queue: usize,
    pub(crate) deflate_backend: Backend,
}

impl Settings {
    /// The default limit of [`send_queue`](Self::send_queue): 1 MiB.
    pub const DEFAULT_SEND_QUEUE: usize = 1024 * 1024;

    /// The defaults.
    pub const fn new() -> Self {
        Self { protocol: Config::new(), send_queue: Self::DEFAULT_SEND_QUEUE, deflate_backend: Backend::Small }
    }

    /// Limits and timers of the protocol.
    pub const fn protocol(mut self, config: Config) -> Self {
        self.protocol = config;
        self
    }

    /// How many bytes may wait to be sent before `send` waits and published messages meet their policy. Default
    /// 1 MiB; 0 means that one message at a time may wait. A connection holds this and one message at the most.
    pub const fn send_queue(mut self, bytes: usize) -> Self {
        self.send_queue = bytes;
        self
    }

    /// What compresses messages, where that is agreed on. Default [`Backend::Small`].
    pub const fn deflate_backend(mut self, backend: Backend) -> Self {
        self.deflate_backend = backend;
        self
    }

    /// What was set: limits and timers of the protocol, the bytes that may wait to be sent, and what compresses.
    pub const fn parts(&self) -> (Config, usize, Backend) {
        (self.protocol, self.send_queue, self.deflate_backend)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

/// What the protocol core knows of its surroundings.
#[derive(Debug)]
pub(crate) struct Surroundings(pub(crate) Arc<Settings>);

impl tautline_proto::Context for Surroundings {
    fn config(&self) -> &Config {
        &self.0.protocol
    }
}

/// What was agreed when the connection was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// The selected subprotocol.
    pub subprotocol: Option<String>,
    /// The address of the peer, where the transport has one.
    pub peer: Option<std::net::SocketAddr>,
    /// How messages are compressed; `None`: they are not.
    pub deflate: Option<Parameters>,
}

/// What the receiving side has ready.
#[derive(Debug)]
pub(crate) enum Item {
    Message(Message),
    /// Boxed, since it is several times as large as a message, and all items are moved about.
    Event(Box<Event>),
}

/// What handles and keeper share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) wakers: Arc<Wakers>,
    pub(crate) info: Info,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) core: Connection<Surroundings>,
    pub(crate) stream: Option<Stream>,
    pub(crate) queue: Queue,
    pub(crate) control: Option<Box<Control>>,
    /// If it was agreed to compress.
    pub(super) compression: Option<Box<(Inflater, Deflater)>>,
    /// Wakes everybody who waits for this connection; the only waker that the transport gets.
    pub(crate) waker: Waker,

    /// Received and not consumed: an incomplete header or control frame, or (`unparsed`) more.
    pub(super) raw: Vec<u8>,
    pub(super) raw_at: usize,
    pub(super) unparsed: bool,
    /// Something was read since the keeper's last turn, which was a moment ago: see [`time`](Self::time).
    pub(crate) just_read: bool,
    /// A message that is being put together.
    pub(super) partial: BytesMut,
    pub(super) ready: Ready,
    /// Somebody asked for events: frames are reported one by one, not as whole messages.
    pub(crate) by_event: bool,
    /// The message that is coming in is one of those: what had begun before is still put together.
    pub(super) in_pieces: bool,
    /// A task waits in `recv` and will read.
    pub(crate) attended: bool,
    /// How often `recv` has been polled.
    pub(crate) receives: u32,
    /// Nobody will receive any more: data is discarded.
    pub(crate) discard: bool,
    /// More came while we close than is kept for a receiver that does not come for it: what comes from now on is discarded, so
    /// that what is kept has no holes.
    pub(super) overflowed: bool,
    /// The keeper knows that a message was received and will look whether the next one is.
    pub(crate) watched: bool,

    /// The transport will not give any more.
    pub(super) read_ended: bool,
    /// A fragmented message is being sent by a [`MessageWriter`](crate::MessageWriter).
    pub(crate) streaming: bool,
    /// The transport did not take the last write.
    pub(super) blocked: bool,
    /// The last drain left something behind, in the queue or inside the transport.
    pub(super) behind: bool,
    /// Something of that has moved since the keeper last told those who wait for it.
    pub(crate) moved: bool,
    /// Published messages are held for the end of the publisher's batch.
    pub(crate) held: bool,
    pub(crate) half_closed: bool,
    pub(crate) pings_waiting: u32,
    /// How many tasks wait for any sign of life.
    pub(crate) probes_waiting: u32,
    /// Number and round trip of the ping that was answered last, while somebody waits for it.
    pub(crate) last_pong: Option<Box<(u32, Duration)>>,
    pub(crate) close_reason: Option<Box<str>>,
    /// Who waits for a change that a sender may wait for: room in the queue, a pong, the end.
    pub(crate) waiting: Waiting,
    pub(crate) handles: u32,
}

impl Shared {
    pub(crate) fn new(stream: Stream, role: Role, settings: Arc<Settings>, leftover: &[u8], info: Info) -> Arc<Self> {
        let wakers = Arc::new(Wakers::default());
        let compression = info.deflate.map(|agreed| {
            let deflater = Deflater::new(role, agreed).with_backend(settings.deflate_backend);
            Box::new((Inflater::new(role, agreed), deflater))
        });
        let core = Connection::new(Surroundings(settings), role, now(), rand::random()).with_deflate(info.deflate);
        Arc::new(Self {
            state: Mutex::new(State {
                core,
                compression,
                stream: Some(stream),
                queue: Queue::default(),
                control: None,
                waker: Waker::from(wakers.clone()),
                raw: leftover.to_vec(),
                raw_at: 0,
                unparsed: !leftover.is_empty(),
                just_read: false,
                partial: BytesMut::new(),
                ready: Ready::default(),
                by_event: false,
                in_pieces: false,
                attended: false,
                receives: 0,
                discard: false,
                overflowed: false,
                watched: true,
                read_ended: false,
                streaming: false,
                blocked: false,
                behind: false,
                moved: false,
                held: false,
                half_closed: false,
                pings_waiting: 0,
                probes_waiting: 0,
                last_pong: None,
                close_reason: None,
                waiting: Waiting::default(),
                handles: 0,
            }),
            wakers,
            info,
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in between is a bug of ours; the connection's state is still the best that there is.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the closing handshake and sends what it can.
    pub(crate) fn begin_close(&self, code: CloseCode, reason: &str) {
        let mut state = self.lock();
        state.with_control(|core, control| core.close(now(), code, reason, control));
        let _ = state.drain();
        notify(state);
        self.wakers.wake_one(Waiter::Keeper);
    }
}

/// Lets go of the state, and whoever waits for a change looks again.
pub(crate) fn notify(mut state: MutexGuard<'_, State>) {
    let waiting = state.waiting.take();
    drop(state);
    waiting.for_each(Waker::wake);
}

impl State {
    /// Lends the core memory for a control frame, which is kept only while something waits in it.
    pub(crate) fn with_control<R>(&mut self, call: impl FnOnce(&mut Connection<Surroundings>, &mut Control) -> R) -> R {
        match &mut self.control {
            Some(control) => {
                let result = call(&mut self.core, control);
                if control.is_empty() {
                    self.control = None;
                }
                result
            }
            None => {
                let mut control = Control::new();
                let result = call(&mut self.core, &mut control);
                if !control.is_empty() {
                    self.control = Some(Box::new(control));
                }
                result
            }
        }
    }

    /// The time, without a look at the clock where the last one was a moment ago. Not for what was read just now.
    pub(crate) fn time(&self) -> Instant {
        if self.just_read { self.core.last_heard() } else { now() }
    }

    /// Whether senders have to wait.
    pub(crate) fn is_full(&self) -> bool {
        !self.queue.is_empty() && self.queue.len() >= self.core.context().0.send_queue
    }

    /// How many bytes have to leave until there is room.
    pub(crate) fn excess(&self) -> usize {
        (self.queue.len() + 1).saturating_sub(self.core.context().0.send_queue)
    }

    /// Writes what waits, control frames first where a frame ends, until nothing is left (`Ready`) or the transport
    /// takes no more. A failure of the transport is noted in the core, and nothing is left then.
    pub(crate) fn drain(&mut self) -> Poll<()> {
        self.held = false;
        let inside = self.behind || self.stream.as_ref().is_some_and(Stream::needs_flush);
        if !inside && self.queue.is_empty() && self.next_control().is_none() {
            return Poll::Ready(());
        }
        let before = (self.behind, self.queue.len());
        let result = self.try_drain();
        if let Poll::Ready(Err(_)) = result {
            self.write_failed();
            return Poll::Ready(());
        }
        self.behind = result.is_pending();
        self.moved |= before.0 && before != (self.behind, self.queue.len());
        result.map(|_| ())
    }

    /// The transport failed while we wrote, which its waker need not tell.
    pub(crate) fn write_failed(&mut self) {
        self.core.transport_failed();
        self.queue = Queue::default();
        self.waker.wake_by_ref();
    }

    fn try_drain(&mut self) -> Poll<io::Result<()>> {
        let Some(mut stream) = self.stream.take() else { return Poll::Ready(Ok(())) };
        let result = self.drain_to(&mut stream);
        self.stream = Some(stream);
        result
    }

    fn drain_to(&mut self, stream: &mut Stream) -> Poll<io::Result<()>> {
        // What it did not take may have been dropped since.
        self.blocked &= !self.queue.is_empty();
        loop {
            // While the transport is busy, control frames stay in the core: there the next pong replaces the last one,
            // and a ping that does not get out is known not to be out.
            let wants_in = if self.blocked { self.next_control().is_some() } else { self.take_control_frames() };
            if self.queue.is_empty() {
                return if stream.needs_flush() {
                    Pin::new(stream).poll_flush(&mut Context::from_waker(&self.waker))
                } else {
                    Poll::Ready(Ok(()))
                };
            }
            let cx = &mut Context::from_waker(&self.waker);
            let written = match self.queue.only_slice() {
                Some(slice) => Pin::new(&mut *stream).poll_write(cx, slice),
                None => {
                    let mut slices = Queue::no_slices();
                    let count = self.queue.slices(wants_in, &mut slices);
                    poll_write_slices(stream, cx, &slices[..count])
                }
            };
            self.blocked = written.is_pending();
            let written = ready!(written)?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.queue.advance(written);
            if wants_in {
                self.core.transport_took_bytes(now());
            }
        }
    }

    /// Moves the control frames that may go next into the queue. Answers whether one waits for the current frame's
    /// end.
    pub(crate) fn take_control_frames(&mut self) -> bool {
        while self.next_control().is_some() {
            if !self.queue.at_boundary() {
                return true;
            }
            let mut frame = [0; MAX_CONTROL_FRAME];
            let key = mask_key(self.core.role());
            let len = self.with_control(|core, control| core.poll_transmit(now(), key, control, &mut frame));
            self.queue.insert_control(&frame[..len]);
        }
        false
    }

    /// The control frame that may overtake what is queued, if one is due. A close frame goes last.
    pub(crate) fn next_control(&self) -> Option<OpCode> {
        const NOTHING: &Control = &Control::new();
        let next = self.core.next_transmit(self.control.as_deref().unwrap_or(NOTHING));
        next.filter(|&opcode| opcode != OpCode::Close || self.queue.is_empty())
    }

    /// What others may be waiting for: if it changes, they are told.
    pub(crate) fn landmarks(&self) -> impl PartialEq + use<> {
        (
            self.queue.len(),
            self.has_ended(),
            self.stream.is_some(),
            self.last_pong.as_deref().copied(),
            (self.probes_waiting > 0).then(|| self.core.last_heard()),
            self.ready.len(),
        )
    }

    /// Whether it is over for the connection's owner: no more messages will come, and the close frame that we owed has
    /// left, or cannot any more.
    pub(crate) fn has_ended(&self) -> bool {
        let told = self.control.is_none() || self.core.transport() == Transport::Close;
        self.stream.is_none() || (self.core.ended().is_some() && told)
    }

    /// Gives the transport up, now.
    pub(crate) fn abort(&mut self) {
        self.core.transport_failed();
        self.queue = Queue::default();
        self.control = None;
        self.stream = None;
    }

    /// Half-closes or closes the transport where the core says so. `Ready` when the transport is gone.
    pub(crate) fn poll_transport(&mut self) -> Poll<()> {
        let advice = self.core.transport();
        let Some(stream) = &mut self.stream else { return Poll::Ready(()) };
        if advice == Transport::Keep {
            return Poll::Pending;
        }
        // What is queued (our close frame) goes first, unless nobody will take it any more.
        let ended = self.core.ended();
        let dead = !ended.is_some_and(|ended| ended.is_clean() || matches!(ended, Ended::Violation(_)));
        if !self.queue.is_empty() && !dead {
            return Poll::Pending;
        }
        if !self.half_closed && !dead {
            match Pin::new(stream).poll_shutdown(&mut Context::from_waker(&self.waker)) {
                Poll::Ready(_) => self.half_closed = true,
                Poll::Pending => return Poll::Pending,
            }
        }
        if advice == Transport::Close {
            self.abort();
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

/// One write of all of them.
fn poll_write_slices(stream: &mut Stream, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
    // The kernel takes longer over many small pieces than over their copy in one.
    const SMALL: usize = 512;
    let len: usize = slices.iter().map(|slice| slice.len()).sum();
    if len > SMALL * slices.len() {
        return Pin::new(stream).poll_write_vectored(cx, slices);
    }
    let mut joined = pool::take();
    slices.iter().for_each(|slice| joined.extend_from_slice(slice));
    let written = Pin::new(stream).poll_write(cx, &joined);
    pool::give_back(joined);
    written
}

/// Where the time of this process's connections begins. Not tokio's `now`: the first runtime to ask may have its clock
/// paused and moved ahead. And a moment ago, since that clock may also stand a little behind.
static START: LazyLock<tokio::time::Instant> = LazyLock::new(|| {
    let now = std::time::Instant::now();
    tokio::time::Instant::from_std(now.checked_sub(Duration::from_secs(1)).unwrap_or(now))
});

/// The time of this process's connections. Follows tokio's clock, so that it can be paused in tests.
pub(crate) fn now() -> Instant {
    let start = *START;
    Instant::from_micros(tokio::time::Instant::now().saturating_duration_since(start).as_micros() as u64)
}

/// Where a time of the core lies on tokio's clock: always at the same place, so that a timer need not be moved.
pub(crate) fn to_tokio(at: Instant) -> tokio::time::Instant {
    *START + Duration::from_micros(at.as_micros())
}

/// A masking key: fresh, and unpredictable for whoever chooses the payload (RFC 6455 §5.3). A server has none.
pub(crate) fn mask_key(role: Role) -> [u8; 4] {
    match role {
        Role::Client => rand::random(),
        Role::Server => [0; 4],
    }
}

/// A message as its kind and payload.
pub(crate) fn into_parts(message: Message) -> (Kind, Bytes) {
    (message.kind(), message.into_bytes())
}
