//! The client on a host: tokio's sockets and clock, TLS by rustls, the system's random numbers.
//!
//! The future of [`Client::run`](crate::Client::run) stays on its thread: run it with a `LocalSet`, in a current-thread runtime, or on a
//! thread of its own. The [`Link`](crate::Link) goes anywhere, with a `CriticalSectionRawMutex`.

#[cfg(feature = "telemetry")]
mod udp;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::string::String;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant as Moment;

use embedded_io_async::{ErrorType, Read, Write};
use tautline_proto::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::transport::{Clock, ConnectError, Connector, Random, Transport};

#[cfg(feature = "telemetry")]
pub use udp::Udp;

/// tokio's clock. Its zero is when this was made.
#[derive(Clone, Copy, Debug)]
pub struct HostClock(Moment);

impl HostClock {
    /// A clock that begins now.
    pub fn new() -> Self {
        Self(Moment::now())
    }
}

impl Default for HostClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for HostClock {
    fn now(&self) -> Instant {
        Instant::ZERO + self.0.elapsed()
    }

    async fn sleep_until(&self, at: Instant) {
        tokio::time::sleep(at - self.now()).await;
    }
}

/// Random numbers that are good for secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostRandom;

impl Random for HostRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        rand::Rng::fill(&mut rand::rng(), bytes);
    }
}

/// Connects by TCP, to the first of a host's addresses that answers.
#[derive(Clone, Debug)]
pub struct Tcp {
    host: String,
    port: u16,
}

impl Tcp {
    /// To this host, a name or an address.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    async fn addresses(&self) -> Result<impl Iterator<Item = SocketAddr>, ConnectError> {
        // An IPv6 address may stand in its brackets, as in a URI.
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        tokio::net::lookup_host((host, self.port)).await.map_err(|_| ConnectError::Lookup)
    }

    async fn open(&self) -> Result<TcpStream, ConnectError> {
        let mut failed = ConnectError::Lookup;
        for address in self.addresses().await? {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    // Small messages would otherwise wait for the acknowledgement of those before them.
                    stream.set_nodelay(true).map_err(transport)?;
                    return Ok(stream);
                }
                Err(error) => failed = transport(error),
            }
        }
        Err(failed)
    }
}

impl Connector for Tcp {
    type Transport<'t> = Stream<TcpStream>;

    async fn connect(&mut self) -> Result<Stream<TcpStream>, ConnectError> {
        self.open().await.map(Stream::new)
    }
}

/// Connects by TCP and TLS.
#[cfg(feature = "rustls")]
#[derive(Clone)]
pub struct Tls {
    tcp: Tcp,
    name: tokio_rustls::rustls::pki_types::ServerName<'static>,
    connector: tokio_rustls::TlsConnector,
}

#[cfg(feature = "rustls")]
impl Tls {
    /// To this host, whose certificate has to name it. `config` has the certificates that are trusted, and the client's own.
    ///
    /// # Errors
    /// The host is neither a name nor an address.
    pub fn new(
        host: impl Into<String>,
        port: u16,
        config: std::sync::Arc<tokio_rustls::rustls::ClientConfig>,
    ) -> Result<Self, ConnectError> {
        let tcp = Tcp::new(host, port);
        let bare = tcp.host.trim_start_matches('[').trim_end_matches(']');
        let name = String::from(bare).try_into().map_err(|_| ConnectError::Lookup)?;
        Ok(Self { tcp, name, connector: config.into() })
    }
}

#[cfg(feature = "rustls")]
impl core::fmt::Debug for Tls {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Tls").field("tcp", &self.tcp).finish_non_exhaustive()
    }
}

#[cfg(feature = "rustls")]
impl Connector for Tls {
    type Transport<'t> = Stream<tokio_rustls::client::TlsStream<TcpStream>>;

    async fn connect(&mut self) -> Result<Self::Transport<'_>, ConnectError> {
        let tcp = self.tcp.open().await?;
        let tls = self.connector.connect(self.name.clone(), tcp).await;
        tls.map(Stream::new).map_err(|error| tls_error(&error))
    }
}

/// Any stream of tokio's as a [`Transport`].
#[derive(Debug)]
pub struct Stream<S>(Mutex<S>);

impl<S> Stream<S> {
    /// This stream.
    pub fn new(stream: S) -> Self {
        Self(Mutex::new(stream))
    }
}

/// The half that receives.
#[derive(Debug)]
pub struct Reader<'h, S>(&'h Mutex<S>);

/// The half that sends.
#[derive(Debug)]
pub struct Writer<'h, S>(&'h Mutex<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Transport for Stream<S> {
    type Error = io::Error;
    type Reader<'h>
        = Reader<'h, S>
    where
        S: 'h;
    type Writer<'h>
        = Writer<'h, S>
    where
        S: 'h;

    fn split(&mut self) -> (Reader<'_, S>, Writer<'_, S>) {
        (Reader(&self.0), Writer(&self.0))
    }

    async fn close(self) {
        // What cannot be closed any more is closed.
        let _ = poll_fn(|cx| Pin::new(&mut *lock(&self.0)).poll_shutdown(cx)).await;
    }
}

impl<S> ErrorType for Reader<'_, S> {
    type Error = io::Error;
}

impl<S> ErrorType for Writer<'_, S> {
    type Error = io::Error;
}

impl<S: AsyncRead + Unpin> Read for Reader<'_, S> {
    async fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut bytes = ReadBuf::new(bytes);
        poll_fn(|cx| Pin::new(&mut *lock(self.0)).poll_read(cx, &mut bytes)).await?;
        Ok(bytes.filled().len())
    }
}

impl<S: AsyncWrite + Unpin> Write for Writer<'_, S> {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        poll_fn(|cx| Pin::new(&mut *lock(self.0)).poll_write(cx, bytes)).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| Pin::new(&mut *lock(self.0)).poll_flush(cx)).await
    }
}

/// Both halves are polled by one task, so nobody waits for it.
fn lock<S>(stream: &Mutex<S>) -> MutexGuard<'_, S> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

fn transport(error: io::Error) -> ConnectError {
    ConnectError::Transport(error.kind().into())
}

#[cfg(feature = "rustls")]
fn tls_error(error: &io::Error) -> ConnectError {
    use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return ConnectError::Transport(error.kind().into());
    };
    ConnectError::Tls(match tls {
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "the server's certificate is from another authority"
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the server's certificate is for another name",
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the server's certificate has expired"
        }
        Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            "the server's certificate is not valid yet"
        }
        Error::InvalidCertificate(CertificateError::Revoked) => "the server's certificate is revoked",
        Error::InvalidCertificate(_) => "the server's certificate is not good",
        Error::AlertReceived(AlertDescription::CertificateRequired) => "the server wants a certificate of ours",
        Error::AlertReceived(_) => "the server refused",
        _ => "the server does not speak TLS as it should",
    })
}
