//! TCP, with TLS or without.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;

#[cfg(unix)]
use crate::batch::Descriptor;
use crate::tap::Tap;
#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::transport::{Transport, uninterrupted};

/// A TCP connection, with what some of them have besides.
pub(crate) struct Socket {
    pub(crate) tcp: TcpStream,
    beside: Option<Box<Beside>>,
}

/// What few connections have, which costs the others nothing.
#[derive(Default)]
struct Beside {
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    tap: Option<Box<Tap>>,
}

impl Socket {
    pub(crate) fn plain(tcp: TcpStream) -> Self {
        Self { tcp, beside: None }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn secure(tcp: TcpStream, session: rustls::ServerConnection) -> Self {
        Self { tcp, beside: Some(Box::new(Beside { tls: Some(Tls::new(session)), tap: None })) }
    }

    #[cfg(feature = "tls")]
    fn tls(&self) -> Option<&Tls> {
        self.beside.as_ref()?.tls.as_ref()
    }

    #[cfg(feature = "tls")]
    fn tls_and_tcp(&mut self) -> Option<(&mut Tls, &mut TcpStream)> {
        Some((self.beside.as_mut()?.tls.as_mut()?, &mut self.tcp))
    }
}

impl Transport for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.beside {
            None => read(&mut self.tcp, buffer),
            Some(beside) => beside.read(&mut self.tcp, buffer),
        }
    }

    fn holds_input(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls().is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    fn short_read_is_all(&self) -> bool {
        #[cfg(feature = "tls")]
        if let Some(tls) = self.tls() {
            return tls.short_read_is_all();
        }
        cfg!(unix)
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.beside {
            None => write(&mut self.tcp, slices),
            Some(beside) => beside.write(&mut self.tcp, slices),
        }
    }

    #[cfg(unix)]
    fn descriptor(&self) -> Option<Descriptor> {
        use std::os::fd::AsRawFd;
        // What goes past TLS, or past who looks, is not what is meant.
        self.beside.is_none().then(|| self.tcp.as_raw_fd())
    }

    fn flush(&mut self) -> io::Result<bool> {
        #[cfg(feature = "tls")]
        if let Some((tls, tcp)) = self.tls_and_tcp() {
            return tls.flush(tcp);
        }
        Ok(true)
    }

    fn shutdown(&mut self) -> io::Result<()> {
        #[cfg(feature = "tls")]
        if let Some((tls, tcp)) = self.tls_and_tcp() {
            return tls.shutdown(tcp);
        }
        self.tcp.shutdown(Shutdown::Write)
    }

    fn finish(&mut self) {
        #[cfg(feature = "tls")]
        if let Some((tls, tcp)) = self.tls_and_tcp() {
            let _ = tls.shutdown(tcp);
        }
    }

    #[cfg(feature = "tls")]
    fn session(&self) -> Option<&rustls::ServerConnection> {
        self.tls().map(Tls::session)
    }

    fn tap(&self) -> Option<&Tap> {
        self.beside.as_ref()?.tap.as_deref()
    }

    fn set_tap(&mut self, tap: Option<Tap>) {
        if tap.is_none() && !self.holds_input() {
            self.beside = None;
        } else {
            self.beside.get_or_insert_default().tap = tap.map(Box::new);
        }
    }
}

impl Beside {
    fn read(&mut self, tcp: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        let read = match &mut self.tls {
            Some(tls) => tls.read(tcp, buffer),
            None => read(tcp, buffer),
        };
        #[cfg(not(feature = "tls"))]
        let read = read(tcp, buffer);
        if let (Some(tap), Ok(n)) = (&mut self.tap, &read) {
            tap.received(&buffer[..*n]);
        }
        read
    }

    fn write(&mut self, tcp: &mut TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        let written = match &mut self.tls {
            Some(tls) => tls.write(tcp, slices),
            None => write(tcp, slices),
        };
        #[cfg(not(feature = "tls"))]
        let written = write(tcp, slices);
        if let (Some(tap), Ok(n)) = (&mut self.tap, &written) {
            tap.sent(slices, *n);
        }
        written
    }
}

fn read(tcp: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    uninterrupted(|| tcp.read(buffer))
}

fn write(tcp: &mut TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    match slices {
        [slice] => uninterrupted(|| tcp.write(slice)),
        slices => uninterrupted(|| tcp.write_vectored(slices)),
    }
}
