//! A server over simulated connections, in virtual time, and clients that are raw bytes.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use embedded_io_async::{ErrorType, Read, Write};
use tautline_device_server::{Acceptor, Clock, Handler, Io, Peer, Server, Settings, Transport};
use tautline_proto::Instant;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// As many clients as the tests' servers have.
pub(crate) const PLACES: usize = 2;
pub(crate) const IN: usize = 512;
pub(crate) const OUT: usize = 1024;

pub(crate) type TestServer<H> = Server<H, World, PLACES, IN, OUT>;

/// Time, and who connects.
#[derive(Clone)]
pub(crate) struct World(Rc<Inner>);

struct Inner {
    now: Cell<Instant>,
    /// The earliest time that anybody slept for when all were last asked.
    next: Cell<Option<Instant>>,
    waiting: RefCell<VecDeque<Rc<RefCell<Wire>>>>,
    /// The largest piece that arrives or leaves at once.
    chunk: Cell<usize>,
}

/// A connection, seen from outside.
#[derive(Default)]
struct Wire {
    to_server: VecDeque<u8>,
    /// The client has ended its side.
    ended: bool,
    reset: bool,
    from_server: Vec<u8>,
    /// How many bytes more the transport takes; `None`: all.
    window: Option<usize>,
    /// The server has ended its side.
    server_ended: bool,
    dropped: bool,
}

/// A server under test, with the future that serves.
pub(crate) struct Bed<H: Handler + 'static> {
    pub(crate) world: World,
    pub(crate) server: &'static TestServer<H>,
    serving: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

#[derive(Clone)]
pub(crate) struct Client {
    wire: Rc<RefCell<Wire>>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(crate) fn settings(settings: Settings) -> &'static Settings {
    Box::leak(Box::new(settings))
}

impl<H: Handler + 'static> Bed<H> {
    /// A server with one acceptor more than places.
    pub(crate) fn new(settings: &'static Settings, handler: H) -> Self {
        Self::with_acceptors::<{ PLACES + 1 }>(settings, handler)
    }

    pub(crate) fn with_acceptors<const M: usize>(settings: &'static Settings, handler: H) -> Self {
        let world = World(Rc::new(Inner {
            now: Cell::new(Instant::from_millis(5000)),
            next: Cell::new(None),
            waiting: RefCell::default(),
            chunk: Cell::new(usize::MAX),
        }));
        let server: &'static TestServer<H> = Box::leak(Box::new(Server::new(settings, handler, world.clone())));
        let acceptors: [World; M] = std::array::from_fn(|_| world.clone());
        let serving = Some(Box::pin(server.serve(acceptors)) as Pin<Box<dyn Future<Output = ()>>>);
        Self { world, server, serving }
    }

    /// Lets everything happen that can happen now.
    pub(crate) fn settle(&mut self) {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(flag.clone());
        let mut turns = 0;
        while flag.0.swap(false, Ordering::Relaxed) {
            self.world.0.next.set(None);
            let Some(serving) = &mut self.serving else { return };
            if serving.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                self.serving = None;
            }
            turns += 1;
            assert!(turns < 1_000_000, "the server never comes to rest");
        }
    }

    /// Lets time pass, and everything happen in it.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.world.now() + time;
        self.settle();
        while let Some(at) = self.world.0.next.get().filter(|&at| at <= end) {
            self.world.0.now.set(at.max(self.world.now()));
            self.settle();
        }
        self.world.0.now.set(end);
        self.settle();
    }

    pub(crate) fn connect(&mut self) -> Client {
        let wire = Rc::new(RefCell::new(Wire::default()));
        self.world.0.waiting.borrow_mut().push_back(wire.clone());
        self.settle();
        Client { wire }
    }

    /// Sends bytes and answers what comes back.
    pub(crate) fn exchange(&mut self, client: &Client, bytes: &[u8]) -> String {
        client.send(bytes);
        self.settle();
        client.received_text()
    }

    /// A request on a connection of its own, and its answer.
    pub(crate) fn ask(&mut self, request: &[u8]) -> String {
        let client = self.connect();
        let answer = self.exchange(&client, request);
        client.finish();
        self.pass(3 * SECOND);
        assert!(client.is_dropped(), "{answer}");
        answer
    }

    /// Arrives and leaves in pieces of at most so many bytes.
    pub(crate) fn chunk(&self, bytes: usize) {
        self.world.0.chunk.set(bytes);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.serving.is_none()
    }

    /// Gives the future that serves up.
    pub(crate) fn give_up(&mut self) {
        self.serving = None;
    }

    pub(crate) fn with<R>(&self, call: impl FnOnce(&mut H, &mut dyn Io) -> R) -> R {
        self.server.with(call)
    }
}

