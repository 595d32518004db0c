//! The certificates of the hub: which files they are in, and when those have changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tautline_hub::Sessions;
use tautline_identity::{ClientAuth, Folder, Host, Role, ServerTls, TlsFiles};

use crate::config::Tls;
use crate::failure::Failure;
use crate::listen;

/// Where `tautline cert` puts what it makes.
const FOLDER: &str = "tls";

/// Certificates that are in use. Clones are the same ones.
#[derive(Clone, Debug)]
pub(super) struct Certificates(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tls: ServerTls,
    config: Arc<rustls::ServerConfig>,
    files: Vec<PathBuf>,
    seen: Mutex<Vec<Stamp>>,
}

/// What tells one state of a file from another; `None`: there is no such file.
type Stamp = Option<(SystemTime, u64)>;

impl Certificates {
    /// Reads the files that are named, and those that are usual for a server on `host`.
    ///
    /// # Errors
    ///
    /// One is missing, or is not what it should be.
    pub(super) fn load(tls: &Tls, host: &str) -> Result<Self, Failure> {
        let files = Files::of(tls, host);
        let all = files.all();
        // Before they are read: what changes in between is read once more.
        let seen = stamps(&all);
        let fragment = tls.max_fragment_size.and_then(|bytes| usize::try_from(bytes.0).ok());
        let from = TlsFiles::new(files.certificate, files.key)
            .password(tls.key_password.as_ref().map(|password| password.0.clone()))
            .client_auth(tls.client_auth)
            .client_ca(files.client_ca)
            .revoked(files.revoked)
            .revoked_once_there(files.awaited)
            .max_fragment_size(fragment);
        let loaded = ServerTls::load(from).map_err(|error| Failure::new(error.to_string()))?;
        if tls.client_auth == ClientAuth::None && (tls.client_ca.is_some() || tls.allowed_clients.is_some()) {
            tracing::warn!("clients are named, or their CA, but they are not asked for certificates: see client_auth");
        }
        let mut config = loaded.config();
        // What the hub speaks. Clients of WebSocket ask for the second one, or for nothing.
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(Inner { tls: loaded, config: Arc::new(config), files: all, seen: Mutex::new(seen) })))
    }

    /// The configuration for rustls. It follows every reload.
    pub(super) fn config(&self) -> Arc<rustls::ServerConfig> {
        self.0.config.clone()
    }

    /// Reads the files again, and ends the sessions of those who are revoked now; if the files are not good, everything
    /// stays as it was. It blocks.
    pub(super) fn reload(&self, sessions: &Sessions) {
        self.has_changed();
        match self.0.tls.reload() {
            Ok(()) => {
                let inner = self.0.clone();
                sessions.end_revoked(move |leaf| inner.tls.is_revoked(leaf));
                tracing::info!("certificates read again: new connections use them");
            }
            Err(error) => tracing::error!(%error, "certificates stay as they were"),
        }
    }

    /// Whether a file is not as it was when this was last asked. It blocks.
    pub(super) fn has_changed(&self) -> bool {
        let now = stamps(&self.0.files);
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *seen != now;
        *seen = now;
        changed
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |file: &PathBuf| fs::metadata(file).and_then(|found| Ok((found.modified()?, found.len()))).ok();
    files.iter().map(stamp).collect()
}

/// The files that are read.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    revoked: Option<PathBuf>,
    /// The list beside the CA, which may be made later.
    awaited: Option<PathBuf>,
}

impl Files {
    fn of(tls: &Tls, host: &str) -> Self {
        let certificate = tls.certificate.clone().unwrap_or_else(|| usual_certificate(Path::new(FOLDER), host));
        let key = tls.key.clone().unwrap_or_else(|| {
            let beside = certificate.with_extension("key");
            let missing = certificate.exists() && !beside.exists();
            if missing { certificate.clone() } else { beside }
        });
        if tls.client_auth == ClientAuth::None {
            return Self { certificate, key, client_ca: None, revoked: tls.crl.clone(), awaited: None };
        }
        let usual_ca = || Folder::new(FOLDER).authority_file(Role::Devices, "ca.crt");
        let client_ca = tls.client_ca.clone().unwrap_or_else(usual_ca);
        let revoked = tls.crl.clone();
        let awaited = revoked.is_none().then(|| client_ca.with_extension("crl"));
        Self { certificate, key, client_ca: Some(client_ca), revoked, awaited }
    }

    fn all(&self) -> Vec<PathBuf> {
        let Self { certificate, key, client_ca, revoked, awaited } = self;
        let some = [client_ca, revoked, awaited].into_iter().flatten();
        [certificate, key].into_iter().chain(some).cloned().collect()
    }
}

/// Where the certificate of a server on `host` is by custom: in a folder of its name, or else alone in `folder`.
fn usual_certificate(folder: &Path, host: &str) -> PathBuf {
    let home = Folder::new(folder);
    let mut usual: Vec<PathBuf> = names(host).iter().filter_map(|name| home.server_certificate(name).ok()).collect();
    usual.push(folder.join("server.crt"));
    // If there is none, the error names the first one, and what makes it.
    usual.iter().find(|file| file.exists()).unwrap_or(&usual[0]).clone()
}

