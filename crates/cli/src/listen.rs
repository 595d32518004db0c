//! Taking ports, with words for what goes wrong.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket, UdpSocket};

/// How many connections may wait to be accepted: a fleet that comes back arrives at once.
const BACKLOG: u32 = 4096;

/// How often another free port is tried for when the one found is taken on another address of the host.
const ATTEMPTS: usize = 16;

/// Why there is nothing to listen on.
#[derive(Debug)]
pub(crate) enum Unusable {
    Taken(u16),
    Forbidden(u16),
    NotHere(String),
    UnknownHost(String, io::Error),
    Other(SocketAddr, io::Error),
}

impl Unusable {
    /// The failure of a command that has the options `--host` and `--port`.
    pub(crate) fn with_usual_remedy(&self) -> crate::Failure {
        self.with_remedies("stop what holds it or choose another with --port", "choose another with --port")
    }

    /// The failure, where `taken` and `port` say what to do about the port.
    pub(crate) fn with_remedies(&self, taken: &str, port: &str) -> crate::Failure {
        crate::Failure::new(match self {
            Self::Taken(_) => format!("{self}: {taken}"),
            Self::Forbidden(_) => format!("{self}: {port}"),
            Self::NotHere(_) => format!("{self}: choose another with --host (0.0.0.0 stands for all)"),
            Self::UnknownHost(..) => format!("{self}: choose another with --host"),
            Self::Other(..) => self.to_string(),
        })
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(port) => write!(f, "port {port} is taken"),
            Self::Forbidden(port) => write!(f, "port {port} is only for privileged users"),
            Self::NotHere(host) => write!(f, "{host} is not an address of this machine"),
            Self::UnknownHost(host, error) => write!(f, "the host {host} cannot be looked up ({error})"),
            Self::Other(address, error) => write!(f, "cannot listen on {address}: {error}"),
        }
    }
}

/// Listens on every address of `host`; 0 is any free port, the same on all of them.
pub(crate) async fn tcp(host: &str, port: u16) -> Result<Vec<TcpListener>, Unusable> {
    bind_all(host, port, |address| {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A server can come back while connections of its predecessor linger. (On Windows it would share the port.)
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        Ok((listener.local_addr()?, listener))
    })
    .await
}

/// Receives datagrams on every address of `host`; 0 is any free port, the same on all of them.
pub(crate) async fn udp(host: &str, port: u16) -> Result<Vec<UdpSocket>, Unusable> {
    bind_all(host, port, |address| {
        let socket = std::net::UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        Ok((socket.local_addr()?, socket))
    })
    .await
}

async fn bind_all<T>(
    host: &str,
    port: u16,
    bind: impl Fn(SocketAddr) -> io::Result<(SocketAddr, T)>,
) -> Result<Vec<T>, Unusable> {
    let addresses = lookup(host).await?;
    for _ in 1..ATTEMPTS {
        match bind_once(host, &addresses, port, &bind) {
            Err(Unusable::Taken(_)) if port == 0 => {}
            result => return result,
        }
    }
    bind_once(host, &addresses, port, &bind)
}

fn bind_once<T>(
    host: &str,
    addresses: &[IpAddr],
    mut port: u16,
    bind: impl Fn(SocketAddr) -> io::Result<(SocketAddr, T)>,
) -> Result<Vec<T>, Unusable> {
    let mut bound = Vec::new();
    for &ip in addresses {
        let address = SocketAddr::new(ip, port);
        match bind(address) {
            Ok((local, socket)) => {
                port = local.port();
                bound.push(socket);
            }
            Err(error) => match error.kind() {
                io::ErrorKind::AddrInUse => return Err(Unusable::Taken(port)),
                io::ErrorKind::PermissionDenied => return Err(Unusable::Forbidden(port)),
                // `localhost` has an IPv6 address also where the machine has no IPv6.
                io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported => {}
                _ => return Err(Unusable::Other(address, error)),
            },
        }
    }
    if bound.is_empty() { Err(Unusable::NotHere(host.to_owned())) } else { Ok(bound) }
}

async fn lookup(host: &str) -> Result<Vec<IpAddr>, Unusable> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let found = tokio::net::lookup_host((bare, 0)).await.map_err(|e| Unusable::UnknownHost(host.to_owned(), e))?;
    let mut addresses = Vec::new();
    for address in found.map(|address| address.ip()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    // IPv4 first: that is what people read and what small devices speak.
    addresses.sort_by_key(IpAddr::is_ipv6);
    Ok(addresses)
}

/// Under which addresses a server that listens on `address` is reached, the one for this machine first.
pub(crate) fn reachable(address: SocketAddr) -> Vec<SocketAddr> {
    if !address.ip().is_unspecified() {
        return vec![address];
    }
    let loopback: IpAddr = if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    let mut all = vec![loopback];
    all.extend(own_address(address.is_ipv4()));
    all.into_iter().map(|ip| SocketAddr::new(ip, address.port())).collect()
}

/// The address from which this machine talks to its network: what has to be entered on a device.
fn own_address(ipv4: bool) -> Option<IpAddr> {
    // Connecting a datagram socket sends nothing; it only asks the system for the way to an address (one of those that
    // are reserved for documentation).
    let (from, to) = if ipv4 { ("0.0.0.0:0", "192.0.2.1:9") } else { ("[::]:0", "[2001:db8::1]:9") };
    let socket = std::net::UdpSocket::bind(from).ok()?;
    socket.connect(to).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified() && !ip.is_loopback()).then_some(ip)
}

/// Raises the limit of open files to what this process may have; each connection needs one.
pub(crate) fn raise_file_limit() {
    #[cfg(unix)]
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => tracing::debug!(limit, "open files"),
        Err(error) => tracing::warn!(%error, "the limit of open files stays as it is"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let first = tcp("127.0.0.1", 0).await.unwrap();
        let port = first[0].local_addr().unwrap().port();
        let failure = tcp("127.0.0.1", port).await.unwrap_err().with_usual_remedy().to_string();
        assert_eq!(failure, format!("port {port} is taken: stop what holds it or choose another with --port"));
    }

    #[tokio::test]
    async fn all_addresses_of_a_host_get_the_same_port() {
        let listeners = tcp("localhost", 0).await.unwrap();
        let ports: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap().port()).collect();
        assert!(ports[0] != 0 && ports.iter().all(|port| *port == ports[0]), "{ports:?}");
    }

    #[tokio::test]
    async fn foreign_addresses_and_unknown_hosts_are_explained() {
        let foreign = tcp("192.0.2.1", 0).await.unwrap_err().to_string();
        assert_eq!(foreign, "192.0.2.1 is not an address of this machine");
        assert!(matches!(tcp("no such host", 0).await, Err(Unusable::UnknownHost(..))));
        assert!(tcp("[::1", 0).await.is_err());
    }

    #[test]
    fn a_server_on_all_addresses_is_reached_at_loopback_first() {
        let all = reachable("0.0.0.0:80".parse().unwrap());
        assert_eq!(all[0], "127.0.0.1:80".parse().unwrap());
        assert_eq!(reachable("127.0.0.2:80".parse().unwrap()), ["127.0.0.2:80".parse().unwrap()]);
    }
}
