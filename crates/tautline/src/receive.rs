//! Receiving: reads, and what the protocol core makes of them.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes};
use tautline_proto::{Connection, Control, Data, Event as CoreEvent, Instant, Kind};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::message::{Chunk, Event, Message};
use crate::shared::{Item, State, Surroundings, now};
use crate::stream::Stream;
use crate::text::Text;

/// Size of the read buffer, one a thread.
const READ_BUFFER: usize = 64 * 1024;

/// When so much of a frame's payload is outstanding, it is read straight to where the message is put together.
const DIRECT: u64 = 16 * 1024;

/// How much is reserved at once for a message that a header has only announced.
const RESERVE: usize = 1024 * 1024;

/// How much may be received ahead while nobody calls `recv`; beyond it the peer has to wait.
const READ_AHEAD: usize = 64 * 1024;

/// What an item costs beside its payload, so that empty messages are bounded, too.
const ITEM_COST: usize = 64;

thread_local! {
    /// Taken out while it is in use: a transport may be another connection's, which reads inside our read.
    static BUFFER: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

impl State {
    /// The next item, reading as needed. `None`: the connection has ended. `Pending`: the transport's waker is
    /// registered.
    pub(crate) fn poll_item(&mut self) -> Poll<Option<Item>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                self.ready_len -= cost(&item);
                if self.ready.is_empty() {
                    self.ready = Default::default();
                }
                return Poll::Ready(Some(item));
            }
            if self.unparsed {
                self.parse_raw(true);
                self.send_control();
                continue;
            }
            if self.has_ended() {
                return Poll::Ready(None);
            }
            // Before waiting, what the handler has queued goes out.
            let _ = self.drain();
            if self.poll_read(true).is_pending() {
                return Poll::Pending;
            }
            self.send_control();
        }
    }

    /// Receives ahead while nobody calls `recv`, so that pings are answered and the peer's close frame is seen.
    /// Always ends with the transport's waker registered, unless so much has been received that the peer has to wait.
    pub(crate) fn read_ahead(&mut self) {
        loop {
            if self.is_reading_paused() {
                return;
            }
            // While we close, the peer's close frame is worth more than data that nobody has asked for. Once it is here,
            // nothing more comes, and what has come is kept.
            if self.ready_len >= READ_AHEAD && (self.discard || self.core.ended().is_none()) {
                self.ready.clear();
                self.ready_len = 0;
            }
            if self.unparsed {
                self.parse_raw(false);
            } else if self.core.transport() == tautline_proto::Transport::Close
                || self.stream.is_none()
                || self.poll_read(false).is_pending()
            {
                return;
            }
            self.send_control();
        }
    }

    /// Whether so much has been received ahead that the peer has to wait.
    pub(crate) fn is_reading_paused(&self) -> bool {
        self.ready_len >= READ_AHEAD && self.core.is_open() && !self.discard
    }

    /// Gives up what has been received for a receiver that is gone.
    pub(crate) fn forget_received(&mut self) {
        self.ready = Default::default();
        self.ready_len = 0;
        self.partial = Default::default();
    }

    /// One read and what it contains; with `one`, up to the first item. `Ready` if anything happened.
    fn poll_read(&mut self, one: bool) -> Poll<()> {
        // What is still to be written goes on by the transport's waker; there is nothing more to read.
        if self.read_ended {
            return Poll::Pending;
        }
        let Some(mut stream) = self.stream.take() else { return Poll::Ready(()) };
        let outstanding = self.core.payload_outstanding();
        let by_event = self.by_event && self.partial.is_empty();
        let direct = outstanding >= DIRECT && self.raw.is_empty() && !by_event && !self.discard;
        let result = if direct { self.read_direct(&mut stream, outstanding) } else { self.read(&mut stream, one) };
        self.stream = Some(stream);
        match result {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(0)) => {
                self.read_ended = true;
                self.core.receive_end();
            }
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(_)) => {
                self.read_ended = true;
                self.core.transport_failed();
            }
        }
        Poll::Ready(())
    }

    fn read(&mut self, stream: &mut Stream, one: bool) -> Poll<io::Result<usize>> {
        let mut buffer = BUFFER.take().unwrap_or_else(|| vec![0; READ_BUFFER].into());
        let kept = self.raw.len();
        buffer[..kept].copy_from_slice(&self.raw);
        let mut read = ReadBuf::new(&mut buffer[kept..]);
        let result = Pin::new(stream).poll_read(&mut Context::from_waker(&self.waker), &mut read);
        let n = read.filled().len();
        let result = result.map_ok(|()| n);
        if let Poll::Ready(Ok(1..)) = result {
            let rest = self.parse(&mut buffer[..kept + n], one);
            let end = kept + n;
            // Little is left, if anything: an incomplete header or control frame, or further small messages.
            self.raw.clear();
            self.raw.extend_from_slice(&buffer[end - rest..end]);
            if self.raw.is_empty() {
                self.raw = Vec::new();
            }
        }
        BUFFER.set(Some(buffer));
        result
    }

    /// Reads payload to the end of the message that is being put together, where the core unmasks it.
    fn read_direct(&mut self, stream: &mut Stream, outstanding: u64) -> Poll<io::Result<usize>> {
        let outstanding = usize::try_from(outstanding).unwrap_or(usize::MAX);
        let have = self.partial.len();
        if self.partial.capacity() == have {
            // Not more at once than has been received already: a peer cannot make us reserve by announcing.
            self.partial.reserve(outstanding.min(have.max(RESERVE)));
        }
        let mut room = (&mut self.partial).limit(outstanding);
        let read = std::pin::pin!(stream.read_buf(&mut room));
        let result = read.poll(&mut Context::from_waker(&self.waker));
        if let Poll::Ready(Ok(1..)) = result {
            let now = now();
            self.in_pieces = false;
            let mut partial = std::mem::take(&mut self.partial);
            let mut input = &mut partial[have..];
            let mut last = None;
            self.with_control(|core, control| {
                while let Some(event) = core.receive(now, &mut input, control) {
                    if let CoreEvent::Data(data) = event {
                        last = data.is_last().then_some(data.kind());
                    }
                }
            });
            self.partial = partial;
            if let Some(kind) = last {
                self.complete_partial(kind);
            }
            if self.core.ended().is_some() {
                self.partial = Default::default();
            }
        }
        result
    }

    fn parse_raw(&mut self, one: bool) {
        let mut raw = std::mem::take(&mut self.raw);
        let at = std::mem::take(&mut self.raw_at);
        let rest = self.parse(&mut raw[at..], one);
        if self.unparsed {
            self.raw_at = raw.len() - rest;
            self.raw = raw;
        } else if rest > 0 {
            self.raw = raw[raw.len() - rest..].to_vec();
        }
    }

    /// Hands `input` to the core; with `one`, up to the first item. Answers how many bytes at its end are left, and
    /// notes in `unparsed` whether they may contain more.
    fn parse(&mut self, input: &mut [u8], one: bool) -> usize {
        let now = now();
        let mut input = input;
        self.unparsed = false;
        while let Some(()) = self.parse_one(now, &mut input) {
            if one && !self.ready.is_empty() {
                self.unparsed = !input.is_empty();
                break;
            }
        }
        if self.core.ended().is_some() {
            self.partial = Default::default();
        }
        input.len()
    }

    fn parse_one(&mut self, now: Instant, input: &mut &mut [u8]) -> Option<()> {
        let event = receive(&mut self.core, &mut self.control, now, input)?;
        match event {
            CoreEvent::Data(data) => self.data(&data),
            CoreEvent::Ping(payload) => {
                if self.by_event {
                    self.push(Item::Event(Event::Ping(Bytes::copy_from_slice(payload))));
                }
                // The core owes a pong to the latest ping only; while the transport keeps up, each gets its own.
                if !self.blocked {
                    self.take_control_frames();
                }
            }
            CoreEvent::Pong { payload, latency } => {
                if let (Some(latency), Some(&number)) = (latency, payload.first_chunk()) {
                    self.last_pong = Some((u32::from_be_bytes(number), latency));
                }
                if self.by_event {
                    self.push(Item::Event(Event::Pong { payload: Bytes::copy_from_slice(payload), latency }));
                }
            }
            CoreEvent::Close { code, reason } => {
                self.close_reason = Some(reason.into());
                if self.by_event {
                    self.push(Item::Event(Event::Close { code, reason: reason.into() }));
                }
            }
        }
        Some(())
    }

    fn data(&mut self, data: &Data<'_>) {
        if self.discard {
            return;
        }
        if data.is_first() {
            self.in_pieces = self.by_event;
        }
        if self.in_pieces {
            let chunk = Chunk {
                data: Bytes::copy_from_slice(data.bytes()),
                kind: data.kind(),
                opcode: data.opcode(),
                fin: data.fin(),
                payload_len: data.payload_len(),
                offset: data.offset(),
            };
            self.push(Item::Event(Event::Data(chunk)));
        } else if data.is_whole() {
            let bytes = Bytes::copy_from_slice(data.bytes());
            self.push(Item::Message(message(data.kind(), bytes)));
        } else {
            self.partial.extend_from_slice(data.bytes());
            if data.is_last() {
                self.complete_partial(data.kind());
            }
        }
    }

    fn complete_partial(&mut self, kind: Kind) {
        let partial = std::mem::take(&mut self.partial);
        // Not more than twice its size is held for a message.
        let bytes =
            if partial.capacity() / 2 > partial.len() { Bytes::copy_from_slice(&partial) } else { partial.freeze() };
        self.push(Item::Message(message(kind, bytes)));
    }

    fn push(&mut self, item: Item) {
        self.ready_len += cost(&item);
        self.ready.push_back(item);
    }

    /// Pongs and close frames go out at once, unless the transport is busy: then they are next.
    fn send_control(&mut self) {
        if self.control.is_some() || self.queue.has_controls() && !self.unparsed {
            let _ = self.drain();
        }
    }
}

/// [`State::with_control`] for an event that borrows the input.
fn receive<'b>(
    core: &mut Connection<Surroundings>,
    kept: &mut Option<Box<Control>>,
    now: Instant,
    input: &mut &'b mut [u8],
) -> Option<CoreEvent<'b>> {
    match kept {
        Some(control) => {
            let event = core.receive(now, input, control);
            if control.is_empty() {
                *kept = None;
            }
            event
        }
        None => {
            let mut control = Control::new();
            let event = core.receive(now, input, &mut control);
            if !control.is_empty() {
                *kept = Some(Box::new(control));
            }
            event
        }
    }
}

pub(crate) fn message(kind: Kind, bytes: Bytes) -> Message {
    match kind {
        Kind::Text => Message::Text(Text::from_validated(bytes)),
        Kind::Binary => Message::Binary(bytes),
    }
}

fn cost(item: &Item) -> usize {
    ITEM_COST
        + match item {
            Item::Message(message) => message.len(),
            Item::Event(Event::Data(chunk)) => chunk.data.len(),
            Item::Event(Event::Ping(payload) | Event::Pong { payload, .. }) => payload.len(),
            Item::Event(Event::Close { reason, .. }) => reason.len(),
        }
}
