//! Devices that speak TLS.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tautline_hub::Sessions;
use tautline_identity::Issued;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::identity::Trusted;

/// A hub with certificates.
struct Secure {
    lab: Lab,
    trusted: Arc<Trusted>,
    sessions: Sessions,
}

impl Secure {
    async fn start(hub: Hub, keyless: Keyless, encryption: fn(Arc<rustls::ServerConfig>) -> Encryption) -> Self {
        let trusted = Trusted::new();
        let mut config = trusted.config();
        // As the hub has it for its other ports.
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let sessions = Sessions::new();
        let hub = hub.sessions(&sessions);
        let lab = Lab::start_as(hub, memory(), "127.0.0.1", keyless, encryption(Arc::new(config))).await;
        Self { lab, trusted, sessions }
    }

    async fn connect(&self, client: Option<&Issued>) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.trusted.ca.own().certificate().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match client {
            Some(client) => {
                let key = PrivateKeyDer::from_pem_slice(client.key().pem().as_bytes()).unwrap();
                config.with_client_auth_cert(vec![client.certificate().clone()], key).unwrap()
            }
            None => config.with_no_client_auth(),
        };
        // One that the hub does not speak by HTTP.
        config.alpn_protocols = vec![b"tautline".to_vec()];
        let stream = TcpStream::connect(self.lab.port).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        timeout(LIMIT, TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn one_port_takes_both_and_acknowledges_both() {
    let hub = Secure::start(Hub::new(), Keyless::Loopback, Encryption::Optional).await;
    let mut plain = TcpStream::connect(hub.lab.port).await.unwrap();
    let welcome = ask(&mut plain, &hello_as("plain", 1, None)).await;
    assert_eq!(ask(&mut plain, &reading(&welcome, 1)).await[3], 0x82);
    let mut encrypted = hub.connect(None).await;
    let welcome = ask(&mut encrypted, &hello_as("encrypted", 2, None)).await;
    encrypted.write_all(&reading(&welcome, 1)).await.unwrap();
    // It closes its half before it has its acknowledgement.
    encrypted.shutdown().await.unwrap();
    assert_eq!(answer(&mut encrypted).await[3], 0x82);
    assert_eq!(answer(&mut encrypted).await, [0; 0]);
    let authority = hub.trusted.file("ca.crt");
    hub.lab.python_with("telemetry_tcp.py", "3", "", authority.to_str().unwrap()).await;
    hub.lab.hub.stop().await;
}

#[tokio::test]
async fn where_tls_is_required_nothing_else_is_taken() {
    let hub = Secure::start(Hub::new(), Keyless::Loopback, Encryption::Required).await;
    let mut plain = TcpStream::connect(hub.lab.port).await.unwrap();
    plain.write_all(&hello(1, None)).await.unwrap();
    assert_eq!(answer(&mut plain).await, [0; 0]);
    hub.lab.counts(r#"tautline_telemetry_refused_total{reason="no_tls"} 1"#).await;
    // It looks like TLS, and is not.
    let mut junk = TcpStream::connect(hub.lab.port).await.unwrap();
    junk.write_all(&[22; 100]).await.unwrap();
    hub.lab.counts(r#"tautline_telemetry_refused_total{reason="tls"} 1"#).await;
    let mut encrypted = hub.connect(None).await;
    assert_eq!(ask(&mut encrypted, &hello(1, None)).await[3], 0x81);
    hub.lab.hub.stop().await;
}

#[tokio::test]
async fn a_certificate_speaks_for_the_device_of_its_name_and_for_no_other() {
    let hub = Secure::start(Hub::new(), Keyless::Nowhere, Encryption::Optional).await;
    let code = |answer: &[u8]| (answer[3], answer[33]);
    let mut kitchen = hub.connect(Some(&hub.trusted.client("kitchen"))).await;
    assert_eq!(code(&ask(&mut kitchen, &hello_as("cellar", 5, None)).await), (0x86, 7));
    let welcome = ask(&mut kitchen, &hello_as("kitchen", 5, None)).await;
    assert_eq!(welcome[3], 0x81, "and needs no key for that");
    assert_eq!(ask(&mut kitchen, &reading(&welcome, 1)).await[3], 0x82);

    let mut cellar = hub.connect(Some(&hub.trusted.client("cellar"))).await;
    assert_eq!(code(&ask(&mut cellar, &reading(&welcome, 2)).await), (0x86, 7), "with the other's link");
    assert_eq!(code(&ask(&mut cellar, &hello_as("kitchen", 6, None)).await), (0x86, 7));
    assert_eq!(code(&ask(&mut cellar, &hello_as("cellar", 5, None)).await), (0x86, 7), "the other's number");
    let mut nobody = hub.connect(None).await;
    assert_eq!(code(&ask(&mut nobody, &hello_as("kitchen", 5, None)).await), (0x86, 3), "it has no proof at all");
    hub.lab.hub.stop().await;
}

#[tokio::test]
async fn who_only_says_a_name_does_not_push_aside_who_has_proven_it() {
    let hub = Secure::start(Hub::new(), Keyless::Loopback, Encryption::Optional).await;
    let mut impostor = TcpStream::connect(hub.lab.port).await.unwrap();
    assert_eq!(ask(&mut impostor, &hello_as("kitchen", 4, None)).await[3], 0x81, "it came first");
    let mut kitchen = hub.connect(Some(&hub.trusted.client("kitchen"))).await;
    let welcome = ask(&mut kitchen, &hello_as("kitchen", 5, None)).await;
    assert_eq!(ask(&mut kitchen, &reading(&welcome, 1)).await[3], 0x82);
    for number in [4, 5] {
        let answer = ask(&mut impostor, &hello_as("kitchen", number, None)).await;
        assert_eq!((answer[3], answer[33]), (0x86, 7), "{number}");
    }
    hub.lab.hub.stop().await;
}

#[tokio::test]
async fn a_certificate_that_is_revoked_or_not_on_the_list_ends_a_connection() {
    let hub = Secure::start(Hub::new().allowed_clients(["kitchen"]), Keyless::Nowhere, Encryption::Required).await;
    let mut other = hub.connect(Some(&hub.trusted.client("cellar"))).await;
    assert_eq!(answer(&mut other).await, [0; 0]);
    hub.lab.counts(r#"tautline_telemetry_refused_total{reason="certificate"} 1"#).await;

    let lost = hub.trusted.client("kitchen");
    let mut kitchen = hub.connect(Some(&lost)).await;
    assert_eq!(ask(&mut kitchen, &hello_as("kitchen", 5, None)).await[3], 0x81);
    hub.trusted.revoke(&lost, &hub.sessions);
    assert_eq!(answer(&mut kitchen).await, [0; 0]);
    hub.lab.hub.stop().await;
}
