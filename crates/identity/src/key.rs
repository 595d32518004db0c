//! Private keys: made, read in all their formats, written in those that others read.

use std::fmt;
use std::str::FromStr;

use pem::Pem;
use pkcs8::der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use pkcs8::der::{Decode, Encode};
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::{Kdf, Parameters};
use pkcs8::spki::AlgorithmIdentifierRef;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sec1::{EcParameters, EcPrivateKey};

use crate::error::{Error, Problem};
use crate::pem_text;

const ID_EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// How often a password is hashed before it encrypts a key: OWASP's advice for PBKDF2 with SHA-256.
const ITERATIONS: u32 = 600_000;

/// What a key's file may ask for before its password is tried: some seconds, and 256 MiB.
const MOST_ITERATIONS: u32 = 10_000_000;
const MOST_MEMORY: u64 = 256 * 1024 * 1024;

/// What is said of encryption that is older than PBES2, or not known.
const OLD_ENCRYPTION: &str =
    "encrypted in a way that is not understood: `openssl pkcs8 -topk8 -in OLD -out NEW` renews it";

/// What kind of key a certificate gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyKind {
    /// ECDSA on the curve P-256, which every TLS stack and every small device has: small and quick.
    #[default]
    EcdsaP256,
    /// RSA with 2048 bits, for devices that know nothing else.
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits: a chip takes seconds for each handshake.
    Rsa4096,
}

impl FromStr for KeyKind {
    type Err = String;

    /// `ecdsa`, `rsa` (3072 bits), `rsa:2048`, `rsa:3072` or `rsa:4096`.
    fn from_str(name: &str) -> Result<Self, String> {
        Ok(match name {
            "ecdsa" => Self::EcdsaP256,
            "rsa:2048" => Self::Rsa2048,
            "rsa" | "rsa:3072" => Self::Rsa3072,
            "rsa:4096" => Self::Rsa4096,
            _ => return Err("ecdsa, rsa, rsa:2048, rsa:3072 or rsa:4096 is needed".into()),
        })
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EcdsaP256 => "ecdsa",
            Self::Rsa2048 => "rsa:2048",
            Self::Rsa3072 => "rsa:3072",
            Self::Rsa4096 => "rsa:4096",
        })
    }
}

/// A private key, in PKCS#8.
pub struct PrivateKey {
    pkcs8: Vec<u8>,
}

impl PrivateKey {
    /// A new key.
    ///
    /// # Errors
    ///
    /// If the system has no randomness, or for RSA without the feature `rsa`.
    pub fn generate(kind: KeyKind) -> Result<Self, Error> {
        let pkcs8 = match kind {
            KeyKind::EcdsaP256 => match rcgen::KeyPair::generate() {
                Ok(pair) => pair.serialize_der(),
                Err(error) => return Err(Error::refused(format!("no key could be made: {error}"))),
            },
            KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => generate_rsa(kind)?,
        };
        Ok(Self { pkcs8 })
    }

    /// PKCS#8 as PEM (`BEGIN PRIVATE KEY`), which every program reads.
    pub fn pem(&self) -> String {
        pem_text("PRIVATE KEY", self.pkcs8.clone())
    }

    /// PKCS#8 encrypted with a password, as PEM (`BEGIN ENCRYPTED PRIVATE KEY`): AES-256 with PBKDF2, as openssl does it.
    pub fn encrypted_pem(&self, password: &str) -> Result<String, Error> {
        let failed = |error| Error::refused(format!("the key cannot be encrypted: {error}"));
        let (salt, start): ([u8; 16], [u8; 16]) = (rand::random(), rand::random());
        let parameters = Parameters::generate_pbkdf2_sha256_aes256cbc(ITERATIONS, &salt, start)
            .map_err(|error| failed(error.into()))?;
        let key = PrivateKeyInfoRef::try_from(&self.pkcs8[..]).map_err(failed)?;
        let encrypted = key.encrypt_with_params(parameters, password).map_err(failed)?;
        Ok(pem_text("ENCRYPTED PRIVATE KEY", encrypted.as_bytes()))
    }

