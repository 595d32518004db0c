//! Sending.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tautline_proto::{CloseCode, Ended, Kind, Part};

use crate::message::Message;
use crate::shared::{Info, Shared, State, now};
use crate::wakers::{Ticket, Waiter};
use crate::websocket::Sender;
use crate::writer::MessageWriter;

/// Why a message was not sent. None of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The connection is closing or has ended.
    Closed,
    /// The peer did not make room in time.
    TimedOut,
    /// The send queue is full, or a message in fragments is being sent.
    Busy,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the connection is closed",
            Self::TimedOut => "the peer did not take the message in time",
            Self::Busy => "the send queue is full",
        })
    }
}

impl std::error::Error for SendError {}

/// When a message has to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// By itself.
    Now,
    /// With the next flush.
    WhenFlushed,
}

/// How a frame is to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    pub(crate) part: Part,
    pub(crate) urgency: Urgency,
    /// Whether it belongs to the message in fragments for whose end all others wait.
    pub(crate) in_stream: bool,
    /// Whether it may be compressed: the same for all fragments of a message.
    pub(crate) compress: bool,
}

impl Sender {
    /// Sends a message: it is on its way without a further call.
    ///
    /// Waits while the send queue is full. Replies to messages that arrived together are written together, as soon as
    /// the last of them is answered or the handler waits for anything; a lone message is written at once.
    ///
    /// # Errors
    ///
    /// The connection is closed. An answer of `Ok` means that the message was queued or written, not that the peer has
    /// it.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, nothing of the message has been sent.
    pub fn send(&self, message: impl Into<Message>) -> impl Future<Output = Result<(), SendError>> + Send {
        let (kind, payload) = crate::shared::into_parts(message.into());
        self.handle.0.send_part(self.whole(kind, Urgency::Now), payload)
    }

