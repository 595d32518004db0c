//! Many writes at once, where the system has a way to do that.

use std::io;

#[cfg(all(target_os = "linux", feature = "io-uring"))]
use crate::ring::Ring;

/// What the system calls a socket.
#[cfg(unix)]
pub(crate) type Descriptor = std::os::fd::RawFd;
#[cfg(not(unix))]
pub(crate) type Descriptor = std::convert::Infallible;

/// A write of some bytes to a socket that does not block.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(all(target_os = "linux", feature = "io-uring")), expect(dead_code, reason = "nobody does them at once"))]
pub(crate) struct Write<'a> {
    pub(crate) socket: Descriptor,
    pub(crate) bytes: &'a [u8],
}

/// A way to do many writes at once, or that there is none.
#[derive(Default)]
pub(crate) struct Batch {
    #[cfg(all(target_os = "linux", feature = "io-uring"))]
    ring: Option<Ring>,
}

impl Batch {
    /// The best that there is for the thread that calls this, which is the one that uses it.
    #[cfg(all(target_os = "linux", feature = "io-uring"))]
    pub(crate) fn start() -> Self {
        let ring = Ring::new().inspect_err(|error| tracing::debug!(%error, "no io_uring: one system call a write"));
        Self { ring: ring.ok() }
    }

    #[cfg(not(all(target_os = "linux", feature = "io-uring")))]
    pub(crate) fn start() -> Self {
        Self {}
    }

    /// Whether there is a way.
    pub(crate) fn is_there(&self) -> bool {
        #[cfg(all(target_os = "linux", feature = "io-uring"))]
        return self.ring.is_some();
        #[cfg(not(all(target_os = "linux", feature = "io-uring")))]
        false
    }

    /// Does `writes`, and tells what became of each, by its number. Those of which nothing is told were not done.
    pub(crate) fn write<'a>(
        &mut self,
        writes: impl Iterator<Item = Write<'a>>,
        done: &mut dyn FnMut(usize, io::Result<usize>),
    ) {
        #[cfg(all(target_os = "linux", feature = "io-uring"))]
        if let Some(ring) = &mut self.ring
            && let Err(error) = ring.write(writes, done)
        {
            tracing::warn!(%error, "io_uring fails: one system call a write from now on");
            self.ring = None;
        }
        #[cfg(not(all(target_os = "linux", feature = "io-uring")))]
        let _ = (writes, done);
    }
}
