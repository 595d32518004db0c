//! Handshakes between a client of rustls and a server of this crate, in memory.

mod clients;
mod files;
mod reloading;
mod servers;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion, version,
};
use tautline_identity::{Authority, ClientAuth, Extras, Folder, Founding, Issued, KeyKind, Role, TlsFiles, Validity};
use tempfile::TempDir;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];

/// A folder with a CA and a certificate for the server `hub.test`, also known as 127.0.0.1.
struct Place {
    dir: TempDir,
    folder: Folder,
}

impl Place {
    fn new() -> Self {
        Self::with(false)
    }

    fn with(separate: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        folder.found(&founding(separate)).unwrap();
        let place = Self { dir, folder };
        place.serve_with(&place.server_certificate());
        place
    }

    fn authority(&self, role: Role) -> Authority {
        self.folder.authority(role, None).unwrap()
    }

    fn server_certificate(&self) -> Issued {
        let hosts = ["hub.test", "127.0.0.1"].map(|host| host.parse().unwrap());
        self.authority(Role::Servers).server(&hosts, KeyKind::EcdsaP256, Validity::days(10)).unwrap()
    }

    /// Makes this the server's certificate, which stands in the file.
    fn serve_with(&self, issued: &Issued) {
        let extras = Extras { overwrite: true, ..Extras::default() };
        self.folder.write_server(&"hub.test".parse().unwrap(), issued, &extras).unwrap();
    }

    fn client(&self, name: &str) -> Issued {
        self.authority(Role::Devices).client(name, KeyKind::EcdsaP256, Validity::days(10)).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn files(&self, auth: ClientAuth) -> TlsFiles {
        let list = (auth != ClientAuth::None).then(|| self.folder.authority_file(Role::Devices, "ca.crl"));
        TlsFiles::new(self.path("hub.test/hub.test.crt"), self.path("hub.test/hub.test.key"))
            .client_auth(auth)
            .client_ca(Some(self.folder.authority_file(Role::Devices, "ca.crt")))
            .revoked(list)
    }

    fn revoke(&self, issued: &Issued) {
        let serial = tautline_identity::serial(issued.certificate()).unwrap();
        self.folder.revoke(Role::Devices, &serial, None).unwrap();
    }

    /// A client that trusts this CA, and has this certificate. It remembers its sessions.
    fn dialer(&self, version: &'static SupportedProtocolVersion, own: Option<&Issued>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority(Role::Servers).own().certificate().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            Some(own) => builder.with_client_auth_cert(vec![own.certificate().clone()], key(own)).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::in_memory_sessions(8);
        Arc::new(config)
    }
}

fn founding(separate: bool) -> Founding<'static> {
    Founding {
        name: None,
        kind: KeyKind::EcdsaP256,
        validity: Validity::days(100),
        password: None,
        separate,
        overwrite: false,
    }
}

fn key(issued: &Issued) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_slice(issued.key().pem().as_bytes()).unwrap()
}

/// What was valid until yesterday.
fn past() -> Validity {
    let day = Duration::from_secs(86_400);
    let now = SystemTime::now();
    Validity { from: now - 3 * day, until: now - day }
}

/// Who gave a handshake up.
#[derive(Debug)]
enum Refused {
    ByClient(rustls::Error),
    ByServer(rustls::Error),
}

#[derive(Debug)]
struct Pair {
    client: ClientConnection,
    server: ServerConnection,
}

impl Pair {
    /// What the client sees of the server.
    fn server_certificate(&self) -> CertificateDer<'static> {
        self.client.peer_certificates().unwrap()[0].clone()
    }

    /// What the server sees of the client.
    fn client_certificate(&self) -> Option<CertificateDer<'static>> {
        Some(self.server.peer_certificates()?[0].clone())
    }

    /// Carries bytes both ways until there are none; answers those of the server.
    fn pump(&mut self) -> Result<Vec<u8>, Refused> {
        let mut from_server = Vec::new();
        loop {
            let (mut up, mut down) = (Vec::new(), Vec::new());
            while self.client.wants_write() {
                self.client.write_tls(&mut up).unwrap();
            }
            let mut rest = &up[..];
            while !rest.is_empty() {
                self.server.read_tls(&mut rest).unwrap();
                self.server.process_new_packets().map_err(Refused::ByServer)?;
            }
            while self.server.wants_write() {
                self.server.write_tls(&mut down).unwrap();
            }
            let mut rest = &down[..];
            while !rest.is_empty() {
                self.client.read_tls(&mut rest).unwrap();
                self.client.process_new_packets().map_err(Refused::ByClient)?;
            }
            if up.is_empty() && down.is_empty() {
                return Ok(from_server);
            }
            from_server.extend(down);
        }
    }
}

fn shake(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>, name: &str) -> Result<Pair, Refused> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let client = ClientConnection::new(client.clone(), name).unwrap();
    let server = ServerConnection::new(server.clone()).unwrap();
    let mut pair = Pair { client, server };
    pair.pump()?;
    assert!(!pair.client.is_handshaking() && !pair.server.is_handshaking());
    Ok(pair)
}
