//! A connection with the board, as tokio knows connections.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::{RecvError, Socket, State};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stack::Stack;

/// A connection with the board. Dropped before both sides have ended it, it is reset.
pub(super) struct Stream {
    stack: Stack,
    handle: SocketHandle,
}

impl Stream {
    /// The stream of this socket, which nobody else has.
    pub(super) fn new(stack: Stack, handle: SocketHandle) -> Self {
        Self { stack, handle }
    }

    /// Waits until it is open.
    ///
    /// # Errors
    ///
    /// If the board does not want it.
    pub(super) async fn open(&self) -> io::Result<()> {
        poll_fn(|cx| {
            self.with(|socket| match socket.state() {
                State::SynSent | State::SynReceived => {
                    socket.register_send_waker(cx.waker());
                    Poll::Pending
                }
                // One that was called and then left listens again.
                State::Closed | State::Listen => Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into())),
                _ => Poll::Ready(Ok(())),
            })
        })
        .await
    }

    fn with<T>(&self, what: impl FnOnce(&mut Socket<'static>) -> T) -> T {
        what(self.stack.lock().sockets.get_mut(self.handle))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stack.lock().leave(self.handle);
        self.stack.touch();
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = self.with(|socket| {
            if socket.may_recv() && !socket.can_recv() {
                socket.register_recv_waker(cx.waker());
                return Poll::Pending;
            }
            Poll::Ready(socket.recv_slice(buffer.initialize_unfilled()))
        });
        match ready!(read) {
            Ok(length) => {
                buffer.advance(length);
                self.stack.touch();
                Poll::Ready(Ok(()))
            }
            Err(RecvError::Finished) => Poll::Ready(Ok(())),
            Err(RecvError::InvalidState) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.with(|socket| {
            if socket.may_send() && !socket.can_send() {
                socket.register_send_waker(cx.waker());
                return Poll::Pending;
            }
            Poll::Ready(socket.send_slice(bytes))
        });
        self.stack.touch();
        Poll::Ready(ready!(written).map_err(|_| io::ErrorKind::BrokenPipe.into()))
    }

    /// What is written leaves by itself.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|socket| socket.close());
        self.stack.touch();
        Poll::Ready(Ok(()))
    }
}
