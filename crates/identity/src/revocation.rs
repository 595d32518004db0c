//! Lists of revoked certificates (CRLs, RFC 5280 section 5).

use std::collections::HashMap;
use std::path::Path;
use std::time::SystemTime;

use rcgen::{CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber};
use rustls::pki_types::CertificateRevocationListDer;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

use crate::error::{Error, Problem};
use crate::{files, pem_text};

/// A list of revoked certificates, signed by their authority. It lives in memory as it is in the file, and once more as
/// a table of about 100 bytes an entry.
#[derive(Clone, Debug)]
pub struct RevocationList {
    der: CertificateRevocationListDer<'static>,
    /// The authority's name, in DER.
    issuer: Vec<u8>,
    number: u64,
    revoked: HashMap<Vec<u8>, SystemTime>,
}

impl RevocationList {
    /// The lists in a file, PEM with one or more, or DER.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or anything in it is not a list.
    pub fn load(path: &Path) -> Result<Vec<Self>, Error> {
        let bytes = files::read(path).map_err(|error| {
            error.missing_is("list of revoked certificates", || "`tautline cert revoke` makes one".to_owned())
        })?;
        Self::parse_all(&bytes).map_err(|problem| problem.at(path))
    }

    /// Whether this certificate (DER) is on the list. One of another authority never is.
    pub fn revokes(&self, certificate: &[u8]) -> bool {
        self.revoked_at(certificate).is_some()
    }

    /// Since when this certificate (DER) has been on the list.
    pub fn revoked_at(&self, certificate: &[u8]) -> Option<SystemTime> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let same = certificate.issuer().as_raw() == self.issuer;
        self.revoked.get(unpadded(certificate.raw_serial())).filter(|_| same).copied()
    }

    /// Whether this serial number is on the list.
    pub fn has_serial(&self, serial: &[u8]) -> bool {
        self.revoked.contains_key(unpadded(serial))
    }

    /// How many certificates are on the list.
    pub fn len(&self) -> usize {
        self.revoked.len()
    }

    /// Whether no certificate is on the list.
    pub fn is_empty(&self) -> bool {
        self.revoked.is_empty()
    }

    /// Whether the authority with this certificate (DER) signed the list.
    pub fn is_signed_by(&self, authority: &[u8]) -> bool {
        let Ok((_, authority)) = X509Certificate::from_der(authority) else { return false };
        let Ok((_, list)) = CertificateRevocationList::from_der(&self.der) else { return false };
        self.issuer == authority.subject().as_raw() && list.verify_signature(authority.public_key()).is_ok()
    }

    /// The list as PEM (`BEGIN X509 CRL`).
    pub fn pem(&self) -> String {
        pem_text("X509 CRL", self.der.to_vec())
    }

    /// For rustls.
    pub(crate) fn der(&self) -> &CertificateRevocationListDer<'static> {
        &self.der
    }

    pub(crate) fn signed_by(
        issuer: &Issuer<'static, KeyPair>,
        key_id: &KeyIdMethod,
        earlier: Option<&Self>,
        serials: &[Vec<u8>],
        now: SystemTime,
        until: SystemTime,
    ) -> Result<Self, Error> {
        let mut revoked = earlier.map(|earlier| earlier.revoked.clone()).unwrap_or_default();
        for serial in serials {
            revoked.entry(unpadded(serial).to_vec()).or_insert(now);
        }
        let mut entries: Vec<_> = revoked.into_iter().collect();
        entries.sort_by(|(a, a_time), (b, b_time)| (a_time, a).cmp(&(b_time, b)));
        let entry = |(serial, at): (Vec<u8>, SystemTime)| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&serial),
            revocation_time: OffsetDateTime::from(at),
            reason_code: None,
            invalidity_date: None,
        };
        let number = earlier.map_or(1, |earlier| earlier.number.saturating_add(1));
        let params = CertificateRevocationListParams {
            this_update: OffsetDateTime::from(now),
            // Nobody renews the list by the week here, and one that is overdue would lock all devices out.
            next_update: OffsetDateTime::from(until),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: entries.into_iter().map(entry).collect(),
            key_identifier_method: key_id.clone(),
        };
        let unsigned =
            |text: String| Error::refused(format!("the list of revoked certificates could not be made: {text}"));
        let list = params.signed_by(issuer).map_err(|error| unsigned(error.to_string()))?;
        Self::parse(list.der()).map_err(|problem| unsigned(format!("{problem:?}")))
    }

    pub(crate) fn parse_all(bytes: &[u8]) -> Result<Vec<Self>, Problem> {
        if !crate::is_pem(bytes) {
            return Ok(vec![Self::parse(bytes)?]);
        }
        let blocks = pem::parse_many(bytes).map_err(|error| Problem::other(format!("malformed PEM: {error}")))?;
        let lists = blocks.iter().filter(|block| block.tag() == "X509 CRL").map(|block| Self::parse(block.contents()));
        match lists.collect::<Result<Vec<_>, _>>()? {
            none if none.is_empty() => Err(Problem::other("no list of revoked certificates (X509 CRL) is in the PEM")),
            some => Ok(some),
        }
    }

    fn parse(der: &[u8]) -> Result<Self, Problem> {
        let (rest, list) = CertificateRevocationList::from_der(der)
            .map_err(|_| Problem::other("not a list of revoked certificates (a CRL)"))?;
        if !rest.is_empty() {
            return Err(Problem::other("something follows the list of revoked certificates"));
        }
        // One that tells only the changes, or only some of them, would let through who is on the others.
        let partial = list.extensions().iter().any(|extension| extension.critical);
        if partial {
            return Err(Problem::other("only complete lists of revoked certificates are understood"));
        }
        let entry = |entry: &x509_parser::revocation_list::RevokedCertificate<'_>| {
            (unpadded(entry.raw_serial()).to_vec(), SystemTime::from(entry.revocation_date.to_datetime()))
        };
        Ok(Self {
            issuer: list.issuer().as_raw().to_vec(),
            number: list.crl_number().and_then(|number| u64::try_from(number).ok()).unwrap_or(0),
            revoked: list.iter_revoked_certificates().map(entry).collect(),
            der: CertificateRevocationListDer::from(der.to_vec()),
        })
    }
}

