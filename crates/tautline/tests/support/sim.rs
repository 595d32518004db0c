//! A simulated transport, and its other end in the hand of the test.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tautline::{Config, Info, OpCode, Role, Settings, Stream, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use super::frames::{self, Frame};
use super::soon;

/// The library's end.
pub(crate) struct SimStream(Arc<Link>);

/// The test's end: sends bytes, frames and ends of stream, and sees what is written, call by call.
#[derive(Clone)]
pub(crate) struct Peer {
    link: Arc<Link>,
    /// Which side the test plays.
    role: Role,
}

struct Link {
    state: Mutex<State>,
    /// Told after every change.
    changed: Notify,
}

pub(crate) struct State {
    input: VecDeque<Input>,
    /// Bytes that have been read.
    pub(crate) bytes_read: usize,
    pub(crate) reads: usize,
    /// The most that one read gives.
    pub(crate) max_read: usize,
    /// The most that one write takes.
    pub(crate) max_write: usize,
    /// How many bytes are taken before writes have to wait.
    pub(crate) room: usize,
    /// Every other call has to wait, and is woken at once.
    pub(crate) hesitant: bool,
    hesitated: bool,
    /// Whether a flush has to wait.
    pub(crate) hold_flush: bool,
    fail_writes: Option<ErrorKind>,
    pub(crate) writes: Vec<Write>,
    pub(crate) written: Vec<u8>,
    pub(crate) flushes: usize,
    pub(crate) shutdown: bool,
    pub(crate) dropped: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// A write that took something.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) len: usize,
    /// How many buffers were gathered.
    pub(crate) slices: usize,
}

enum Input {
    /// What one read gives, if it has room.
    Bytes(VecDeque<u8>),
    End,
    Reset,
}

/// A transport, and its other end for a test that plays `role`.
pub(crate) fn link(role: Role) -> (SimStream, Peer) {
    let state = State {
        input: VecDeque::new(),
        bytes_read: 0,
        reads: 0,
        max_read: usize::MAX,
        max_write: usize::MAX,
        room: usize::MAX,
        hesitant: false,
        hesitated: false,
        hold_flush: false,
        fail_writes: None,
        writes: Vec::new(),
        written: Vec::new(),
        flushes: 0,
        shutdown: false,
        dropped: false,
        reader: None,
        writer: None,
    };
    let link = Arc::new(Link { state: Mutex::new(state), changed: Notify::new() });
    (SimStream(link.clone()), Peer { link, role })
}

/// No pings by themselves: time goes on only where a test waits for it.
pub(crate) const QUIET: Config = Config::new().ping_interval(None);

/// A connection in the role `ours`, and its peer. It never pings by itself.
pub(crate) fn open(ours: Role) -> (WebSocket, Peer) {
    open_with(ours, Settings::new().protocol(QUIET))
}

pub(crate) fn open_with(ours: Role, settings: Settings) -> (WebSocket, Peer) {
    let theirs = if ours == Role::Client { Role::Server } else { Role::Client };
    let (stream, peer) = link(theirs);
    (WebSocket::start(Stream::other(stream), ours, Arc::new(settings), &[], Info::default()), peer)
}

