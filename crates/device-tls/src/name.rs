//! Whom the device wants to talk to, and whether a certificate is for it (RFC 9525).

use core::net::IpAddr;

use der::asn1::AnyRef;
use der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};

use crate::Untrusted;

/// RFC 1035 §2.3.4.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// The server that was dialled: a DNS name, or an IP address.
///
/// ```
/// use tautline_device_tls::ServerName;
///
/// assert!(matches!(ServerName::parse("hub.local"), Some(ServerName::Dns("hub.local"))));
/// assert!(matches!(ServerName::parse("192.168.1.20"), Some(ServerName::Ip(_))));
/// assert!(matches!(ServerName::parse("[fd00::1]"), Some(ServerName::Ip(_))));
/// assert!(ServerName::parse("hub local").is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerName<'a> {
    /// A name. It is looked for among the certificate's DNS names, where the left-most label of a name may be `*`, and it is told
    /// to the server (RFC 6066 §3).
    Dns(&'a str),
    /// An address. It is looked for among the certificate's IP addresses only.
    Ip(IpAddr),
}

impl<'a> ServerName<'a> {
    /// The host as it stands in a URL: a name, an IPv4 address, or an IPv6 address with or without brackets.
    ///
    /// `None` for what can be neither.
    pub fn parse(host: &'a str) -> Option<Self> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(address) = bare {
            return address.parse().ok().map(|ip| Self::Ip(IpAddr::V6(ip)));
        }
        if let Ok(ip) = host.parse() {
            return Some(Self::Ip(ip));
        }
        let name = host.strip_suffix('.').unwrap_or(host);
        // What ends in a number is an address, and was none (the URL Standard's rule).
        let numeric = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        (is_name(name) && !numeric).then_some(Self::Dns(name))
    }

    /// Whether one of the names in a subjectAltName (the content of its sequence) is this one. The common name never counts
    /// (RFC 9525 §2).
    pub(crate) fn is_among(&self, names: &[u8]) -> Result<bool, Untrusted> {
        let mut names = SliceReader::new(names)?;
        while !names.is_finished() {
            let name = AnyRef::decode(&mut names)?;
            let found = match (self, name.tag()) {
                (Self::Dns(wanted), Tag::ContextSpecific { constructed: false, number: TagNumber::N2 }) => {
                    core::str::from_utf8(name.value()).is_ok_and(|presented| is_for(presented, wanted))
                }
                (Self::Ip(wanted), Tag::ContextSpecific { constructed: false, number: TagNumber::N7 }) => {
                    match wanted {
                        IpAddr::V4(ip) => name.value() == ip.octets(),
                        IpAddr::V6(ip) => name.value() == ip.octets(),
                    }
                }
                _ => false,
            };
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// RFC 9525 §6.3: equal but for case, or `*` as the whole left-most label, for exactly one label.
fn is_for(presented: &str, wanted: &str) -> bool {
    if let Some(rest) = presented.strip_prefix("*.") {
        return is_name(rest) && wanted.split_once('.').is_some_and(|(_, parent)| rest.eq_ignore_ascii_case(parent));
    }
    presented.eq_ignore_ascii_case(wanted)
}

/// Letters, digits, `-` and `_` in labels. Names in other scripts have a form of this kind (RFC 5890 §2.3.2.1), and are given in it.
fn is_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    name.len() <= MAX_NAME
        && name.split('.').all(|label| matches!(label.len(), 1..=MAX_LABEL) && label.bytes().all(good))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9525_6_3_a_wildcard_is_one_whole_label_on_the_left() {
        for (presented, wanted, matches) in [
            ("hub.example.com", "HUB.example.COM", true),
            ("*.example.com", "hub.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "a.hub.example.com", false),
            ("*.example.com", ".example.com", false),
            ("h*.example.com", "hub.example.com", false),
            ("hub.*.com", "hub.example.com", false),
            ("*.*.com", "hub.example.com", false),
            ("*", "hub", false),
            ("*.", "hub.", false),
            ("hub.example.com.", "hub.example.com", false),
            ("", "hub", false),
        ] {
            // What is dialled is always a name; the empty left label shows that the comparison does not rely on it.
            assert_eq!(is_for(presented, wanted) && is_name(wanted), matches, "{presented} for {wanted}");
        }
    }

    #[test]
    fn what_is_neither_a_name_nor_an_address_is_refused() {
        for host in ["", ".", "a..b", "a b", "a/b", "*.example.com", "256.1.1.1", "1.2.3", "[1.2.3.4]", "[::1", "héllo"]
        {
            assert_eq!(ServerName::parse(host), None, "{host}");
        }
        let long = "a".repeat(MAX_LABEL + 1);
        assert_eq!(ServerName::parse(&long), None);
    }

    #[test]
    fn a_name_keeps_its_text_but_for_the_final_dot() {
        assert_eq!(ServerName::parse("Hub.local."), Some(ServerName::Dns("Hub.local")));
        assert_eq!(ServerName::parse("::1"), Some(ServerName::Ip(IpAddr::V6(core::net::Ipv6Addr::LOCALHOST))));
    }
}
