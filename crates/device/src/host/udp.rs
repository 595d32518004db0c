//! UDP on a host.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::string::String;
use std::vec::Vec;

use tokio::net::UdpSocket;

use super::{Tcp, transport};
use crate::telemetry::{Datagram, Datagrams};
use crate::transport::{ConnectError, Connector};

/// Sends to one of a host's addresses, with each attempt to the next one: only an answer tells which is good.
#[derive(Clone, Debug)]
pub struct Udp {
    host: Tcp,
    attempt: usize,
}

impl Udp {
    /// To this host, a name or an address.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: Tcp::new(host, port), attempt: 0 }
    }
}

impl Connector for Udp {
    type Transport<'t> = Datagram<UdpSocket>;

    async fn connect(&mut self) -> Result<Datagram<UdpSocket>, ConnectError> {
        let addresses: Vec<SocketAddr> = self.host.addresses().await?.collect();
        let index = self.attempt.checked_rem(addresses.len()).ok_or(ConnectError::Lookup)?;
        self.attempt = self.attempt.wrapping_add(1);
        let hub = addresses[index];
        let any: SocketAddr =
            if hub.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let socket = UdpSocket::bind(any).await.map_err(transport)?;
        // Datagrams from elsewhere do not come in, and the system tells when nobody is there.
        socket.connect(hub).await.map_err(transport)?;
        Ok(Datagram(socket))
    }
}

impl Datagrams for UdpSocket {
    type Error = io::Error;

    async fn receive(&self, datagram: &mut [u8]) -> io::Result<usize> {
        self.recv(datagram).await
    }

    async fn send(&self, datagram: &[u8]) -> io::Result<()> {
        UdpSocket::send(self, datagram).await.map(drop)
    }
}
