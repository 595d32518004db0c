//! Connections over embassy's TCP stack.

use core::cell::RefCell;
use core::fmt;
use core::future::poll_fn;
use core::net::IpAddr;
use core::pin::pin;

use embassy_net::dns::DnsQueryType;
use embassy_net::tcp::{ConnectError as TcpError, Error, State, TcpSocket};
use embassy_net::{IpAddress, Stack};
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use tautline_device::{ConnectError, Connector, Transport};

use super::network::ipv4;

/// Opens TCP connections to one server, one after the other, with one socket.
pub struct Tcp<'a> {
    stack: Stack<'a>,
    socket: &'a Socket<'a>,
    host: &'a str,
    port: u16,
}

/// The socket, which both halves of a connection share: each has it for as long as it is polled.
pub type Socket<'a> = RefCell<TcpSocket<'a>>;

impl<'a> Tcp<'a> {
    /// To this server, whose name is looked up anew for each connection.
    pub fn new(stack: Stack<'a>, socket: &'a RefCell<TcpSocket<'a>>, host: &'a str, port: u16) -> Self {
        Self { stack, socket, host, port }
    }

    /// Connects, after whatever the last connection has left has ended.
    ///
    /// # Errors
    ///
    /// If the name has no address, or nobody answers there.
    #[allow(clippy::await_holding_refcell_ref)] // there are no halves of a connection before this is done
    pub(super) async fn open(&mut self) -> Result<Open<'a>, ConnectError> {
        let address = address(self.stack, self.host).await.ok_or(ConnectError::Lookup)?;
        self.end().await;
        match self.socket.borrow_mut().connect((address, self.port)).await {
            Ok(()) => Ok(Open(self.socket)),
            Err(TcpError::ConnectionReset) => Err(ConnectError::Transport(ErrorKind::ConnectionRefused)),
            Err(TcpError::TimedOut) => Err(ConnectError::Transport(ErrorKind::TimedOut)),
            Err(TcpError::NoRoute | TcpError::InvalidState) => {
                Err(ConnectError::Transport(ErrorKind::AddrNotAvailable))
            }
        }
    }

    /// Ends a connection that was dropped, so that the server learns of it.
    async fn end(&mut self) {
        if self.socket.borrow().state() != State::Closed {
            self.socket.borrow_mut().abort();
            let _ = confirmed(self.socket).await;
        }
    }
}

/// The address of a host, as soon as there is a way to it. Names are IPv4's: DHCP says whom to ask for them.
async fn address(stack: Stack<'_>, host: &str) -> Option<IpAddress> {
    match host.parse::<IpAddr>() {
        Ok(address) => {
            if address.is_ipv4() {
                ipv4(stack).await;
            } else {
                stack.wait_link_up().await;
            }
            Some(address.into())
        }
        Err(_) => {
            ipv4(stack).await;
            stack.dns_query(host, DnsQueryType::A).await.ok()?.first().copied()
        }
    }
}

impl fmt::Debug for Tcp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tcp").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

/// An open TCP connection, and each of its halves.
#[derive(Clone, Copy)]
pub struct Open<'a>(&'a Socket<'a>);

impl fmt::Debug for Open<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Open").field(&self.0.borrow().remote_endpoint()).finish()
    }
}

impl<'a> Connector for Tcp<'a> {
    type Transport<'t>
        = Open<'a>
    where
        Self: 't;

    async fn connect(&mut self) -> Result<Open<'a>, ConnectError> {
        self.open().await
    }
}

impl Transport for Open<'_> {
    type Error = Error;
    type Reader<'h>
        = Self
    where
        Self: 'h;
    type Writer<'h>
        = Self
    where
        Self: 'h;

    fn split(&mut self) -> (Self, Self) {
        (*self, *self)
    }

    async fn close(self) {
        self.0.borrow_mut().close();
        // What goes wrong now concerns nobody any more.
        let _ = confirmed(self.0).await;
    }
}

impl ErrorType for Open<'_> {
    type Error = Error;
}

// The futures of embassy's socket have no state of their own, so each is made anew whenever it is polled.

impl Read for Open<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        poll_fn(|cx| pin!(self.0.borrow_mut().read(buffer)).poll(cx)).await
    }
}

impl Write for Open<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        poll_fn(|cx| pin!(self.0.borrow_mut().write(bytes)).poll(cx)).await
    }

    /// Bytes leave by themselves. The socket's own flush would wait until the peer has confirmed them: one message in each round
    /// trip, and one pong however many pings came meanwhile.
    async fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// Waits until the peer has confirmed everything.
async fn confirmed(socket: &Socket<'_>) -> Result<(), Error> {
    poll_fn(|cx| pin!(socket.borrow_mut().flush()).poll(cx)).await
}
