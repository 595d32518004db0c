//! Connections over TLS, for the server's memory only.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::failure::{Result, While};
use crate::net::Connection;
use crate::opening;

/// Trusts ca.pem of this folder, and shows client.pem if so wished.
pub(crate) fn client(dir: &Path, with_certificate: bool) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&dir.join("ca.pem"))?).when("ca.pem")?;
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .when("TLS versions")?
        .with_root_certificates(roots);
    let mut config = if with_certificate {
        let key = PrivateKeyDer::from_pem_file(dir.join("client.key")).when("client.key")?;
        builder.with_client_auth_cert(vec![certificate(&dir.join("client.pem"))?], key).when("client.pem")?
    } else {
        builder.with_no_client_auth()
    };
    // A resumed session shows no certificates, so the server would keep none.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

fn certificate(path: &Path) -> Result<CertificateDer<'static>> {
    CertificateDer::from_pem_file(path).when(&path.display().to_string())
}

/// Does both handshakes over a blocking connection. What the client knows of the session is forgotten then: nothing
/// more is sent.
pub(crate) fn open(mut connection: Connection, port: u16, config: &Arc<ClientConfig>) -> Result<Connection> {
    let name = ServerName::try_from("localhost").when("server name")?;
    let mut session = ClientConnection::new(config.clone(), name).when("TLS")?;
    let mut stream = rustls::Stream::new(&mut session, connection.stream());
    stream.write_all(opening::request(port, "/").as_bytes()).when("TLS handshake")?;
    let (mut reply, mut buffer) = (Vec::new(), [0; 4096]);
    while !opening::is_complete(&reply)? {
        let n = stream.read(&mut buffer).when("TLS")?;
        if n == 0 {
            return Err(crate::failure::Failure::new("the server ended a connection in the handshake"));
        }
        reply.extend_from_slice(&buffer[..n]);
    }
    Ok(connection)
}
