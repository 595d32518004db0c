//! Checks the server during the handshake, and that it was checked at all.

use embedded_tls::{CertificateEntryRef, CertificateRef, CertificateVerifyRef, TlsError, TlsVerifier};
use sha2::{Digest, Sha256};

use crate::Untrusted;
use crate::key::{PublicKey, Scheme};
use crate::name::ServerName;
use crate::suite::Suite;
use crate::trust::{Authority, Time};

/// What the server's signature covers, before the hash (RFC 8446 §4.4.3).
const CONTEXT: &[u8; 34] = b"TLS 1.3, server CertificateVerify\0";
const PADDING: [u8; 64] = [b' '; 64];

/// How far the server has proved who it is.
///
/// embedded-tls takes a `Finished` that comes without any certificate, from anybody: nothing but [`verdict`](Self::verdict) tells
/// that the server was checked.
pub(crate) struct Verifier<'a> {
    authority: &'a Authority<'a>,
    server: ServerName<'a>,
    time: Time,
    state: State,
}

// One for each handshake, on its stack: a box would need an allocator.
#[allow(clippy::large_enum_variant)]
enum State {
    /// Nothing has come.
    Waiting,
    /// The certificate is good. What is missing is this key's signature of this hash of the handshake so far.
    Shown(PublicKey, [u8; 32]),
    Proven,
    Untrusted(Untrusted),
}

impl<'a> Verifier<'a> {
    pub(crate) fn new(authority: &'a Authority<'a>, server: ServerName<'a>, time: Time) -> Self {
        Self { authority, server, time, state: State::Waiting }
    }

    /// Whether the server may be talked to. Asked when the handshake is over, however it ended.
    pub(crate) fn verdict(&self) -> Result<(), Untrusted> {
        match self.state {
            State::Proven => Ok(()),
            State::Untrusted(why) => Err(why),
            State::Waiting => Err(Untrusted::Missing),
            State::Shown(..) => Err(Untrusted::Unproven),
        }
    }

    /// Why the server is not trusted, if it has been judged.
    pub(crate) fn refusal(&self) -> Option<Untrusted> {
        if let State::Untrusted(why) = self.state { Some(why) } else { None }
    }

    fn look(&self, transcript: &Sha256, shown: &CertificateRef<'_>) -> Result<State, Untrusted> {
        let State::Waiting = self.state else { return Err(Untrusted::Unproven) };
        // Only the first counts. Servers add the authority, and others that lead to it, which is their right (RFC 8446 §4.4.2), but
        // what the pinned authority did not sign itself is not trusted by any detour.
        let Some(CertificateEntryRef::X509(der)) = shown.entries.first() else { return Err(Untrusted::Missing) };
        let key = self.authority.check(der, &self.server, self.time)?;
        Ok(State::Shown(key, transcript.clone().finalize().into()))
    }

    fn prove(&mut self, proof: &CertificateVerifyRef<'_>) -> Result<State, Untrusted> {
        let State::Shown(key, transcript) = core::mem::replace(&mut self.state, State::Waiting) else {
            return Err(Untrusted::Unproven);
        };
        let scheme = Scheme::of_handshake(proof.signature_scheme)?;
        let mut message = [0; PADDING.len() + CONTEXT.len() + 32];
        let (padding, rest) = message.split_at_mut(PADDING.len());
        let (context, hash) = rest.split_at_mut(CONTEXT.len());
        padding.copy_from_slice(&PADDING);
        context.copy_from_slice(CONTEXT);
        hash.copy_from_slice(&transcript);
        if key.has_signed(scheme, &message, proof.signature) { Ok(State::Proven) } else { Err(Untrusted::Unproven) }
    }

    fn settle(&mut self, outcome: Result<State, Untrusted>) -> Result<(), TlsError> {
        match outcome {
            Ok(state) => {
                self.state = state;
                Ok(())
            }
            Err(why) => {
                self.state = State::Untrusted(why);
                Err(TlsError::InvalidCertificate)
            }
        }
    }
}

impl TlsVerifier<Suite> for Verifier<'_> {
    /// The name is known from the beginning, and may be an address, which embedded-tls has no form for.
    fn set_hostname_verification(&mut self, _: &str) -> Result<(), TlsError> {
        Ok(())
    }

    fn verify_certificate(&mut self, transcript: &Sha256, shown: CertificateRef<'_>) -> Result<(), TlsError> {
        let outcome = self.look(transcript, &shown);
        self.settle(outcome)
    }

    fn verify_signature(&mut self, proof: CertificateVerifyRef<'_>) -> Result<(), TlsError> {
        let outcome = self.prove(&proof);
        self.settle(outcome)
    }
}
