//! What becomes of a frame: it is compressed, written at once, or queued.

use std::cell::Cell;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tautline_proto::{MAX_HEADER, Part, Role, mask};
use tokio::io::AsyncWrite;

use crate::keeper::in_handler;
use crate::pool;
use crate::queue::COPY_LIMIT;
use crate::send::{How, SendError, Urgency};
use crate::shared::{Shared, State, mask_key};
use crate::wakers::Waiter;

thread_local! {
    /// Where a frame that leaves at once is put together.
    static FRAME: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl State {
    /// Whether what was queued can no longer be written.
    fn has_failed(&self) -> bool {
        self.core.ended().map_or(self.stream.is_none(), |ended| !ended.is_clean())
    }

    /// Sends one frame, if it need not wait for room or, unless it is `in_stream` itself, for the end of a message in
    /// fragments. Takes the payload if it is kept.
    pub(crate) fn try_send_part(
        &mut self,
        shared: &Arc<Shared>,
        how: How,
        payload: &mut Bytes,
    ) -> Poll<Result<(), SendError>> {
        if !self.core.is_open() {
            return Poll::Ready(Err(SendError::Closed));
        }
        if self.streaming && !how.in_stream {
            return Poll::Pending;
        }
        if self.is_full() {
            let _ = self.drain();
            if self.is_full() {
                return Poll::Pending;
            }
        }
        let cork = self.unparsed || how.urgency == Urgency::WhenFlushed;
        let sent = self.send(how.part, payload, how.compress, cork);
        // Replies to messages that arrived together leave together: when the last one has been answered, or when the
        // handler waits for something. Outside of a handler its task cannot tell, so the keeper's is asked.
        if cork && how.urgency == Urgency::Now && !in_handler(shared) {
            shared.wakers.wake_one(Waiter::Keeper);
        }
        Poll::Ready(sent)
    }

    pub(crate) fn try_flush(&mut self) -> Poll<Result<(), SendError>> {
        ready!(self.drain());
        Poll::Ready(if self.queue.is_empty() && !self.has_failed() { Ok(()) } else { Err(SendError::Closed) })
    }

    /// Writes a frame at once, or queues it: with `cork`, and where the transport is busy. Takes the payload if it is kept.
    pub(crate) fn send(
        &mut self,
        part: Part,
        payload: &mut Bytes,
        compress: bool,
        cork: bool,
    ) -> Result<(), SendError> {
        let role = self.core.role();
        let key = mask_key(role);
        let mut head = [0; MAX_HEADER];
        let len = match compress && self.compress(part, payload) {
            true => self.core.send_compressed(part, payload, key, &mut head),
            false => self.core.send(part, payload, key, &mut head),
        };
        let len = len.map_err(|_| SendError::Closed)?;
        let head = &head[..len];
        let busy = !self.queue.is_empty() || self.next_control().is_some();
        if !busy && !cork {
            self.write_now(role, head, key, payload);
            return Ok(());
        }
        match role {
            Role::Client => {
                let mut masked = payload.to_vec();
                mask::apply(key, 0, &mut masked);
                if masked.len() <= COPY_LIMIT {
                    self.queue.push(head, &masked);
                } else {
                    self.queue.push_shared(head, masked.into());
                }
            }
            Role::Server if payload.len() <= COPY_LIMIT => self.queue.push(head, payload),
            Role::Server => self.queue.push_shared(head, std::mem::take(payload)),
        }
        if !cork {
            let _ = self.drain();
        }
        Ok(())
    }

    /// Compresses a frame's payload in place, if that was agreed on, and pays. A fragment always is, since nobody knows yet
    /// how long its message gets.
    fn compress(&mut self, part: Part, payload: &mut Bytes) -> bool {
        let Some((_, deflater)) = self.compression.as_deref_mut() else { return false };
        // What is not sent must not become part of the history.
        let continues = matches!(part, Part::Next | Part::Last);
        if !self.core.is_open() || self.core.is_message_in_progress() != continues {
            return false;
        }
        pool::with_deflate_space(|space| {
            let compressed = match part {
                Part::Whole(_) => deflater.deflate(space, payload),
                Part::First(_) | Part::Next => Some(deflater.deflate_piece(space, payload, false)),
                Part::Last => Some(deflater.deflate_piece(space, payload, true)),
            };
            if let Some(compressed) = compressed {
                *payload = Bytes::copy_from_slice(compressed);
            }
            compressed.is_some()
        })
    }

    /// Writes a frame while nothing else waits; what the transport does not take is queued.
    fn write_now(&mut self, role: Role, head: &[u8], key: [u8; 4], payload: &mut Bytes) {
        let Some(mut stream) = self.stream.take() else { return };
        let cx = &mut Context::from_waker(&self.waker);
        let to = Pin::new(&mut stream);
        let result = if role == Role::Server && payload.len() > COPY_LIMIT {
            let result = to.poll_write_vectored(cx, &[IoSlice::new(head), IoSlice::new(payload)]);
            let n = taken(&result);
            if n < head.len() + payload.len() {
                let mut rest = std::mem::take(payload);
                rest.advance(n.saturating_sub(head.len()));
                self.queue.push_rest_shared(&head[n.min(head.len())..], rest, n > 0);
            }
            result
        } else {
            let mut frame = FRAME.take();
            frame.clear();
            frame.extend_from_slice(head);
            frame.extend_from_slice(payload);
            if role == Role::Client {
                mask::apply(key, 0, &mut frame[head.len()..]);
            }
            let result = to.poll_write(cx, &frame);
            let n = taken(&result);
            if n < frame.len() {
                self.queue.push_rest(&frame[n..], n > 0);
            }
            // The buffer for the next small frame, not for one that happened to be large.
            if frame.capacity() <= 4 * COPY_LIMIT {
                FRAME.set(frame);
            }
            result
        };
        let needs_flush = stream.needs_flush();
        self.stream = Some(stream);
        if matches!(result, Poll::Ready(Err(_))) {
            self.write_failed();
        } else if !self.queue.is_empty() || needs_flush {
            // Registers the transport's waker for the rest.
            let _ = self.drain();
        }
    }
}

fn taken(result: &Poll<std::io::Result<usize>>) -> usize {
    match result {
        Poll::Ready(Ok(n)) => *n,
        _ => 0,
    }
}
