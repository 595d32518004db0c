//! UDP, as the client wants it.

use core::fmt;

use embedded_io_async::{Error, ErrorType, Read, Write};

use crate::transport::Transport;

/// A UDP socket that sends to one hub and takes datagrams from there only.
///
/// It receives and sends at the same time, so both take `&self`, as the sockets of embassy and of tokio do.
#[allow(async_fn_in_trait)]
pub trait Datagrams {
    /// What can go wrong.
    type Error: Error;

    /// Waits for a datagram and answers its length. What does not fit is cut off.
    ///
    /// # Errors
    /// The socket does not work any longer, or nobody is there. The client makes another one.
    async fn receive(&self, datagram: &mut [u8]) -> Result<usize, Self::Error>;

    /// Sends a datagram. What the network has no room for may be lost.
    ///
    /// # Errors
    /// As for [`receive`](Self::receive).
    async fn send(&self, datagram: &[u8]) -> Result<(), Self::Error>;
}

/// A UDP socket as the [`Transport`] of a connector: what is written at once is one datagram, and what is read is one.
pub struct Datagram<S>(pub S);

impl<S: Datagrams> Transport for Datagram<S> {
    type Error = S::Error;
    type Reader<'h>
        = Half<'h, S>
    where
        S: 'h;
    type Writer<'h>
        = Half<'h, S>
    where
        S: 'h;

    const DATAGRAMS: bool = true;

    fn split(&mut self) -> (Half<'_, S>, Half<'_, S>) {
        (Half(&self.0), Half(&self.0))
    }

    async fn close(self) {}
}

impl<S> fmt::Debug for Datagram<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagram").finish_non_exhaustive()
    }
}

/// The half of a [`Datagram`] that receives, or sends.
pub struct Half<'h, S>(&'h S);

impl<S> fmt::Debug for Half<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Half").finish_non_exhaustive()
    }
}

impl<S: Datagrams> ErrorType for Half<'_, S> {
    type Error = S::Error;
}

impl<S: Datagrams> Read for Half<'_, S> {
    async fn read(&mut self, datagram: &mut [u8]) -> Result<usize, S::Error> {
        self.0.receive(datagram).await
    }
}

impl<S: Datagrams> Write for Half<'_, S> {
    async fn write(&mut self, datagram: &[u8]) -> Result<usize, S::Error> {
        self.0.send(datagram).await.map(|()| datagram.len())
    }

    async fn flush(&mut self) -> Result<(), S::Error> {
        Ok(())
    }
}
