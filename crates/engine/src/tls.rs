//! TLS sessions, driven by whoever has the socket.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

use rustls::ServerConnection;

use crate::transport::uninterrupted;

/// How many bytes of records may wait inside a session for the socket.
const LIMIT: usize = 64 * 1024;

/// The session of a connection.
pub(crate) struct Tls {
    session: ServerConnection,
    /// The peer ended its direction.
    ended: bool,
    /// What came behind what the last read has given, and is told by the next.
    error: Option<io::Error>,
    /// The sending direction is to end when all records are written.
    ending: bool,
}

/// What a session needs of a socket.
pub(crate) trait Wire: Read + Write {
    fn shutdown(&self) -> io::Result<()>;
}

impl Wire for mio::net::TcpStream {
    fn shutdown(&self) -> io::Result<()> {
        mio::net::TcpStream::shutdown(self, Shutdown::Write)
    }
}

impl Tls {
    pub(crate) fn new(mut session: ServerConnection) -> Self {
        session.set_buffer_limit(Some(LIMIT));
        Self { session, ended: false, error: None, ending: false }
    }

    pub(crate) fn session(&self) -> &ServerConnection {
        &self.session
    }

    /// Fills `buffer` as far as the records that have arrived do: a short read means that the socket is empty.
    pub(crate) fn read(&mut self, wire: &mut impl Wire, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            match self.session.reader().read(&mut buffer[read..]) {
                // The peer ended its direction properly.
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(n) => {
                    read += n;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // It ended without saying so: the WebSocket close frame tells whether anything is missing.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.ended = true;
                    break;
                }
                Err(error) => return self.failed(read, error),
            }
            // Only behind everything that was deciphered before it.
            if let Some(error) = self.error.take() {
                return self.failed(read, error);
            }
            match uninterrupted(|| self.session.read_tls(wire)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && read > 0 => break,
                Err(error) => return self.failed(read, error),
                Ok(_) => {}
            }
            if let Err(error) = self.session.process_new_packets() {
                // The peer gets to know why, if the socket takes it.
                let _ = self.flush(wire);
                self.error = Some(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
        Ok(read)
    }

    /// Tells of an error, or first of what was read before it.
    fn failed(&mut self, read: usize, error: io::Error) -> io::Result<usize> {
        if read == 0 {
            return Err(error);
        }
        self.error = Some(error);
        Ok(read)
    }

    /// Nobody announces the end, or the error, that a read has found behind the last bytes.
    pub(crate) fn short_read_is_all(&self) -> bool {
        cfg!(unix) && !self.ended && self.error.is_none()
    }

    pub(crate) fn write(&mut self, wire: &mut impl Wire, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if !self.flush(wire)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut written = 0;
        for slice in slices {
            let mut slice = &slice[..];
            while !slice.is_empty() {
                let n = self.session.writer().write(slice)?;
                written += n;
                slice = &slice[n..];
                if !slice.is_empty() && !self.flush(wire)? {
                    return Ok(written);
                }
            }
        }
        self.flush(wire)?;
        Ok(written)
    }

    pub(crate) fn flush(&mut self, wire: &mut impl Wire) -> io::Result<bool> {
        while self.session.wants_write() {
            match uninterrupted(|| self.session.write_tls(wire)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        if std::mem::take(&mut self.ending) {
            wire.shutdown()?;
        }
        Ok(true)
    }

    pub(crate) fn shutdown(&mut self, wire: &mut impl Wire) -> io::Result<()> {
        self.session.send_close_notify();
        self.ending = true;
        self.flush(wire).map(drop)
    }
}
