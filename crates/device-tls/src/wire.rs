//! The transport under TLS: shared by both halves, with a look at each record's header.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::pin::pin;

use embedded_io_async::{Error, ErrorKind, ErrorType, Read, Write};

use crate::suite::OPEN;

/// Record types (RFC 8446 §5.1).
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// The longest encrypted record: 2^14 bytes and an expansion of 256 (RFC 8446 §5.2).
const MAX_RECORD: u16 = 16_384 + 256;

const HEADER: usize = 5;

/// A place for the connection that TLS goes over, such as embassy-net's `TcpSocket`, beside the session, because both of the
/// session's halves use it. It stays when a session ends: connect the socket anew, and open the next one.
///
/// Reading and writing go on at the same time over the one socket, so each poll makes a future anew: `read`, `write` and `flush`
/// of the socket have to keep nothing in their futures, as those of TCP stacks do. A layer that would lose something when its
/// future is dropped, such as another TLS session, cannot be used.
#[derive(Debug)]
pub struct Wire<S> {
    socket: RefCell<S>,
    record: Cell<Record>,
    phase: Cell<Phase>,
}

/// How much of a record has come.
#[derive(Clone, Copy, Debug, Default)]
struct Record {
    header: [u8; HEADER],
    /// Bytes of the header that are there.
    filled: usize,
    /// Bytes of the header that were handed on.
    given: usize,
    /// Bytes that are to follow the header.
    left: u16,
}

/// Which records may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The handshake, while nothing was encrypted.
    Plain,
    /// The handshake, encrypted.
    Encrypted,
    /// The session is open.
    Open,
}

impl<S> Wire<S> {
    /// For this socket, which is connected before a session is opened.
    pub fn new(socket: S) -> Self {
        Self { socket: RefCell::new(socket), record: Cell::new(Record::default()), phase: Cell::new(Phase::Plain) }
    }

    /// The socket, between sessions.
    pub fn socket(&mut self) -> &mut S {
        self.socket.get_mut()
    }

    /// Gives the socket back.
    pub fn into_inner(self) -> S {
        self.socket.into_inner()
    }

    /// A new connection begins.
    pub(crate) fn begin(&self) {
        self.record.set(Record::default());
        self.phase.set(Phase::Plain);
    }

    /// From now on only encrypted records are let through, and marked.
    pub(crate) fn open(&self) {
        self.phase.set(Phase::Open);
    }

    /// Whether a record's header was handed on and its end was not.
    pub(crate) fn is_inside_record(&self) -> bool {
        self.record.get().given > 0
    }

    /// Does something with the socket, which is free for others whenever this waits.
    async fn with<T>(&self, mut operation: impl AsyncFnMut(&mut S) -> T) -> T {
        poll_fn(|context| pin!(operation(&mut self.socket.borrow_mut())).poll(context)).await
    }

    /// Checks a header that is complete, and marks it if the session is open.
    fn check(&self, record: &mut Record) -> Result<(), ErrorKind> {
        let [kind, _, version, high, low] = &mut record.header;
        record.left = u16::from_be_bytes([*high, *low]);
        let phase = self.phase.get();
        let allowed = match *kind {
            APPLICATION_DATA => true,
            HANDSHAKE => phase == Phase::Plain,
            ALERT | CHANGE_CIPHER_SPEC => phase != Phase::Open,
            _ => false,
        };
        if !allowed || record.left > MAX_RECORD {
            return Err(ErrorKind::InvalidData);
        }
        match phase {
            Phase::Plain if *kind == APPLICATION_DATA => self.phase.set(Phase::Encrypted),
            Phase::Open => *version = OPEN,
            Phase::Plain | Phase::Encrypted => {}
        }
        Ok(())
    }
}

impl<S> ErrorType for &Wire<S> {
    type Error = ErrorKind;
}

impl<S: Read> Read for &Wire<S> {
    /// A header comes whole or not at all, so that dropping a read before a record begins loses nothing.
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        let mut record = self.record.get();
        if record.filled < HEADER {
            while record.filled < HEADER {
                let rest = &mut record.header[record.filled..];
                let read = self.with(async |socket| socket.read(rest).await).await.map_err(|error| error.kind())?;
                if read == 0 {
                    return Ok(0);
                }
                record.filled += read;
                self.record.set(record);
            }
            self.check(&mut record)?;
        }
        let read;
        if record.given < HEADER {
            read = buf.len().min(HEADER - record.given);
            buf[..read].copy_from_slice(&record.header[record.given..][..read]);
            record.given += read;
        } else {
            let wanted = buf.len().min(record.left.into());
            let buf = &mut buf[..wanted];
            read = self.with(async |socket| socket.read(buf).await).await.map_err(|error| error.kind())?;
            // No more than was asked for, which was no more than is left.
            record.left -= read as u16;
        }
        if record.given == HEADER && record.left == 0 {
            record = Record::default();
        }
        self.record.set(record);
        Ok(read)
    }
}

impl<S: Write> Write for &Wire<S> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        self.with(async |socket| socket.write(buf).await).await.map_err(|error| error.kind())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.with(async |socket| socket.flush().await).await.map_err(|error| error.kind())
    }
}
