//! The transport under TLS: both halves in one place, and a look at each record's header.

use core::cell::{Cell, RefCell};

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

/// The two halves of a connection that TLS goes over, such as those of an embassy-net `TcpSocket` or a tokio `TcpStream`.
///
/// It is a place for them, beside the session, because both halves of the session use it.
#[derive(Debug)]
pub struct Wire<R, W> {
    reader: RefCell<R>,
    writer: RefCell<W>,
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

impl<R, W> Wire<R, W> {
    /// A connection that has just been opened.
    pub fn new(reader: R, writer: W) -> Self {
        let (reader, writer) = (RefCell::new(reader), RefCell::new(writer));
        Self { reader, writer, record: Cell::new(Record::default()), phase: Cell::new(Phase::Plain) }
    }

    /// Gives the halves back.
    pub fn into_inner(self) -> (R, W) {
        (self.reader.into_inner(), self.writer.into_inner())
    }

    /// From now on only encrypted records are let through, and marked.
    pub(crate) fn open(&self) {
        self.phase.set(Phase::Open);
    }

    /// Whether a record's header was handed on and its end was not.
    pub(crate) fn is_inside_record(&self) -> bool {
        self.record.get().given > 0
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

impl<R, W> ErrorType for &Wire<R, W> {
    type Error = ErrorKind;
}

// Each cell is borrowed by one half of the one session that has borrowed the wire for itself, and by nobody else.
#[allow(clippy::await_holding_refcell_ref)]
impl<R: Read, W> Read for &Wire<R, W> {
    /// A header comes whole or not at all, so that dropping a read before a record begins loses nothing.
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        let mut reader = self.reader.borrow_mut();
        let mut record = self.record.get();
        if record.filled < HEADER {
            while record.filled < HEADER {
                let read = reader.read(&mut record.header[record.filled..]).await.map_err(|error| error.kind())?;
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
            read = reader.read(&mut buf[..wanted]).await.map_err(|error| error.kind())?;
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

#[allow(clippy::await_holding_refcell_ref)]
impl<R, W: Write> Write for &Wire<R, W> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        self.writer.borrow_mut().write(buf).await.map_err(|error| error.kind())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.writer.borrow_mut().flush().await.map_err(|error| error.kind())
    }
}
