//! Addresses in little memory.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A client's address, or that it has none. IPv4 addresses are kept as IPv6 ones, which is what they would be on a socket
/// for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    ip: [u8; 16],
    port: u16,
}

impl Peer {
    /// No client has this address: it has the port 0.
    pub(crate) const UNKNOWN: Self = Self { ip: [0; 16], port: 0 };

    pub(crate) fn address(self) -> Option<SocketAddr> {
        let ip = IpAddr::V6(Ipv6Addr::from(self.ip)).to_canonical();
        (self.port != 0).then(|| SocketAddr::new(ip, self.port))
    }
}

impl From<Option<SocketAddr>> for Peer {
    fn from(address: Option<SocketAddr>) -> Self {
        let Some(address) = address else { return Self::UNKNOWN };
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        Self { ip: ip.octets(), port: address.port() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive() {
        for address in ["127.0.0.1:80", "[::1]:443", "[2001:db8::1]:65535"] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(Peer::from(Some(address)).address(), Some(address));
        }
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:80".parse().unwrap();
        assert_eq!(Peer::from(Some(mapped)).address(), Some("192.0.2.1:80".parse().unwrap()));
        assert_eq!(Peer::from(None).address(), None);
    }
}
