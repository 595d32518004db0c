//! TLS of simulated devices.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::failure::Failure;

/// Whom simulated devices trust.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trust<'a> {
    /// Those that this system trusts.
    System,
    /// Whoever this file is about (PEM).
    File(&'a Path),
}

/// How simulated devices encrypt.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) connector: TlsConnector,
    /// What the hub's certificate has to be for.
    pub(super) host: ServerName<'static>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Tls {
    /// For the hub on `host`, which has no port.
    ///
    /// # Errors
    ///
    /// The certificates cannot be read, or no certificate can be for this host.
    pub(super) fn new(trust: Trust<'_>, host: &str) -> Result<Self, Failure> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_owned();
        let name = ServerName::try_from(bare);
        let host = name.map_err(|_| Failure::usage(format!("{host} cannot stand in a certificate")))?;
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Failure::new(error.to_string()))?;
        let config = builder.with_root_certificates(roots(trust)?).with_no_client_auth();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), host })
    }
}

fn roots(trust: Trust<'_>) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    match trust {
        Trust::System => {
            // Some of them may be in a form that nobody understands any longer.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Trust::File(file) => {
            let unreadable = |error: String| Failure::new(format!("cannot use {}: {error}", file.display()));
            let pem = fs::read(file).map_err(|error| unreadable(error.to_string()))?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
                roots.add(certificate).map_err(|error| unreadable(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(unreadable("there is no certificate in it".into()));
            }
        }
    }
    Ok(roots)
}

/// What the command line says of TLS; `None` if nothing is encrypted.
pub(super) fn trust(tls: bool, ca: Option<&PathBuf>) -> Option<Trust<'_>> {
    ca.map(|file| Trust::File(file)).or(tls.then_some(Trust::System))
}