    /// As [`send`](Self::send), without waiting: for code that holds a lock, say.
    ///
    /// # Errors
    ///
    /// The connection is closed, or there is no room now; nothing of the message was sent.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        let (kind, mut payload) = crate::shared::into_parts(message.into());
        let shared = &self.handle.0;
        match shared.lock().try_send_part(shared, self.whole(kind, Urgency::Now), &mut payload) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(SendError::Busy),
        }
    }

    /// As [`send`](Self::send), giving up when the queue has not had room for `timeout`.
    ///
    /// # Errors
    ///
    /// The connection is closed, or the time is over; nothing of the message was sent.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub async fn send_within(&self, timeout: Duration, message: impl Into<Message>) -> Result<(), SendError> {
        tokio::time::timeout(timeout, self.send(message)).await.unwrap_or(Err(SendError::TimedOut))
    }

    /// Queues a message. It leaves with the next [`flush`](Self::flush) or `send`, or when the connection's owner next
    /// waits in `recv`.
    ///
    /// Waits while the send queue is full.
    ///
    /// # Errors
    ///
    /// The connection is closed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, nothing of the message has been queued.
    pub fn feed(&self, message: impl Into<Message>) -> impl Future<Output = Result<(), SendError>> + Send {
        let (kind, payload) = crate::shared::into_parts(message.into());
        self.handle.0.send_part(self.whole(kind, Urgency::WhenFlushed), payload)
    }

    /// Waits until nothing is queued any more: everything, also what others queue meanwhile, has been written to the
    /// transport.
    ///
    /// # Errors
    ///
    /// The connection ended before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the waiting, not the writing.
    pub async fn flush(&self) -> Result<(), SendError> {
        self.handle.0.until(State::try_flush).await
    }

    /// Begins a message that is sent in fragments, for data that is not at hand at once. Other messages wait until it
    /// is finished.
    ///
    /// Where messages are compressed, each fragment is flushed, so that the peer can read it as soon as it comes; that costs 5
    /// bytes each, so that very small fragments may get longer.
    ///
    /// # Errors
    ///
    /// The connection is closed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, no message has begun.
    pub async fn begin(&self, kind: Kind) -> Result<MessageWriter, SendError> {
        self.handle
            .0
            .until(|state| {
                if !state.core.is_open() {
                    return Poll::Ready(Err(SendError::Closed));
                }
                if state.streaming {
                    return Poll::Pending;
                }
                state.streaming = true;
                Poll::Ready(Ok(()))
            })
            .await?;
        Ok(MessageWriter::new(self.clone(), kind))
    }

    /// Whether what is sent by this handle is compressed, where that was agreed on. Default: yes. The choice is each message's
    /// (RFC 7692 §6): what will not get shorter, such as pictures, is cheaper as it is, and what is secret should not be
    /// compressed together with what others choose.
    ///
    /// ```no_run
    /// # async fn example(ws: tautline::WebSocket, picture: Vec<u8>) -> Result<(), tautline::SendError> {
    /// let as_it_is = ws.sender().compress(false);
    /// as_it_is.send(picture).await?;
    /// # Ok(()) }
    /// ```
    pub fn compress(mut self, compress: bool) -> Self {
        self.compress = compress;
        self
    }

    fn whole(&self, kind: Kind, urgency: Urgency) -> How {
        How { part: Part::Whole(kind), urgency, in_stream: false, compress: self.compress }
    }

    /// Pings the peer and answers the round-trip time, as long as the peer takes.
    ///
    /// # Errors
    ///
    /// The connection is closed, or ended meanwhile. A peer that does not answer at all ends the connection after the
    /// pong timeout.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the waiting.
    pub async fn ping(&self) -> Result<Duration, SendError> {
        let shared = &self.handle.0;
        let number = {
            let mut state = shared.lock();
            let number = state.core.ping(now()).map_err(|_| SendError::Closed)?;
            let _ = state.drain();
            state.pings_waiting += 1;
            number
        };
        // Somebody has to receive the pong.
        shared.wakers.wake_one(Waiter::Keeper);
        let _waiting = WaitingForPong(shared);
        shared
            .until(|state| match state.last_pong.as_deref() {
                // The answer to a later ping, of another task, answers ours as well.
                Some(&(answered, latency)) if answered.wrapping_sub(number) as i32 >= 0 => Poll::Ready(Ok(latency)),
                _ if state.has_ended() => Poll::Ready(Err(SendError::Closed)),
                _ => Poll::Pending,
            })
            .await
    }

    /// Asks the peer whether it is still there, and waits until anything arrives from it. If nothing does `within` this time,
    /// the connection has ended, with [`Ended::PeerSilent`], or with [`Ended::SendStuck`] if the question could not be sent.
    ///
    /// While an answer is outstanding, no further ping is sent; of two times the one that is over first counts. Up to 10
    /// minutes; it is counted in hundredths of a second.
    ///
    /// # Errors
    ///
    /// The connection is closed, or ended meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the waiting, and takes nothing back: a peer that does not answer still ends the connection.
    pub async fn probe(&self, within: Duration) -> Result<(), SendError> {
        let shared = &self.handle.0;
        let asked = {
            let mut state = shared.lock();
            if !state.core.is_open() {
                return Err(SendError::Closed);
            }
            // An answer that nobody waited for is none to this question.
            state.core.poll_alive();
            let asked = now();
            state.core.probe(asked, within);
            let _ = state.drain();
            state.probes_waiting += 1;
            asked
        };
        // It has another deadline now, and somebody has to receive the answer.
        shared.wakers.wake_one(Waiter::Keeper);
        let _waiting = WaitingForLife(shared);
        let heard = shared.until(|state| {
            if state.core.last_heard() >= asked {
                state.core.poll_alive();
                return Poll::Ready(Ok(()));
            }
            if state.has_ended() { Poll::Ready(Err(SendError::Closed)) } else { Poll::Pending }
        });
        heard.await
    }

    /// Closes the connection: what is queued is sent, then the close frame, and the peer's is awaited.
    ///
    /// What the peer still sends until then is received; if nobody does, [up to 64 KiB](crate::Receiver::recv) of it are kept.
    ///
    /// Answers how the connection ended, at the latest after the close timeout. If it has ended already, or the peer
    /// began to close it, the answer tells that. `reason` is cut to 123 bytes; a code that may not be sent is left out.
    ///
    /// # Cancel safety
    ///
    /// Once begun, the closing goes on in the background when the future is dropped.
    pub async fn close(&self, code: CloseCode, reason: &str) -> Ended {
        let shared = &self.handle.0;
        shared.begin_close(code, reason);
        let ended = shared.until(|state| match state.has_ended() {
            false => Poll::Pending,
            true => Poll::Ready(Ok(state.core.ended().unwrap_or(Ended::TransportFailed))),
        });
        ended.await.unwrap_or(Ended::TransportFailed)
    }

    /// Begins to close the connection without waiting for anything.
    pub fn start_close(&self, code: CloseCode, reason: &str) {
        self.handle.0.begin_close(code, reason);
    }

    /// Why the connection ended; `None` while it is open.
    pub fn ended(&self) -> Option<Ended> {
        self.handle.0.lock().core.ended()
    }

    /// The reason in the peer's close frame, if it sent one.
    pub fn close_reason(&self) -> Option<String> {
        self.handle.0.lock().close_reason.as_deref().map(str::to_owned)
    }

    /// What was agreed when the connection was opened: subprotocol and peer address.
    pub fn info(&self) -> &Info {
        &self.handle.0.info
    }

    /// How many bytes wait to be written.
    pub fn queued(&self) -> usize {
        self.handle.0.lock().queue.len()
    }

    /// How long ago something was last heard from the peer.
    pub fn silence(&self) -> Duration {
        now() - self.handle.0.lock().core.last_heard()
    }

    /// How long the peer's answer to our last ping took; `None` if it has answered none yet.
    pub fn latency(&self) -> Option<Duration> {
        self.handle.0.lock().core.latency()
    }
}

