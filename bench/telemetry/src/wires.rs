//! Sockets of devices, which never block.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tautline_telemetry::{MAX_MESSAGE, Message, message_length, messages};

/// How many devices share a UDP socket.
const SHARING: usize = 256;
/// Bytes that wait for a TCP socket.
const WAITING: usize = 64 * 1024;

/// How devices reach the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// The sockets of devices with the numbers from 0 on.
pub(crate) enum Wires {
    Udp(Vec<UdpSocket>),
    Tcp(Vec<Stream>),
}

/// A device's connection.
pub(crate) struct Stream {
    socket: TcpStream,
    came: Vec<u8>,
    goes: Vec<u8>,
}

impl Wires {
    pub(crate) fn open(transport: Transport, port: u16, devices: usize) -> io::Result<Self> {
        let hub = ("127.0.0.1", port);
        Ok(match transport {
            Transport::Udp => {
                let socket = |_| {
                    let socket = UdpSocket::bind("127.0.0.1:0")?;
                    socket.connect(hub)?;
                    socket.set_nonblocking(true)?;
                    Ok(socket)
                };
                Self::Udp((0..devices.div_ceil(SHARING)).map(socket).collect::<io::Result<_>>()?)
            }
            Transport::Tcp => {
                let stream = |_| {
                    let socket = TcpStream::connect(hub)?;
                    socket.set_nodelay(true)?;
                    socket.set_nonblocking(true)?;
                    Ok(Stream { socket, came: Vec::new(), goes: Vec::new() })
                };
                Self::Tcp((0..devices).map(stream).collect::<io::Result<_>>()?)
            }
        })
    }

    /// Whether a device may send a message now.
    pub(crate) fn have_room(&self, device: usize) -> bool {
        match self {
            Self::Udp(_) => true,
            Self::Tcp(streams) => streams[device].goes.len() < WAITING,
        }
    }

    /// Sends a message of a device's, over TCP with the next [`flush`](Self::flush).
    pub(crate) fn send(&mut self, device: usize, message: &[u8]) {
        match self {
            // What the system has no room for is lost.
            Self::Udp(sockets) => drop(sockets[device / SHARING].send(message)),
            Self::Tcp(streams) => streams[device].goes.extend_from_slice(message),
        }
    }

    /// Writes what waits for a device's socket, as far as there is room in it.
    pub(crate) fn flush(&mut self, device: usize) -> io::Result<()> {
        let Self::Tcp(streams) = self else { return Ok(()) };
        let Stream { socket, goes, .. } = &mut streams[device];
        while !goes.is_empty() {
            match socket.write(goes) {
                Ok(written) => drop(goes.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Hands up all messages that have come.
    pub(crate) fn receive(&mut self, mut take: impl FnMut(&Message<'_>) -> io::Result<()>) -> io::Result<()> {
        match self {
            Self::Udp(sockets) => {
                let mut datagram = [0; 2 * MAX_MESSAGE];
                for socket in sockets {
                    while let Some(len) = unless_empty(socket.recv(&mut datagram))? {
                        messages(&datagram[..len]).map_while(Result::ok).try_for_each(|message| take(&message))?;
                    }
                }
            }
            Self::Tcp(streams) => {
                for stream in streams {
                    stream.receive(&mut take)?;
                }
            }
        }
        Ok(())
    }

    /// Waits until something has come, or there is room for what waits; at most so long.
    pub(crate) fn wait(&self, time: Duration) -> io::Result<()> {
        let mut all: Vec<PollFd<'_>> = match self {
            Self::Udp(sockets) => sockets.iter().map(|socket| PollFd::new(socket, PollFlags::IN)).collect(),
            Self::Tcp(streams) => streams.iter().map(Stream::interest).collect(),
        };
        wait(&mut all, time)
    }
}

impl Stream {
    fn interest(&self) -> PollFd<'_> {
        let writing = if self.goes.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        PollFd::new(&self.socket, PollFlags::IN | writing)
    }

    fn receive(&mut self, take: &mut impl FnMut(&Message<'_>) -> io::Result<()>) -> io::Result<()> {
        let mut some = [0; 16 * 1024];
        while let Some(len) = unless_empty(self.socket.read(&mut some))? {
            if len == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.came.extend_from_slice(&some[..len]);
        }
        let mut done = 0;
        while let Ok(Some(len)) = message_length(&self.came[done..])
            && let Some(bytes) = self.came.get(done..done + len)
        {
            let (message, _) = Message::parse(bytes).map_err(|_| io::Error::other("not a message"))?;
            take(&message)?;
            done += len;
        }
        self.came.drain(..done);
        Ok(())
    }
}

/// Waits until something has come at a socket; at most so long.
pub(crate) fn wait_for(socket: impl AsFd, time: Duration) -> io::Result<()> {
    wait(&mut [PollFd::new(&socket, PollFlags::IN)], time)
}

fn wait(all: &mut [PollFd<'_>], time: Duration) -> io::Result<()> {
    let limit = Timespec { tv_sec: time.as_secs() as _, tv_nsec: time.subsec_nanos() as _ };
    poll(all, Some(&limit))?;
    Ok(())
}

fn unless_empty(read: io::Result<usize>) -> io::Result<Option<usize>> {
    match read {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        read => read.map(Some),
    }
}
