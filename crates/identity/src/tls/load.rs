//! What the files say: all of it, or an error.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, RootCertStore};

use super::{ClientAuth, TlsFiles, how_to_make_file};
use crate::error::Error;
use crate::files;
use crate::key::PrivateKey;
use crate::revocation::RevocationList;

/// Everything that a handshake needs, from one reading of the files.
#[derive(Debug)]
pub(super) struct Loaded {
    key: Arc<CertifiedKey>,
    leaf: CertificateDer<'static>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    lists: Vec<RevocationList>,
}

impl Loaded {
    /// `before`: the last reading.
    pub(super) fn read(files: &TlsFiles, before: Option<&Self>) -> Result<Self, Error> {
        let (key, leaf) = own(files)?;
        let had_list = before.is_some_and(|before| !before.lists.is_empty());
        let (clients, lists) = clients(files, files.list(had_list))?;
        Ok(Self { key, leaf, clients, lists })
    }

    pub(super) fn key(&self) -> Arc<CertifiedKey> {
        self.key.clone()
    }

    pub(super) fn certificate(&self) -> CertificateDer<'static> {
        self.leaf.clone()
    }

    pub(super) fn is_revoked(&self, leaf: &[u8]) -> bool {
        self.lists.iter().any(|list| list.revokes(leaf))
    }

    pub(super) fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        match &self.clients {
            Some(clients) => clients.verify_client_cert(leaf, chain, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }
}

/// The server's certificate and key.
fn own(files: &TlsFiles) -> Result<(Arc<CertifiedKey>, CertificateDer<'static>), Error> {
    let path = &files.certificate;
    let bytes =
        files::read(path).map_err(|error| error.missing_is("certificate of the server", || how_to_make_file(path)))?;
    let chain = crate::certificates(&bytes).map_err(|problem| problem.at(path))?;
    let leaf = chain[0].clone();
    let bytes = files::read(&files.key).map_err(|error| {
        error.missing_is("private key of the server", || "it was made together with the certificate".to_owned())
    })?;
    let key = PrivateKey::parse(&bytes, files.password.as_deref()).map_err(|problem| problem.at(&files.key))?;
    let certified = CertifiedKey::from_der(chain, key.into_der(), &ring::default_provider()).map_err(|error| {
        let problem = match error {
            rustls::Error::InconsistentKeys(_) => {
                format!("it does not belong to the private key {}", files.key.display())
            }
            other => format!("it cannot be used with the private key {}: {other}", files.key.display()),
        };
        Error::malformed(path, problem)
    })?;
    Ok((Arc::new(certified), leaf))
}

type Clients = (Option<Arc<dyn ClientCertVerifier>>, Vec<RevocationList>);

/// Which clients are trusted.
fn clients(files: &TlsFiles, revoked: Option<&PathBuf>) -> Result<Clients, Error> {
    if files.client_auth == ClientAuth::None {
        return match files.revoked {
            Some(_) => Err(Error::refused(
                "a list of revoked clients does nothing where clients are not asked for certificates: ask them \
                 (optional or required), or leave the list out",
            )),
            None => Ok((None, Vec::new())),
        };
    }
    let path = files.client_ca.as_ref().ok_or_else(|| {
        Error::refused(
            "clients are asked for certificates, but no CA is named: tls/ca/ca.crt, if `tautline cert` made them",
        )
    })?;
    let bytes = files::read(path)
        .map_err(|error| error.missing_is("CA of the clients", || "`tautline cert init` makes one".to_owned()))?;
    let authorities = crate::certificates(&bytes).map_err(|problem| problem.at(path))?;
    let mut roots = RootCertStore::empty();
    for authority in &authorities {
        // rustls trusts whatever it is given here: with the certificate of a device, that device could sign others.
        let is_authority = crate::Description::of(authority).is_ok_and(|found| found.is_authority);
        if !is_authority {
            return Err(Error::malformed(
                path,
                "not the certificate of a CA: clients are trusted by who signed theirs",
            ));
        }
        roots
            .add(authority.clone())
            .map_err(|error| Error::malformed(path, format!("this CA cannot be used: {error}")))?;
    }
    let lists = match revoked {
        Some(revoked) => {
            let lists = RevocationList::load(revoked)?;
            // A list that is about nobody here would revoke nobody, without a word.
            let ours = |list: &RevocationList| authorities.iter().any(|authority| list.is_signed_by(authority));
            if !lists.iter().all(ours) {
                let problem = format!("not signed by a CA in {}: take the list of that CA", path.display());
                return Err(Error::malformed(revoked, problem));
            }
            lists
        }
        None => Vec::new(),
    };
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()))
        .with_crls(lists.iter().map(|list| list.der().clone()))
        // With several authorities not all have a list.
        .allow_unknown_revocation_status();
    let clients = builder.build().map_err(|error| match (error, revoked) {
        (VerifierBuilderError::InvalidCrl(error), Some(revoked)) => {
            Error::malformed(revoked, format!("this list cannot be used: {error:?}"))
        }
        (error, _) => Error::malformed(path, format!("this CA cannot be used: {error}")),
    })?;
    Ok((Some(clients), lists))
}