    /// The format from before PKCS#8, as DER: SEC1 with the curve's name for an elliptic curve, PKCS#1 for RSA. The one
    /// that the TLS stacks of controllers read.
    pub fn traditional_der(&self) -> Result<Vec<u8>, Error> {
        let failed = |error: &dyn fmt::Display| Error::refused(format!("the key has no older format: {error}"));
        let key = PrivateKeyInfoRef::try_from(&self.pkcs8[..]).map_err(|error| failed(&error))?;
        let inner = key.private_key.as_bytes();
        match key.algorithm.oid {
            RSA_ENCRYPTION => Ok(inner.to_vec()),
            ID_EC_PUBLIC_KEY => {
                let curve = key.algorithm.parameters_oid().map_err(|error| failed(&error))?;
                let mut key = EcPrivateKey::from_der(inner).map_err(|error| failed(&error))?;
                // In PKCS#8 the curve stands outside; without it nobody knows which one it is.
                key.parameters = Some(EcParameters::NamedCurve(curve));
                key.to_der().map_err(|error| failed(&error))
            }
            other => Err(failed(&format_args!("{other} is neither RSA nor an elliptic curve"))),
        }
    }

    /// For rcgen.
    pub(crate) fn pair(&self) -> Result<rcgen::KeyPair, Problem> {
        rcgen::KeyPair::try_from(&PrivatePkcs8KeyDer::from(&self.pkcs8[..]))
            .map_err(|error| Problem::other(format!("this kind of private key cannot sign certificates: {error}")))
    }

    /// For rustls.
    pub(crate) fn into_der(self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.pkcs8).into()
    }

    /// Reads PKCS#8, encrypted or not, SEC1 or PKCS#1, in PEM or DER. A password for a key that has none is ignored, as
    /// openssl does.
    pub(crate) fn parse(bytes: &[u8], password: Option<&str>) -> Result<Self, Problem> {
        if !crate::is_pem(bytes) {
            return Self::parse_der(bytes, password);
        }
        let blocks = pem::parse_many(bytes).map_err(|error| Problem::other(format!("malformed PEM: {error}")))?;
        let is_key = |block: &&Pem| block.tag().ends_with("PRIVATE KEY");
        let block = blocks.iter().find(is_key).ok_or_else(|| Problem::other("no private key is in the PEM"))?;
        if block.headers().get("Proc-Type").is_some() {
            return Err(Problem::other(OLD_ENCRYPTION));
        }
        Self::parse_der(block.contents(), password)
    }

    fn parse_der(der: &[u8], password: Option<&str>) -> Result<Self, Problem> {
        if PrivateKeyInfoRef::try_from(der).is_ok() {
            return Ok(Self { pkcs8: der.to_vec() });
        }
        if let Ok(encrypted) = EncryptedPrivateKeyInfoRef::try_from(der) {
            check_cost(&encrypted.encryption_algorithm)?;
            let password = password.ok_or(Problem::PasswordNeeded)?;
            let opened = encrypted.decrypt(password).map_err(|error| match error {
                // A wrong password makes wrong padding, or rarely something that is no key.
                pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::DecryptFailed) | pkcs8::Error::Asn1(_) => {
                    Problem::PasswordWrong
                }
                _ => Problem::other(OLD_ENCRYPTION),
            })?;
            let pkcs8 = opened.as_bytes().to_vec();
            PrivateKeyInfoRef::try_from(&pkcs8[..]).map_err(|_| Problem::PasswordWrong)?;
            return Ok(Self { pkcs8 });
        }
        let wrapped = match EcPrivateKey::from_der(der) {
            Ok(EcPrivateKey { parameters: Some(EcParameters::NamedCurve(curve)), .. }) => {
                wrap(ID_EC_PUBLIC_KEY, AnyRef::from(&curve), der)
            }
            Ok(_) => return Err(Problem::other("a private key that does not say on which curve it is")),
            Err(_) if is_pkcs1(der) => wrap(RSA_ENCRYPTION, AnyRef::NULL, der),
            Err(_) => return Err(Problem::other("not a private key (PKCS#8, SEC1 or PKCS#1, in PEM or DER)")),
        };
        let pkcs8 = wrapped.map_err(|error| Problem::other(format!("not a private key: {error}")))?;
        Ok(Self { pkcs8 })
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

