//! Sockets and a clock of hosts, on tokio.

use std::boxed::Box;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use embedded_io_async::{ErrorType, Read, Write};
use socket2::{Domain, Socket, Type};
use tautline_proto::Instant;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::TcpListener;
#[cfg(feature = "tls")]
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use crate::client::Peer;
use crate::transport::{Acceptor, Clock, Transport};

/// How many connections may wait for an acceptor.
const BACKLOG: i32 = 128;

/// How long a handshake of TLS may take.
#[cfg(feature = "tls")]
const TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// A socket that listens, for a [`Server`](crate::Server) on a host.
#[derive(Clone)]
pub struct Listener {
    socket: Arc<TcpListener>,
    #[cfg(feature = "tls")]
    tls: Option<TlsAcceptor>,
}

impl Listener {
    /// Listens at an address. An IPv6 address that means all of the machine's (`[::]:80`) takes IPv4 as well.
    ///
    /// # Errors
    ///
    /// Those of the sockets. Has to be called in a tokio runtime.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        // Elsewhere it would let two programs listen at the same port.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(Self {
            socket: Arc::new(TcpListener::from_std(socket.into())?),
            #[cfg(feature = "tls")]
            tls: None,
        })
    }

    /// Speaks TLS on it: `https://` and `wss://`. An acceptor makes the handshake before it takes another connection, for 10
    /// seconds at most.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, config: Arc<ServerConfig>) -> Self {
        self.tls = Some(config.into());
        self
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// As many acceptors as a server needs: its clients and one.
    pub fn acceptors<const M: usize>(&self) -> [Self; M] {
        core::array::from_fn(|_| self.clone())
    }

    async fn accept_stream(&self) -> io::Result<Stream> {
        let (tcp, address) = self.socket.accept().await?;
        tcp.set_nodelay(true)?;
        let address = Some(address);
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let stream = tokio::time::timeout(TLS_TIMEOUT, tls.accept(tcp)).await??;
            return Ok(Stream { stream: Box::new(stream), peer: Peer { address, secure: true } });
        }
        Ok(Stream { stream: Box::new(tcp), peer: Peer { address, secure: false } })
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Acceptor for Listener {
    type Error = io::Error;
    type Transport<'a> = Stream;

    async fn accept(&mut self) -> io::Result<Stream> {
        self.accept_stream().await
    }
}

/// A connection of a host, with or without TLS.
pub struct Stream {
    stream: Box<dyn Duplex>,
    peer: Peer,
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl Transport for Stream {
    type Reader<'t> = Receiving<'t>;
    type Writer<'t> = Sending<'t>;

    fn peer(&self) -> Peer {
        self.peer
    }

    fn split(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>) {
        let (reader, writer) = split(&mut self.stream);
        (Receiving(reader), Sending(writer))
    }

    async fn end(&mut self) {
        // A peer that is gone already cannot be told.
        let _ = self.stream.shutdown().await;
    }
}

/// The receiving half of a [`Stream`].
pub struct Receiving<'t>(ReadHalf<&'t mut Box<dyn Duplex>>);

/// The sending half of a [`Stream`].
pub struct Sending<'t>(WriteHalf<&'t mut Box<dyn Duplex>>);

impl ErrorType for Receiving<'_> {
    type Error = io::Error;
}

impl ErrorType for Sending<'_> {
    type Error = io::Error;
}

impl Read for Receiving<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).await
    }
}

impl Write for Sending<'_> {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.0.flush().await
    }
}

/// The clock of a tokio runtime.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    start: tokio::time::Instant,
}

impl TokioClock {
    /// A clock that begins now.
    pub fn new() -> Self {
        Self { start: tokio::time::Instant::now() }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    async fn sleep_until(&self, at: Instant) {
        tokio::time::sleep_until(self.start + Duration::from_micros(at.as_micros())).await;
    }
}
