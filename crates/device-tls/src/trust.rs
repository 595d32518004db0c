//! Whether a server's certificate is to be trusted: directly signed by the pinned authority, for a server, for this one, now.

use der::asn1::AnyRef;
use der::{Decode, Reader, SliceReader};

use crate::Untrusted;
use crate::certificate::{CERTIFICATE_SIGN, Certificate, DIGITAL_SIGNATURE};
use crate::key::{PublicKey, Scheme};
use crate::name::ServerName;

/// extKeyUsage: id-kp-serverAuth, 1.3.6.1.5.5.7.3.1 (RFC 5280 §4.2.1.12).
const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];

/// The one certificate authority that the device trusts.
#[derive(Clone, Debug)]
pub struct Authority<'a> {
    subject: &'a [u8],
    key: PublicKey,
}

/// What the device knows of the time, in Unix seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Time {
    /// Nothing: certificates are trusted whenever they are valid, even long after they expired.
    #[default]
    Unknown,
    /// It is this time or later, as when the firmware was built: what had expired by then is refused.
    AtLeast(u64),
    /// It is this time, by a clock that was set from a source worth trusting: validity is checked.
    Now(u64),
}

impl<'a> Authority<'a> {
    /// The authority with this certificate, in DER ([`der`](crate::der) makes it of PEM).
    ///
    /// Its own validity is not checked: whoever pins it answers for it.
    ///
    /// # Errors
    ///
    /// If it is not a certificate, not an authority's, or has a kind of key that is not supported.
    pub fn new(certificate: &'a [u8]) -> Result<Self, Untrusted> {
        let certificate = Certificate::parse(certificate)?;
        let extensions = &certificate.extensions;
        let signs = extensions.key_usage.is_none_or(|bits| bits & CERTIFICATE_SIGN != 0);
        if extensions.authority != Some(true) || !signs {
            return Err(Untrusted::NoAuthority);
        }
        // A name constraint, for instance: to overlook it would be to trust the authority with more than it says.
        if extensions.critical {
            return Err(Untrusted::Critical);
        }
        Ok(Self { subject: certificate.subject, key: PublicKey::parse(certificate.key)? })
    }

    /// Checks a server's certificate and gives its key.
    pub(crate) fn check(&self, der: &[u8], server: &ServerName<'_>, time: Time) -> Result<PublicKey, Untrusted> {
        let certificate = Certificate::parse(der)?;
        let scheme = Scheme::of_certificate(certificate.algorithm)?;
        // Compared as they are encoded: an authority writes its name in its own and in others' certificates alike.
        if certificate.issuer != self.subject {
            return Err(Untrusted::Issuer);
        }
        if !self.key.has_signed(scheme, certificate.signed, certificate.signature) {
            return Err(Untrusted::Signature);
        }
        let extensions = &certificate.extensions;
        if extensions.critical {
            return Err(Untrusted::Critical);
        }
        if extensions.authority == Some(true) {
            return Err(Untrusted::Authority);
        }
        // Absence would mean "any purpose" (RFC 5280 §4.2.1.12), and then every device of the authority could pose as a server.
        if !extensions.purposes.is_some_and(|list| contains(list, SERVER_AUTH)) {
            return Err(Untrusted::Purpose);
        }
        if extensions.key_usage.is_some_and(|bits| bits & DIGITAL_SIGNATURE == 0) {
            return Err(Untrusted::KeyUsage);
        }
        match extensions.names {
            Some(names) if server.is_among(names)? => {}
            _ => return Err(Untrusted::Name),
        }
        time.check(*certificate.validity.start(), *certificate.validity.end())?;
        PublicKey::parse(certificate.key)
    }
}

impl Time {
    fn check(self, from: u64, until: u64) -> Result<(), Untrusted> {
        match self {
            Self::Now(now) if now < from => Err(Untrusted::NotYetValid),
            Self::Now(now) | Self::AtLeast(now) if now > until => Err(Untrusted::Expired),
            _ => Ok(()),
        }
    }
}

/// Whether the OID is among those in the content of a sequence of OIDs.
fn contains(list: &[u8], oid: &[u8]) -> bool {
    let Ok(mut list) = SliceReader::new(list) else { return false };
    while !list.is_finished() {
        match AnyRef::decode(&mut list) {
            Ok(purpose) if purpose.value() == oid => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    extern crate std;

    use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
    use std::vec::Vec;

    use super::*;

    /// An authority, and a server's certificate for `hub.local`.
    fn lab() -> (Vec<u8>, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).unwrap().der().to_vec();
        let issuer = Issuer::new(params, key);
        let mut params = CertificateParams::new([std::string::String::from("hub.local")]).unwrap();
        params.extended_key_usages = [ExtendedKeyUsagePurpose::ServerAuth].into();
        let key = KeyPair::generate().unwrap();
        (ca, params.signed_by(&key, &issuer).unwrap().der().to_vec())
    }

    const SERVER: ServerName<'static> = ServerName::Dns("hub.local");

    #[test]
    fn no_changed_bit_is_trusted() {
        let (ca, leaf) = lab();
        let authority = Authority::new(&ca).unwrap();
        assert!(authority.check(&leaf, &SERVER, Time::Unknown).is_ok());
        let mut generator = fastrand::Rng::with_seed(5280);
        for at in 0..leaf.len() {
            let mut changed = leaf.clone();
            changed[at] ^= 1 << generator.u8(..8);
            assert!(authority.check(&changed, &SERVER, Time::Unknown).is_err(), "byte {at}");
        }
        for len in 0..leaf.len() {
            assert!(authority.check(&leaf[..len], &SERVER, Time::Unknown).is_err(), "{len} bytes");
        }
        assert!(authority.check(&[&leaf[..], &[0]].concat(), &SERVER, Time::Unknown).is_err(), "a byte more");
    }

    #[test]
    fn nothing_makes_the_parser_panic() {
        let (ca, leaf) = lab();
        let mut generator = fastrand::Rng::with_seed(5280);
        let mut parsed = 0;
        for round in 0..100_000 {
            let mut der = if round % 2 == 0 { ca.clone() } else { leaf.clone() };
            for _ in 0..generator.usize(1..4) {
                let at = generator.usize(..der.len());
                match generator.u8(..8) {
                    0 => der.truncate(at + 1),
                    1 => der.splice(at..at, [generator.u8(..)]).for_each(drop),
                    2 => der.drain(at..(at + 3).min(der.len() - 1).max(at)).for_each(drop),
                    _ => der[at] = generator.u8(..),
                }
            }
            if let Ok(certificate) = Certificate::parse(&der) {
                parsed += 1;
                let _ = certificate.common_name();
                let _ = certificate.extensions.names.map(|names| SERVER.is_among(names));
                let _ = certificate.extensions.purposes.map(|list| contains(list, SERVER_AUTH));
                let _ = PublicKey::parse(certificate.key);
            }
        }
        assert!(parsed > 1000, "the changes are too wild to show anything: {parsed}");
    }
}
