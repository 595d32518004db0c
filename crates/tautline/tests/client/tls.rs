//! The client over TLS, with certificates made for the occasion.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{NoClientAuth, WebPkiClientVerifier, danger::ClientCertVerifier};
use rustls::{RootCertStore, ServerConfig};
use tautline::{Connect, ConnectError, Message, Phase, connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::{accept, error, header, listen, read_head};

struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        Self::named("Tautline's tests")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate and its key, in DER.
    fn issue(&self, name: &str) -> (Vec<u8>, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        (certificate.der().to_vec(), key.serialize_der())
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }
}

/// What a server saw of a client.
#[derive(Debug)]
struct Seen {
    name: Option<String>,
    protocol: Option<String>,
    certificate: Option<Vec<u8>>,
    head: String,
}

struct Server {
    address: SocketAddr,
    seen: JoinHandle<Option<Seen>>,
}

/// A server with a certificate for `name` that takes one connection.
async fn serve(ca: &Ca, name: &str, clients: Arc<dyn ClientCertVerifier>) -> Server {
    serve_with(ca.issue(name), clients).await
}

async fn serve_with((certificate, key): (Vec<u8>, Vec<u8>), clients: Arc<dyn ClientCertVerifier>) -> Server {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![certificate.into()], PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key)))
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.ok()?;
        let mut stream = TlsAcceptor::from(Arc::new(config)).accept(tcp).await.ok()?;
        let session = stream.get_ref().1;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (name, protocol) = (session.server_name().map(str::to_owned), session.alpn_protocol().map(text));
        let certificate = session.peer_certificates().map(|chain| chain[0].to_vec());
        let head = read_head(&mut stream).await;
        let mut answer = accept(&head, "").into_bytes();
        answer.extend_from_slice(b"\x81\x02hi");
        stream.write_all(&answer).await.ok()?;
        stream.flush().await.ok()?;
        let _ = stream.read_u8().await;
        Some(Seen { name, protocol, certificate, head })
    });
    Server { address, seen }
}

impl Server {
    fn connect(&self) -> Connect {
        connect("wss://device.test/x").address(self.address)
    }

    async fn seen(self) -> Seen {
        self.seen.await.unwrap().expect("a client")
    }
}

async fn greeted(connect: Connect) {
    let mut ws = connect.await.unwrap();
    assert_eq!(ws.recv().await, Some(Message::text("hi")));
}

#[tokio::test]
async fn a_private_ca_is_trusted_when_it_is_given_as_pem_or_der() {
    let ca = Ca::new();
    for bytes in [ca.0.pem().into_bytes(), ca.0.der().to_vec()] {
        let server = serve(&ca, "device.test", Arc::new(NoClientAuth)).await;
        greeted(server.connect().ca(bytes)).await;
        let seen = server.seen().await;
        assert_eq!(seen.name.as_deref(), Some("device.test"));
        assert_eq!(seen.protocol.as_deref(), Some("http/1.1"));
        assert_eq!(header(&seen.head, "Host"), ["device.test"]);
        assert_eq!(seen.certificate, None);
    }
}

#[tokio::test]
async fn an_unknown_ca_is_refused_and_the_remedy_named() {
    let (ca, other) = (Ca::new(), Ca::named("another one"));
    let server = serve(&ca, "device.test", Arc::new(NoClientAuth)).await;
    let wrong = error(server.connect().ca(other.0.pem()).await);
    assert!(matches!(&wrong, ConnectError::Tls { host, .. } if host == "device.test"), "{wrong}");
    assert!(wrong.to_string().contains("pass its certificate to `ca`"), "{wrong}");
    // The same with the system's roots, or without any.
    let server = serve(&ca, "device.test", Arc::new(NoClientAuth)).await;
    let wrong = error(server.connect().await);
    assert!(matches!(wrong, ConnectError::Tls { .. }) && wrong.to_string().contains("to `ca`"), "{wrong}");
}

#[tokio::test]
async fn a_ca_of_the_same_name_is_told_from_the_right_one() {
    let server = serve(&Ca::new(), "device.test", Arc::new(NoClientAuth)).await;
    let wrong = error(server.connect().ca(Ca::new().0.pem()).await);
    assert!(wrong.to_string().contains("but another key"), "{wrong}");
}

