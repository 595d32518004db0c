//! What can be said of a connection at a glance.

use std::net::SocketAddr;
use std::time::Duration;

use tautline_proto::app::ConnectionId;

/// A connection as it is now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Overview {
    /// Which one it is.
    pub id: ConnectionId,
    /// The client's address.
    pub peer: Option<SocketAddr>,
    /// How many bytes wait to be sent.
    pub queued: usize,
    /// How long ago something was last heard.
    pub silence: Duration,
    /// How long the answer to our last ping took; `None` if none was answered.
    pub latency: Option<Duration>,
    /// Version and cipher suite, if it is encrypted.
    #[cfg(feature = "tls")]
    pub session: Option<(rustls::ProtocolVersion, rustls::CipherSuite)>,
}
