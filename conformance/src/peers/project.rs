//! A folder as the device project's: what is made in it, and the servers that use it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, date_time_ymd};
use serde_json::{Value, json};

use super::{Hub, Process, Scratch, bin, peer};

/// A folder with certificates that `tautline cert` has made, and with what goes onto a controller in `src`.
#[derive(Debug)]
pub struct Project(Scratch);

impl Project {
    /// One with a CA, a server on 127.0.0.1 and a client, all of the seeds' one line.
    pub async fn new() -> Self {
        let project = Self::empty();
        project.cert(&["--srv=127.0.0.1", "--cn=ESP Client 1"]).await;
        project
    }

    /// One in which the device project's own script has made the certificates, with openssl. The CA's key has the password
    /// `secret`; the client is `ESP Client 1`, whose files are in `src`.
    ///
    /// # Panics
    ///
    /// If there is no openssl, or the script fails.
    pub async fn by_script() -> Self {
        assert!(on_path("openssl"), "the labs' script needs openssl: apt-get install openssl");
        let project = Self::empty();
        let mut script = Command::new("sh");
        script.arg(peer("standins/gen_crt.sh")).args(["--srv=127.0.0.1", "--cn=ESP Client 1", "--pass=secret"]);
        script.current_dir(project.folder());
        Process::spawn(script).success().await;
        project
    }

    /// One without certificates: only the controller's configuration is there.
    ///
    /// # Panics
    ///
    /// If it cannot be made.
    pub fn empty() -> Self {
        let folder = Scratch::new();
        fs::create_dir(folder.path().join("src")).expect("a folder can be made in a new one");
        fs::copy(peer("seeds/config_wss_mutual.json"), folder.path().join("src/config.json"))
            .expect("the configuration can be copied");
        Self(folder)
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// `tautline cert ARGS`, which has to go well.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub async fn cert(&self, args: &[&str]) -> Vec<String> {
        let mut command = bin(&["cert"]);
        command.args(args).current_dir(self.folder());
        Process::spawn(command).success().await
    }

    /// `tautline serve` with this command line, whose words have no blanks in them.
    pub async fn serve(&self, line: &str) -> Hub {
        Hub::start_in(self.folder(), &line.split_whitespace().collect::<Vec<_>>()).await
    }

    /// For `connect` of a client without a certificate, which trusts the CA.
    pub fn anonymous(&self) -> Value {
        json!({ "ca": self.file("tls/ca/ca.crt") })
    }

    /// For `connect` of a client that trusts the CA and has the certificate of this name.
    pub fn client(&self, name: &str) -> Value {
        let file = |ending: &str| self.file(&format!("tls/clients/{name}/{name}.{ending}"));
        json!({ "ca": self.file("tls/ca/ca.crt"), "cert": file("crt"), "key": file("key") })
    }

    /// For `connect` of a client that trusts the CA and has a certificate of its own that has expired long ago. The CA is
    /// to be called `ca`: `tautline cert init --name`.
    ///
    /// # Panics
    ///
    /// If the CA's key cannot be read.
    pub fn expired_client(&self, ca: &str) -> Value {
        // `tautline cert` makes none that has expired already.
        let key = fs::read_to_string(self.file("tls/ca/ca.key")).expect("the CA has a key");
        let mut authority = CertificateParams::default();
        authority.distinguished_name = DistinguishedName::new();
        authority.distinguished_name.push(DnType::CommonName, ca);
        let issuer = Issuer::new(authority, KeyPair::from_pem(&key).expect("a key without a password"));
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "Yesterday");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        json!({
            "ca": self.file("tls/ca/ca.crt"),
            "cert": self.0.write("yesterday.crt", certificate.pem()),
            "key": self.0.write("yesterday.key", key.serialize_pem()),
        })
    }
}

/// Whether this machine has a program of this name.
pub fn on_path(name: &str) -> bool {
    env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join(name).is_file())
}
