//! TLS for `wss`: rustls with the ring provider, which is named everywhere so that no process-wide default is needed.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::uri::Target;

/// The TLS options of a connection. Clones share one `ClientConfig`, and with it the cache of TLS sessions.
#[derive(Clone, Default)]
pub(crate) struct Options {
    trust: Trust,
    identity: Option<Arc<SingleCertAndKey>>,
    given: Option<Arc<ClientConfig>>,
    built: Arc<OnceCell<Arc<ClientConfig>>>,
}

#[derive(Clone, Default)]
enum Trust {
    #[default]
    System,
    Given(Arc<RootCertStore>),
    Everyone,
}

impl Options {
    /// Trusts these certificates only, together with those of earlier calls. PEM or DER.
    pub(crate) fn add_roots(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut store = match &self.trust {
            Trust::Given(store) => RootCertStore::clone(store),
            _ => RootCertStore::empty(),
        };
        for certificate in certificates(bytes)? {
            store.add(certificate).map_err(|error| format!("not a CA certificate: {error}"))?;
        }
        self.trust = Trust::Given(Arc::new(store));
        self.built = Arc::default();
        Ok(())
    }

    /// Trusts whoever answers.
    pub(crate) fn trust_everyone(&mut self) {
        self.trust = Trust::Everyone;
        self.built = Arc::default();
    }

    /// Shows this certificate to a server that asks for one.
    pub(crate) fn set_identity(&mut self, chain: &[u8], key: &[u8]) -> Result<(), String> {
        let key = private_key(key)?;
        let certified = CertifiedKey::from_der(certificates(chain)?, key, &ring::default_provider())
            .map_err(|error| format!("certificate and key cannot be used: {error}"))?;
        self.identity = Some(Arc::new(SingleCertAndKey::from(certified)));
        self.built = Arc::default();
        Ok(())
    }

    /// Uses this configuration as it is.
    pub(crate) fn set_config(&mut self, config: Arc<ClientConfig>) {
        self.given = Some(config);
    }

    /// A given configuration would silently overrule the other options.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        match self.given.is_some() && (self.identity.is_some() || !matches!(self.trust, Trust::System)) {
            true => Err("it cannot be combined with `ca`, `client_certificate` or `dangerous_no_verify`"),
            false => Ok(()),
        }
    }

    /// Does the TLS handshake over `stream`. Dropping the future closes the stream.
    pub(crate) async fn connect<S>(&self, target: &Target, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.config().await?;
        let name = ServerName::try_from(target.host.clone())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the host cannot stand in a certificate"))?;
        TlsConnector::from(config).connect(name, stream).await
    }

    /// What they come to. Fails where the system's roots cannot be loaded.
    pub(crate) async fn config(&self) -> io::Result<Arc<ClientConfig>> {
        /// What most connections use, so that they share their TLS sessions.
        static PLAIN: OnceCell<Arc<ClientConfig>> = OnceCell::const_new();
        if let Some(config) = &self.given {
            return Ok(config.clone());
        }
        let plain = self.identity.is_none() && matches!(self.trust, Trust::System);
        let cell = if plain { &PLAIN } else { &*self.built };
        cell.get_or_try_init(|| async { Ok(Arc::new(self.build().await?)) }).await.cloned()
    }

    async fn build(&self) -> io::Result<ClientConfig> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("ring has cipher suites for TLS 1.2 and TLS 1.3");
        let builder = match &self.trust {
            Trust::System => builder.with_root_certificates(system_roots().await?),
            Trust::Given(roots) => builder.with_root_certificates(roots.clone()),
            Trust::Everyone => builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptEveryone(provider))),
        };
        let mut config = match &self.identity {
            Some(identity) => builder.with_client_cert_resolver(identity.clone()),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// What can be done about a failure of TLS.
pub(crate) fn remedy(error: &io::Error) -> Option<&'static str> {
    use CertificateError as Bad;
    Some(match rustls_error(error)? {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::UnknownIssuer => {
                "the server's certificate is not issued by a trusted CA: if it is a private one, pass its certificate to `ca`"
            }
            Bad::BadSignature => {
                "its issuer has the name of a trusted CA, but another key: pass the issuer's own certificate to `ca`"
            }
            Bad::Expired | Bad::ExpiredContext { .. } | Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                "the certificate has to be renewed, or a clock is wrong"
            }
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                "connect by a name in the certificate; `address` takes an address that the name does not resolve to"
            }
            // webpki's CaUsedAsEndEntity arrives here: what `openssl req -x509` makes when nothing else is said.
            Bad::Other(_) => {
                "a server's own certificate must not be a CA: issue one from it for the server, and pass the CA's to `ca`"
            }
            _ => return None,
        },
        rustls::Error::InvalidMessage(_) => {
            "the server does not seem to speak TLS on this port: ws:// instead of wss://?"
        }
        rustls::Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::AccessDenied => {
                "the server wants another client certificate, or one at all: see `client_certificate`"
            }
            AlertDescription::UnrecognisedName => "the server does not know itself by this name",
            _ => return None,
        },
        _ => return None,
    })
}

