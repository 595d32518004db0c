//! What connections run over.

use std::io::{self, IoSlice};

use crate::batch::Descriptor;
use crate::tap::Tap;

/// A transport that never blocks. What it cannot do now is answered with [`io::ErrorKind::WouldBlock`]; when it can do it
/// again, the loop is told once.
pub(crate) trait Transport {
    /// Reads to `buffer`; 0 is the end.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Whether there may be input inside, of which the loop will not be told. It is told of what waits in a socket when it
    /// begins to watch it.
    fn holds_input(&self) -> bool {
        false
    }

    /// Whether the last read, if it was short, has left nothing of which the loop will not be told. On Windows only
    /// "would block" says so.
    fn short_read_is_all(&self) -> bool {
        cfg!(unix)
    }

    /// Writes what can be written of `slices`. The transport may hold a part of what it takes: see
    /// [`flush`](Self::flush).
    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// What the system knows it by, if its writes can be done together with others.
    fn descriptor(&self) -> Option<Descriptor> {
        None
    }

    /// Passes on what the transport itself holds. Answers whether it holds nothing any more.
    fn flush(&mut self) -> io::Result<bool>;

    /// Ends the sending direction, or begins to: [`flush`](Self::flush) tells when it is done.
    fn shutdown(&mut self) -> io::Result<()>;

    /// Is about to be dropped, with everything written: says goodbye if that takes a word.
    fn finish(&mut self) {}

    /// The TLS session, if there is one.
    #[cfg(feature = "tls")]
    fn session(&self) -> Option<&rustls::ServerConnection> {
        None
    }

    /// What sees what passes.
    fn tap(&self) -> Option<&Tap>;

    /// Has a tap see everything that is read and written from now on, or none.
    fn set_tap(&mut self, tap: Option<Tap>);
}

/// A transport that is not there yet takes nothing and has nothing.
impl<T: Transport> Transport for Option<T> {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.as_mut().map_or_else(not_yet, |transport| transport.read(buffer))
    }

    #[inline]
    fn holds_input(&self) -> bool {
        self.as_ref().is_some_and(T::holds_input)
    }

    #[inline]
    fn short_read_is_all(&self) -> bool {
        self.as_ref().is_none_or(T::short_read_is_all)
    }

    #[inline]
    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.as_mut().map_or_else(not_yet, |transport| transport.write(slices))
    }

    #[inline]
    fn descriptor(&self) -> Option<Descriptor> {
        self.as_ref().and_then(T::descriptor)
    }

    #[inline]
    fn flush(&mut self) -> io::Result<bool> {
        self.as_mut().map_or(Ok(false), T::flush)
    }

    fn shutdown(&mut self) -> io::Result<()> {
        self.as_mut().map_or(Ok(()), T::shutdown)
    }

    fn finish(&mut self) {
        if let Some(transport) = self {
            transport.finish();
        }
    }

    #[cfg(feature = "tls")]
    fn session(&self) -> Option<&rustls::ServerConnection> {
        self.as_ref().and_then(T::session)
    }

    fn tap(&self) -> Option<&Tap> {
        self.as_ref().and_then(T::tap)
    }

    fn set_tap(&mut self, tap: Option<Tap>) {
        if let Some(transport) = self {
            transport.set_tap(tap);
        }
    }
}

fn not_yet<R>() -> io::Result<R> {
    Err(io::ErrorKind::WouldBlock.into())
}

/// Calls `f` again if a signal came in between.
pub(crate) fn uninterrupted<R>(mut f: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match f() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