#[cfg(feature = "rsa")]
fn generate_rsa(kind: KeyKind) -> Result<Vec<u8>, Error> {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    let size = match kind {
        KeyKind::Rsa2048 => KeySize::Rsa2048,
        KeyKind::Rsa4096 => KeySize::Rsa4096,
        _ => KeySize::Rsa3072,
    };
    let made = KeyPair::generate(size).and_then(|pair| AsDer::<Pkcs8V1Der<'_>>::as_der(&pair));
    made.map(|der| der.as_ref().to_vec()).map_err(|_| Error::refused("no RSA key could be made"))
}

#[cfg(not(feature = "rsa"))]
fn generate_rsa(_: KeyKind) -> Result<Vec<u8>, Error> {
    Err(Error::refused("RSA keys are not made by this build: use ecdsa, or build with the cargo feature `rsa`"))
}

/// Puts a key in its older format into PKCS#8.
fn wrap(algorithm: ObjectIdentifier, parameters: AnyRef<'_>, der: &[u8]) -> pkcs8::der::Result<Vec<u8>> {
    let algorithm = AlgorithmIdentifierRef { oid: algorithm, parameters: Some(parameters) };
    PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(der)?).to_der()
}

/// Whether these bytes begin as an RSAPrivateKey does: a sequence, and in it version 0 and a further integer. The
/// numbers themselves are checked by whoever uses the key.
fn is_pkcs1(der: &[u8]) -> bool {
    let header = match der {
        [0x30, length, ..] if *length < 0x80 => 2,
        [0x30, length, ..] => 2 + usize::from(length & 0x7f),
        _ => return false,
    };
    der.get(header..).is_some_and(|content| content.starts_with(&[2, 1, 0, 2]))
}