/// Whether a failure of the stream is one of TLS: a refused client certificate shows only when the answer is read.
pub(crate) fn is_tls_error(error: &io::Error) -> bool {
    rustls_error(error).is_some()
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// The roots that the operating system trusts, loaded once.
async fn system_roots() -> io::Result<Arc<RootCertStore>> {
    static ROOTS: OnceCell<Arc<RootCertStore>> = OnceCell::const_new();
    ROOTS.get_or_try_init(load_system_roots).await.cloned()
}

async fn load_system_roots() -> io::Result<Arc<RootCertStore>> {
    // Files are read and a hundred certificates parsed.
    let loaded = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await?;
    let mut roots = RootCertStore::empty();
    let (usable, ignored) = roots.add_parsable_certificates(loaded.certs);
    tracing::debug!(usable, ignored, errors = ?loaded.errors, "trusted roots of the system loaded");
    if roots.is_empty() {
        let problem =
            "the system has no trusted roots: install its CA certificates (ca-certificates), or pass some to `ca`";
        return Err(io::Error::new(io::ErrorKind::NotFound, problem));
    }
    Ok(Arc::new(roots))
}

fn is_pem(bytes: &[u8]) -> bool {
    const MARK: &[u8] = b"-----BEGIN ";
    bytes.windows(MARK.len()).any(|window| window == MARK)
}

/// All certificates in a PEM file's bytes, or the one in a DER file's.
fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    if !is_pem(bytes) {
        return match bytes {
            // Every certificate is an ASN.1 SEQUENCE.
            [0x30, ..] => Ok(vec![CertificateDer::from(bytes.to_vec())]),
            _ => Err("neither PEM nor DER".into()),
        };
    }
    let found = CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>();
    match found.map_err(|error| format!("malformed PEM: {error}"))? {
        none if none.is_empty() => Err("no certificate in the PEM".into()),
        some => Ok(some),
    }
}

fn private_key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    if is_pem(bytes) {
        return PrivateKeyDer::from_pem_slice(bytes).map_err(|error| {
            format!("no usable private key in the PEM (an encrypted one has to be decrypted): {error}")
        });
    }
    PrivateKeyDer::try_from(bytes.to_vec()).map_err(|error| format!("not a private key: {error}"))
}

/// Accepts every certificate. Its signatures are not looked at either: without a known key they prove nothing.
struct AcceptEveryone(Arc<CryptoProvider>);

impl fmt::Debug for AcceptEveryone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AcceptEveryone")
    }
}

impl ServerCertVerifier for AcceptEveryone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_refused_when_it_is_given() {
        let mut options = Options::default();
        for (bytes, problem) in [
            (&b""[..], "neither PEM nor DER"),
            (b"hello", "neither PEM nor DER"),
            (b"0\x03abc", "not a CA certificate"),
            (b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n", "malformed PEM"),
            (b"-----BEGIN X-----\nAAAA\n-----END X-----\n", "no certificate in the PEM"),
        ] {
            let error = options.add_roots(bytes).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
        assert!(matches!(options.trust, Trust::System), "a failed call must not leave an empty set of roots");
    }

    #[test]
    fn identities_have_to_be_complete_and_to_fit() {
        let made = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (one, other) = (made(), made());
        let mut options = Options::default();
        let (chain, key) = (one.cert.pem(), one.signing_key.serialize_pem());
        options.set_identity(chain.as_bytes(), key.as_bytes()).unwrap();
        options.set_identity(one.cert.der(), &one.signing_key.serialize_der()).unwrap();
        assert!(options.set_identity(chain.as_bytes(), b"-----BEGIN X-----\n-----END X-----\n").is_err());
        assert!(options.set_identity(chain.as_bytes(), b"x").is_err());
        let wrong = options.set_identity(chain.as_bytes(), other.signing_key.serialize_pem().as_bytes()).unwrap_err();
        assert!(wrong.contains("cannot be used"), "{wrong}");
    }
}
