//! Too much from one address. Addresses are told apart by those that Linux has for itself: all of 127.0.0.0/8.

use tautline::{AddressLimits, Server};
use tokio::net::TcpSocket;
use tokio::time::advance;

use crate::support::frames::Frame;
use crate::support::logs::Logs;
use crate::support::sim::QUIET;
use crate::support::{SECOND, settle};
use crate::{Client, Running, echo, start, upgrade};

const LIMITS: AddressLimits = AddressLimits::new().loopback(true);

impl Running {
    async fn dial_from(&self, host: u8) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, host], 0).into()).unwrap();
        let stream = socket.connect(self.address).await.unwrap();
        Client { address: stream.local_addr().unwrap(), stream, received: Vec::new() }
    }

    /// What a client is answered who asks for a WebSocket, and the client.
    async fn try_open(&self, host: u8) -> (Client, String) {
        let mut client = self.dial_from(host).await;
        client.write(upgrade("")).await;
        let head = client.head().await;
        (client, head)
    }

    fn refused(&self, reason: &str) -> u64 {
        self.tally.refused().into_iter().find(|(name, _)| *name == reason).unwrap().1
    }
}

fn status(head: &str) -> &str {
    &head[9..12]
}

#[tokio::test(start_paused = true)]
async fn an_address_with_too_many_connections_is_told_so_and_others_are_served() {
    let logs = Logs::capture();
    let server = start(Server::new().address_limits(LIMITS.connections(2)).config(QUIET), echo).await;
    let ((first, _), (mut second, head)) = (server.try_open(2).await, server.try_open(2).await);
    assert_eq!(status(&head), "101");
    for _ in 0..3 {
        let (mut client, head) = server.try_open(2).await;
        assert_eq!(status(&head), "429");
        assert!(head.contains("\r\nRetry-After: 5\r\n") && head.contains("\r\nConnection: close\r\n"), "{head}");
        assert_eq!(client.rest().await, b"too many connections from your address\n");
    }
    let (_other, head) = server.try_open(3).await;
    assert_eq!(status(&head), "101");
    second.send(&[Frame::text("x")]).await;
    assert_eq!(second.frames(1).await, [Frame::text("x")]);
    let lines = logs.with("too many connections from an address");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((server.refused("address_full"), server.refused("server_full")), (3, 0));
    drop(first);
    // There is room again, once the server has seen that it has left.
    while status(&server.try_open(2).await.1) != "101" {
        settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_opens_connections_too_fast_has_to_wait() {
    let server = start(Server::new().address_limits(LIMITS.rate(1)).config(QUIET), echo).await;
    for _ in 0..5 {
        assert_eq!(status(&server.try_open(2).await.1), "101");
    }
    let (_, head) = server.try_open(2).await;
    assert_eq!(status(&head), "429");
    assert!(head.contains("\r\nRetry-After: 1\r\n"), "{head}");
    assert_eq!(status(&server.try_open(3).await.1), "101", "another address");
    advance(SECOND).await;
    assert_eq!(status(&server.try_open(2).await.1), "101");
    assert_eq!(server.refused("address_rate"), 1);
}

// In real time: with so many sockets there are moments in which nothing can be done but wait, and a paused clock would run on.
#[tokio::test]
async fn a_flood_from_one_address_takes_no_place_from_others() {
    let logs = Logs::capture();
    let limits = LIMITS.connections(1).rate(0);
    let server = start(Server::new().address_limits(limits).max_connections(10).config(QUIET), echo).await;
    let mut flood = Vec::new();
    for _ in 0..300 {
        flood.push(server.dial_from(2).await);
    }
    while server.refused("address_full") < 299 {
        settle().await;
    }
    // One has a place, as many as can be told so are waited for, and the others are closed.
    let closed = || flood.iter().filter(|client| client.stream.try_read(&mut [0; 8]).is_ok_and(|n| n == 0)).count();
    while closed() < 300 - 1 - 64 {
        settle().await;
    }
    assert_eq!(closed(), 300 - 1 - 64);
    let (_client, head) = server.try_open(3).await;
    assert_eq!(status(&head), "101");
    assert_eq!(logs.with("too many").len(), 1, "{:?}", logs.lines());
}

#[tokio::test(start_paused = true)]
async fn this_machine_is_not_limited_by_default() {
    let server = start(Server::new().address_limits(AddressLimits::new().connections(1).rate(1)), echo).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let (client, head) = server.try_open(1).await;
        assert_eq!(status(&head), "101");
        clients.push(client);
    }
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn by_tls_an_address_with_too_many_connections_is_closed_before_a_handshake() {
    let ca = crate::tls::Ca::new();
    let server = start(Server::new().tls(ca.server(false)).address_limits(LIMITS.connections(1)), echo).await;
    let to = || tautline::connect("wss://hub.test").address(server.address).ca(ca.0.pem());
    let mut first = to().await.unwrap();
    let mut late = server.dial().await;
    assert_eq!(late.rest().await, b"", "not even an alert");
    assert!(to().await.is_err());
    assert_eq!((server.refused("address_full"), server.refused("opening")), (2, 0));
    assert!(first.close(tautline::CloseCode::NORMAL, "").await.is_clean());
    while to().await.is_err() {}
}
