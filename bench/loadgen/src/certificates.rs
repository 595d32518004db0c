//! Certificates for the tests with TLS, made anew for each run.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::failure::{Result, While};

/// Writes ca.pem, and certificate and key of a server called localhost and of a client, both issued by it.
pub(crate) fn write(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).when("folder")?;
    let mut params = CertificateParams::new(Vec::new()).when("CA")?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().when("key")?).when("CA")?;
    save(dir, "ca.pem", &ca.pem())?;
    for name in ["server", "client"] {
        let host = if name == "server" { "localhost" } else { "client.example" };
        let key = KeyPair::generate().when("key")?;
        let params = CertificateParams::new(vec![host.to_owned()]).when(name)?;
        save(dir, &format!("{name}.pem"), &params.signed_by(&key, &ca).when(name)?.pem())?;
        save(dir, &format!("{name}.key"), &key.serialize_pem())?;
    }
    Ok(())
}

fn save(dir: &Path, name: &str, text: &str) -> Result<()> {
    fs::write(dir.join(name), text).when(name)
}
