//! Public keys and signatures: which there are, and whether one is right.

use p256::ecdsa::signature::Verifier;

use crate::Untrusted;
use crate::certificate::KeyInfo;

// Algorithms are compared as they are encoded: an AlgorithmIdentifier of these has one encoding only (RFC 5480 §2.1.1, RFC 5758 §3.2,
// RFC 8410 §3).
const EC_P256: &[u8] =
    &[0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
#[cfg(feature = "p384")]
const EC_P384: &[u8] = &[0x30, 0x10, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x22];
const ECDSA_SHA256: &[u8] = &[0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
#[cfg(feature = "p384")]
const ECDSA_SHA384: &[u8] = &[0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
#[cfg(feature = "ed25519")]
const ED25519: &[u8] = &[0x30, 5, 6, 3, 0x2b, 0x65, 0x70];

/// How something is signed. The curve goes with the hash, as it does in TLS 1.3 (RFC 8446 §4.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// ECDSA on P-256 with SHA-256.
    P256,
    /// ECDSA on P-384 with SHA-384.
    #[cfg(feature = "p384")]
    P384,
    /// Ed25519.
    #[cfg(feature = "ed25519")]
    Ed25519,
}

/// A key that checks signatures.
#[derive(Clone, Debug)]
pub(crate) enum PublicKey {
    P256(p256::ecdsa::VerifyingKey),
    #[cfg(feature = "p384")]
    P384(p384::ecdsa::VerifyingKey),
    #[cfg(feature = "ed25519")]
    Ed25519(ed25519_dalek::VerifyingKey),
}

impl Scheme {
    /// The scheme of a certificate's signature.
    pub(crate) fn of_certificate(algorithm: &[u8]) -> Result<Self, Untrusted> {
        match algorithm {
            ECDSA_SHA256 => Ok(Self::P256),
            #[cfg(feature = "p384")]
            ECDSA_SHA384 => Ok(Self::P384),
            #[cfg(feature = "ed25519")]
            ED25519 => Ok(Self::Ed25519),
            _ => Err(Untrusted::Algorithm),
        }
    }

    /// The scheme of a handshake's signature.
    pub(crate) fn of_handshake(scheme: embedded_tls::SignatureScheme) -> Result<Self, Untrusted> {
        match scheme {
            embedded_tls::SignatureScheme::EcdsaSecp256r1Sha256 => Ok(Self::P256),
            #[cfg(feature = "p384")]
            embedded_tls::SignatureScheme::EcdsaSecp384r1Sha384 => Ok(Self::P384),
            #[cfg(feature = "ed25519")]
            embedded_tls::SignatureScheme::Ed25519 => Ok(Self::Ed25519),
            _ => Err(Untrusted::Algorithm),
        }
    }
}

impl PublicKey {
    /// The key in a certificate.
    pub(crate) fn parse(info: KeyInfo<'_>) -> Result<Self, Untrusted> {
        match info.algorithm {
            EC_P256 => {
                p256::ecdsa::VerifyingKey::from_sec1_bytes(info.bytes).map(Self::P256).map_err(|_| Untrusted::Malformed)
            }
            #[cfg(feature = "p384")]
            EC_P384 => {
                p384::ecdsa::VerifyingKey::from_sec1_bytes(info.bytes).map(Self::P384).map_err(|_| Untrusted::Malformed)
            }
            #[cfg(feature = "ed25519")]
            ED25519 => {
                ed25519_dalek::VerifyingKey::try_from(info.bytes).map(Self::Ed25519).map_err(|_| Untrusted::Malformed)
            }
            _ => Err(Untrusted::Algorithm),
        }
    }

    /// Whether this key signed `message`. A scheme that is not this key's is a wrong signature.
    pub(crate) fn has_signed(&self, scheme: Scheme, message: &[u8], signature: &[u8]) -> bool {
        match (self, scheme) {
            (Self::P256(key), Scheme::P256) => p256::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            #[cfg(feature = "p384")]
            (Self::P384(key), Scheme::P384) => p384::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            // Strict: the lenient form takes keys for which anybody can make signatures.
            #[cfg(feature = "ed25519")]
            (Self::Ed25519(key), Scheme::Ed25519) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
            #[cfg(any(feature = "p384", feature = "ed25519"))]
            _ => false,
        }
    }
}
