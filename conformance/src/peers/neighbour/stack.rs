//! IPv6 and TCP over the emulator's Ethernet.

use std::future::pending;
use std::io;
use std::mem;
use std::net::Ipv6Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpCidr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Neighbour;
use super::stream::Stream;

const ADDRESS: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);
/// The longest packet of Ethernet without its checksum.
const PACKET: usize = 1514;
/// Where the board's server listens.
const SERVER: u16 = 80;
/// Where the board finds one.
const HUB: u16 = 8000;
/// The ports that connections to the board come from begin with this one.
const FIRST_PORT: u16 = 49_152;
/// Bytes that a connection keeps of what comes, and of what goes.
const BUFFER: usize = 16 * 1024;
/// How many frames may wait to be looked at.
const WAITING: usize = 64;

/// The stack, shared by its streams and the task that runs it.
#[derive(Clone)]
pub(super) struct Stack(Arc<Shared>);

struct Shared {
    state: Mutex<Inner>,
    /// A stream has given the stack something to do.
    touched: Notify,
}

pub(super) struct Inner {
    pub(super) sockets: SocketSet<'static>,
    interface: Interface,
    frames: Frames,
    /// Waits for the board's next connection.
    listening: SocketHandle,
    /// Who is told of it.
    callers: mpsc::UnboundedSender<SocketHandle>,
    /// Nobody has these any more: they go when the board knows.
    left: Vec<SocketHandle>,
    next_port: u16,
}

impl Stack {
    /// A stack, and the sockets of the connections that will come from the board.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<SocketHandle>) {
        let mut frames = Frames::default();
        let mut interface = Interface::new(Config::new(ADDRESS.into()), &mut frames, Instant::now());
        interface.update_ip_addrs(|addresses| {
            for (address, bits) in [(Neighbour::LINK_LOCAL, 64), (Neighbour::ROUTER, 64), (Neighbour::ROUTED, 128)] {
                addresses.push(IpCidr::new(address.into(), bits)).expect("room for three addresses");
            }
        });
        let mut sockets = SocketSet::new(Vec::new());
        let listening = listen(&mut sockets);
        let (callers, calls) = mpsc::unbounded_channel();
        let state = Inner { sockets, interface, frames, listening, callers, left: Vec::new(), next_port: FIRST_PORT };
        (Self(Arc::new(Shared { state: Mutex::new(state), touched: Notify::new() })), calls)
    }

    /// Runs the stack for as long as the emulator's Ethernet is connected.
    pub(super) async fn run(self, emulator: TcpListener) {
        let Ok((stream, _)) = emulator.accept().await else { return };
        let _ = stream.set_nodelay(true);
        let (reader, mut writer) = stream.into_split();
        let (sender, mut frames) = mpsc::channel(WAITING);
        let mut reading = JoinSet::new();
        reading.spawn(read(reader, sender));
        loop {
            let (out, wait) = self.poll();
            if writer.write_all(&out).await.is_err() {
                return;
            }
            let timer = async {
                match wait {
                    Some(wait) => sleep(wait).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                frame = frames.recv() => match frame {
                    // One at a time: there is one socket for the next connection.
                    Some(frame) => self.lock().frames.received = Some(frame),
                    None => return,
                },
                () = self.0.touched.notified() => {}
                () = timer => {}
            }
        }
    }

    /// Connects to the board's server.
    ///
    /// # Errors
    ///
    /// If the board refuses.
    pub(super) async fn connect(&self, board: Ipv6Addr) -> io::Result<Stream> {
        let handle = self.lock().connect(board);
        self.touch();
        self.opened(handle).await
    }

    /// The connection of a socket, as soon as it is open.
    ///
    /// # Errors
    ///
    /// If the board does not want it.
    pub(super) async fn opened(&self, handle: SocketHandle) -> io::Result<Stream> {
        let stream = Stream::new(self.clone(), handle);
        stream.open().await?;
        Ok(stream)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the stack look at what has been done to a socket.
    pub(super) fn touch(&self) {
        self.0.touched.notify_one();
    }

    /// Does what is due: the frames that go out, and when to come back if nothing happens.
    fn poll(&self) -> (Vec<u8>, Option<Duration>) {
        let mut state = self.lock();
        let Inner { sockets, interface, frames, listening, callers, left, .. } = &mut *state;
        let now = Instant::now();
        interface.poll(now, frames, sockets);
        if sockets.get::<Socket<'_>>(*listening).state() != State::Listen {
            let called = mem::replace(listening, listen(sockets));
            // If nobody is there to be told, all of this is about to end.
            let _ = callers.send(called);
        }
        left.retain(|handle| {
            let ended = matches!(sockets.get::<Socket<'_>>(*handle).state(), State::Closed | State::TimeWait);
            if ended {
                sockets.remove(*handle);
            }
            !ended
        });
        let wait = interface.poll_delay(now, sockets).map(Duration::from);
        (mem::take(&mut frames.sent), wait)
    }
}

impl Inner {
    fn connect(&mut self, board: Ipv6Addr) -> SocketHandle {
        let handle = self.sockets.add(socket());
        let port = self.next_port;
        self.next_port = port.checked_add(1).unwrap_or(FIRST_PORT);
        let socket = self.sockets.get_mut::<Socket<'_>>(handle);
        socket.connect(self.interface.context(), (board, SERVER), port).expect("a socket that is not used yet");
        handle
    }

    /// Gives up a socket. The board is told that its connection is over, unless both sides have ended it.
    pub(super) fn leave(&mut self, handle: SocketHandle) {
        let socket = self.sockets.get_mut::<Socket<'_>>(handle);
        if !matches!(socket.state(), State::LastAck | State::Closing | State::TimeWait) {
            socket.abort();
        }
        self.left.push(handle);
    }
}

fn listen(sockets: &mut SocketSet<'static>) -> SocketHandle {
    let mut socket = socket();
    socket.listen(HUB).expect("a socket that is not used yet");
    sockets.add(socket)
}

fn socket() -> Socket<'static> {
    let buffer = || SocketBuffer::new(vec![0; BUFFER]);
    let mut socket = Socket::new(buffer(), buffer());
    socket.set_nagle_enabled(false);
    // A server that has one socket for a client needs to know at once that all of an answer has arrived.
    socket.set_ack_delay(None);
    socket
}

/// Reads frames until there are none any more.
async fn read(mut reader: OwnedReadHalf, frames: mpsc::Sender<Vec<u8>>) -> Option<()> {
    loop {
        let mut frame = vec![0; usize::try_from(reader.read_u32().await.ok()?).ok()?];
        reader.read_exact(&mut frame).await.ok()?;
        frames.send(frame).await.ok()?;
    }
}

/// The frame that has come, and those that are to go, each behind its length.
#[derive(Default)]
struct Frames {
    received: Option<Vec<u8>>,
    sent: Vec<u8>,
}

impl Device for Frames {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sendable<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sendable<'_>)> {
        let frame = self.received.take()?;
        Some((Received(frame), Sendable(&mut self.sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sendable<'_>> {
        Some(Sendable(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = PACKET;
        capabilities
    }
}

struct Received(Vec<u8>);

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

struct Sendable<'a>(&'a mut Vec<u8>);

impl phy::TxToken for Sendable<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        self.0.extend_from_slice(&(length as u32).to_be_bytes());
        let start = self.0.len();
        self.0.resize(start + length, 0);
        write(&mut self.0[start..])
    }
}