struct WaitingForPong<'a>(&'a Arc<Shared>);

impl Drop for WaitingForPong<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.pings_waiting -= 1;
        if state.pings_waiting == 0 {
            state.last_pong = None;
        }
    }
}

struct WaitingForLife<'a>(&'a Arc<Shared>);

impl Drop for WaitingForLife<'_> {
    fn drop(&mut self) {
        self.0.lock().probes_waiting -= 1;
    }
}

/// Waits until `attempt` is ready, trying again whenever something of the connection has changed.
pub(crate) struct Until<'a, A> {
    shared: &'a Arc<Shared>,
    attempt: A,
    ticket: Option<Ticket>,
    done: bool,
}

impl<R, A> Future for Until<'_, A>
where
    A: FnMut(&mut State) -> Poll<Result<R, SendError>> + Unpin,
{
    type Output = Result<R, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        assert!(!this.done, "polled again after it was ready");
        let mut state = this.shared.lock();
        let result = (this.attempt)(&mut state);
        this.done = result.is_ready();
        // Under the same lock, so that no change goes unseen.
        if result.is_pending() {
            state.waiting.register(&mut this.ticket, cx.waker());
        }
        result
    }
}

impl<A> Drop for Until<'_, A> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.shared.lock().waiting.remove(ticket);
        }
    }
}

impl Shared {
    pub(crate) fn until<R, A>(self: &Arc<Self>, attempt: A) -> Until<'_, A>
    where
        A: FnMut(&mut State) -> Poll<Result<R, SendError>> + Unpin,
    {
        Until { shared: self, attempt, ticket: None, done: false }
    }

    /// Sends one frame, waiting for room and, unless it is `in_stream` itself, for the end of a message in fragments.
    pub(crate) fn send_part(
        self: &Arc<Self>,
        how: How,
        mut payload: Bytes,
    ) -> impl Future<Output = Result<(), SendError>> + Send {
        self.until(move |state| state.try_send_part(self, how, &mut payload))
    }

    pub(crate) fn poll_ready(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let mut state = self.lock();
        if !state.core.is_open() {
            return Poll::Ready(Err(SendError::Closed));
        }
        if state.is_full() {
            let _ = state.drain();
        }
        if state.streaming || state.is_full() {
            state.waiting.register_task(cx.waker());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    pub(crate) fn start_send(self: &Arc<Self>, message: Message, compress: bool) -> Result<(), SendError> {
        let (kind, mut payload) = crate::shared::into_parts(message);
        let mut state = self.lock();
        if !state.core.is_open() {
            return Err(SendError::Closed);
        }
        if state.streaming {
            return Err(SendError::Busy);
        }
        state.send(Part::Whole(kind), &mut payload, compress, true)
    }

    pub(crate) fn poll_flush(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let mut state = self.lock();
        let flushed = state.try_flush();
        if flushed.is_pending() {
            state.waiting.register_task(cx.waker());
        }
        flushed
    }

    pub(crate) fn poll_close(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if self.lock().core.is_open() {
            self.begin_close(CloseCode::NORMAL, "");
        }
        let mut state = self.lock();
        if state.has_ended() {
            return Poll::Ready(Ok(()));
        }
        state.waiting.register_task(cx.waker());
        Poll::Pending
    }
}
