//! The API by HTTP/2, with hyper's client.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tautline_hub::{Hub, Listen};
use tautline_identity::{Authority, KeyKind, Validity};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// Sends a request, whose host is in its address; answers status and body.
async fn send(client: &mut SendRequest<Full<Bytes>>, method: &str, uri: &str, body: &str) -> (u16, Value) {
    let request = http::Request::builder().method(method).uri(uri).header("content-type", "application/json");
    let answer = client.send_request(request.body(Full::from(body.to_owned())).unwrap()).await.unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2);
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn http_2_is_spoken_where_tls_has_negotiated_it() {
    let days = Validity::days(10);
    let ca = Authority::create("Test CA", KeyKind::EcdsaP256, days).unwrap();
    let own = ca.server(&["127.0.0.1".parse().unwrap()], KeyKind::EcdsaP256, days).unwrap();
    let key = PrivateKeyDer::from_pem_slice(own.key().pem().as_bytes()).unwrap();
    let certificate = |pem: String| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let provider = || Arc::new(rustls::crypto::ring::default_provider());
    let versions = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let mut tls = versions.with_no_client_auth().with_single_cert(vec![certificate(own.pem())], key).unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (shutdown, down) = oneshot::channel::<()>();
    let hub = tokio::spawn(Hub::new().run(Listen { listener, tls: Some(Arc::new(tls)) }, async {
        let _ = down.await;
    }));

    let mut roots = RootCertStore::empty();
    roots.add(certificate(ca.own().pem())).unwrap();
    let versions = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    let (mut client, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);

    let own = format!("https://{address}/api/state/x");
    assert_eq!(send(&mut client, "POST", &own, r#"{"action":"plus"}"#).await, (200, json!({"name": "x", "value": 1})));
    let (mut one, mut other) = (client.clone(), client.clone());
    let both = tokio::join!(send(&mut one, "GET", &own, ""), send(&mut other, "GET", &own, ""));
    assert_eq!((&both.0.1["value"], &both.1.1["value"]), (&json!(1), &json!(1)));
    let (status, problem) = send(&mut client, "GET", "https://evil.example/api/state/x", "").await;
    assert_eq!((status, &problem["type"]), (421, &json!("/api#wrong-host")));
    let (status, problem) = send(&mut client, "POST", &own, &"x".repeat(1024 * 1024 + 1)).await;
    assert_eq!((status, &problem["type"]), (413, &json!("/api#too-large")));

    // A WebSocket by HTTP/1.1 on the same port.
    let url = format!("wss://{address}/esp");
    let _esp = tautline::connect(url).ca(ca.own().pem()).await.unwrap();
    let rooms = send(&mut client, "GET", &format!("https://{address}/api/rooms"), "").await.1;
    assert_eq!(rooms["rooms"][0]["members"], 1);
    shutdown.send(()).unwrap();
    hub.await.unwrap().unwrap();
    drop((client, one, other));
    // It was told to go.
    connection.await.unwrap().unwrap();
}
