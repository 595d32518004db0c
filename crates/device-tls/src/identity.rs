//! Who the device is: its certificate and private key.

use core::fmt;

use p256::SecretKey;
use p256::ecdsa::{SigningKey, VerifyingKey};
use p256::pkcs8::DecodePrivateKey;

use crate::certificate::Certificate;

/// The device's certificate and its private key, on P-256. The key is erased from memory when this is dropped.
#[derive(Clone)]
pub struct Identity<'a> {
    certificate: &'a [u8],
    name: Option<&'a str>,
    key: SigningKey,
}

/// Why a certificate and a key are no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityError {
    /// The certificate is not one.
    Certificate,
    /// The key is not an unencrypted private key on P-256, in SEC1 or PKCS#8.
    Key,
    /// The key is not the certificate's.
    Different,
}

impl<'a> Identity<'a> {
    /// The identity with this certificate and this private key (SEC1 or PKCS#8), both in DER. [`der`](crate::der) makes DER of PEM.
    ///
    /// Costs a multiplication on the curve, as the key is compared with the certificate.
    ///
    /// # Errors
    ///
    /// If one of them is not what it should be, or they do not belong together.
    pub fn new(certificate: &'a [u8], key: &[u8]) -> Result<Self, IdentityError> {
        let parsed = Certificate::parse(certificate).map_err(|_| IdentityError::Certificate)?;
        let key = SecretKey::from_sec1_der(key).or_else(|_| SecretKey::from_pkcs8_der(key).map_err(drop));
        let key = SigningKey::from(key.map_err(|_| IdentityError::Key)?);
        let public = VerifyingKey::from_sec1_bytes(parsed.key.bytes).map_err(|_| IdentityError::Different)?;
        if public != *key.verifying_key() {
            return Err(IdentityError::Different);
        }
        Ok(Self { certificate, name: parsed.common_name(), key })
    }

    /// The certificate's common name (CN), which is the client id that the hub goes by, if it has exactly one.
    pub fn name(&self) -> Option<&'a str> {
        self.name
    }

    pub(crate) fn certificate(&self) -> &'a [u8] {
        self.certificate
    }

    pub(crate) fn key(&self) -> &SigningKey {
        &self.key
    }
}

/// Without the key.
impl fmt::Debug for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "the client's certificate is not a certificate",
            Self::Key => "the client's key is not an unencrypted private key on P-256",
            Self::Different => "the client's key does not belong to its certificate",
        })
    }
}

impl core::error::Error for IdentityError {}
