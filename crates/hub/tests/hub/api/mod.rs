//! The API, probes and metrics, over real sockets.

mod devices;
mod disk;
mod documents;
mod events;
mod http2;
mod inspector;
mod probes;
mod readings;
mod requests;
mod rooms;
mod state;
mod tokens;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{LIMIT, Running};

/// An answer, whose connection has ended.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that it is a problem of this kind; answers its details.
    pub(crate) fn problem(&self, status: u16, kind: &str) -> String {
        assert_eq!((self.status, self.header("content-type")), (status, Some("application/problem+json")), "{self:?}");
        let problem = self.json();
        assert_eq!((&problem["status"], &problem["type"]), (&status.into(), &format!("/api#{kind}").into()));
        assert!(problem["title"].is_string());
        problem["detail"].as_str().unwrap().to_owned()
    }
}

/// Sends bytes and reads until the hub ends the connection.
pub(crate) async fn exchange(hub: &Running, request: &[u8]) -> Answer {
    let mut tcp = TcpStream::connect(hub.address).await.unwrap();
    tcp.write_all(request).await.unwrap();
    let mut bytes = Vec::new();
    tokio::time::timeout(LIMIT, tcp.read_to_end(&mut bytes)).await.expect("in time").unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

pub(crate) async fn request(hub: &Running, method: &str, target: &str, headers: &str, body: &str) -> Answer {
    let host = if headers.contains("Host: ") { String::new() } else { format!("Host: {}\r\n", hub.address) };
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n{host}{headers}{length}\r\n");
    exchange(hub, (head + body).as_bytes()).await
}

pub(crate) async fn get(hub: &Running, target: &str) -> Answer {
    request(hub, "GET", target, "", "").await
}

pub(crate) async fn post(hub: &Running, target: &str, body: &Value) -> Answer {
    request(hub, "POST", target, "Content-Type: application/json\r\n", &body.to_string()).await
}

/// What a probe says once it finds the hub well: what does not answer it within a second, on a busy machine, is taken for ill.
pub(super) async fn well(hub: &Running, path: &str) -> String {
    let asking = async {
        loop {
            let answer = get(hub, path).await;
            if answer.status == 200 {
                return answer.body;
            }
        }
    };
    tokio::time::timeout(LIMIT, asking).await.expect("it is well")
}

/// What a good GET answers.
pub(crate) async fn look(hub: &Running, target: &str) -> Value {
    let answer = get(hub, target).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{answer:?}");
    answer.json()
}
