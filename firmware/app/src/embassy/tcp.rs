//! Connections over embassy's TCP stack.

use core::fmt;
use core::net::Ipv4Addr;

use embassy_net::dns::DnsQueryType;
use embassy_net::tcp::{ConnectError as TcpError, Error, TcpReader, TcpSocket, TcpWriter};
use embassy_net::{IpAddress, Stack};
use embedded_io_async::ErrorKind;
use tautline_device::{ConnectError, Connector, Transport};

/// The memory of a connection, used again for the next one.
#[derive(Debug)]
pub struct Buffers<const N: usize> {
    receive: [u8; N],
    send: [u8; N],
}

impl<const N: usize> Buffers<N> {
    /// All zero, so that they take no flash.
    pub const fn new() -> Self {
        Self { receive: [0; N], send: [0; N] }
    }
}

impl<const N: usize> Default for Buffers<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// Opens plain TCP connections to one server.
pub struct Tcp<'a, const N: usize> {
    stack: Stack<'a>,
    buffers: &'a mut Buffers<N>,
    host: &'a str,
    port: u16,
}

impl<'a, const N: usize> Tcp<'a, N> {
    /// To this server, whose name is looked up anew for each connection.
    pub fn new(stack: Stack<'a>, buffers: &'a mut Buffers<N>, host: &'a str, port: u16) -> Self {
        Self { stack, buffers, host, port }
    }

    /// Connects: an open socket.
    ///
    /// # Errors
    ///
    /// If the name has no address, or nobody answers there.
    pub async fn open(&mut self) -> Result<TcpSocket<'_>, ConnectError> {
        self.stack.wait_config_up().await;
        let address = address(self.stack, self.host).await.ok_or(ConnectError::Lookup)?;
        let mut socket = TcpSocket::new(self.stack, &mut self.buffers.receive, &mut self.buffers.send);
        match socket.connect((address, self.port)).await {
            Ok(()) => Ok(socket),
            Err(TcpError::ConnectionReset) => Err(ConnectError::Transport(ErrorKind::ConnectionRefused)),
            Err(TcpError::TimedOut) => Err(ConnectError::Transport(ErrorKind::TimedOut)),
            Err(TcpError::NoRoute | TcpError::InvalidState) => {
                Err(ConnectError::Transport(ErrorKind::AddrNotAvailable))
            }
        }
    }
}

async fn address(stack: Stack<'_>, host: &str) -> Option<IpAddress> {
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Some(address.into());
    }
    stack.dns_query(host, DnsQueryType::A).await.ok()?.first().copied()
}

impl<const N: usize> fmt::Debug for Tcp<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tcp").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl<const N: usize> Connector for Tcp<'_, N> {
    type Transport<'t>
        = Socket<'t>
    where
        Self: 't;

    async fn connect(&mut self) -> Result<Socket<'_>, ConnectError> {
        self.open().await.map(Socket)
    }
}

/// An open TCP connection.
pub struct Socket<'t>(TcpSocket<'t>);

impl fmt::Debug for Socket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socket").field(&self.0.remote_endpoint()).finish()
    }
}

impl Transport for Socket<'_> {
    type Error = Error;
    type Reader<'h>
        = TcpReader<'h>
    where
        Self: 'h;
    type Writer<'h>
        = TcpWriter<'h>
    where
        Self: 'h;

    fn split(&mut self) -> (TcpReader<'_>, TcpWriter<'_>) {
        self.0.split()
    }

    async fn close(mut self) {
        self.0.close();
        // What goes wrong now concerns nobody any more.
        let _ = self.0.flush().await;
    }
}
