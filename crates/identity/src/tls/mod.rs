//! TLS for servers, from files that are read again while the server runs.

mod delegate;
mod load;

use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::NoServerSessionStorage;

use crate::error::Error;
use crate::host::Host;
use delegate::{Asking, Current};
use load::Loaded;

/// The least that [`TlsFiles::max_fragment_size`] takes, in bytes.
const MIN_FRAGMENT: usize = 64;

/// The most that it takes: the largest record of TLS with its header.
const MAX_FRAGMENT: usize = 16_384 + 5;

/// Whether clients are asked for certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    None,
    /// They are asked, and may have none. One that nobody trusts is refused.
    Optional,
    /// Without a trusted certificate there is no connection.
    Required,
}

impl FromStr for ClientAuth {
    type Err = String;

    /// `none`, `optional` or `required`; or as Python's `ssl` counts them, `0`, `1` or `2`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "0" | "none" => Ok(Self::None),
            "1" | "optional" => Ok(Self::Optional),
            "2" | "required" => Ok(Self::Required),
            _ => Err("none, optional or required is needed (0, 1 and 2 are the same)".into()),
        }
    }
}

/// The files that a server's TLS is made of, and what it asks of clients.
#[derive(Clone)]
pub struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
    password: Option<String>,
    client_auth: ClientAuth,
    client_ca: Option<PathBuf>,
    revoked: Option<PathBuf>,
    awaited: Option<PathBuf>,
    max_fragment_size: Option<usize>,
}

impl TlsFiles {
    /// The server's certificate, with what follows it in its chain (PEM, or one in DER), and its private key (PEM or
    /// DER; PKCS#8, SEC1 or PKCS#1). Both may be the same file.
    #[must_use]
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            certificate: certificate.into(),
            key: key.into(),
            password: None,
            client_auth: ClientAuth::None,
            client_ca: None,
            revoked: None,
            awaited: None,
            max_fragment_size: None,
        }
    }

    /// The password of an encrypted key. Default: none.
    #[must_use]
    pub fn password(mut self, password: Option<String>) -> Self {
        self.password = password;
        self
    }

    /// Whether clients are asked for certificates. Default: they are not.
    #[must_use]
    pub fn client_auth(mut self, client_auth: ClientAuth) -> Self {
        self.client_auth = client_auth;
        self
    }

    /// The authorities whose clients are trusted (PEM with one or more, or one in DER). Needed if clients are asked.
    #[must_use]
    pub fn client_ca(mut self, file: Option<PathBuf>) -> Self {
        self.client_ca = file;
        self
    }

    /// Who of them is not trusted any more (PEM with one or more lists, or one in DER). Default: nobody.
    #[must_use]
    pub fn revoked(mut self, file: Option<PathBuf>) -> Self {
        self.revoked = file;
        self
    }

    /// As [`revoked`](Self::revoked), which goes before it, for a list that need not be there yet: a CA that other tools have
    /// made has none until somebody is revoked. Once a reading has found it, it has to stay, so that nobody comes back
    /// because a file got lost. Default: none is looked for.
    #[must_use]
    pub fn revoked_once_there(mut self, file: Option<PathBuf>) -> Self {
        self.awaited = file;
        self
    }

    /// The list to be read now. `had_one`: the last reading found one.
    fn list(&self, had_one: bool) -> Option<&PathBuf> {
        let awaited = self.awaited.as_ref().filter(|file| had_one || file.exists());
        self.revoked.as_ref().or(awaited)
    }

    /// How large the server's TLS records may be, in bytes with their header of 5: from 64 to 16,389, which is the
    /// default. A controller needs a buffer of this size for each connection; what a client sends is its own affair.
    #[must_use]
    pub fn max_fragment_size(mut self, bytes: Option<usize>) -> Self {
        self.max_fragment_size = bytes;
        self
    }
}

/// A server's TLS: a configuration for rustls, whose certificates can be exchanged while it is in use.
#[derive(Debug)]
pub struct ServerTls {
    files: TlsFiles,
    current: Arc<Current>,
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// If one of them is missing or is not what it should be, or if they do not go together. The text names the file and
    /// says what would help: for a missing certificate, the command that makes one.
    pub fn load(files: TlsFiles) -> Result<Self, Error> {
        if files.max_fragment_size.is_some_and(|size| !(MIN_FRAGMENT..=MAX_FRAGMENT).contains(&size)) {
            return Err(Error::refused("the largest TLS fragment has from 64 to 16389 bytes"));
        }
        let loaded = Loaded::read(&files, None)?;
        Ok(Self { files, current: Arc::new(Current::new(loaded)) })
    }

