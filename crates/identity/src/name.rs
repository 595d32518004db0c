//! Names in certificates: whose they are, and which may be asked for.

use std::fmt;
use std::net::IpAddr;

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The longest name of a client that is accepted, in bytes of UTF-8.
pub const MAX_NAME: usize = 256;

/// The longest CN that X.509 knows, in characters (RFC 5280 appendix A.1, ub-common-name).
const MAX_COMMON_NAME: usize = 64;

/// Why a certificate does not tell whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// It is not an X.509 certificate.
    NotACertificate,
    /// It has no CN, and no single alternative name either.
    None,
    /// It has several CNs, or none and several alternative names. Which is meant would be a guess.
    Several,
    /// The name is empty, has blanks around it, or characters that nobody sees, or is not text.
    Unreadable,
    /// The name has more than [`MAX_NAME`] bytes.
    TooLong,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotACertificate => "not an X.509 certificate",
            Self::None => "the certificate has neither a CN nor an alternative name",
            Self::Several => "the certificate has several names, and it is not clear which one is meant",
            Self::Unreadable => "the name in the certificate is empty, or has control characters or blanks around it",
            Self::TooLong => "the name in the certificate is longer than 256 bytes",
        })
    }
}

impl std::error::Error for NameError {}

/// Whose certificate this is: its CN, or without a CN its one alternative name.
///
/// The certificate has to be verified already: anybody can write any name into one.
///
/// # Errors
///
/// If there is no such name or more than one, or if it is not fit for a log line.
pub fn client_name(leaf: &[u8]) -> Result<String, NameError> {
    let (_, certificate) = X509Certificate::from_der(leaf).map_err(|_| NameError::NotACertificate)?;
    let mut common = certificate.subject().iter_common_name();
    let name = match (common.next(), common.next()) {
        (Some(name), None) => name.as_str().map_err(|_| NameError::Unreadable)?.to_owned(),
        (None, _) => only_alternative(&certificate)?,
        _ => return Err(NameError::Several),
    };
    check(&name)?;
    Ok(name)
}

