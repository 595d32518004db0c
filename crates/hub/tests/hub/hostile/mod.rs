//! Clients that mean harm, over real sockets: each gets its answer, nothing of them is left, and the others do not notice.
//!
//! What is proven elsewhere is not repeated here:
//!
//! - each malformed WebSocket request and its answer, what is no HTTP at all: `tautline/tests/server/refusals.rs`
//! - clients that say nothing, and that never begin TLS: `tautline/tests/server/{deadlines,tls}.rs`
//! - every violation of RFC 6455 and its close code: `conformance`, and Autobahn; floods of pings, and messages in pieces, in
//!   virtual time: `engine/src/event_loop/tests`
//! - foreign hosts and origins: `api/requests.rs`, `rooms.rs` and `tautline/tests/server/origins.rs`
//! - bodies that are not JSON or too large, and all bodies together: `api/requests.rs`, `src/http/body.rs`
//! - expired, foreign and revoked certificates, and devices that pose as servers, by TLS alone: `identity/tests/tls`; with other
//!   people's clients: `conformance/tests/tls.rs`; a revoked session: `identity.rs`
//! - listeners of events that do not read: `api/events.rs`

mod bodies;
mod certificates;
mod floods;
mod frames;
mod heads;
mod names;

use std::time::Duration;

use tautline::{CloseCode, Config, WebSocket, connect};
use tautline_hub::Hub;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::api::get;
use crate::{LIMIT, Running, text};

/// A hub with two clients who have nothing to do with all this.
struct Arena {
    hub: Running,
    innocent: WebSocket,
    other: WebSocket,
    messages: u32,
}

impl Arena {
    async fn start(hub: Hub) -> Self {
        let hub = Running::start(hub).await;
        let (innocent, other) = (calm(&hub, "/rooms/calm/innocent").await, calm(&hub, "/rooms/calm/other").await);
        Self { hub, innocent, other, messages: 0 }
    }

    /// The others are served as ever, and the hub is rid of whoever is not.
    async fn is_well(&mut self) {
        self.messages += 1;
        let message = self.messages.to_string();
        self.innocent.send(message.as_str()).await.unwrap();
        assert_eq!(text(&mut self.other).await, message);
        let mut newcomer = calm(&self.hub, "/rooms/calm/newcomer").await;
        newcomer.send("hello").await.unwrap();
        assert_eq!(text(&mut self.innocent).await, "hello");
        assert_eq!(text(&mut self.other).await, "hello");
        assert!(newcomer.close(CloseCode::NORMAL, "").await.is_clean());
        assert_eq!(get(&self.hub, "/api/rooms/calm").await.status, 200);
        self.has("tautline_connections", 2).await;
        assert_eq!(self.counted("tautline_app_panics_total").await, 0);
    }

    /// What the hub has counted.
    async fn counted(&self, sample: &str) -> u64 {
        // Where its loops are kept from answering in time, their counts are left out.
        let asking = async {
            loop {
                let metrics = get(&self.hub, "/metrics").await.body;
                let line = metrics.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
                if let Some(value) = line {
                    return value.parse().unwrap();
                }
            }
        };
        tokio::time::timeout(LIMIT, asking).await.unwrap_or_else(|_| panic!("{sample} is not counted"))
    }

    /// Waits until the hub has counted so many.
    async fn has(&self, sample: &str, wanted: u64) {
        let mut last = 0;
        let counting = async {
            loop {
                last = self.counted(sample).await;
                if last == wanted {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let counted = tokio::time::timeout(LIMIT, counting).await;
        assert!(counted.is_ok(), "{sample} is {last}, not {wanted}");
    }

    async fn stop(self) {
        self.hub.stop().await;
    }
}

/// A client that does not wonder about times that are not real.
async fn calm(hub: &Running, path: &str) -> WebSocket {
    let config = Config::new().ping_interval(None);
    connect(hub.url(path)).config(config).await.unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A client made of bytes.
struct Hostile(TcpStream);

impl Hostile {
    async fn dial(hub: &Running) -> Self {
        Self(TcpStream::connect(hub.address).await.unwrap())
    }

    /// Asks for a WebSocket with further header lines; answers the answer's head.
    async fn upgrade(&mut self, path: &str, headers: &str) -> String {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{headers}\r\n"
        );
        self.send(head.as_bytes()).await;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tokio::time::timeout(LIMIT, self.0.read_u8()).await.expect("in time").expect("a head"));
        }
        String::from_utf8(head).unwrap()
    }

    /// One whose WebSocket is open.
    async fn open(hub: &Running, path: &str) -> Self {
        let mut this = Self::dial(hub).await;
        let head = this.upgrade(path, "").await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        this
    }

    /// Sends, unless the hub has had enough.
    async fn send(&mut self, bytes: &[u8]) {
        let _ = tokio::time::timeout(LIMIT, self.0.write_all(bytes)).await.expect("in time");
    }

    /// Everything until the hub ends the connection, or resets it.
    async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let mut buffer = [0; 4096];
        let reading = async {
            while let Ok(n @ 1..) = self.0.read(&mut buffer).await {
                rest.extend_from_slice(&buffer[..n]);
            }
        };
        tokio::time::timeout(LIMIT, reading).await.expect("it ends");
        rest
    }

    /// The status of the answer, behind which the hub ends the connection.
    async fn status(&mut self) -> u16 {
        let rest = self.rest().await;
        let answer = String::from_utf8_lossy(&rest);
        let status = answer.strip_prefix("HTTP/1.1 ").and_then(|answer| answer.get(..3)?.parse().ok());
        status.unwrap_or_else(|| panic!("no answer: {answer:?}"))
    }

    /// The code of the close frame that ends the connection.
    async fn close_code(&mut self) -> u16 {
        let rest = self.rest().await;
        // Unmasked, and short.
        let at = rest.iter().rposition(|byte| *byte == 0x88).unwrap_or_else(|| panic!("no close frame: {rest:?}"));
        u16::from_be_bytes([rest[at + 2], rest[at + 3]])
    }
}

const FIN: u8 = 0x80;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;

/// A frame whose mask changes nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, payload.len() as u64);
    bytes.extend_from_slice(payload);
    bytes
}

/// The header of a frame that announces so many bytes.
fn header(first: u8, len: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match len {
        0..=125 => bytes.push(0x80 | len as u8),
        126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&len.to_be_bytes());
        }
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes
}
