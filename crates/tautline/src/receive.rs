//! Receiving: reads, and what the protocol core makes of them.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use tautline_proto::{Compressed, Connection, Control, Data, Event as CoreEvent, Instant, Kind};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::message::{Chunk, Event, Message};
use crate::pool;
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

/// What has been received ahead. Owns no memory while there is nothing.
#[derive(Debug, Default)]
pub(crate) struct Ready(Option<Box<Ahead>>);

#[derive(Debug, Default)]
struct Ahead {
    items: VecDeque<Item>,
    /// What they hold, in bytes.
    size: usize,
}

impl Ready {
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |ahead| ahead.items.len())
    }

    fn size(&self) -> usize {
        self.0.as_ref().map_or(0, |ahead| ahead.size)
    }

    fn push(&mut self, item: Item) {
        let ahead = self.0.get_or_insert_default();
        ahead.size += cost(&item);
        ahead.items.push_back(item);
    }

    fn pop(&mut self) -> Option<Item> {
        let ahead = self.0.as_mut()?;
        let item = ahead.items.pop_front()?;
        ahead.size -= cost(&item);
        if ahead.items.is_empty() {
            self.0 = None;
        }
        Some(item)
    }
}

impl State {
    /// The next item without reading for it: one that has been received ahead, or lies behind the last one.
    pub(crate) fn item_at_hand(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.ready.pop() {
                return Some(item);
            }
            if !self.unparsed {
                return None;
            }
            let item = self.parse_raw();
            self.send_control();
            if item.is_some() {
                return item;
            }
        }
    }

    /// The next item, reading as needed. `None`: the connection has ended. `Pending`: the transport's waker is
    /// registered.
    pub(crate) fn poll_item(&mut self) -> Poll<Option<Item>> {
        loop {
            if let Some(item) = self.item_at_hand() {
                return Poll::Ready(Some(item));
            }
            if self.has_ended() {
                return Poll::Ready(None);
            }
            // Before waiting, what the handler has queued goes out.
            let _ = self.drain();
            let item = ready!(self.poll_read());
            self.send_control();
            if item.is_some() {
                return Poll::Ready(item);
            }
        }
    }

    /// Receives ahead while nobody calls `recv`, so that pings are answered and the peer's close frame is seen.
    /// Always ends with the transport's waker registered, unless so much has been received that the peer has to wait.
    pub(crate) fn read_ahead(&mut self) {
        loop {
            if self.is_reading_paused() {
                return;
            }
            // While we close, the peer's close frame is worth more than data that nobody has asked for.
            if self.ready.size() >= READ_AHEAD && self.core.ended().is_none() {
                self.overflowed = true;
                self.partial = Default::default();
            }
            let item = if self.unparsed {
                self.parse_raw()
            } else if self.core.transport() == tautline_proto::Transport::Close || self.stream.is_none() {
                return;
            } else {
                match self.poll_read() {
                    Poll::Ready(item) => item,
                    Poll::Pending => return,
                }
            };
            if let Some(item) = item {
                self.ready.push(item);
            }
            self.send_control();
        }
    }

    /// Whether so much has been received ahead that the peer has to wait.
    pub(crate) fn is_reading_paused(&self) -> bool {
        self.ready.size() >= READ_AHEAD && self.core.is_open() && !self.discard
    }

    /// Whether data that comes now is for nobody.
    fn is_for_nobody(&self) -> bool {
        self.discard || self.overflowed
    }

    /// Gives up what has been received for a receiver that is gone.
    pub(crate) fn forget_received(&mut self) {
        self.ready = Ready::default();
        self.partial = Default::default();
    }

    /// One read, and the first item that it contains; more may be [`unparsed`](Self::unparsed). `Ready` if anything
    /// happened.
    fn poll_read(&mut self) -> Poll<Option<Item>> {
        // What is still to be written goes on by the transport's waker; there is nothing more to read.
        if self.read_ended {
            return Poll::Pending;
        }
        let Some(mut stream) = self.stream.take() else { return Poll::Ready(None) };
        let outstanding = self.core.payload_outstanding();
        let by_event = self.by_event && self.partial.is_empty();
        let direct = outstanding >= DIRECT && self.raw.is_empty() && !by_event && !self.is_for_nobody();
        let result = if direct { self.read_direct(&mut stream, outstanding) } else { self.read(&mut stream) };
        self.stream = Some(stream);
        match ready!(result) {
            Ok(Some(item)) => return Poll::Ready(item),
            Ok(None) => {
                self.read_ended = true;
                self.core.receive_end();
            }
            Err(_) => {
                self.read_ended = true;
                self.core.transport_failed();
            }
        }
        Poll::Ready(None)
    }

    /// One read through the thread's buffer; `None` at the end of the stream.
    fn read(&mut self, stream: &mut Stream) -> Poll<io::Result<Option<Option<Item>>>> {
        let mut buffer = BUFFER.take().unwrap_or_else(|| vec![0; READ_BUFFER].into());
        let kept = self.raw.len();
        buffer[..kept].copy_from_slice(&self.raw);
        let mut read = ReadBuf::new(&mut buffer[kept..]);
        let result = Pin::new(stream).poll_read(&mut Context::from_waker(&self.waker), &mut read);
        let end = kept + read.filled().len();
        let result = result.map_ok(|()| {
            (end > kept).then(|| {
                let at = now();
                self.just_read = true;
                let mut input = &mut buffer[..end];
                let item = self.parse(at, &mut input);
                self.keep(input);
                item
            })
        });
        BUFFER.set(Some(buffer));
        result
    }

    /// Keeps what was read and not consumed: an incomplete header or control frame, or further small messages, which are
    /// soon consumed.
    fn keep(&mut self, rest: &[u8]) {
        let mut raw = std::mem::take(&mut self.raw);
        raw.clear();
        if !rest.is_empty() {
            if self.unparsed && raw.capacity() == 0 {
                raw = pool::take();
            }
            raw.extend_from_slice(rest);
            self.raw = raw;
        }
    }

    /// Reads payload to the end of the message that is being put together, where the core unmasks it.
    fn read_direct(&mut self, stream: &mut Stream, outstanding: u64) -> Poll<io::Result<Option<Option<Item>>>> {
        let outstanding = usize::try_from(outstanding).unwrap_or(usize::MAX);
        let have = self.partial.len();
        if self.partial.capacity() == have {
            // Not more at once than has been received already: a peer cannot make us reserve by announcing.
            self.partial.reserve(outstanding.min(have.max(RESERVE)));
        }
        let mut room = (&mut self.partial).limit(outstanding);
        let read = std::pin::pin!(stream.read_buf(&mut room));
        if ready!(read.poll(&mut Context::from_waker(&self.waker)))? == 0 {
            return Poll::Ready(Ok(None));
        }
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
        let item = last.map(|kind| self.complete_partial(kind));
        if self.core.ended().is_some() {
            self.partial = Default::default();
        }
        Poll::Ready(Ok(Some(item)))
    }

    fn parse_raw(&mut self) -> Option<Item> {
        let mut raw = std::mem::take(&mut self.raw);
        let at = std::mem::take(&mut self.raw_at);
        let mut input = &mut raw[at..];
        let item = self.parse(self.time(), &mut input);
        if self.unparsed {
            let rest = input.len();
            self.raw_at = raw.len() - rest;
            self.raw = raw;
        } else {
            self.raw = input.to_vec();
            pool::give_back(raw);
        }
        item
    }

    /// Hands `input` to the core, up to the first item. Moves its beginning past what was consumed, and notes in `unparsed`
    /// whether the rest may contain more.
    fn parse(&mut self, now: Instant, input: &mut &mut [u8]) -> Option<Item> {
        self.unparsed = false;
        while let Some(event) = receive(&mut self.core, &mut self.control, now, input) {
            let item = match event {
                CoreEvent::Data(data) => self.data(&data),
                CoreEvent::Compressed(piece) => self.compressed(now, piece),
                event => self.control_event(event),
            };
            if item.is_some() {
                self.unparsed = !input.is_empty();
                return item;
            }
        }
        // A violation. (The peer's close frame is an event.)
        if self.core.ended().is_some() {
            self.partial = Default::default();
        }
        None
    }

    fn control_event(&mut self, event: CoreEvent<'_>) -> Option<Item> {
        let reported = self.by_event && !self.is_for_nobody();
        let event = match event {
            CoreEvent::Data(_) | CoreEvent::Compressed(_) => None,
            CoreEvent::Ping(payload) => {
                // The core owes a pong to the latest ping only; while the transport keeps up, each gets its own.
                if !self.blocked {
                    self.take_control_frames();
                }
                reported.then(|| Event::Ping(Bytes::copy_from_slice(payload)))
            }
            CoreEvent::Pong { payload, latency } => {
                if self.pings_waiting > 0
                    && let (Some(latency), Some(&number)) = (latency, payload.first_chunk())
                {
                    self.last_pong = Some(Box::new((u32::from_be_bytes(number), latency)));
                }
                reported.then(|| Event::Pong { payload: Bytes::copy_from_slice(payload), latency })
            }
            CoreEvent::Close { code, reason } => {
                self.partial = Default::default();
                self.close_reason = Some(reason.into());
                self.by_event.then(|| Event::Close { code, reason: reason.into() })
            }
        };
        event.map(|event| Item::Event(Box::new(event)))
    }

    /// What a piece of a compressed message is inflated to. Whoever asks for events gets it as one.
    fn compressed(&mut self, now: Instant, piece: Compressed<'_>) -> Option<Item> {
        if self.is_for_nobody() {
            return None;
        }
        let mut compression = self.compression.take()?;
        let mut control = self.control.take().unwrap_or_default();
        let mut item = None;
        let mut joined: Option<(Chunk, BytesMut)> = None;
        pool::with_inflate_space(|space| {
            let mut inflation = compression.0.inflate(space, piece);
            while let Some(data) = inflation.next(&mut self.core, now, &mut control) {
                if data.is_first() {
                    self.in_pieces = self.by_event;
                }
                if !self.in_pieces {
                    item = self.data(&data);
                    continue;
                }
                let (chunk, bytes) = joined.get_or_insert_with(|| (chunk(&data, Bytes::new()), BytesMut::new()));
                bytes.extend_from_slice(data.bytes());
                chunk.fin = data.fin();
            }
        });
        self.compression = Some(compression);
        self.control = Some(control).filter(|control| !control.is_empty());
        let Some((mut chunk, bytes)) = joined else { return item };
        chunk.payload_len = bytes.len() as u64;
        chunk.data = bytes.freeze();
        Some(Item::Event(Box::new(Event::Data(chunk))))
    }

    fn data(&mut self, data: &Data<'_>) -> Option<Item> {
        if self.is_for_nobody() {
            return None;
        }
        if data.is_first() {
            self.in_pieces = self.by_event;
        }
        if self.in_pieces {
            let chunk = chunk(data, Bytes::copy_from_slice(data.bytes()));
            return Some(Item::Event(Box::new(Event::Data(chunk))));
        }
        if data.is_whole() {
            return Some(Item::Message(message(data.kind(), Bytes::copy_from_slice(data.bytes()))));
        }
        self.partial.extend_from_slice(data.bytes());
        data.is_last().then(|| self.complete_partial(data.kind()))
    }

    fn complete_partial(&mut self, kind: Kind) -> Item {
        let partial = std::mem::take(&mut self.partial);
        // Not more than twice its size is held for a message.
        let bytes =
            if partial.capacity() / 2 > partial.len() { Bytes::copy_from_slice(&partial) } else { partial.freeze() };
        Item::Message(message(kind, bytes))
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

fn chunk(data: &Data<'_>, bytes: Bytes) -> Chunk {
    Chunk {
        data: bytes,
        kind: data.kind(),
        opcode: data.opcode(),
        fin: data.fin(),
        payload_len: data.payload_len(),
        offset: data.offset(),
    }
}

fn cost(item: &Item) -> usize {
    let payload = match item {
        Item::Message(message) => message.len(),
        Item::Event(event) => match &**event {
            Event::Data(chunk) => chunk.data.len(),
            Event::Ping(payload) | Event::Pong { payload, .. } => payload.len(),
            Event::Close { reason, .. } => reason.len(),
        },
    };
    ITEM_COST + payload
}
