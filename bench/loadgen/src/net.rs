//! Sockets and epoll.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::time::Timespec;

use crate::failure::{Failure, Result, While};

/// Connections from one source address; an address has some 28,000 ports.
const PER_SOURCE: usize = 20_000;
/// How long a blocking connection waits for bytes.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// A TCP connection to the server.
pub(crate) struct Connection(TcpStream);

impl Connection {
    /// Connects, as the `index`th of many. It blocks, at most 10 s when reading.
    pub(crate) fn open(index: usize, port: u16) -> Result<Self> {
        let connection = Self::dial(source(index / PER_SOURCE, port), port, SocketFlags::CLOEXEC)?;
        connection.0.set_read_timeout(Some(READ_TIMEOUT)).when("read timeout")?;
        Ok(connection)
    }

    /// Begins to connect, from one of 200 addresses: a port that was just used cannot be had again at once. The
    /// connection is there when the socket is writable.
    pub(crate) fn begin(index: usize, port: u16) -> Result<Self> {
        Self::dial(source(index % 200, port), port, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
    }

    fn dial(source: Ipv4Addr, port: u16, flags: SocketFlags) -> Result<Self> {
        let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).when("socket")?;
        rustix::net::bind(&socket, &SocketAddrV4::new(source, 0)).when("bind")?;
        match rustix::net::connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            failed => failed.when("connect")?,
        }
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).when("TCP_NODELAY")?;
        Ok(Self(stream))
    }

    pub(crate) fn set_nonblocking(&self) -> Result<()> {
        self.0.set_nonblocking(true).when("non-blocking mode")
    }

    /// What is there, or nothing yet. The end of the stream is a failure.
    pub(crate) fn read<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8]> {
        match (&self.0).read(buffer) {
            Ok(0) => Err(Failure::new("the server ended a connection")),
            Ok(n) => Ok(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(&[]),
            Err(error) => Err(error).when("read"),
        }
    }

    /// Whether the stream has ended; what comes before is thrown away.
    pub(crate) fn has_ended(&self, buffer: &mut [u8]) -> bool {
        match (&self.0).read(buffer) {
            Ok(n) => n == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// How many bytes the socket took, possibly none.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<usize> {
        taken((&self.0).write(bytes))
    }

    /// The same for two pieces.
    pub(crate) fn write_both(&self, first: &[u8], second: &[u8]) -> Result<usize> {
        taken((&self.0).write_vectored(&[IoSlice::new(first), IoSlice::new(second)]))
    }

    /// For what is short enough to fit into any socket's buffer.
    pub(crate) fn write_short(&self, bytes: &[u8]) -> Result<()> {
        match self.write(bytes)? {
            n if n == bytes.len() => Ok(()),
            n => Err(Failure::new(format!("the socket took {n} of {} bytes", bytes.len()))),
        }
    }

    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        &mut self.0
    }
}

fn taken(written: io::Result<usize>) -> Result<usize> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        written => written.when("write"),
    }
}

/// One of the loopback addresses that belong to a run, which the server's port tells from others: for a minute after it,
/// the ports that it has used cannot be had again.
fn source(index: usize, port: u16) -> Ipv4Addr {
    let [high, low] = port.to_be_bytes();
    Ipv4Addr::new(127, high, low, 2 + index as u8)
}

/// What happened to which connection.
pub(crate) struct Ready {
    pub(crate) token: usize,
    /// Bytes, an end or an error are there to be read.
    pub(crate) readable: bool,
}

/// Level-triggered epoll.
pub(crate) struct Poll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poll {
    pub(crate) fn new() -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).when("epoll")?;
        Ok(Self { epoll, events: Vec::with_capacity(1024) })
    }

    /// Reports when there is something to read.
    pub(crate) fn add(&self, connection: &Connection, token: usize) -> Result<()> {
        epoll::add(&self.epoll, &connection.0, data(token), EventFlags::IN).when("epoll_ctl")
    }

    /// Reports when the connection is established, and nothing else.
    pub(crate) fn add_connecting(&self, connection: &Connection, token: usize) -> Result<()> {
        epoll::add(&self.epoll, &connection.0, data(token), EventFlags::OUT).when("epoll_ctl")
    }

    /// Reports when there is something to read, and, if so wished, when there is room to write.
    pub(crate) fn set(&self, connection: &Connection, token: usize, writable: bool) -> Result<()> {
        let flags = if writable { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        epoll::modify(&self.epoll, &connection.0, data(token), flags).when("epoll_ctl")
    }

    /// Waits until something happens, at most this long.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Result<impl Iterator<Item = Ready> + use<'_>> {
        let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
        self.events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            failed => drop(failed.when("epoll_wait")?),
        }
        Ok(self.events.iter().map(|event| {
            let flags = event.flags;
            Ready { token: event.data.u64() as usize, readable: flags.intersects(!EventFlags::OUT) }
        }))
    }
}

fn data(token: usize) -> EventData {
    EventData::new_u64(token as u64)
}

/// Lets this process have as many files as it may.
pub(crate) fn raise_file_limit() {
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current = limit.maximum;
    // Without it, connecting fails soon enough, with a clear message.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, limit);
}
