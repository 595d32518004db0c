//! The way to the server: TCP, with TLS over it or without.

use core::fmt;

use embedded_io_async::{Error, ErrorKind, ErrorType, Read, Write};
use tautline_device::{ConnectError, Connector, Transport};
use tautline_device_tls::{self as tls, Buffers, Session, Settings, Wire};

use super::setup::Credentials;
use super::tcp::{Open, Tcp};
use crate::Chip;

/// Opens connections to the server. Those with TLS and those without are one type, so that there is one client.
#[derive(Debug)]
pub(super) struct Way<'a> {
    tcp: Tcp<'a>,
    secure: Option<Secure<'a>>,
}

/// What TLS needs besides TCP.
pub(super) struct Secure<'a> {
    board: &'a dyn Chip,
    credentials: Credentials,
    read: &'a mut [u8],
    write: &'a mut [u8],
    /// The connection that the session is over.
    wire: Option<Wire<Open<'a>>>,
}

impl<'a> Way<'a> {
    /// Over TCP, and TLS if that is wanted.
    pub(super) fn new(tcp: Tcp<'a>, secure: Option<Secure<'a>>) -> Self {
        Self { tcp, secure }
    }
}

impl<'a> Secure<'a> {
    /// With these buffers for records.
    pub(super) fn new(board: &'a dyn Chip, credentials: Credentials, read: &'a mut [u8], write: &'a mut [u8]) -> Self {
        Self { board, credentials, read, write, wire: None }
    }

    async fn open(&mut self, open: Open<'a>) -> Result<Session<'_, Open<'a>>, ConnectError> {
        let Credentials { server, trust, identity } = self.credentials;
        let settings = Settings { server, trust, identity, time: self.board.time() };
        let buffers = Buffers { read: self.read, write: self.write };
        let random = |bytes: &mut [u8]| self.board.random(bytes);
        let opened = tls::open(self.wire.insert(Wire::new(open)), buffers, &settings, random).await;
        opened.map_err(|error| ConnectError::Tls(error.reason()))
    }
}

impl fmt::Debug for Secure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secure").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

impl<'a> Connector for Way<'a> {
    type Transport<'t>
        = Connection<'t, 'a>
    where
        Self: 't;

    async fn connect(&mut self) -> Result<Connection<'_, 'a>, ConnectError> {
        let tcp = self.tcp.open().await?;
        let session = match &mut self.secure {
            Some(secure) => Some(secure.open(tcp).await?),
            None => None,
        };
        Ok(Connection { tcp, session })
    }
}

/// An open connection.
pub(super) struct Connection<'t, 'a> {
    tcp: Open<'a>,
    session: Option<Session<'t, Open<'a>>>,
}

impl fmt::Debug for Connection<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secure = self.session.is_some();
        f.debug_struct("Connection").field("tcp", &self.tcp).field("secure", &secure).finish()
    }
}

impl<'a> Transport for Connection<'_, 'a> {
    type Error = ErrorKind;
    type Reader<'h>
        = Half<Open<'a>, tls::Reader<'h, Open<'a>>>
    where
        Self: 'h;
    type Writer<'h>
        = Half<Open<'a>, tls::Writer<'h, Open<'a>>>
    where
        Self: 'h;

    fn split(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>) {
        match &mut self.session {
            Some(session) => {
                let (reader, writer) = session.split();
                (Half::Secure(reader), Half::Secure(writer))
            }
            None => (Half::Plain(self.tcp), Half::Plain(self.tcp)),
        }
    }

    /// Without the goodbye of TLS: WebSocket has its own, which says more, and the session would stand in the future of the
    /// client several times over, in 6 KB.
    fn close(self) -> impl Future<Output = ()> {
        self.tcp.close()
    }
}

/// One half of a connection.
#[derive(Debug)]
pub(super) enum Half<P, S> {
    /// Without TLS.
    Plain(P),
    /// With TLS.
    Secure(S),
}

impl<P, S> ErrorType for Half<P, S> {
    type Error = ErrorKind;
}

impl<P: Read, S: Read> Read for Half<P, S> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        match self {
            Self::Plain(half) => half.read(buffer).await.map_err(|error| error.kind()),
            Self::Secure(half) => half.read(buffer).await.map_err(|error| error.kind()),
        }
    }
}

impl<P: Write, S: Write> Write for Half<P, S> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        match self {
            Self::Plain(half) => half.write(bytes).await.map_err(|error| error.kind()),
            Self::Secure(half) => half.write(bytes).await.map_err(|error| error.kind()),
        }
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        match self {
            Self::Plain(half) => half.flush().await.map_err(|error| error.kind()),
            Self::Secure(half) => half.flush().await.map_err(|error| error.kind()),
        }
    }
}
