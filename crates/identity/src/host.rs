//! What a server is reached by.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A name or an address that a server is reached by, and that stands in its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A DNS name in small letters, which may begin with `*.`.
    Name(String),
    /// An IP address.
    Address(IpAddr),
}

impl FromStr for Host {
    type Err = String;

    /// An address, in brackets or not, or a name.
    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse() {
            return Ok(Self::Address(ip));
        }
        let labels = text.strip_prefix("*.").unwrap_or(text);
        let fits = |label: &str| {
            let known = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
            (1..=63).contains(&label.len()) && known && !label.starts_with('-') && !label.ends_with('-')
        };
        // Four numbers that are no address are a slip of the hand, not a name.
        let numbers = labels.split('.').all(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
        if text.len() <= 253 && labels.split('.').all(fits) && !numbers {
            return Ok(Self::Name(text.to_ascii_lowercase()));
        }
        let text = text.escape_debug();
        Err(format!(
            "`{text}` is neither an address such as 192.168.1.20 nor a name such as hub.local (no port, no path)"
        ))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(ip) => ip.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_told_apart() {
        assert_eq!("192.168.1.20".parse(), Ok(Host::Address("192.168.1.20".parse().unwrap())));
        assert_eq!("[::1]".parse(), Ok(Host::Address("::1".parse().unwrap())));
        assert_eq!("Hub.Local".parse(), Ok(Host::Name("hub.local".into())));
        assert_eq!("*.hub.test".parse(), Ok(Host::Name("*.hub.test".into())));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let long = "a.".repeat(127);
        let list =
            ["", "a b", "192.168.1", "192.168.1.256", "hub:8443", "https://hub", "a/b", "-a", "a..b", "*", &long];
        for bad in list {
            assert!(bad.parse::<Host>().is_err(), "{bad}");
        }
    }
}
