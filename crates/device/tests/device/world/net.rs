//! The network: attempts that go as a test wants, and pipes with delay.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use tautline_device::{ConnectError, Connector, Instant, Transport};

/// How an attempt to connect goes.
#[derive(Clone, Copy, Debug)]
pub enum Attempt {
    Accepted,
    Fails(ConnectError),
    /// Nothing ever happens.
    Hangs,
}

/// One direction.
pub struct Pipe {
    pub latency: Duration,
    /// The largest piece that is read or taken at once.
    pub chunk: usize,
    /// Bytes that it holds; beyond that it takes none.
    pub capacity: usize,
    /// Whether it takes anything at all.
    pub takes: bool,
    /// Takes everything and delivers nothing, as a pulled cable does.
    pub cut: bool,
    /// An error that is reported from now on.
    pub error: Option<ErrorKind>,
    bytes: VecDeque<(Instant, u8)>,
    end: Option<Instant>,
}

/// The way there and back of the connection that is open, and what comes next.
#[derive(Clone)]
pub struct Net {
    now: Rc<Cell<Instant>>,
    pub to_server: Rc<RefCell<Pipe>>,
    pub to_client: Rc<RefCell<Pipe>>,
    /// How the next attempts go; those after them are accepted.
    pub attempts: Rc<RefCell<VecDeque<Attempt>>>,
    /// Counts connections.
    pub connections: Rc<Cell<u32>>,
    /// Transports that are open.
    pub open: Rc<Cell<i32>>,
    /// Whether closing a transport takes for ever.
    pub close_hangs: Rc<Cell<bool>>,
}

impl Net {
    pub fn new(now: Rc<Cell<Instant>>) -> Self {
        Self {
            now,
            to_server: Rc::new(RefCell::new(Pipe::new())),
            to_client: Rc::new(RefCell::new(Pipe::new())),
            attempts: Rc::default(),
            connections: Rc::default(),
            open: Rc::default(),
            close_hangs: Rc::default(),
        }
    }

    /// When the next byte arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        let now = self.now.get();
        [&self.to_server, &self.to_client]
            .into_iter()
            .filter_map(|pipe| {
                let pipe = pipe.borrow();
                pipe.bytes.iter().map(|(at, _)| *at).chain(pipe.end).find(|at| *at > now)
            })
            .min()
    }

    /// Nothing arrives any more, and nobody is told.
    pub fn cut(&self, cut: bool) {
        for pipe in [&self.to_server, &self.to_client] {
            pipe.borrow_mut().cut = cut;
        }
    }
}

impl Pipe {
    fn new() -> Self {
        Self {
            latency: Duration::from_millis(5),
            chunk: usize::MAX,
            capacity: 64 * 1024,
            takes: true,
            cut: false,
            error: None,
            bytes: VecDeque::with_capacity(64 * 1024),
            end: None,
        }
    }

    fn reset(&mut self) {
        self.bytes.clear();
        self.end = None;
        self.error = None;
    }

    /// How many bytes it takes now.
    pub fn room(&self) -> usize {
        if self.takes { self.chunk.min(self.capacity - self.bytes.len()) } else { 0 }
    }

    /// Takes all of the bytes.
    pub fn put(&mut self, now: Instant, bytes: &[u8]) {
        if !self.cut {
            let at = now + self.latency;
            self.bytes.extend(bytes.iter().map(|&byte| (at, byte)));
        }
    }

    /// No more bytes come.
    pub fn finish(&mut self, now: Instant) {
        if !self.cut {
            self.end.get_or_insert(now + self.latency);
        }
    }

    /// Bytes that have arrived; `Some(0)` at the end.
    pub fn take(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let mut len = 0;
        while len < out.len().min(self.chunk) && self.bytes.front().is_some_and(|(at, _)| *at <= now) {
            out[len] = self.bytes.pop_front().unwrap().1;
            len += 1;
        }
        let ended = self.bytes.is_empty() && self.end.is_some_and(|end| end <= now);
        (len > 0 || ended).then_some(len)
    }
}

pub struct Socket {
    net: Net,
}

pub struct Reader<'h>(&'h Net);
pub struct Writer<'h>(&'h Net);

impl Connector for Net {
    type Transport<'t> = Socket;

    async fn connect(&mut self) -> Result<Socket, ConnectError> {
        let attempt = self.attempts.borrow_mut().pop_front().unwrap_or(Attempt::Accepted);
        match attempt {
            Attempt::Fails(error) => return Err(error),
            Attempt::Hangs => pending().await,
            Attempt::Accepted => {}
        }
        assert_eq!(self.open.get(), 0, "two connections at once");
        self.to_server.borrow_mut().reset();
        self.to_client.borrow_mut().reset();
        self.connections.set(self.connections.get() + 1);
        self.open.set(1);
        Ok(Socket { net: self.clone() })
    }
}

impl Transport for Socket {
    type Error = ErrorKind;
    type Reader<'h> = Reader<'h>;
    type Writer<'h> = Writer<'h>;

    fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        (Reader(&self.net), Writer(&self.net))
    }

    async fn close(self) {
        if self.net.close_hangs.get() {
            pending().await
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.net.open.set(0);
        self.net.to_server.borrow_mut().finish(self.net.now.get());
    }
}

impl ErrorType for Reader<'_> {
    type Error = ErrorKind;
}

impl ErrorType for Writer<'_> {
    type Error = ErrorKind;
}

impl Read for Reader<'_> {
    async fn read(&mut self, out: &mut [u8]) -> Result<usize, ErrorKind> {
        poll_fn(|_| {
            let mut pipe = self.0.to_client.borrow_mut();
            if let Some(error) = pipe.error {
                return Poll::Ready(Err(error));
            }
            pipe.take(self.0.now.get(), out).map_or(Poll::Pending, |len| Poll::Ready(Ok(len)))
        })
        .await
    }
}

impl Write for Writer<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        poll_fn(|_| {
            let mut pipe = self.0.to_server.borrow_mut();
            if let Some(error) = pipe.error {
                return Poll::Ready(Err(error));
            }
            let len = bytes.len().min(pipe.room());
            if len == 0 {
                return Poll::Pending;
            }
            pipe.put(self.0.now.get(), &bytes[..len]);
            Poll::Ready(Ok(len))
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
