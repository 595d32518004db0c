//! One thread with epoll, level-triggered.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use crate::frames::{ACCEPTED, CLOSE, unmask};

/// How much is read at a time.
const READ: usize = 512 * 1024;

pub(crate) struct Loop {
    epoll: OwnedFd,
    listener: OwnedFd,
    /// By file descriptor.
    connections: Vec<Option<Connection>>,
    subscribers: Vec<usize>,
    buffer: Vec<u8>,
}

struct Connection {
    socket: OwnedFd,
    role: Role,
    /// What an echo's socket did not take.
    unsent: VecDeque<u8>,
}

enum Role {
    /// Nothing has come yet.
    New,
    Echo,
    /// Sends a close frame, if anything, and gets one.
    Opened,
    Subscriber,
    /// With the part of a frame that is there.
    Publisher(Vec<u8>),
}

impl Loop {
    pub(crate) fn new(port: u16) -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let listener = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        sockopt::set_socket_reuseaddr(&listener, true)?;
        sockopt::set_socket_reuseport(&listener, true)?;
        rustix::net::bind(&listener, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
        rustix::net::listen(&listener, 4096)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, token(&listener), EventFlags::IN)?;
        Ok(Self { epoll, listener, connections: Vec::new(), subscribers: Vec::new(), buffer: vec![0; READ] })
    }

    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(1024);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                let (fd, flags) = (event.data.u64() as usize, event.flags);
                if fd == self.listener.as_raw_fd() as usize {
                    self.accept()?;
                } else if self.serve(fd, flags).is_err() {
                    self.subscribers.retain(|subscriber| *subscriber != fd);
                    self.connections[fd] = None;
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        // Until there is none left, or no file descriptor.
        while let Ok(socket) = rustix::net::accept_with(&self.listener, SocketFlags::NONBLOCK) {
            sockopt::set_tcp_nodelay(&socket, true)?;
            epoll::add(&self.epoll, &socket, token(&socket), EventFlags::IN)?;
            let fd = socket.as_raw_fd() as usize;
            if self.connections.len() <= fd {
                self.connections.resize_with(fd + 1, || None);
            }
            self.connections[fd] = Some(Connection { socket, role: Role::New, unsent: VecDeque::new() });
        }
        Ok(())
    }

    /// An error means that the connection is over.
    fn serve(&mut self, fd: usize, flags: EventFlags) -> io::Result<()> {
        let Some(connection) = &mut self.connections[fd] else { return Ok(()) };
        if flags.contains(EventFlags::OUT) {
            connection.send_rest(&self.epoll)?;
        }
        if !flags.intersects(!EventFlags::OUT) {
            return Ok(());
        }
        let got = match rustix::net::recv(&connection.socket, self.buffer.as_mut_slice(), RecvFlags::empty()) {
            Ok((_, 0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((_, n)) => &self.buffer[..n],
            Err(Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if let Role::New = connection.role {
            connection.role = match got {
                [b'G', b'E', b'T', b' ', path @ ..] if path.starts_with(b"/sub ") => {
                    self.subscribers.push(fd);
                    Role::Subscriber
                }
                [b'G', b'E', b'T', b' ', path @ ..] if path.starts_with(b"/pub ") => Role::Publisher(Vec::new()),
                [b'G', b'E', b'T', b' ', ..] => Role::Opened,
                _ => Role::Echo,
            };
            if !matches!(connection.role, Role::Echo) {
                send(&connection.socket, ACCEPTED)?;
                return Ok(());
            }
        }
        match &mut connection.role {
            Role::Echo => connection.echo(got, &self.epoll),
            Role::Publisher(part) => {
                part.extend_from_slice(got);
                let mut frames = Vec::new();
                unmask(part, &mut frames);
                self.publish(&frames)
            }
            Role::Subscriber => Ok(()),
            Role::New | Role::Opened => {
                send(&connection.socket, CLOSE)?;
                Err(io::ErrorKind::ConnectionAborted.into())
            }
        }
    }

    fn publish(&self, frames: &[u8]) -> io::Result<()> {
        if !frames.is_empty() {
            for subscriber in self.subscribers.iter().filter_map(|fd| self.connections[*fd].as_ref()) {
                // What does not fit is lost, and the load generator will say so.
                send(&subscriber.socket, frames)?;
            }
        }
        Ok(())
    }
}

impl Connection {
    fn echo(&mut self, got: &[u8], epoll: &OwnedFd) -> io::Result<()> {
        let sent = if self.unsent.is_empty() { send(&self.socket, got)? } else { 0 };
        if sent < got.len() {
            if self.unsent.is_empty() {
                epoll::modify(epoll, &self.socket, token(&self.socket), EventFlags::IN | EventFlags::OUT)?;
            }
            self.unsent.extend(&got[sent..]);
        }
        Ok(())
    }

    fn send_rest(&mut self, epoll: &OwnedFd) -> io::Result<()> {
        let sent = send(&self.socket, self.unsent.as_slices().0)?;
        self.unsent.drain(..sent);
        if self.unsent.is_empty() {
            epoll::modify(epoll, &self.socket, token(&self.socket), EventFlags::IN)?;
        }
        Ok(())
    }
}

/// How many bytes the socket took, possibly none.
fn send(socket: &OwnedFd, bytes: &[u8]) -> io::Result<usize> {
    match rustix::net::send(socket, bytes, SendFlags::NOSIGNAL) {
        Err(Errno::AGAIN) => Ok(0),
        sent => Ok(sent?),
    }
}

fn token(socket: &OwnedFd) -> EventData {
    EventData::new_u64(socket.as_raw_fd() as u64)
}
