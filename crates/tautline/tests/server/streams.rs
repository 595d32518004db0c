//! Answers that come piece by piece.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::Frame;
use tautline::{Body, Response, Server};
use tokio::sync::mpsc;

use crate::support::soon;
use crate::{echo, start};

/// What is sent to it is the body.
pub(crate) struct Pieces(pub(crate) mpsc::Receiver<Result<Bytes, io::Error>>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// A server that answers one request with what is sent.
pub(crate) fn streaming(server: Server) -> (Server, mpsc::Sender<Result<Bytes, io::Error>>) {
    let (pieces, body) = mpsc::channel(1);
    let body = std::sync::Mutex::new(Some(body));
    let server = server.http(move |_| {
        let body = body.lock().unwrap().take().expect("one request");
        async { Response::new(Body::stream(Pieces(body))) }
    });
    (server, pieces)
}

const GET: &str = "GET / HTTP/1.1\r\nHost: hub.test\r\n\r\n";

#[tokio::test]
async fn an_answer_arrives_piece_by_piece() {
    let (server, pieces) = streaming(Server::new());
    let server = start(server, echo).await;
    let mut client = server.dial().await;
    client.write(GET).await;
    let head = client.head().await;
    assert!(head.contains("Transfer-Encoding: chunked"), "{head}");
    for (piece, chunk) in [("one", "3\r\none\r\n"), ("three", "5\r\nthree\r\n")] {
        pieces.send(Ok(piece.into())).await.unwrap();
        while client.received.len() < chunk.len() {
            assert!(client.read().await > 0);
        }
        assert_eq!(std::mem::take(&mut client.received), chunk.as_bytes());
    }
    drop(pieces);
    while !client.received.ends_with(b"0\r\n\r\n") {
        assert!(client.read().await > 0, "a proper end");
    }
}

#[tokio::test]
async fn an_answer_that_fails_is_not_taken_for_a_whole_one() {
    let (server, pieces) = streaming(Server::new());
    let server = start(server, echo).await;
    let mut client = server.dial().await;
    client.write(GET).await;
    client.head().await;
    pieces.send(Ok("half".into())).await.unwrap();
    pieces.send(Err(io::ErrorKind::Other.into())).await.unwrap();
    assert_eq!(client.rest().await, b"4\r\nhalf\r\n", "and no last chunk");
}

#[tokio::test]
async fn an_answer_is_dropped_when_its_client_leaves() {
    let (server, pieces) = streaming(Server::new());
    let server = start(server, echo).await;
    let mut client = server.dial().await;
    client.write(GET).await;
    client.head().await;
    drop(client);
    soon(pieces.closed()).await;
}
