//! HTTP/2 over TLS, with hyper's client.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tautline::{Limits, Refusal, Response, Server, connect};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::streams::streaming;
use crate::support::soon;
use crate::tls::Ca;
use crate::{Running, echo, start};

type Client = SendRequest<Empty<Bytes>>;

fn secure(ca: &Ca, server: Server) -> Server {
    let mut tls = Arc::unwrap_or_clone(ca.server(false));
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    server.tls(Arc::new(tls))
}

/// A client, and its connection.
async fn dial(ca: &Ca, server: &Running) -> (Client, JoinHandle<hyper::Result<()>>) {
    let mut roots = RootCertStore::empty();
    roots.add(ca.0.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(server.address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect("hub.test".try_into().unwrap(), tcp).await.unwrap();
    let (client, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    (client, tokio::spawn(connection))
}

fn get(path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("https://hub.test{path}")).body(Empty::new()).unwrap()
}

#[tokio::test]
async fn requests_are_answered_and_see_who_asks() {
    let ca = Ca::new();
    let server = Server::new().http(async |request| {
        let peer: &std::net::SocketAddr = request.extensions().get().expect("the client's address");
        assert!(peer.ip().is_loopback() && request.version() == Version::HTTP_2);
        Response::new(request.uri().path().to_owned().into())
    });
    let server = start(secure(&ca, server), echo).await;
    let (mut client, _connection) = dial(&ca, &server).await;
    for path in ["/one", "/two"] {
        let answer = client.send_request(get(path)).await.unwrap();
        assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_2));
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), path);
    }
}

#[tokio::test]
async fn a_refusal_has_no_header_that_http_2_forbids() {
    let ca = Ca::new();
    let server = Server::new().http(async |_| Refusal::new(405, "no").header("Allow", "GET").into_response());
    let server = start(secure(&ca, server), echo).await;
    let (mut client, _connection) = dial(&ca, &server).await;
    let answer = client.send_request(get("/")).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().get("connection")), (405, None));
}

#[tokio::test]
async fn a_client_that_negotiates_nothing_opens_a_websocket() {
    let ca = Ca::new();
    let server = start(secure(&ca, Server::new()), echo).await;
    let mut ws = connect("wss://hub.test").address(server.address).ca(ca.0.pem()).await.unwrap();
    ws.send("hi").await.unwrap();
    assert_eq!(ws.recv().await.unwrap().as_text(), Some("hi"));
}

#[tokio::test]
async fn an_idle_connection_ends_and_one_with_a_request_under_way_does_not() {
    let ca = Ca::new();
    let limit = Duration::from_millis(100);
    let limits = Limits::DEFAULT.with_opening_timeout(limit).unwrap();
    let (server, pieces) = streaming(Server::new().head_limits(limits));
    let server = start(secure(&ca, server), echo).await;
    let (mut busy, busy_connection) = dial(&ca, &server).await;
    let mut body = busy.send_request(get("/")).await.unwrap().into_body();
    let (idle, idle_connection) = dial(&ca, &server).await;
    soon(idle_connection).await.unwrap().unwrap();
    assert!(idle.is_closed());
    assert!(!busy_connection.is_finished());
    pieces.send(Ok("still here".into())).await.unwrap();
    assert_eq!(soon(body.frame()).await.unwrap().unwrap().into_data().unwrap(), "still here");
    drop(pieces);
    assert_eq!(soon(body.collect()).await.unwrap().to_bytes(), "", "and no more");
    soon(busy_connection).await.unwrap().unwrap();
}

#[tokio::test]
async fn at_shutdown_what_is_under_way_is_finished() {
    let ca = Ca::new();
    let (server, pieces) = streaming(Server::new());
    let server = start(secure(&ca, server), echo).await;
    let (mut client, connection) = dial(&ca, &server).await;
    let body = client.send_request(get("/")).await.unwrap().into_body();
    let done = server.stop();
    pieces.send(Ok("the rest".into())).await.unwrap();
    drop(pieces);
    assert_eq!(soon(body.collect()).await.unwrap().to_bytes(), "the rest");
    soon(connection).await.unwrap().unwrap();
    soon(done).await.unwrap().unwrap();
}