/// A name for a client that nobody else has: a random UUID (RFC 9562 section 5.4).
pub fn random_name() -> String {
    let random = rand::random::<u128>() & !(0xf << 76) & !(0b11 << 62);
    let bits = random | (0x4 << 76) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn only_alternative(certificate: &X509Certificate<'_>) -> Result<String, NameError> {
    let extension = certificate.subject_alternative_name().map_err(|_| NameError::Several)?;
    let names = extension.as_ref().map_or(&[][..], |extension| &extension.value.general_names[..]);
    match names {
        [] => Err(NameError::None),
        [name] => alternative(name).ok_or(NameError::Unreadable),
        _ => Err(NameError::Several),
    }
}

/// An alternative name as text.
pub(crate) fn alternative(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => ip(bytes).map(|ip| ip.to_string()),
        _ => None,
    }
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(v4.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

/// Whether a name can stand in a log line and be told from others.
fn check(name: &str) -> Result<(), NameError> {
    if name.len() > MAX_NAME {
        return Err(NameError::TooLong);
    }
    let unreadable = name.is_empty() || name.trim() != name || name.chars().any(|c| c.is_control() || is_unseen(c));
    if unreadable { Err(NameError::Unreadable) } else { Ok(()) }
}

/// Characters without a shape of their own, and those that turn the direction of what follows.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Whether a new client certificate may have this CN; if not, why.
pub(crate) fn check_common_name(name: &str) -> Result<(), String> {
    if name.chars().count() > MAX_COMMON_NAME {
        return Err(format!("`{name}` is too long for a name: {MAX_COMMON_NAME} characters are the limit"));
    }
    check(name).map_err(|_| format!("`{}` cannot be a name: it is empty or has invisible parts", name.escape_debug()))
}

/// What files of somebody with this name are called.
///
/// # Errors
///
/// If the name would lead elsewhere, or could not be a file's name on every system.
pub(crate) fn file_stem(name: &str) -> Result<String, String> {
    // Of an IPv6 address and of a wildcard.
    let stem = name.replace(':', "-").replace('*', "_");
    let forbidden = |c: char| c.is_control() || matches!(c, '/' | '\\' | '<' | '>' | '"' | '|' | '?');
    if stem.is_empty() || stem.starts_with('.') || stem.ends_with('.') || stem.contains(forbidden) {
        return Err(format!(
            "`{}` cannot be the name of a file: leave out / \\ < > \" | ? and dots at both ends",
            name.escape_debug()
        ));
    }
    Ok(stem)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn leaf(common: &[&str], alternative: &[SanType]) -> Vec<u8> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for name in common {
            params.distinguished_name.push(DnType::CommonName, *name);
        }
        params.subject_alt_names = alternative.to_vec();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn dns(name: &str) -> SanType {
        SanType::DnsName(name.try_into().unwrap())
    }

    #[test]
    fn the_cn_goes_before_alternative_names() {
        let name = client_name(&leaf(&["ESP Client 1"], &[dns("a.test"), dns("b.test")]));
        assert_eq!(name.as_deref(), Ok("ESP Client 1"));
    }

    #[test]
    fn without_a_cn_the_one_alternative_name_counts() {
        assert_eq!(client_name(&leaf(&[], &[dns("a.test")])).as_deref(), Ok("a.test"));
        let address = SanType::IpAddress("192.168.1.20".parse().unwrap());
        assert_eq!(client_name(&leaf(&[], &[address])).as_deref(), Ok("192.168.1.20"));
        assert_eq!(client_name(&leaf(&[], &[dns("a.test"), dns("b.test")])), Err(NameError::Several));
        assert_eq!(client_name(&leaf(&[], &[])), Err(NameError::None));
    }

    #[test]
    fn names_that_deceive_are_refused() {
        for name in ["", " me", "me ", "a\nb", "a\0b", "\u{1b}[2J", "a\u{202e}b", "a\u{200b}b"] {
            assert_eq!(client_name(&leaf(&[name], &[])), Err(NameError::Unreadable), "{name:?}");
        }
        assert_eq!(client_name(&leaf(&[&"x".repeat(MAX_NAME)], &[])).map(|name| name.len()), Ok(MAX_NAME));
        assert_eq!(client_name(&leaf(&[&"x".repeat(MAX_NAME + 1)], &[])), Err(NameError::TooLong));
    }

    /// rcgen keeps one name of each kind, so the second CN is put in by hand: in place of an organisation.
    #[test]
    fn several_cns_are_refused() {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "one");
        params.distinguished_name.push(DnType::OrganizationName, "two");
        let mut der = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
        let organisation = [0x55, 0x04, 0x0a];
        while let Some(at) = der.windows(3).position(|window| window == organisation) {
            der[at + 2] = 3;
        }
        assert_eq!(client_name(&der), Err(NameError::Several));
    }

    #[test]
    fn bytes_that_are_no_certificate_are_refused() {
        let whole = leaf(&["me"], &[]);
        assert_eq!(client_name(b""), Err(NameError::NotACertificate));
        for length in 0..whole.len() {
            assert_eq!(client_name(&whole[..length]), Err(NameError::NotACertificate));
        }
    }

    #[test]
    fn names_become_files_only_where_they_can() {
        assert_eq!(file_stem("ESP Client 1").as_deref(), Ok("ESP Client 1"));
        assert_eq!(file_stem("fe80::1").as_deref(), Ok("fe80--1"));
        assert_eq!(file_stem("*.hub.test").as_deref(), Ok("_.hub.test"));
        for bad in ["", "..", ".hidden", "a/b", "a\\b", "a\nb"] {
            assert!(file_stem(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn uuids_are_random_and_say_so() {
        let (one, other) = (random_name(), random_name());
        assert_ne!(one, other);
        assert_eq!(one.len(), 36);
        assert_eq!(&one[14..15], "4");
        assert!("89ab".contains(&one[19..20]), "{one}");
    }
}
