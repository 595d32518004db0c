//! The server over real TCP, against clients that are made of raw bytes.

#[cfg(target_os = "linux")]
mod addresses;
mod deadlines;
mod deflate;
mod handlers;
mod hooks;
#[cfg(feature = "tls")]
mod http2;
mod origins;
mod refusals;
mod shutdown;
mod streams;
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "tls")]
mod tls;

use std::net::SocketAddr;

use tautline::{Request, Role, Server, WebSocket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use support::frames::{self, Frame};
use support::logs::{Line, Logs};
use support::{settle, soon};

/// A server that runs until it is told to stop.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<std::io::Result<()>>,
    tally: tautline::Tally,
}

async fn start<H, F>(server: Server, handler: H) -> Running
where
    H: Fn(WebSocket, Request) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let tally = server.tally().clone();
    let done = tokio::spawn(server.serve(listener, handler, stopped));
    Running { address, stop, done, tally }
}

/// The plain loop.
async fn echo(mut ws: WebSocket, _: Request) {
    while let Some(message) = ws.recv().await {
        let _ = ws.send(message).await;
    }
}

/// A request that is accepted, with further header lines.
fn upgrade(more: &str) -> String {
    format!(
        "GET /path?query HTTP/1.1\r\nHost: hub.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    )
}

impl Running {
    async fn dial(&self) -> Client {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Client { address: stream.local_addr().unwrap(), stream, received: Vec::new() }
    }

    /// A client whose connection is open.
    async fn open(&self) -> Client {
        let mut client = self.dial().await;
        client.write(upgrade("")).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        client
    }

    /// Everything that the server answers to a request, until it closes the connection, and what it logs about it.
    async fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        let logs = Logs::capture();
        let mut client = self.dial().await;
        client.write(request).await;
        let text = String::from_utf8(client.rest().await).unwrap();
        settle().await;
        let log = logs.with(&client.address.to_string());
        Answer { text, log }
    }

    /// Tells the server to stop.
    fn stop(self) -> JoinHandle<std::io::Result<()>> {
        self.stop.send(()).unwrap();
        self.done
    }
}

struct Answer {
    text: String,
    /// The lines of the log that name the client.
    log: Vec<Line>,
}

impl Answer {
    /// The status; there must be one answer, not more.
    fn status(&self) -> u16 {
        let answers = self.text.lines().filter(|line| line.starts_with("HTTP/1.")).count();
        assert_eq!(answers, 1, "one answer: {:?}", self.text);
        self.text[9..12].parse().unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        header(&self.text, name)
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(found, _)| *found == name).map(|(_, value)| value)
}

struct Client {
    stream: TcpStream,
    address: SocketAddr,
    received: Vec<u8>,
}

impl Client {
    async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    async fn send(&mut self, frames: &[Frame]) {
        self.write(frames::bytes_of(Role::Client, frames)).await;
    }

    /// Reads once; answers how much.
    async fn read(&mut self) -> usize {
        self.received.reserve(64 * 1024);
        soon(self.stream.read_buf(&mut self.received)).await.unwrap_or(0)
    }

    /// Reads the head of an answer.
    async fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let rest = self.received.split_off(end + 4);
                return String::from_utf8(std::mem::replace(&mut self.received, rest)).unwrap();
            }
            assert!(self.read().await > 0, "no whole head: {:?}", String::from_utf8_lossy(&self.received));
        }
    }

    /// Reads so many frames.
    async fn frames(&mut self, count: usize) -> Vec<Frame> {
        loop {
            let (frames, len) = frames::decode(Role::Server, &self.received);
            if frames.len() >= count {
                self.received.drain(..len);
                return frames;
            }
            assert!(self.read().await > 0, "the end behind {frames:?}");
        }
    }

    /// Everything until the end.
    async fn rest(&mut self) -> Vec<u8> {
        while self.read().await > 0 {}
        std::mem::take(&mut self.received)
    }
}