/// What a server that listens on `host` is called by its clients, the likeliest first.
fn names(host: &str) -> Vec<Host> {
    match host.parse::<Host>() {
        Ok(Host::Address(ip)) if ip.is_unspecified() => {
            // Its address in the network first: certificates are for others.
            let addresses = listen::reachable((ip, 0).into());
            addresses.into_iter().rev().map(|address| Host::Address(address.ip())).collect()
        }
        Ok(name) => vec![name],
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tautline_identity::{Authority, Extras, Founding, KeyKind, Validity};

    use super::super::reload::{Hangups, follow};
    use super::*;
    use crate::config::Config;

    fn tls(words: &[(&str, &str)]) -> Tls {
        let environment = |name: &str| {
            let word = words.iter().find(|(variable, _)| name == format!("TAUTLINE_TLS_{variable}"));
            word.map(|(_, word)| word.into()).or_else(|| (name == "TAUTLINE_TLS_PORT").then(|| "0".into()))
        };
        Config::load(&crate::config::Options::default(), &environment).unwrap().tls.unwrap()
    }

    /// A folder with a CA and a server's certificate; answers the certificate's file.
    fn folder(root: &Path) -> PathBuf {
        let folder = Folder::new(root);
        let (kind, validity) = (KeyKind::EcdsaP256, Validity::days(1));
        let founding = Founding { name: None, kind, validity, password: None, separate: false, overwrite: true };
        folder.found(&founding).unwrap();
        let host: Host = "127.0.0.1".parse().unwrap();
        let authority: Authority = folder.authority(Role::Servers, None).unwrap();
        let issued = authority.server(std::slice::from_ref(&host), kind, validity).unwrap();
        folder.write_server(&host, &issued, &Extras { overwrite: true, ..Extras::default() }).unwrap();
        folder.server_certificate(&host).unwrap()
    }

    #[test]
    fn the_key_is_beside_the_certificate() {
        let files = Files::of(&tls(&[("CERTIFICATE", "a/b.crt")]), "x");
        assert_eq!(files.key, Path::new("a/b.key"));
        let files = Files::of(&tls(&[("CERTIFICATE", "a/b.crt"), ("KEY", "c.pem")]), "x");
        assert_eq!(files.key, Path::new("c.pem"));
        let here = tempfile::NamedTempFile::with_suffix(".pem").unwrap();
        let path = here.path().to_str().unwrap();
        assert_eq!(Files::of(&tls(&[("CERTIFICATE", path)]), "x").key, here.path(), "both can be in one file");
    }

    #[test]
    fn the_certificate_is_where_the_command_puts_it() {
        let root = tempfile::tempdir().unwrap();
        let usual = |host| usual_certificate(root.path(), host).strip_prefix(root.path()).unwrap().to_owned();
        assert_eq!(usual("hub.local"), Path::new("hub.local/hub.local.crt"));
        assert_eq!(usual("127.0.0.1"), Path::new("127.0.0.1/127.0.0.1.crt"));
        fs::write(root.path().join("server.crt"), "").unwrap();
        assert_eq!(usual("127.0.0.1"), Path::new("server.crt"));
        folder(root.path());
        assert_eq!(usual("127.0.0.1"), Path::new("127.0.0.1/127.0.0.1.crt"));
        assert_eq!(usual("0.0.0.0"), Path::new("127.0.0.1/127.0.0.1.crt"));
    }

    #[test]
    fn the_list_beside_the_ca_counts() {
        let root = tempfile::tempdir().unwrap();
        folder(root.path());
        let ca = root.path().join("ca/ca.crt");
        let words = [("CLIENT_AUTH", "required"), ("CLIENT_CA", ca.to_str().unwrap())];
        let files = Files::of(&tls(&words), "x");
        assert_eq!((files.client_ca, files.awaited), (Some(ca.clone()), Some(ca.with_extension("crl"))));
        assert_eq!(Files::of(&tls(&words[1..]), "x").awaited, None, "where clients are not asked");
    }

    #[test]
    fn a_list_that_is_made_later_is_noticed() {
        let root = tempfile::tempdir().unwrap();
        let file = folder(root.path());
        let (ca, list) = (root.path().join("ca/ca.crt"), root.path().join("ca/ca.crl"));
        // As the CA of another tool.
        let made = fs::read(&list).unwrap();
        fs::remove_file(&list).unwrap();
        let words =
            [("CLIENT_AUTH", "required"), ("CLIENT_CA", ca.to_str().unwrap()), ("CERTIFICATE", file.to_str().unwrap())];
        let certificates = Certificates::load(&tls(&words), "x").unwrap();
        assert!(!certificates.has_changed());
        fs::write(&list, made).unwrap();
        assert!(certificates.has_changed());
        certificates.0.tls.reload().unwrap();
        fs::remove_file(&list).unwrap();
        assert!(certificates.0.tls.reload().unwrap_err().to_string().contains("ca.crl"));
    }

    #[test]
    fn a_changed_file_is_noticed_once() {
        let root = tempfile::tempdir().unwrap();
        let file = folder(root.path());
        let certificates = Certificates::load(&tls(&[("CERTIFICATE", file.to_str().unwrap())]), "x").unwrap();
        assert!(!certificates.has_changed());
        let later = SystemTime::now() + Duration::from_secs(60);
        fs::File::options().append(true).open(&file).unwrap().set_modified(later).unwrap();
        assert!(certificates.has_changed());
        assert!(!certificates.has_changed());
        fs::remove_file(&file).unwrap();
        assert!(certificates.has_changed());
    }

    #[tokio::test(start_paused = true)]
    async fn changed_files_are_read_again_by_themselves() {
        let root = tempfile::tempdir().unwrap();
        let file = folder(root.path());
        let certificates = Certificates::load(&tls(&[("CERTIFICATE", file.to_str().unwrap())]), "x").unwrap();
        let first = certificates.0.tls.certificate();
        let following = follow(Some(certificates.clone()), Sessions::new(), Hangups::new().unwrap());
        let renewed = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            folder(root.path());
            while certificates.0.tls.certificate() == first {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let began = tokio::time::Instant::now();
        tokio::select! {
            () = following => unreachable!("there is no terminal that goes away"),
            () = renewed => assert!(began.elapsed() <= Duration::from_secs(32), "{:?}", began.elapsed()),
        }
    }
}
