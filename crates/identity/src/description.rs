//! What stands in a certificate.

use std::path::Path;
use std::time::SystemTime;

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::error::{Error, Problem};
use crate::revocation::unpadded;
use crate::{files, name};

/// What stands in a certificate. Texts are as the certificate has them: make control characters harmless before a
/// terminal sees them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Description {
    /// Whose it is, such as `CN=ESP Client 1`.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The names and addresses that a server with it is reached by.
    pub names: Vec<String>,
    /// Whether it is a CA's, which signs others.
    pub is_authority: bool,
    /// Whether servers may use it.
    pub for_servers: bool,
    /// Whether clients may use it.
    pub for_clients: bool,
    /// The first moment at which it is valid.
    pub from: SystemTime,
    /// The last one.
    pub until: SystemTime,
    /// Its number at the authority, in hexadecimal.
    pub serial: String,
    /// The SHA-256 of the whole certificate, as browsers and openssl show it.
    pub fingerprint: String,
    /// The kind of its key, such as `ECDSA with 256 bits`.
    pub key: String,
}

impl Description {
    /// Describes a certificate in DER.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn of(der: &[u8]) -> Result<Self, Error> {
        Self::read(der).map_err(|_| Error::refused("not an X.509 certificate"))
    }

    /// Describes the first certificate of a file in PEM or DER, and answers it in DER, too.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or has no certificate.
    pub fn load(path: &Path) -> Result<(Self, Vec<u8>), Error> {
        let der = load_certificate(path)?;
        let description = Self::read(&der).map_err(|problem| problem.at(path))?;
        Ok((description, der))
    }

    fn read(der: &[u8]) -> Result<Self, Problem> {
        let not_one = |_| Problem::other("not an X.509 certificate");
        let (_, certificate) = X509Certificate::from_der(der).map_err(not_one)?;
        let mut names: Vec<String> = match certificate.subject_alternative_name() {
            Ok(Some(extension)) => extension.value.general_names.iter().map(text).collect(),
            _ => Vec::new(),
        };
        // An address that is there as a name, too.
        names.dedup();
        let is_authority = certificate.is_ca();
        // Without the extension a certificate is for everything.
        let (for_servers, for_clients) = match certificate.extended_key_usage() {
            Ok(Some(usage)) => (usage.value.any || usage.value.server_auth, usage.value.any || usage.value.client_auth),
            Ok(None) => (!is_authority, !is_authority),
            Err(_) => (false, false),
        };
        Ok(Self {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            names,
            is_authority,
            for_servers,
            for_clients,
            from: certificate.validity().not_before.to_datetime().into(),
            until: certificate.validity().not_after.to_datetime().into(),
            serial: hex(unpadded(certificate.raw_serial())),
            fingerprint: fingerprint(der),
            key: key(&certificate),
        })
    }
}

/// The first certificate of a file in PEM or DER, in DER.
pub(crate) fn load_certificate(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = files::read(path)
        .map_err(|error| error.missing_is("certificate", || "`tautline cert --help` tells how to make one".into()))?;
    crate::first_certificate(&bytes).map(|der| der.to_vec()).map_err(|problem| problem.at(path))
}

/// Whether the authority with the one certificate signed the other (both DER). Neither's validity is looked at.
pub fn is_signed_by(certificate: &[u8], authority: &[u8]) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    let Ok((_, authority)) = X509Certificate::from_der(authority) else { return false };
    authority.is_ca()
        && certificate.issuer().as_raw() == authority.subject().as_raw()
        && certificate.verify_signature(Some(authority.public_key())).is_ok()
}

/// The serial number of a certificate in DER, as [`Authority::revoke`](crate::Authority::revoke) takes it; `None` if it
/// is no certificate.
pub fn serial(der: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(unpadded(certificate.raw_serial()).to_vec())
}

/// The SHA-256 of a certificate in DER, as browsers and openssl show it: pairs of capital digits with colons.
pub fn fingerprint(der: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, der);
    digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// A time for people, such as `2026-11-21 13:30 UTC`.
pub fn utc(at: SystemTime) -> String {
    let at = time::OffsetDateTime::from(at);
    let (month, day) = (u8::from(at.month()), at.day());
    format!("{}-{month:02}-{day:02} {:02}:{:02} UTC", at.year(), at.hour(), at.minute())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(name: &GeneralName<'_>) -> String {
    name::alternative(name).unwrap_or_else(|| "(a kind of name that servers and devices do not use)".to_owned())
}

fn key(certificate: &X509Certificate<'_>) -> String {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA with {} bits", key.key_size()),
        Ok(PublicKey::EC(point)) => format!("ECDSA with {} bits", point.key_size()),
        _ => "of another kind than RSA and ECDSA".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_written_for_people() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_267_859);
        assert_eq!(utc(at), "2026-11-21 13:30 UTC");
    }

    #[test]
    fn fingerprints_are_those_of_openssl() {
        let nothing = fingerprint(b"");
        assert!(nothing.starts_with("E3:B0:C4:42:98:FC:1C:14:"), "{nothing}");
    }
}
