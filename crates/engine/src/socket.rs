//! TCP, with TLS or without.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;

#[cfg(unix)]
use crate::batch::Descriptor;
#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::transport::{Transport, uninterrupted};

/// A TCP connection, with its TLS session if it has one.
pub(crate) struct Socket {
    pub(crate) tcp: TcpStream,
    #[cfg(feature = "tls")]
    tls: Option<Box<Tls>>,
}

impl Socket {
    pub(crate) fn plain(tcp: TcpStream) -> Self {
        Self {
            tcp,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn secure(tcp: TcpStream, session: rustls::ServerConnection) -> Self {
        Self { tcp, tls: Some(Box::new(Tls::new(session))) }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn session(&self) -> Option<&rustls::ServerConnection> {
        self.tls.as_ref().map(|tls| tls.session())
    }
}

impl Transport for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return tls.read(&mut self.tcp, buffer);
        }
        uninterrupted(|| self.tcp.read(buffer))
    }

    fn holds_input(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    fn short_read_is_all(&self) -> bool {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return tls.short_read_is_all();
        }
        cfg!(unix)
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return tls.write(&mut self.tcp, slices);
        }
        match slices {
            [slice] => uninterrupted(|| self.tcp.write(slice)),
            slices => uninterrupted(|| self.tcp.write_vectored(slices)),
        }
    }

    #[cfg(unix)]
    fn descriptor(&self) -> Option<Descriptor> {
        use std::os::fd::AsRawFd;
        #[cfg(feature = "tls")]
        if self.tls.is_some() {
            return None;
        }
        Some(self.tcp.as_raw_fd())
    }

    fn flush(&mut self) -> io::Result<bool> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return tls.flush(&mut self.tcp);
        }
        Ok(true)
    }

    fn shutdown(&mut self) -> io::Result<()> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return tls.shutdown(&mut self.tcp);
        }
        self.tcp.shutdown(Shutdown::Write)
    }

    fn finish(&mut self) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            let _ = tls.shutdown(&mut self.tcp);
        }
    }
}
