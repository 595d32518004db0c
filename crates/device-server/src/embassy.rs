//! Sockets and a clock of chips, on embassy.

use core::fmt;
use core::net::SocketAddr;

use embassy_net::IpListenEndpoint;
use embassy_net::tcp::{AcceptError, Error, TcpReader, TcpSocket, TcpWriter};
use embassy_time::Timer;
use embedded_io_async::{ErrorType, Write};
use tautline_proto::Instant;

use crate::client::Peer;
use crate::transport::{Acceptor, Clock, Transport};

/// A socket of embassy-net that takes one connection after the other. A server has one for each of its clients and one more, all
/// at the same port; each has buffers of its own, which are the caller's.
pub struct Listener<'s> {
    socket: TcpSocket<'s>,
    endpoint: IpListenEndpoint,
}

impl<'s> Listener<'s> {
    /// Listens with a socket at an address, or with a port alone at all of the stack's addresses, IPv4 and IPv6.
    pub fn new(socket: TcpSocket<'s>, endpoint: impl Into<IpListenEndpoint>) -> Self {
        Self { socket, endpoint: endpoint.into() }
    }
}

impl fmt::Debug for Listener<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl<'s> Acceptor for Listener<'s> {
    type Error = AcceptError;
    type Transport<'a>
        = Connection<'a, 's>
    where
        Self: 'a;

    async fn accept(&mut self) -> Result<Connection<'_, 's>, AcceptError> {
        // What is left of the last connection goes first; its reset has to leave before the socket is used again.
        self.socket.abort();
        let _ = self.socket.flush().await;
        self.socket.accept(self.endpoint).await?;
        Ok(Connection { socket: &mut self.socket })
    }
}

/// A connection of a [`Listener`].
pub struct Connection<'a, 's> {
    socket: &'a mut TcpSocket<'s>,
}

impl fmt::Debug for Connection<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Transport for Connection<'_, '_> {
    type Reader<'t>
        = TcpReader<'t>
    where
        Self: 't;
    type Writer<'t>
        = Sending<'t>
    where
        Self: 't;

    fn peer(&self) -> Peer {
        let address = self.socket.remote_endpoint().map(|end| SocketAddr::new(end.addr.into(), end.port));
        Peer { address, secure: false }
    }

    fn split(&mut self) -> (TcpReader<'_>, Sending<'_>) {
        let (reader, writer) = self.socket.split();
        (reader, Sending(writer))
    }

    async fn end(&mut self) {
        self.socket.close();
        // A peer that is gone already cannot be told.
        let _ = self.socket.flush().await;
    }
}

/// The sending half of a [`Connection`].
pub struct Sending<'t>(TcpWriter<'t>);

impl fmt::Debug for Sending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").finish_non_exhaustive()
    }
}

impl ErrorType for Sending<'_> {
    type Error = Error;
}

impl Write for Sending<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.0.write(bytes).await
    }

    /// Bytes leave by themselves. The socket's own flush would wait until the peer has confirmed them.
    async fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// The clock of embassy-time.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmbassyClock;

impl Clock for EmbassyClock {
    fn now(&self) -> Instant {
        Instant::from_micros(embassy_time::Instant::now().as_micros())
    }

    async fn sleep_until(&self, at: Instant) {
        Timer::at(embassy_time::Instant::from_micros(at.as_micros())).await;
    }
}