impl Peer {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.link.state.lock().unwrap()
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state();
        let result = change(&mut state);
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
        result
    }

    // ---- what the peer sends ----

    /// Sends bytes that one read gives.
    pub(crate) fn send_bytes(&self, bytes: impl AsRef<[u8]>) {
        let bytes: VecDeque<u8> = bytes.as_ref().iter().copied().collect();
        self.change(|state| state.input.push_back(Input::Bytes(bytes)));
    }

    /// Sends frames that arrive in one read.
    pub(crate) fn send(&self, frames: &[Frame]) {
        self.send_bytes(frames::bytes_of(self.role, frames));
    }

    /// Ends the peer's side of the transport.
    pub(crate) fn end(&self) {
        self.change(|state| state.input.push_back(Input::End));
    }

    /// Breaks the transport for reading.
    pub(crate) fn reset(&self) {
        self.change(|state| state.input.push_back(Input::Reset));
    }

    /// Bytes that were sent and have not been read.
    pub(crate) fn unread(&self) -> usize {
        let bytes = |input: &Input| if let Input::Bytes(bytes) = input { bytes.len() } else { 0 };
        self.state().input.iter().map(bytes).sum()
    }

    // ---- how the transport behaves ----

    /// Takes so many more bytes, then none.
    pub(crate) fn take_only(&self, bytes: usize) {
        self.change(|state| state.room = bytes);
    }

    /// Takes everything from now on.
    pub(crate) fn take_all(&self) {
        self.change(|state| {
            state.room = usize::MAX;
            state.hold_flush = false;
        });
    }

    /// Flushes wait from now on.
    pub(crate) fn hold_flush(&self) {
        self.state().hold_flush = true;
    }

    pub(crate) fn fail_writes(&self, kind: ErrorKind) {
        self.change(|state| state.fail_writes = Some(kind));
    }

    /// A few bytes at a time, every other call has to wait.
    pub(crate) fn crumble(&self, bytes: usize) {
        let mut state = self.state();
        (state.max_read, state.max_write, state.hesitant) = (bytes, bytes, true);
    }

    // ---- what was written ----

    /// The whole frames that were written. Panics unless they are well-formed and in an order that is allowed.
    pub(crate) fn frames(&self) -> Vec<Frame> {
        self.decoded().0
    }

    fn decoded(&self) -> (Vec<Frame>, usize) {
        let sender = if self.role == Role::Client { Role::Server } else { Role::Client };
        frames::decode(sender, &self.state().written)
    }

    /// As [`frames`](Self::frames); nothing but whole frames may have been written.
    pub(crate) fn all_frames(&self) -> Vec<Frame> {
        let (frames, len) = self.decoded();
        assert_eq!(len, self.state().written.len(), "a frame was cut off behind {frames:?}");
        frames
    }

    /// Forgets what was written; there must be no part of a frame among it.
    pub(crate) fn forget(&self) {
        self.all_frames();
        let mut state = self.state();
        state.writes.clear();
        state.written.clear();
    }

    /// How many writes there were that took something.
    pub(crate) fn writes(&self) -> usize {
        self.state().writes.len()
    }

    /// Waits until `condition` holds.
    pub(crate) async fn until(&self, condition: impl Fn(&State) -> bool) {
        soon(async {
            loop {
                let changed = self.link.changed.notified();
                if condition(&self.state()) {
                    return;
                }
                changed.await;
            }
        })
        .await;
    }

    /// Waits until so many whole frames have been written; answers all frames.
    pub(crate) async fn wait_frames(&self, count: usize) -> Vec<Frame> {
        soon(self.reach(count)).await
    }

    /// As [`wait_frames`](Self::wait_frames), without a limit of time.
    async fn reach(&self, count: usize) -> Vec<Frame> {
        loop {
            let changed = self.link.changed.notified();
            let frames = self.frames();
            if frames.len() >= count {
                return frames;
            }
            changed.await;
        }
    }

    /// Answers every ping after `delay`, from now on and in the background.
    pub(crate) fn answer_pings(&self, delay: Duration) {
        let peer = self.clone();
        tokio::spawn(async move {
            for seen in 0.. {
                let frame = peer.reach(seen + 1).await.swap_remove(seen);
                if frame.opcode == OpCode::Ping {
                    tokio::time::sleep(delay).await;
                    peer.send(&[Frame::pong(frame.payload)]);
                }
            }
        });
    }

    /// Waits for a close frame.
    pub(crate) async fn wait_close(&self) -> Frame {
        soon(async {
            loop {
                let changed = self.link.changed.notified();
                if let Some(frame) = self.frames().into_iter().find(|frame| frame.opcode == OpCode::Close) {
                    return frame;
                }
                changed.await;
            }
        })
        .await
    }

    /// Waits until our end of the transport is gone.
    pub(crate) async fn wait_dropped(&self) {
        self.until(|state| state.dropped).await;
    }
}

impl State {
    /// Whether a call has to wait though there would be something to do.
    fn hesitates(&mut self, cx: &Context<'_>) -> bool {
        self.hesitated = self.hesitant && !self.hesitated;
        if self.hesitated {
            cx.waker().wake_by_ref();
        }
        self.hesitated
    }

    fn read(&mut self, cx: &Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.input.front_mut() {
            None => {
                self.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Some(Input::End) => return Poll::Ready(Ok(())),
            Some(Input::Reset) => return Poll::Ready(Err(ErrorKind::ConnectionReset.into())),
            Some(Input::Bytes(_)) => {}
        }
        if self.hesitates(cx) {
            return Poll::Pending;
        }
        let Some(Input::Bytes(bytes)) = self.input.front_mut() else { unreachable!() };
        let n = bytes.len().min(self.max_read).min(buf.remaining());
        buf.put_slice(&bytes.drain(..n).collect::<Vec<_>>());
        if bytes.is_empty() {
            self.input.pop_front();
        }
        self.bytes_read += n;
        self.reads += 1;
        Poll::Ready(Ok(()))
    }

    fn write(&mut self, cx: &Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if let Some(kind) = self.fail_writes {
            return Poll::Ready(Err(kind.into()));
        }
        let most = self.room.min(self.max_write);
        if most == 0 {
            self.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if self.hesitates(cx) {
            return Poll::Pending;
        }
        let offered: usize = bufs.iter().map(|buf| buf.len()).sum();
        let n = offered.min(most);
        self.written.extend(bufs.iter().flat_map(|buf| buf.iter()).take(n));
        self.writes.push(Write { len: n, slices: bufs.iter().filter(|buf| !buf.is_empty()).count() });
        if self.room != usize::MAX {
            self.room -= n;
        }
        Poll::Ready(Ok(n))
    }

    fn flush(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        if self.hold_flush {
            self.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.flushes += 1;
        Poll::Ready(Ok(()))
    }
}

impl SimStream {
    fn call<R>(&self, call: impl FnOnce(&mut State) -> R) -> R {
        let result = call(&mut self.0.state.lock().unwrap());
        self.0.changed.notify_waiters();
        result
    }
}

impl AsyncRead for SimStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.call(|state| state.read(cx, buf))
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.call(|state| state.write(cx, &[IoSlice::new(buf)]))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.call(|state| state.write(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.call(|state| state.flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.call(|state| state.shutdown = true);
        Poll::Ready(Ok(()))
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.call(|state| state.dropped = true);
    }
}
