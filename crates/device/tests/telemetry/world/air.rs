//! The network: a stream, or datagrams of which everything can go wrong.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use tautline_device::telemetry::{Datagram, Datagrams, MAX_MESSAGE};
use tautline_device::{ConnectError, Connector, Instant, Transport};

use super::MS;

/// Packets that are on their way at most. There is room for all of them from the start, so that nothing is allocated later.
const PACKETS: usize = 512;

/// What goes wrong with datagrams, in percent.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    pub loss: u32,
    pub duplicate: u32,
    /// The longest additional way, in milliseconds: later ones overtake.
    pub delay: u64,
}

/// What is between a device and its hub. Cloning gives another hand on the same.
#[derive(Clone)]
pub struct Air(Rc<RefCell<State>>);

pub struct State {
    now: Rc<Cell<Instant>>,
    random: fastrand::Rng,
    pub faults: Faults,
    packets: Vec<Packet>,
    order: u64,
    /// Carries nothing, and nobody is told. Attempts hang.
    pub cut: bool,
    /// Nobody is there: attempts fail, and what is sent to nobody is answered by the system.
    pub refusing: bool,
    /// The stream takes nothing.
    pub stuck: bool,
    /// What a stream has taken is never flushed.
    pub never_flushed: bool,
    /// Closing takes for ever.
    pub close_hangs: bool,
    /// The largest piece of a stream.
    pub piece: usize,
    /// The hub has ended the stream.
    pub ended: bool,
    /// An error that the transport reports.
    pub broken: bool,
    /// Counts connections and sockets.
    pub connections: u32,
    /// When they were asked for.
    pub attempts: Vec<Instant>,
    open: bool,
}

struct Packet {
    at: Instant,
    order: u64,
    to_hub: bool,
    start: usize,
    len: usize,
    bytes: [u8; MAX_MESSAGE],
}

impl Air {
    pub fn new(now: Rc<Cell<Instant>>, seed: u64) -> Self {
        Self(Rc::new(RefCell::new(State {
            now,
            random: fastrand::Rng::with_seed(seed),
            faults: Faults::default(),
            packets: Vec::with_capacity(PACKETS),
            order: 0,
            cut: false,
            refusing: false,
            stuck: false,
            never_flushed: false,
            close_hangs: false,
            piece: usize::MAX,
            ended: false,
            broken: false,
            connections: 0,
            attempts: Vec::with_capacity(100_000),
            open: false,
        })))
    }

    /// Looks at it, or changes it.
    pub fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.borrow_mut())
    }

    /// Datagrams.
    pub fn udp(&self) -> Udp {
        Udp(self.clone())
    }

    /// A stream.
    pub fn tcp(&self) -> Tcp {
        Tcp(self.clone())
    }

    async fn connect(&self) -> Result<(), ConnectError> {
        let (cut, refusing) = self.with(|state| {
            state.attempts.push(state.now.get());
            (state.cut, state.refusing)
        });
        if cut {
            pending::<()>().await;
        }
        if refusing {
            return Err(ConnectError::Transport(ErrorKind::ConnectionRefused));
        }
        self.with(|state| {
            assert!(!std::mem::replace(&mut state.open, true), "two connections at once");
            // What was for the connection before does not come here.
            state.packets.clear();
            state.connections += 1;
            (state.ended, state.broken) = (false, false);
        });
        Ok(())
    }
}

impl State {
    /// One packet from a side. Streams carry it in order and whole.
    pub fn put(&mut self, to_hub: bool, bytes: &[u8], stream: bool) {
        if self.cut || (!stream && self.happens(self.faults.loss)) {
            return;
        }
        let copies = if !stream && self.happens(self.faults.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            let late = if stream { 0 } else { self.random.u64(0..=self.faults.delay) };
            let at = self.now.get() + 5 * MS + Duration::from_millis(late);
            self.order += 1;
            let mut packet =
                Packet { at, order: self.order, to_hub, start: 0, len: bytes.len(), bytes: [0; MAX_MESSAGE] };
            packet.bytes[..bytes.len()].copy_from_slice(bytes);
            // A network that is full loses something.
            if self.packets.len() < PACKETS {
                self.packets.push(packet);
            } else {
                assert!(!stream, "no room in the stream");
            }
        }
    }

