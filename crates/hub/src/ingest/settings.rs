//! What is served, and for whom.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::{TcpListener, UdpSocket};

/// Where devices send their readings, see the telemetry protocol.
#[derive(Debug, Default)]
pub struct Ingest {
    /// Sockets that are bound.
    pub udp: Vec<UdpSocket>,
    /// Sockets that listen.
    pub tcp: Vec<TcpListener>,
    /// Who may send without a key. Whoever shows a certificate may.
    pub keyless: Keyless,
    /// Whether TLS is spoken over TCP.
    pub tls: Encryption,
}

/// Whether devices speak TLS over TCP. It is told by the first byte of a connection, so one port is enough.
#[derive(Clone, Debug, Default)]
pub enum Encryption {
    /// They do not.
    #[default]
    Off,
    /// They may.
    Optional(Arc<ServerConfig>),
    /// They have to.
    Required(Arc<ServerConfig>),
}

impl Encryption {
    /// Without what the hub speaks by HTTP: this protocol has no name there.
    pub(super) fn without_protocols(self) -> Self {
        let strip = |config: Arc<ServerConfig>| {
            let mut config = ServerConfig::clone(&config);
            config.alpn_protocols.clear();
            Arc::new(config)
        };
        match self {
            Self::Off => Self::Off,
            Self::Optional(config) => Self::Optional(strip(config)),
            Self::Required(config) => Self::Required(strip(config)),
        }
    }
}

/// Who may send readings without a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keyless {
    /// Whoever is on this machine.
    #[default]
    Loopback,
    /// Everybody.
    Everywhere,
    /// Nobody.
    Nowhere,
}

impl Keyless {
    pub(super) fn lets(self, address: SocketAddr) -> bool {
        match self {
            // An IPv4 address arrives as an IPv6 one at a socket for both.
            Self::Loopback => address.ip().to_canonical().is_loopback(),
            Self::Everywhere => true,
            Self::Nowhere => false,
        }
    }
}