#[tokio::test]
async fn a_ca_that_serves_itself_is_refused_and_the_remedy_named() {
    let mut params = CertificateParams::new(["device.test".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = Ca(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap());
    let itself = (ca.0.der().to_vec(), ca.0.key().serialize_der());
    let server = serve_with(itself, Arc::new(NoClientAuth)).await;
    let wrong = error(server.connect().ca(ca.0.pem()).await);
    assert!(wrong.to_string().contains("must not be a CA"), "{wrong}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let ca = Ca::new();
    let server = serve(&ca, "other.test", Arc::new(NoClientAuth)).await;
    let wrong = error(server.connect().ca(ca.0.pem()).await);
    assert!(wrong.to_string().contains("connect by a name in the certificate"), "{wrong}");
}

#[tokio::test]
async fn several_cas_add_up() {
    let (ca, other) = (Ca::new(), Ca::new());
    let server = serve(&ca, "device.test", Arc::new(NoClientAuth)).await;
    greeted(server.connect().ca(other.0.pem()).ca(ca.0.pem())).await;
    let server = serve(&ca, "device.test", Arc::new(NoClientAuth)).await;
    greeted(server.connect().ca(format!("{}{}", other.0.pem(), ca.0.pem()))).await;
}

#[tokio::test]
async fn an_address_can_stand_in_the_certificate() {
    let ca = Ca::new();
    let server = serve(&ca, "127.0.0.1", Arc::new(NoClientAuth)).await;
    greeted(connect(format!("wss://{}", server.address)).ca(ca.0.pem())).await;
}

#[tokio::test]
async fn no_verify_takes_any_certificate() {
    let server = serve(&Ca::new(), "other.test", Arc::new(NoClientAuth)).await;
    greeted(server.connect().dangerous_no_verify()).await;
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let ca = Ca::new();
    let verifier = || WebPkiClientVerifier::builder_with_provider(ca.roots().into(), ring::default_provider().into());
    let (certificate, key) = ca.issue("client.test");
    let server = serve(&ca, "device.test", verifier().build().unwrap()).await;
    greeted(server.connect().ca(ca.0.pem()).client_certificate(&certificate, &key)).await;
    assert_eq!(server.seen().await.certificate, Some(certificate));
    // And without one the error says what is missing.
    let server = serve(&ca, "device.test", verifier().build().unwrap()).await;
    let wrong = error(server.connect().ca(ca.0.pem()).await);
    assert!(matches!(wrong, ConnectError::Tls { .. }), "{wrong:?}");
    assert!(wrong.to_string().contains("`client_certificate`"), "{wrong}");
}

#[tokio::test]
async fn a_configuration_of_ones_own_is_used_alone() {
    let ca = Ca::new();
    let config = || {
        let builder = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(&[&rustls::version::TLS12]).unwrap();
        Arc::new(builder.with_root_certificates(ca.roots()).with_no_client_auth())
    };
    let server = serve(&ca, "device.test", Arc::new(NoClientAuth)).await;
    greeted(server.connect().tls_config(config())).await;
    assert_eq!(server.seen().await.protocol, None);
    let wrong = error(connect("wss://h/").tls_config(config()).ca(ca.0.pem()).await);
    assert!(matches!(wrong, ConnectError::InvalidOption { option: "tls_config", .. }), "{wrong}");
}

#[tokio::test]
async fn tls_goes_over_any_stream() {
    let ca = Ca::new();
    let server = serve(&ca, "device.test", Arc::new(NoClientAuth)).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let mut ws = connect("wss://device.test").ca(ca.0.pem()).over(stream).await.unwrap();
    assert_eq!(ws.recv().await, Some(Message::text("hi")));
    assert_eq!(ws.info().peer, None);
}

#[tokio::test]
async fn a_server_without_tls_is_recognised() {
    let (listener, uri) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let wrong = error(connect(uri.replace("ws:", "wss:")).dangerous_no_verify().await);
    assert!(wrong.to_string().contains("ws:// instead of wss://"), "{wrong}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_meets_the_deadline() {
    let (_listener, uri) = listen().await;
    let wrong = error(connect(uri.replace("ws:", "wss:")).dangerous_no_verify().await);
    assert!(matches!(wrong, ConnectError::Timeout { phase: Phase::Tls, .. }), "{wrong}");
}

#[tokio::test]
async fn unusable_bytes_name_the_option() {
    for (connect, option) in
        [(connect("wss://h/").ca("x"), "ca"), (connect("wss://h/").client_certificate("x", "y"), "client_certificate")]
    {
        let wrong = error(connect.await);
        assert!(matches!(&wrong, ConnectError::InvalidOption { option: found, .. } if *found == option), "{wrong}");
    }
}