/// Nobody's file may keep us busy for hours.
fn check_cost(scheme: &EncryptionScheme) -> Result<(), Problem> {
    let cheap = match scheme {
        EncryptionScheme::Pbes2(Parameters { kdf: Kdf::Pbkdf2(kdf), .. }) => kdf.iteration_count <= MOST_ITERATIONS,
        EncryptionScheme::Pbes2(Parameters { kdf: Kdf::Scrypt(kdf), .. }) => {
            let memory = kdf.cost_parameter.saturating_mul(128 * u64::from(kdf.block_size));
            memory <= MOST_MEMORY && kdf.parallelization <= 16
        }
        _ => return Err(Problem::other(OLD_ENCRYPTION)),
    };
    let expensive = "encrypted in a way that takes too much time or memory to open";
    if cheap { Ok(()) } else { Err(Problem::other(expensive)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_that_is_written_is_read_again() {
        let key = PrivateKey::generate(KeyKind::EcdsaP256).unwrap();
        let traditional = key.traditional_der().unwrap();
        let sec1 = pem_text("EC PRIVATE KEY", traditional.clone());
        for bytes in [key.pem().as_bytes(), sec1.as_bytes(), &traditional, &key.pkcs8] {
            let read = PrivateKey::parse(bytes, None).unwrap();
            assert_eq!(read.pair().unwrap().public_key_raw(), key.pair().unwrap().public_key_raw());
            PrivateKey::parse(bytes, Some("ignored")).unwrap();
        }
    }

    #[test]
    fn a_key_for_a_controller_says_on_which_curve_it_is() {
        let key = PrivateKey::generate(KeyKind::EcdsaP256).unwrap().traditional_der().unwrap();
        let p256 = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
        assert!(key.windows(p256.len()).any(|window| window == p256));
    }

    #[test]
    fn an_encrypted_key_opens_with_its_password_only() {
        let key = PrivateKey::generate(KeyKind::EcdsaP256).unwrap();
        let encrypted = key.encrypted_pem("пароль").unwrap();
        assert!(encrypted.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
        assert_eq!(PrivateKey::parse(encrypted.as_bytes(), Some("пароль")).unwrap().pkcs8, key.pkcs8);
        assert_eq!(PrivateKey::parse(encrypted.as_bytes(), Some("other")).unwrap_err(), Problem::PasswordWrong);
        assert_eq!(PrivateKey::parse(encrypted.as_bytes(), None).unwrap_err(), Problem::PasswordNeeded);
    }

    /// Made by `openssl pkcs8 -topk8`: with `-v2 des3`, which `openssl req` does unasked, and with `-v2prf hmacWithSHA1`.
    #[test]
    fn keys_that_openssl_encrypted_are_opened() {
        for encrypted in [TRIPLE_DES, HMAC_SHA1] {
            PrivateKey::parse(encrypted.as_bytes(), Some("geheim")).unwrap().pair().unwrap();
            assert_eq!(PrivateKey::parse(encrypted.as_bytes(), Some("x")).unwrap_err(), Problem::PasswordWrong);
        }
    }

    const TRIPLE_DES: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHjME4GCSqGSIb3DQEFDTBBMCkGCSqGSIb3DQEFDDAcBAh4v0n7mLP/kgICCAAw
DAYIKoZIhvcNAgkFADAUBggqhkiG9w0DBwQIwuv674AS3e4EgZC59bRYwpXqyHTu
rW3/oydexjlPMJIXfpvlAevHTksjQNuZqhv8Nvwj6XFZrDNmxt1TwjWENREeLEV9
FX58qPOqi26U9t0020wL+5JmahDB9xiIGngg66VJpP5IktgmnU40972+D4d2w9mO
BWuvKxU0XDeAB1zlWONzv6tovzf4q6XILkSCk+xJUtquy5B6d5U=
-----END ENCRYPTED PRIVATE KEY-----
";

    const HMAC_SHA1: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHeMEkGCSqGSIb3DQEFDTA8MBsGCSqGSIb3DQEFDDAOBAjhWvLUJyBbqwICCAAw
HQYJYIZIAWUDBAEqBBA4x6RQNsuR8w9pZvi6zoZ2BIGQphTeFrR8PystllYwZUhD
XGWA65hSc4COE6dB+N56RRD0B9qUL5mI4pTYCEWVPJA6r/IdEgw8bmbF98El3UGN
uf26yggwtFSCPWUdYF53iNB6P8oCCh8r3Tthd9ljQQR7T8v1zLm2kM6Tzx/rX8ny
LX0bo9Z6oWnE/8hdVjJZnWSVTE47by9ASFhOIry4VNxS
-----END ENCRYPTED PRIVATE KEY-----
";

    #[test]
    fn a_file_cannot_demand_hours_of_work() {
        let key = PrivateKey::generate(KeyKind::EcdsaP256).unwrap();
        let costly = Parameters::generate_pbkdf2_sha256_aes256cbc(MOST_ITERATIONS + 1, &[1; 16], [1; 16]).unwrap();
        let wrong = pkcs8::EncryptedPrivateKeyInfo {
            encryption_algorithm: costly.into(),
            encrypted_data: OctetStringRef::new(&key.pkcs8).unwrap(),
        };
        let problem = PrivateKey::parse(&wrong.to_der().unwrap(), Some("x")).unwrap_err();
        assert!(matches!(&problem, Problem::Other(text) if text.contains("too much time")), "{problem:?}");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for (bytes, word) in [
            (&b""[..], "not a private key"),
            (b"hello", "not a private key"),
            (&[0x30, 0x84, 0xff], "not a private key"),
            (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no private key"),
            (b"-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n", "malformed PEM"),
            (
                b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
                "openssl pkcs8 -topk8",
            ),
        ] {
            let problem = PrivateKey::parse(bytes, None).unwrap_err();
            assert!(matches!(&problem, Problem::Other(text) if text.contains(word)), "{problem:?}");
        }
    }

    #[cfg(feature = "rsa")]
    #[test]
    fn rsa_keys_are_made_and_read_again() {
        let key = PrivateKey::generate(KeyKind::Rsa2048).unwrap();
        let read = PrivateKey::parse(&key.traditional_der().unwrap(), None).unwrap();
        assert_eq!(read.pair().unwrap().public_key_raw(), key.pair().unwrap().public_key_raw());
    }

    #[test]
    fn kinds_have_names() {
        for kind in [KeyKind::EcdsaP256, KeyKind::Rsa2048, KeyKind::Rsa3072, KeyKind::Rsa4096] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("rsa:1024".parse::<KeyKind>().unwrap_err().contains("rsa:2048"));
    }
}
