//! Clients that show certificates.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use tautline::{CloseCode, ConnectError, Ended, WebSocket, connect};
use tautline_hub::{Hub, Listen, SUBPROTOCOL, Sessions};
use tautline_identity::{Authority, ClientAuth, Issued, KeyKind, ServerTls, TlsFiles, Validity};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::api::look;
use crate::rooms::patient;
use crate::{Running, text};

pub(crate) fn days() -> Validity {
    Validity::days(10)
}

pub(crate) const KIND: KeyKind = KeyKind::EcdsaP256;

/// A CA, and the files that a server of it has.
pub(crate) struct Trusted {
    pub(crate) ca: Authority,
    directory: tempfile::TempDir,
    tls: ServerTls,
}

impl Trusted {
    pub(crate) fn new() -> Arc<Self> {
        let ca = Authority::create("Test CA", KIND, days()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        let server = ca.server(&["127.0.0.1".parse().unwrap()], KIND, days()).unwrap();
        fs::write(file("server.crt"), server.pem()).unwrap();
        fs::write(file("server.key"), server.key().pem()).unwrap();
        fs::write(file("ca.crt"), ca.own().pem()).unwrap();
        fs::write(file("ca.crl"), ca.revoke(None, &[]).unwrap().pem()).unwrap();
        let files = TlsFiles::new(file("server.crt"), file("server.key"))
            .client_auth(ClientAuth::Optional)
            .client_ca(Some(file("ca.crt")))
            .revoked(Some(file("ca.crl")));
        let tls = ServerTls::load(files).unwrap();
        Arc::new(Self { ca, directory, tls })
    }

    /// What the server is configured with.
    pub(crate) fn config(&self) -> rustls::ServerConfig {
        self.tls.config()
    }

    pub(crate) fn client(&self, name: &str) -> Issued {
        self.ca.client(name, KIND, days()).unwrap()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Revokes a certificate, and ends its connections.
    pub(crate) fn revoke(self: &Arc<Self>, lost: &Issued, sessions: &Sessions) {
        let serial = tautline_identity::serial(lost.certificate()).unwrap();
        fs::write(self.file("ca.crl"), self.ca.revoke(None, &[serial]).unwrap().pem()).unwrap();
        self.tls.reload().unwrap();
        let trusted = self.clone();
        sessions.end_revoked(move |leaf| trusted.tls.is_revoked(leaf));
    }
}

pub(crate) struct Secure {
    pub(crate) trusted: Arc<Trusted>,
    port: u16,
    sessions: Sessions,
    /// The same hub without TLS.
    plain: Running,
}

impl Secure {
    pub(crate) async fn start(hub: Hub) -> Self {
        let trusted = Trusted::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (shutdown, down) = oneshot::channel();
        let sessions = Sessions::new();
        let listen = Listen { listener, tls: Some(Arc::new(trusted.config())) };
        let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = plain.local_addr().unwrap();
        let server = tokio::spawn(hub.sessions(&sessions).run_all([listen, plain.into()], async {
            let _ = down.await;
        }));
        Self { trusted, port, sessions, plain: Running { address, shutdown, server } }
    }

    pub(crate) fn client(&self, name: &str) -> Issued {
        self.trusted.client(name)
    }

    pub(crate) async fn open(&self, path: &str, client: Option<&Issued>) -> Result<WebSocket, ConnectError> {
        let uri = format!("wss://127.0.0.1:{}{path}", self.port);
        let request = connect(uri).ca(self.trusted.ca.own().pem()).subprotocol(SUBPROTOCOL);
        match client {
            Some(client) => request.client_certificate(client.pem(), client.key().pem()).await,
            None => request.await,
        }
    }

    pub(crate) async fn stop(self) {
        self.plain.stop().await;
    }
}

pub(crate) async fn id(ws: &mut WebSocket) -> String {
    let welcome: serde_json::Value = serde_json::from_str(&text(ws).await).unwrap();
    welcome["client"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_name_in_a_certificate_is_the_id_of_who_brings_none() {
    let hub = Secure::start(Hub::new()).await;
    let esp = hub.client("ESP Client 1");
    let mut first = hub.open("/", Some(&esp)).await.unwrap();
    assert_eq!(id(&mut first).await, "ESP Client 1");
    let mut second = hub.open("/", Some(&esp)).await.unwrap();
    assert_ne!(id(&mut second).await, "ESP Client 1", "it is taken");
    let mut other = hub.open("/own", Some(&esp)).await.unwrap();
    assert_eq!(id(&mut other).await, "own");
    let mut nobody = hub.open("/", None).await.unwrap();
    assert_eq!(id(&mut nobody).await.len(), 16);
    hub.stop().await;
}

#[tokio::test]
async fn the_same_certificate_takes_its_id_over_at_once() {
    let hub = Secure::start(patient()).await;
    let (esp, other) = (hub.client("ESP Client 1"), hub.client("ESP Client 2"));
    let mut old = hub.open("/esp", Some(&esp)).await.unwrap();
    let listening = tokio::spawn(async move {
        while old.recv().await.is_some() {}
        old.ended()
    });
    for client in [None, Some(&other)] {
        let refused = hub.open("/esp", client).await;
        assert!(matches!(refused, Err(ConnectError::Refused(refusal)) if refusal.status() == 409));
    }
    let mut new = hub.open("/esp", Some(&esp)).await.unwrap();
    assert_eq!(id(&mut new).await, "esp");
    assert_eq!(listening.await.unwrap(), Some(Ended::ClosedByPeer { code: CloseCode::REPLACED, clean: true }));
    hub.stop().await;
}

#[tokio::test]
async fn only_those_on_the_list_come_in() {
    let hub = Secure::start(Hub::new().allowed_clients(["ESP Client 1"])).await;
    assert!(hub.open("/a", Some(&hub.client("ESP Client 1"))).await.is_ok());
    let Err(ConnectError::Refused(refusal)) = hub.open("/b", Some(&hub.client("ESP Client 2"))).await else {
        panic!("it is not on the list")
    };
    assert_eq!(refusal.status(), 403);
    assert!(refusal.body().contains("ESP Client 2"), "{}", refusal.body());
    hub.stop().await;
}

#[tokio::test]
async fn a_revoked_certificate_ends_its_sessions_and_begins_none() {
    let hub = Secure::start(Hub::new()).await;
    let (lost, kept) = (hub.client("lost"), hub.client("kept"));
    let mut lost_session = hub.open("/", Some(&lost)).await.unwrap();
    let mut kept_session = hub.open("/", Some(&kept)).await.unwrap();
    hub.trusted.revoke(&lost, &hub.sessions);
    while lost_session.recv().await.is_some() {}
    assert_eq!(lost_session.ended(), Some(Ended::ClosedByPeer { code: CloseCode::POLICY_VIOLATION, clean: true }));
    assert!(hub.open("/", Some(&lost)).await.is_err());
    assert_eq!(id(&mut kept_session).await, "kept");
    kept_session.send("{}").await.unwrap();
    while !text(&mut kept_session).await.contains("bad-envelope") {}
    hub.stop().await;
}

#[tokio::test]
async fn whoever_only_says_a_name_does_not_speak_for_the_device_that_has_proven_it() {
    let hub = Secure::start(Hub::new()).await;
    let mut esp = hub.open("/rooms/lab/ESP%20Client%201", Some(&hub.client("ESP Client 1"))).await.unwrap();
    assert_eq!(id(&mut esp).await, "ESP Client 1");
    let other = hub.client("ESP Client 2");
    for (room, client) in [("a", None), ("b", Some(&other))] {
        let mut impostor = hub.open(&format!("/rooms/{room}/ESP%20Client%201"), client).await.unwrap();
        assert_eq!(id(&mut impostor).await, "ESP Client 1");
        impostor.send(r#"{"type":"report","id":"r","patch":{"on":true}}"#).await.unwrap();
        while !text(&mut impostor).await.contains("not-the-device") {}
    }
    esp.send(r#"{"type":"report","id":"r","patch":{"on":true}}"#).await.unwrap();
    while !text(&mut esp).await.contains(r#""type":"report","id":"r","version":1"#) {}
    hub.stop().await;
}

#[tokio::test]
async fn where_authentication_is_required_a_certificate_does() {
    let hub = Secure::start(Hub::new().require_authentication(true)).await;
    let mut esp = hub.open("/", Some(&hub.client("ESP Client 1"))).await.unwrap();
    assert_eq!(id(&mut esp).await, "ESP Client 1");
    let Err(ConnectError::Refused(refusal)) = hub.open("/esp", None).await else { panic!("it has proven nothing") };
    assert_eq!(refusal.status(), 401);
    hub.stop().await;
}

#[tokio::test]
async fn how_a_client_is_encrypted_and_who_it_is_can_be_seen() {
    let hub = Secure::start(Hub::new()).await;
    let mut esp = hub.open("/rooms/lab/esp", Some(&hub.client("ESP Client 1"))).await.unwrap();
    let mut open = hub.plain.open("/rooms/lab/open").await;
    assert_eq!(id(&mut esp).await, "esp");
    // It is there for the list once it has said something.
    open.send("here").await.unwrap();
    text(&mut esp).await;
    let device = look(&hub.plain, "/api/devices/esp").await;
    assert_eq!((&device["transport"], &device["identity"]), (&"wss".into(), &"ESP Client 1".into()));
    assert_eq!(look(&hub.plain, "/api/devices/open").await["transport"], "ws");
    let handshakes = look(&hub.plain, "/api/inspector/handshakes").await;
    let tls = &handshakes["handshakes"][1]["tls"];
    assert_eq!((&tls["version"], &tls["client"]), (&"TLS 1.3".into(), &"ESP Client 1".into()), "{handshakes}");
    let cipher = tls["cipher"].as_str().unwrap();
    assert!(cipher.starts_with("TLS_AES_") || cipher.starts_with("TLS_CHACHA20_"), "{cipher}");
    assert_eq!(handshakes["handshakes"][0].get("tls"), None);
    let list = look(&hub.plain, "/api/inspector/connections").await;
    let of = |client: &str| list["connections"].as_array().unwrap().iter().find(|one| one["client"] == client).unwrap();
    assert_eq!((&of("esp")["transport"], &of("esp")["tls"]), (&"wss".into(), &format!("TLS 1.3, {cipher}").into()));
    assert_eq!((&of("esp")["id"], of("open")["transport"].as_str()), (&device["connection"], Some("ws")));
    open.close(CloseCode::NORMAL, "").await;
    hub.stop().await;
}
