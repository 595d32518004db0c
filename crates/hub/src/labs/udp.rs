//! Echo over UDP, and a receiver.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use tokio::net::UdpSocket;

/// The largest datagram there can be.
const LARGEST: usize = 64 * 1024;

/// Sends every datagram back to where it came from, until `shutdown` is ready.
///
/// # Errors
///
/// The socket is not usable.
pub async fn udp_echo(socket: UdpSocket, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let own = socket.local_addr()?;
    let mut shutdown = pin!(shutdown);
    let mut buffer = vec![0; LARGEST];
    loop {
        let Some((length, peer)) = next(&socket, &mut buffer, &mut shutdown).await else { return Ok(()) };
        tracing::debug!(%peer, bytes = length, "datagram");
        // With a forged sender we would go on answering ourselves.
        if is_own(peer, own) {
            continue;
        }
        tokio::select! {
            () = &mut shutdown => return Ok(()),
            sent = socket.send_to(&buffer[..length], peer) => {
                if let Err(error) = sent {
                    tracing::info!(%peer, %error, "datagram not sent back");
                }
            }
        }
    }
}

/// Hands every datagram to `receive`, until `shutdown` is ready.
///
/// # Errors
///
/// The socket is not usable.
pub async fn udp_receive(
    socket: UdpSocket,
    mut receive: impl FnMut(SocketAddr, &[u8]),
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    socket.local_addr()?;
    let mut shutdown = pin!(shutdown);
    let mut buffer = vec![0; LARGEST];
    while let Some((length, peer)) = next(&socket, &mut buffer, &mut shutdown).await {
        receive(peer, &buffer[..length]);
    }
    Ok(())
}

/// Whether a datagram from `peer` claims to be from the socket that listens on `own`, perhaps on all addresses.
fn is_own(peer: SocketAddr, own: SocketAddr) -> bool {
    // Only an address of this machine can be bound.
    let is_here = |ip: IpAddr| std::net::UdpSocket::bind((ip, 0)).is_ok();
    peer.port() == own.port() && (peer.ip() == own.ip() || own.ip().is_unspecified() && is_here(peer.ip()))
}

/// The next datagram; `None` at the shutdown.
async fn next(
    socket: &UdpSocket,
    buffer: &mut [u8],
    shutdown: &mut (impl Future<Output = ()> + Unpin),
) -> Option<(usize, SocketAddr)> {
    loop {
        tokio::select! {
            () = &mut *shutdown => return None,
            received = socket.recv_from(buffer) => match received {
                Ok(received) => return Some(received),
                // Some systems report here that an earlier answer found nobody.
                Err(error) => {
                    tracing::debug!(%error, "cannot receive a datagram; trying again");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_on_all_addresses_knows_itself() {
        let is_own = |peer: &str, own: &str| is_own(peer.parse().unwrap(), own.parse().unwrap());
        assert!(is_own("127.0.0.1:7", "127.0.0.1:7"));
        assert!(is_own("127.0.0.1:7", "0.0.0.0:7"));
        assert!(!is_own("127.0.0.1:8", "0.0.0.0:7"));
        assert!(!is_own("192.0.2.1:7", "0.0.0.0:7"), "the same port on another machine");
        assert!(!is_own("127.0.0.2:7", "127.0.0.1:7"));
    }
}
