//! A private authority, made for the occasion.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use tautline::rustls::ServerConfig;
use tautline::rustls::crypto::ring;
use tautline::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::Scratch;

/// A private authority with one certificate for a server, `localhost` and 127.0.0.1, and one for a client: PEM files.
#[derive(Debug)]
pub struct Certificates {
    /// The authority's certificate.
    pub ca: PathBuf,
    /// The server's certificate.
    pub cert: PathBuf,
    /// The server's key.
    pub key: PathBuf,
    /// The client's certificate.
    pub client_cert: PathBuf,
    /// The client's key.
    pub client_key: PathBuf,
    server: (CertificateDer<'static>, Vec<u8>),
    _folder: Scratch,
}

impl Certificates {
    /// A new authority, and what it signs.
    ///
    /// # Panics
    ///
    /// If the files cannot be written.
    pub fn new() -> Self {
        let authority = authority();
        let issue = |names: &[&str], usage| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            let mut params = CertificateParams::new(names).expect("names that can stand in a certificate");
            params.distinguished_name.push(DnType::CommonName, "Tautline's tests");
            params.extended_key_usages = vec![usage];
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.use_authority_key_identifier_extension = true;
            let key = KeyPair::generate().expect("a key");
            (params.signed_by(&key, &authority).expect("a certificate"), key)
        };
        let (server, server_key) = issue(&["localhost", "127.0.0.1"], ExtendedKeyUsagePurpose::ServerAuth);
        let (client, client_key) = issue(&["client.test"], ExtendedKeyUsagePurpose::ClientAuth);
        let folder = Scratch::new();
        Self {
            ca: folder.write("ca.crt", authority.pem()),
            cert: folder.write("server.crt", server.pem()),
            key: folder.write("server.key", server_key.serialize_pem()),
            client_cert: folder.write("client.crt", client.pem()),
            client_key: folder.write("client.key", client_key.serialize_pem()),
            server: (server.der().clone(), server_key.serialize_der()),
            _folder: folder,
        }
    }

    /// For a server of our own.
    ///
    /// # Panics
    ///
    /// Never: the certificate fits its key.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        let (certificate, key) = self.server.clone();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions that the provider has")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key)))
            .expect("a certificate and its key");
        Arc::new(config)
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name.push(DnType::CommonName, "Tautline's test CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}