impl Client {
    pub(crate) fn send(&self, bytes: &[u8]) {
        self.wire.borrow_mut().to_server.extend(bytes);
    }

    /// Ends the client's side.
    pub(crate) fn finish(&self) {
        self.wire.borrow_mut().ended = true;
    }

    /// The connection fails.
    pub(crate) fn reset(&self) {
        self.wire.borrow_mut().reset = true;
    }

    /// Takes at most so many bytes more; `None`: all.
    pub(crate) fn window(&self, bytes: Option<usize>) {
        self.wire.borrow_mut().window = bytes;
    }

    /// What has arrived since this was last asked.
    pub(crate) fn received(&self) -> Vec<u8> {
        std::mem::take(&mut self.wire.borrow_mut().from_server)
    }

    pub(crate) fn received_text(&self) -> String {
        String::from_utf8_lossy(&self.received()).into_owned()
    }

    /// Whether the server has ended its side, or is gone.
    pub(crate) fn is_ended(&self) -> bool {
        let wire = self.wire.borrow();
        wire.server_ended || wire.dropped
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.wire.borrow().dropped
    }

    /// Bytes that the server has not read.
    pub(crate) fn unread(&self) -> usize {
        self.wire.borrow().to_server.len()
    }
}

impl World {
    pub(crate) fn now(&self) -> Instant {
        self.0.now.get()
    }
}

impl Clock for World {
    fn now(&self) -> Instant {
        self.0.now.get()
    }

    fn sleep_until(&self, at: Instant) -> impl Future<Output = ()> {
        poll_fn(move |_| {
            if self.now() >= at {
                return Poll::Ready(());
            }
            self.0.next.set(Some(self.0.next.get().map_or(at, |next| next.min(at))));
            Poll::Pending
        })
    }
}

impl Acceptor for World {
    type Error = Infallible;
    type Transport<'a> = Ours;

    fn accept(&mut self) -> impl Future<Output = Result<Ours, Infallible>> {
        poll_fn(|_| match self.0.waiting.borrow_mut().pop_front() {
            Some(wire) => Poll::Ready(Ok(Ours { wire, world: self.clone() })),
            None => Poll::Pending,
        })
    }
}

/// The server's end of a connection.
pub(crate) struct Ours {
    wire: Rc<RefCell<Wire>>,
    world: World,
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.wire.borrow_mut().dropped = true;
    }
}

impl Transport for Ours {
    type Reader<'t> = Half<'t>;
    type Writer<'t> = Half<'t>;

    fn peer(&self) -> Peer {
        Peer { address: Some(([192, 0, 2, 1], 4711).into()), secure: false }
    }

    fn split(&mut self) -> (Half<'_>, Half<'_>) {
        (Half(self), Half(self))
    }

    async fn end(&mut self) {
        self.wire.borrow_mut().server_ended = true;
    }
}

pub(crate) struct Half<'t>(&'t Ours);

#[derive(Debug)]
pub(crate) struct Reset;

impl std::fmt::Display for Reset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("reset")
    }
}

impl std::error::Error for Reset {}

impl embedded_io_async::Error for Reset {
    fn kind(&self) -> embedded_io_async::ErrorKind {
        embedded_io_async::ErrorKind::ConnectionReset
    }
}

impl ErrorType for Half<'_> {
    type Error = Reset;
}

impl Read for Half<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Reset> {
        assert!(!buffer.is_empty(), "there is room for what is read");
        poll_fn(|_| {
            let mut wire = self.0.wire.borrow_mut();
            if wire.reset {
                return Poll::Ready(Err(Reset));
            }
            let len = buffer.len().min(wire.to_server.len()).min(self.0.world.0.chunk.get());
            if len == 0 {
                return if wire.ended { Poll::Ready(Ok(0)) } else { Poll::Pending };
            }
            for (to, from) in buffer.iter_mut().zip(wire.to_server.drain(..len)) {
                *to = from;
            }
            Poll::Ready(Ok(len))
        })
        .await
    }
}

impl Write for Half<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Reset> {
        poll_fn(|_| {
            let mut wire = self.0.wire.borrow_mut();
            if wire.reset {
                return Poll::Ready(Err(Reset));
            }
            assert!(!wire.server_ended, "nothing is written behind the end");
            let len = bytes.len().min(self.0.world.0.chunk.get()).min(wire.window.unwrap_or(usize::MAX));
            if len == 0 {
                return Poll::Pending;
            }
            wire.from_server.extend_from_slice(&bytes[..len]);
            wire.window = wire.window.map(|window| window - len);
            Poll::Ready(Ok(len))
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), Reset> {
        Ok(())
    }
}
