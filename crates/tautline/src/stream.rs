//! The transport under a connection, whatever it is.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A transport: TCP, TLS over TCP, or any stream of the caller's.
pub struct Stream(Kind);

enum Kind {
    Tcp(TcpStream),
    /// What a server has accepted, boxed because a session is large.
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    /// Everything else: an indirect call is nothing beside what TLS costs.
    Other(Pin<Box<dyn Transport>>),
}

trait Transport: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Transport for T {}

impl Stream {
    /// A TCP connection.
    pub fn tcp(stream: TcpStream) -> Self {
        Self(Kind::Tcp(stream))
    }

    /// A TLS connection that a server has accepted.
    #[cfg(feature = "tls")]
    pub(crate) fn tls(stream: tokio_rustls::server::TlsStream<TcpStream>) -> Self {
        Self(Kind::Tls(Box::new(stream)))
    }

    /// Any other stream.
    pub fn other(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        Self(Kind::Other(Box::pin(stream)))
    }
}

impl Stream {
    /// Whether written bytes may stay inside until a flush: TLS keeps records that the socket did not take.
    pub(crate) fn needs_flush(&self) -> bool {
        !matches!(self.0, Kind::Tcp(_))
    }

    /// Whether the client has negotiated HTTP/2 (ALPN).
    #[cfg(feature = "tls")]
    pub(crate) fn speaks_http2(&self) -> bool {
        matches!(&self.0, Kind::Tls(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2"))
    }

    /// The TLS session of a connection that a server has accepted; `None` if it has none.
    #[cfg(feature = "tls")]
    pub(crate) fn session(&self) -> Option<&rustls::ServerConnection> {
        match &self.0 {
            Kind::Tls(stream) => Some(stream.get_ref().1),
            _ => None,
        }
    }

    /// The socket and the TLS session of a connection that a server has accepted.
    #[cfg(feature = "tls")]
    pub(crate) fn into_parts(self) -> io::Result<(std::net::TcpStream, Option<rustls::ServerConnection>)> {
        match self.0 {
            Kind::Tcp(stream) => Ok((stream.into_std()?, None)),
            Kind::Tls(stream) => {
                let (stream, session) = stream.into_inner();
                Ok((stream.into_std()?, Some(session)))
            }
            Kind::Other(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The socket of a connection that a server has accepted.
    #[cfg(not(feature = "tls"))]
    pub(crate) fn into_parts(self) -> io::Result<std::net::TcpStream> {
        match self.0 {
            Kind::Tcp(stream) => stream.into_std(),
            Kind::Other(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Kind::Tcp(stream) => f.debug_tuple("Stream").field(stream).finish(),
            #[cfg(feature = "tls")]
            Kind::Tls(stream) => f.debug_tuple("Stream").field(stream.get_ref().0).finish(),
            Kind::Other(_) => f.write_str("Stream(..)"),
        }
    }
}

macro_rules! delegate {
    ($self:ident, $method:ident($($arg:expr),*)) => {
        match &mut $self.get_mut().0 {
            Kind::Tcp(stream) => Pin::new(stream).$method($($arg),*),
            #[cfg(feature = "tls")]
            Kind::Tls(stream) => Pin::new(stream).$method($($arg),*),
            Kind::Other(stream) => stream.as_mut().$method($($arg),*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        delegate!(self, poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Kind::Tcp(stream) => stream.is_write_vectored(),
            #[cfg(feature = "tls")]
            Kind::Tls(stream) => stream.is_write_vectored(),
            Kind::Other(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_shutdown(cx))
    }
}