/// A serial number without the zero that keeps it from being negative in DER.
pub(crate) fn unpadded(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    &serial[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authority, KeyKind, Validity};

    fn authority(name: &str) -> Authority {
        Authority::create(name, KeyKind::EcdsaP256, Validity::days(10)).unwrap()
    }

    fn serial_of(certificate: &[u8]) -> Vec<u8> {
        crate::serial(certificate).unwrap()
    }

    #[test]
    fn a_list_grows_and_is_read_again() {
        let ca = authority("CA");
        let issued = || ca.client("me", KeyKind::EcdsaP256, Validity::days(1)).unwrap();
        let (one, two, three) = (issued(), issued(), issued());
        let empty = ca.revoke(None, &[]).unwrap();
        assert!(empty.is_empty() && empty.is_signed_by(ca.own().certificate()));
        let first = ca.revoke(Some(&empty), &[serial_of(one.certificate())]).unwrap();
        let second = ca.revoke(Some(&first), &[serial_of(two.certificate())]).unwrap();
        let read = RevocationList::parse_all(second.pem().as_bytes()).unwrap().remove(0);
        assert_eq!((read.number, read.len()), (3, 2));
        assert!(read.revokes(one.certificate()) && read.revokes(two.certificate()));
        assert!(!read.revokes(three.certificate()) && !read.revokes(b"junk"));
        let again = ca.revoke(Some(&read), &[serial_of(one.certificate())]).unwrap();
        assert_eq!(again.revoked_at(one.certificate()), read.revoked_at(one.certificate()), "the first time counts");
    }

    #[test]
    fn a_list_is_only_about_its_own_authority() {
        let (ca, other) = (authority("CA"), authority("Other"));
        let mine = ca.client("me", KeyKind::EcdsaP256, Validity::days(1)).unwrap();
        let list = other.revoke(None, &[serial_of(mine.certificate())]).unwrap();
        assert!(!list.revokes(mine.certificate()));
        assert!(!list.is_signed_by(ca.own().certificate()));
        assert!(ca.revoke(Some(&list), &[]).is_err());
    }

    #[test]
    fn the_name_of_an_authority_is_not_enough() {
        let (ca, impostor) = (authority("CA"), authority("CA"));
        let list = impostor.revoke(None, &[]).unwrap();
        assert!(!list.is_signed_by(ca.own().certificate()));
    }

    #[test]
    fn bytes_that_are_no_list_are_refused() {
        let whole = authority("CA").revoke(None, &[vec![7]]).unwrap();
        for length in 0..whole.der.len() {
            assert!(RevocationList::parse_all(&whole.der[..length]).is_err());
        }
        assert!(RevocationList::parse_all(&[&whole.der[..], b"x"].concat()).is_err());
        assert!(RevocationList::parse_all(b"-----BEGIN X-----\nAAAA\n-----END X-----\n").is_err());
    }
}
