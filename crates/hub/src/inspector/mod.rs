//! What connections look like on the wire, for those who learn or look for a fault.
//!
//! The heads of the last handshakes are kept in one ring, without their secrets. Frames are shown only of connections that
//! somebody looks at: see [`tautline_engine::Engine::inspect`].

mod handshakes;
mod redact;

use std::sync::{Arc, Mutex, PoisonError};

use rustls::{CipherSuite, ProtocolVersion};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use handshakes::Handshake;
use handshakes::Ring;

/// How many connections can be looked at at once.
pub(crate) const WATCHED: usize = 8;

/// The handshakes, and who looks. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Inspector {
    ring: Arc<Mutex<Ring>>,
    places: Arc<Semaphore>,
}

impl Default for Inspector {
    fn default() -> Self {
        Self { ring: Arc::default(), places: Arc::new(Semaphore::new(WATCHED)) }
    }
}

impl Inspector {
    /// Takes note of a handshake.
    pub(crate) fn record(&self, handshake: &tautline::Handshake<'_>) {
        let handshake = Handshake::new(handshake);
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).push(handshake);
    }

    /// The last handshakes, newest first.
    pub(crate) fn handshakes(&self) -> Vec<Arc<Handshake>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).newest_first()
    }

    /// A place among those who look at connections, which is left by dropping it; `None` if all are taken.
    pub(crate) fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().try_acquire_owned().ok()
    }
}

/// Version and cipher suite of a TLS session, as the standards and Wireshark call them.
pub(crate) fn tls_names(version: ProtocolVersion, cipher: CipherSuite) -> (String, String) {
    let version = match version {
        ProtocolVersion::TLSv1_2 => "TLS 1.2".to_owned(),
        ProtocolVersion::TLSv1_3 => "TLS 1.3".to_owned(),
        other => format!("{other:?}"),
    };
    (version, format!("{cipher:?}").replacen("TLS13_", "TLS_", 1))
}