    /// What has arrived at a side: a datagram, or a piece of the stream.
    pub fn take(&mut self, to_hub: bool, out: &mut [u8]) -> Option<usize> {
        let now = self.now.get();
        let arrived = self.packets.iter().enumerate().filter(|(_, packet)| packet.to_hub == to_hub && packet.at <= now);
        let index = arrived.min_by_key(|(_, packet)| (packet.at, packet.order))?.0;
        let packet = &mut self.packets[index];
        let len = (packet.len - packet.start).min(out.len()).min(self.piece);
        out[..len].copy_from_slice(&packet.bytes[packet.start..packet.start + len]);
        packet.start += len;
        if packet.start == packet.len {
            self.packets.swap_remove(index);
        }
        Some(len)
    }

    /// What has arrived at the device by a stream, whatever packets it came in.
    fn take_stream(&mut self, out: &mut [u8]) -> Option<usize> {
        let most = out.len().min(self.piece);
        let mut len = 0;
        while len < most
            && let Some(more) = self.take(false, &mut out[len..most])
        {
            len += more;
        }
        (len > 0).then_some(len)
    }

    /// When the next packet arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        let now = self.now.get();
        self.packets.iter().map(|packet| packet.at).filter(|at| *at > now).min()
    }

    fn happens(&mut self, percent: u32) -> bool {
        self.random.u32(0..100) < percent
    }
}

/// Opens sockets for datagrams.
pub struct Udp(Air);

/// A socket for datagrams.
pub struct Socket(Air);

impl Connector for Udp {
    type Transport<'t> = Datagram<Socket>;

    async fn connect(&mut self) -> Result<Datagram<Socket>, ConnectError> {
        self.0.connect().await?;
        Ok(Datagram(Socket(self.0.clone())))
    }
}

impl Datagrams for Socket {
    type Error = ErrorKind;

    async fn receive(&self, datagram: &mut [u8]) -> Result<usize, ErrorKind> {
        poll_fn(|_| {
            self.0.with(|state| match state.broken {
                true => Poll::Ready(Err(ErrorKind::Other)),
                false => state.take(false, datagram).map_or(Poll::Pending, |len| Poll::Ready(Ok(len))),
            })
        })
        .await
    }

    async fn send(&self, datagram: &[u8]) -> Result<(), ErrorKind> {
        self.0.with(|state| {
            if state.refusing || state.broken {
                return Err(ErrorKind::ConnectionRefused);
            }
            state.put(true, datagram, false);
            Ok(())
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.0.with(|state| state.open = false);
    }
}

/// Opens streams.
pub struct Tcp(Air);

/// A stream, and each half of it.
pub struct Stream(Air);
pub struct Half<'h>(&'h Air);

impl Connector for Tcp {
    type Transport<'t> = Stream;

    async fn connect(&mut self) -> Result<Stream, ConnectError> {
        self.0.connect().await?;
        Ok(Stream(self.0.clone()))
    }
}

impl Transport for Stream {
    type Error = ErrorKind;
    type Reader<'h> = Half<'h>;
    type Writer<'h> = Half<'h>;

    fn split(&mut self) -> (Half<'_>, Half<'_>) {
        (Half(&self.0), Half(&self.0))
    }

    async fn close(self) {
        if self.0.with(|state| state.close_hangs) {
            pending::<()>().await;
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.with(|state| state.open = false);
    }
}

impl ErrorType for Half<'_> {
    type Error = ErrorKind;
}

impl Read for Half<'_> {
    async fn read(&mut self, out: &mut [u8]) -> Result<usize, ErrorKind> {
        poll_fn(|_| {
            self.0.with(|state| {
                if state.broken {
                    return Poll::Ready(Err(ErrorKind::ConnectionReset));
                }
                let taken = state.take_stream(out).or(state.ended.then_some(0));
                taken.map_or(Poll::Pending, |len| Poll::Ready(Ok(len)))
            })
        })
        .await
    }
}

impl Write for Half<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        poll_fn(|_| {
            self.0.with(|state| {
                if state.broken {
                    return Poll::Ready(Err(ErrorKind::ConnectionReset));
                }
                if state.stuck || state.packets.len() >= PACKETS / 2 {
                    return Poll::Pending;
                }
                let len = bytes.len().min(state.piece);
                state.put(true, &bytes[..len], true);
                Poll::Ready(Ok(len))
            })
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        if self.0.with(|state| state.never_flushed) {
            pending::<()>().await;
        }
        Ok(())
    }
}
