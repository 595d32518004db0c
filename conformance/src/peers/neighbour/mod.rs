//! A neighbour of an emulated board, on its Ethernet, who speaks IPv6: QEMU's own network leads nobody to a guest by it.

mod stack;
mod stream;

use std::net::Ipv6Addr;

use smoltcp::iface::SocketHandle;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::stack::Stack;
use self::stream::Stream;

/// A program on the board's Ethernet, with a TCP and an IPv6 of its own, so that neither this machine's nor any rights are needed.
/// It carries connections of this machine to the board, and connections of the board to this machine.
#[derive(Debug)]
pub(super) struct Neighbour {
    /// The port of 127.0.0.1 where the emulator connects its Ethernet: each frame behind its length, in four bytes.
    pub(super) ethernet: u16,
    /// The port of 127.0.0.1 that leads to the board's.
    pub(super) port: u16,
    _tasks: JoinSet<()>,
}

impl Neighbour {
    /// The address of the link. [`ROUTED`](Self::ROUTED) is reached through [`ROUTER`](Self::ROUTER), which is in the board's own network
    /// if its address begins with fd00:1.
    pub(super) const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    pub(super) const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 1);
    pub(super) const ROUTED: Ipv6Addr = Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 1);

    /// Of the board at this address, whose port 80 it leads to. What comes from the board to port 8000 goes to `target` of this machine.
    ///
    /// # Panics
    ///
    /// If there are no ports to be had, or outside of tokio.
    pub(super) fn of(board: Ipv6Addr, target: u16) -> Self {
        let (ethernet, emulator) = listener();
        let (port, clients) = listener();
        let (stack, calls) = Stack::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(stack.clone().run(emulator));
        tasks.spawn(lead_in(clients, stack.clone(), board));
        tasks.spawn(lead_out(calls, stack, target));
        Self { ethernet, port, _tasks: tasks }
    }
}

fn listener() -> (u16, TcpListener) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a socket that need not block");
    let port = listener.local_addr().expect("its address").port();
    (port, TcpListener::from_std(listener).expect("a runtime"))
}

async fn lead_in(clients: TcpListener, stack: Stack, board: Ipv6Addr) {
    let mut carried = JoinSet::new();
    while let Ok((client, _)) = clients.accept().await {
        let stack = stack.clone();
        carried.spawn(async move {
            // A client that the board refuses sees its connection end, as behind any forwarding router.
            if let Ok(board) = stack.connect(board).await {
                carry(client, board).await;
            }
        });
    }
}

async fn lead_out(mut calls: mpsc::UnboundedReceiver<SocketHandle>, stack: Stack, target: u16) {
    let mut carried = JoinSet::new();
    while let Some(call) = calls.recv().await {
        let stack = stack.clone();
        carried.spawn(async move {
            let Ok(board) = stack.opened(call).await else { return };
            if let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await {
                carry(server, board).await;
            }
        });
    }
}

/// Until both sides have ended, or one has failed: then so does the other.
async fn carry(mut here: TcpStream, mut board: Stream) {
    let _ = here.set_nodelay(true);
    let _ = copy_bidirectional(&mut here, &mut board).await;
}