    /// A configuration for TLS 1.2 and 1.3, without ALPN. It follows every [`reload`](Self::reload).
    ///
    /// Where clients are asked for certificates, sessions are not resumed: a resumed session does not show the
    /// certificate again, and one that was revoked in the meantime would come back in. Each connection of such a client
    /// costs a whole handshake.
    pub fn config(&self) -> ServerConfig {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("ring has cipher suites for TLS 1.2 and TLS 1.3");
        let asks = self.files.client_auth != ClientAuth::None;
        let builder = match asks {
            true => builder.with_client_cert_verifier(Arc::new(Asking::new(
                self.current.clone(),
                self.files.client_auth == ClientAuth::Required,
                provider.signature_verification_algorithms,
            ))),
            false => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(self.current.clone());
        config.max_fragment_size = self.files.max_fragment_size;
        if asks {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        config
    }

    /// Reads the files again. New handshakes use what they say now; connections that are open stay as they are: see
    /// [`is_revoked`](Self::is_revoked) and [`is_trusted`](Self::is_trusted).
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load). Then everything stays as it was.
    pub fn reload(&self) -> Result<(), Error> {
        self.current.replace(Loaded::read(&self.files, Some(&self.current.now()))?);
        Ok(())
    }

    /// Whether this certificate of a client (DER) is on the list of revoked ones.
    pub fn is_revoked(&self, leaf: &[u8]) -> bool {
        self.current.now().is_revoked(leaf)
    }

    /// Whether a client with this certificate, and these further ones that it has sent, could connect now: it is issued
    /// by a trusted authority for clients, valid, and not revoked. Never, where clients are not asked.
    pub fn is_trusted(&self, leaf: &CertificateDer<'_>, chain: &[CertificateDer<'_>]) -> bool {
        self.current.now().verify(leaf, chain, UnixTime::now()).is_ok()
    }

    /// The server's own certificate (DER) that new handshakes use; [`Description`](crate::Description) tells when it
    /// expires.
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.current.now().certificate()
    }

    /// Whether clients are asked for certificates.
    pub fn client_auth(&self) -> ClientAuth {
        self.files.client_auth
    }
}

/// Which command makes what a server with this name or address needs to speak TLS.
pub fn how_to_make(host: &Host) -> String {
    format!("`tautline cert --srv={host}` makes one, with a CA and a first client")
}

/// Which command makes this certificate of a server: as [`how_to_make`], if the path tells for which host it is.
fn how_to_make_file(path: &Path) -> String {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let folder = path.parent();
    let home = folder.and_then(Path::file_name).and_then(|name| name.to_str());
    let root = folder.and_then(Path::parent);
    match (stem.and_then(|stem| stem.parse::<Host>().ok()), root) {
        (Some(host), Some(root)) if home == stem => {
            // `./tls` is the default folder, too.
            let root: PathBuf = root.components().filter(|part| *part != Component::CurDir).collect();
            let folder = match root.to_str() {
                Some("tls") => String::new(),
                Some("") => " --dir=.".to_owned(),
                _ => format!(" --dir='{}'", root.display()),
            };
            format!("`tautline cert --srv={host}{folder}` makes it, with a CA and a first client")
        }
        _ => "`tautline cert --srv=ADDRESS` makes one for the address or name that the server is reached by".to_owned(),
    }
}

impl std::fmt::Debug for TlsFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsFiles")
            .field("certificate", &self.certificate)
            .field("key", &self.key)
            .field("client_auth", &self.client_auth)
            .field("client_ca", &self.client_ca)
            .field("revoked", &self.revoked)
            .field("awaited", &self.awaited)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_auth_has_names_and_numbers() {
        for (text, meant) in [
            ("0", ClientAuth::None),
            ("none", ClientAuth::None),
            ("1", ClientAuth::Optional),
            ("optional", ClientAuth::Optional),
            ("2", ClientAuth::Required),
            ("required", ClientAuth::Required),
        ] {
            assert_eq!(text.parse(), Ok(meant));
        }
        assert!("3".parse::<ClientAuth>().unwrap_err().contains("optional"));
    }

    #[test]
    fn a_missing_certificate_comes_with_the_command_that_makes_it() {
        for (path, command) in [
            ("tls/192.168.1.20/192.168.1.20.crt", "`tautline cert --srv=192.168.1.20` makes it"),
            ("./tls/hub.local/hub.local.crt", "`tautline cert --srv=hub.local` makes it"),
            ("/etc/my tls/hub.local/hub.local.crt", "`tautline cert --srv=hub.local --dir='/etc/my tls'` makes it"),
            ("hub.local/hub.local.crt", "`tautline cert --srv=hub.local --dir=.` makes it"),
            ("server.crt", "`tautline cert --srv=ADDRESS` makes one"),
        ] {
            let error = ServerTls::load(TlsFiles::new(path, "missing.key")).unwrap_err().to_string();
            assert!(error.starts_with(&format!("there is no certificate of the server at {path}: ")), "{error}");
            assert!(error.contains(command), "{error}");
        }
    }
}
