//! The server over TLS. Records show how often it writes.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tautline::{CloseCode, ConnectError, Group, Message, Server, Slow, WebSocket, connect};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::support::logs::Logs;
use crate::support::sim::QUIET;
use crate::support::{SECOND, settle, soon};
use crate::{Running, echo, start, upgrade};

pub(crate) struct Ca(pub(crate) CertifiedIssuer<'static, KeyPair>);

impl Ca {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for `hub.test` and its key.
    fn issue(&self) -> (Vec<u8>, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["hub.test".to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        (certificate.der().to_vec(), key.serialize_der())
    }

    pub(crate) fn server(&self, ask_clients: bool) -> Arc<ServerConfig> {
        let provider = || Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let builder = if ask_clients {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider()).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let (certificate, key) = self.issue();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key));
        Arc::new(builder.with_single_cert(vec![certificate.into()], key).unwrap())
    }
}

/// A TCP connection that notes what comes in.
struct Tap(TcpStream, Arc<Mutex<Vec<u8>>>);

impl AsyncRead for Tap {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.0).poll_read(cx, buf);
        self.1.lock().unwrap().extend_from_slice(&buf.filled()[before..]);
        result
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// How many TLS records came in; each is a write of the server, as long as the writes are small.
struct Records(Arc<Mutex<Vec<u8>>>);

impl Records {
    fn count(&self) -> usize {
        let bytes = self.0.lock().unwrap();
        let (mut at, mut count) = (0, 0);
        while let Some(len) = bytes.get(at + 3..at + 5) {
            at += 5 + usize::from(u16::from_be_bytes([len[0], len[1]]));
            count += 1;
        }
        count
    }
}

async fn tapped(server: &Running, ca: &Ca, path: &str) -> (WebSocket, Records) {
    let stream = TcpStream::connect(server.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let bytes = Arc::<Mutex<Vec<u8>>>::default();
    let tap = Tap(stream, bytes.clone());
    let ws = connect(format!("wss://hub.test{path}")).ca(ca.0.pem()).config(QUIET).over(tap).await.unwrap();
    (ws, Records(bytes))
}

fn serving(ca: &Ca) -> Server {
    Server::new().config(QUIET).tls(ca.server(false))
}

#[tokio::test]
async fn client_and_server_of_the_library_speak_tls() {
    let ca = Ca::new();
    let server = start(serving(&ca), echo).await;
    let mut ws = connect("wss://hub.test").address(server.address).ca(ca.0.pem()).await.unwrap();
    for len in [0, 1, 20_000, 3_000_000] {
        let message = Message::binary(vec![7; len]);
        ws.send(message.clone()).await.unwrap();
        assert!(ws.recv().await == Some(message));
    }
    assert!(ws.close(CloseCode::NORMAL, "").await.is_clean());
}

#[tokio::test]
async fn a_server_can_ask_for_client_certificates() {
    let ca = Ca::new();
    let server = start(Server::new().tls(ca.server(true)), echo).await;
    let (certificate, key) = ca.issue();
    let to = || connect("wss://hub.test").address(server.address).ca(ca.0.pem());
    let mut ws = to().client_certificate(certificate, key).await.unwrap();
    ws.send("known").await.unwrap();
    assert_eq!(ws.recv().await, Some(Message::text("known")));
    let logs = Logs::capture();
    let refused = to().await.map(drop);
    assert!(matches!(refused, Err(ConnectError::Tls { .. })), "{refused:?}");
    settle().await;
    let lines = logs.with("TLS handshake failed");
    assert!(lines.len() == 1 && lines[0].text.contains("peer=127.0.0.1:"), "{lines:?}");
}

#[tokio::test]
async fn a_client_without_tls_is_refused_with_one_line_in_the_log() {
    let server = start(serving(&Ca::new()), echo).await;
    let logs = Logs::capture();
    let mut client = server.dial().await;
    client.write(upgrade("")).await;
    client.rest().await;
    settle().await;
    assert_eq!(logs.with(&client.address.to_string()).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_begins_tls_meets_the_deadline() {
    let server = start(serving(&Ca::new()), echo).await;
    let start = Instant::now();
    let logs = Logs::capture();
    let mut client = server.dial().await;
    client.rest().await;
    assert_eq!(start.elapsed().as_secs(), 10);
    settle().await;
    assert_eq!(logs.with(&client.address.to_string()).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_not_finished_tls_does_not_hold_up_the_shutdown() {
    let server = start(serving(&Ca::new()), echo).await;
    let _client = server.dial().await;
    settle().await;
    let start = Instant::now();
    soon(server.stop()).await.unwrap().unwrap();
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
}

#[tokio::test]
async fn replies_to_16_messages_of_one_read_are_one_write() {
    let ca = Ca::new();
    let server = start(serving(&ca), echo).await;
    let (mut ws, records) = tapped(&server, &ca, "/").await;
    for _ in 0..3 {
        let before = records.count();
        for n in 0..16 {
            ws.feed(format!("message {n}")).await.unwrap();
        }
        ws.flush().await.unwrap();
        for n in 0..16 {
            assert_eq!(ws.recv().await, Some(Message::text(format!("message {n}"))));
        }
        assert_eq!(records.count() - before, 1);
    }
}

#[tokio::test]
async fn a_batch_of_published_messages_is_one_write_for_each_member() {
    let ca = Ca::new();
    let group = Arc::new(Group::new(Slow::Disconnect));
    let everybody = group.clone();
    let server = start(serving(&ca), move |mut ws, _| {
        let everybody = everybody.clone();
        async move {
            let _membership = everybody.join(&ws.sender());
            while let Some(message) = ws.recv().await {
                everybody.publish(message);
            }
        }
    })
    .await;
    let mut members = [tapped(&server, &ca, "/").await, tapped(&server, &ca, "/").await];
    while group.len() < 2 {
        tokio::task::yield_now().await;
    }
    for _ in 0..3 {
        let before = members.each_ref().map(|(_, records)| records.count());
        for n in 0..16 {
            members[0].0.feed(format!("message {n}")).await.unwrap();
        }
        members[0].0.flush().await.unwrap();
        for (ws, _) in &mut members {
            for n in 0..16 {
                assert_eq!(ws.recv().await, Some(Message::text(format!("message {n}"))));
            }
        }
        for ((_, records), before) in members.iter().zip(before) {
            assert_eq!(records.count() - before, 1);
        }
    }
}
