//! A transport whose peer has to ask in time, and to take what is sent to it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::stream::Stream;

/// How long a peer may take nothing at all of what waits for it.
const LIMIT: Duration = Duration::from_secs(30);

/// What is answered to who takes too long to ask (RFC 9110 section 15.5.9).
const TOO_LATE: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// Fails once the peer has taken nothing for [`LIMIT`]: hyper would wait for as long as the connection stands, with the
/// answer in memory.
pub(super) struct Patient {
    stream: Stream,
    /// Only while something waits.
    limit: Option<Pin<Box<Sleep>>>,
    /// Until the first request is there.
    head: Option<Head>,
}

/// When the first request's head has to be there.
struct Head {
    deadline: Pin<Box<Sleep>>,
    /// It is.
    asked: Arc<AtomicBool>,
}

impl Patient {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, limit: None, head: None }
    }

    /// Answers 408 and fails if nothing has been asked within this time; `asked` says so. hyper would just end.
    pub(super) fn with_head(self, within: Duration, asked: Arc<AtomicBool>) -> Self {
        Self { head: Some(Head { deadline: Box::pin(tokio::time::sleep(within)), asked }), ..self }
    }

    pub(super) fn into_inner(self) -> Stream {
        self.stream
    }

    fn check<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.limit = None;
            return poll;
        }
        let limit = self.limit.get_or_insert_with(|| Box::pin(tokio::time::sleep(LIMIT)));
        limit.as_mut().poll(cx).map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl Patient {
    /// Nothing has come: looks whether the first head is overdue.
    fn check_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(Head { deadline, asked }) = &mut self.head else { return Poll::Pending };
        if asked.load(Ordering::Relaxed) {
            self.head = None;
            return Poll::Pending;
        }
        ready!(deadline.as_mut().poll(cx));
        self.head = None;
        // If the socket does not take it at once, the peer does not get it.
        if Pin::new(&mut self.stream).poll_write(cx, TOO_LATE).is_ready() {
            let _ = Pin::new(&mut self.stream).poll_flush(cx);
        }
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the request took too long")))
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Pending => self.check_head(cx),
            ready => ready,
        }
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.check(cx, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.check(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        self.check(cx, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.check(cx, poll)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (ours, _theirs) = tokio::io::duplex(4);
        let started = Instant::now();
        let error = Patient::new(Stream::other(ours)).write_all(&[0; 8]).await.unwrap_err();
        assert_eq!((error.kind(), started.elapsed()), (io::ErrorKind::TimedOut, LIMIT));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_a_little_now_and_then_is_not() {
        let (ours, mut theirs) = tokio::io::duplex(1);
        let slow = tokio::spawn(async move {
            for _ in 0..8 {
                tokio::time::sleep(LIMIT - Duration::from_secs(1)).await;
                theirs.read_u8().await.unwrap();
            }
        });
        Patient::new(Stream::other(ours)).write_all(&[0; 8]).await.unwrap();
        slow.await.unwrap();
    }
}
