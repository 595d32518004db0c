//! Datagrams, many at a time where the system can.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::time::Duration;

use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};
use tautline_telemetry::messages;
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::Shared;
use super::desk::{Peer, Sender};

/// Room for what the system puts together of datagrams that came behind each other.
const BUFFER: usize = 64 * 1024;

/// How much the system keeps until we read it: a burst of some thousand datagrams.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Socket {
    socket: UdpSocket,
    state: UdpSocketState,
}

impl Socket {
    pub(super) fn new(socket: UdpSocket) -> io::Result<Self> {
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        // As much of it as the system permits.
        let _ = state.set_recv_buffer_size(UdpSockRef::from(&socket), RECEIVE_BUFFER);
        Ok(Self { socket, state })
    }

    /// Sends a datagram, unless the system has no room for it: whoever misses it asks again.
    pub(super) fn send(&self, bytes: &[u8], to: SocketAddr) {
        let _ = self.socket.try_send_to(bytes, to);
    }

    async fn receive(&self, buffers: &mut [Vec<u8>], metas: &mut [RecvMeta]) -> io::Result<usize> {
        self.socket
            .async_io(Interest::READABLE, || {
                let mut buffers = buffers.iter_mut();
                let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
                    std::array::from_fn(|_| IoSliceMut::new(buffers.next().map_or(&mut [][..], Vec::as_mut_slice)));
                self.state.recv(UdpSockRef::from(&self.socket), &mut slices, metas)
            })
            .await
    }
}

/// Takes what comes at a socket.
pub(super) async fn receive(shared: Shared, number: usize) {
    let socket = &shared.0.udp[number];
    let mut buffers = vec![vec![0; BUFFER]; BATCH_SIZE];
    let mut metas = vec![RecvMeta::default(); BATCH_SIZE];
    loop {
        let count = match socket.receive(&mut buffers, &mut metas).await {
            Ok(count) => count,
            // Somebody did not take an answer, which is told to us here.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
            Err(error) => {
                tracing::error!(%error, "cannot receive datagrams");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        for (buffer, meta) in buffers.iter().zip(&metas).take(count) {
            let received = &buffer[..meta.len.min(buffer.len())];
            for datagram in received.chunks(meta.stride.max(1)) {
                take(&shared, number, meta.addr, datagram);
            }
        }
        // The commits and connections of this thread have their turn, too.
        tokio::task::yield_now().await;
    }
}

fn take(shared: &Shared, number: usize, address: SocketAddr, datagram: &[u8]) {
    let may_be_keyless = shared.0.keyless.lets(address);
    let sender = Sender { peer: Peer::Udp(number, address), may_be_keyless, certified: None };
    for message in messages(datagram) {
        match message {
            Ok(message) => {
                shared.handle(sender, address, &message);
            }
            Err(_) => shared.malformed(address),
        }
    }
}
