//! The client against servers that are made of raw bytes.

mod opening;
mod reconnect;
#[cfg(feature = "tls")]
mod tls;

use std::time::Duration;

use tautline::{Connect, ConnectError, WebSocket};
use tautline_proto::handshake::ClientKey;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::TcpListener;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}", listener.local_addr().unwrap());
    (listener, uri)
}

/// Reads a request's head.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a whole request"));
    }
    String::from_utf8(head).unwrap()
}

pub(crate) fn header<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(found, _)| *found == name).map(|(_, value)| value).collect()
}

/// An answer that accepts, with further header lines.
pub(crate) fn accept(head: &str, more: &str) -> String {
    let key = ClientKey::parse(header(head, "Sec-WebSocket-Key")[0]).unwrap();
    let accept = key.accept();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{more}\r\n",
        accept.as_str()
    )
}

/// Opens a connection over a pipe whose other end accepts; answers the request's head.
pub(crate) async fn head_of(connect: Connect) -> (String, WebSocket) {
    let (ours, mut theirs) = duplex(64 * 1024);
    let server = tokio::spawn(async move {
        let head = read_head(&mut theirs).await;
        let offered = header(&head, "Sec-WebSocket-Protocol").first().copied().unwrap_or_default().to_owned();
        let selected = offered.split(", ").last().filter(|name| !name.is_empty());
        let line = selected.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n")).unwrap_or_default();
        theirs.write_all(accept(&head, &line).as_bytes()).await.unwrap();
        (head, theirs)
    });
    let ws = connect.over(ours).await.unwrap();
    (server.await.unwrap().0, ws)
}

/// The error of a connection that must not come about.
pub(crate) fn error(result: Result<WebSocket, ConnectError>) -> ConnectError {
    result.map(|_| ()).expect_err("no connection")
}
