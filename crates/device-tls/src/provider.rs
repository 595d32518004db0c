//! What embedded-tls asks for during the handshake: random numbers, a verifier, the client's certificate and signature.

use embedded_tls::{Certificate, CryptoProvider, CryptoRng, CryptoRngCore, SignatureScheme, TlsError, TlsVerifier};
use p256::ecdsa::DerSignature;
use p256::ecdsa::signature::SignerMut;
use p256::elliptic_curve::rand_core::{Error as RandomError, RngCore};

use crate::identity::Identity;
use crate::suite::Suite;

pub(crate) struct Provider<'a, F, V> {
    pub(crate) random: Entropy<F>,
    /// `None` lets every server pass.
    pub(crate) verifier: Option<V>,
    pub(crate) identity: Option<&'a Identity<'a>>,
}

/// A function that fills bytes, as a generator.
pub(crate) struct Entropy<F>(pub(crate) F);

impl<F: FnMut(&mut [u8]), V: TlsVerifier<Suite>> CryptoProvider for Provider<'_, F, V> {
    type CipherSuite = Suite;
    type Signature = DerSignature;

    fn rng(&mut self) -> impl CryptoRngCore {
        &mut self.random
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Suite>, TlsError> {
        // Without one, embedded-tls checks nothing.
        self.verifier.as_mut().ok_or(TlsError::Unimplemented)
    }

    fn signer(&mut self) -> Result<(impl SignerMut<DerSignature>, SignatureScheme), TlsError> {
        let identity = self.identity.ok_or(TlsError::InvalidPrivateKey)?;
        Ok((identity.key().clone(), SignatureScheme::EcdsaSecp256r1Sha256))
    }

    fn client_cert(&mut self) -> Option<Certificate<impl AsRef<[u8]>>> {
        self.identity.map(|identity| Certificate::X509(identity.certificate()))
    }
}

impl<F: FnMut(&mut [u8])> RngCore for Entropy<F> {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        (self.0)(&mut bytes);
        u32::from_ne_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        (self.0)(&mut bytes);
        u64::from_ne_bytes(bytes)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        (self.0)(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), RandomError> {
        (self.0)(bytes);
        Ok(())
    }
}

/// The caller answers for it: see [`open`](crate::open).
impl<F> CryptoRng for Entropy<F> {}
