//! Where to connect: a `ws` or `wss` URI, taken apart (RFC 6455 section 3).

use std::fmt;
use std::net::Ipv6Addr;

use http::Uri;
use percent_encoding::{CONTROLS, percent_decode_str, utf8_percent_encode};

/// Why a text is not a WebSocket URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UriError {
    /// No scheme in front.
    NoScheme,
    /// `http`, where `ws` is meant.
    HttpScheme,
    /// `https`, where `wss` is meant.
    HttpsScheme,
    /// Another scheme.
    UnknownScheme,
    /// A fragment, which has no meaning here (RFC 6455 section 3).
    Fragment,
    /// No host.
    NoHost,
    /// The host is neither a name nor an address.
    InvalidHost,
    /// The port is not a number from 1 to 65535.
    InvalidPort,
    /// User name or password are not percent-encoded UTF-8, or the user name has a colon (RFC 7617 section 2).
    InvalidUserinfo,
    /// Something else, such as a space.
    Malformed,
}

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoScheme => "it has no scheme: begin it with ws:// or wss://",
            Self::HttpScheme => "the scheme of a WebSocket is not http: write ws://",
            Self::HttpsScheme => "the scheme of a WebSocket is not https: write wss://",
            Self::UnknownScheme => "its scheme is neither ws nor wss",
            Self::Fragment => "a WebSocket URI has no fragment: write a `#` that belongs to the path or query as %23",
            Self::NoHost => "it names no host",
            Self::InvalidHost => {
                "its host is neither a name nor an address: IPv6 addresses take brackets, international names their xn-- form"
            }
            Self::InvalidPort => "its port is not a number from 1 to 65535",
            Self::InvalidUserinfo => {
                "its user name or password is not percent-encoded UTF-8, or the user name has a colon"
            }
            Self::Malformed => "it is malformed: spaces and other special characters have to be percent-encoded",
        })
    }
}

impl std::error::Error for UriError {}

/// The parts of a WebSocket URI.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Whether the scheme is `wss`.
    pub(crate) secure: bool,
    /// A name or an address, in lower case; an IPv6 address without brackets and zone.
    pub(crate) host: String,
    /// The zone of a link-local IPv6 address: an interface of this machine, of no meaning to the peer.
    pub(crate) zone: Option<String>,
    pub(crate) port: u16,
    /// Path and query; starts with `/`.
    pub(crate) resource: String,
    /// User name and password, decoded.
    pub(crate) userinfo: Option<(String, String)>,
}

impl Target {
    pub(crate) fn parse(text: &str) -> Result<Self, UriError> {
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        let (scheme, rest) = text.split_once("://").ok_or(UriError::NoScheme)?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "ws" => false,
            "wss" => true,
            "http" => return Err(UriError::HttpScheme),
            "https" => return Err(UriError::HttpsScheme),
            "" => return Err(UriError::NoScheme),
            _ => return Err(UriError::UnknownScheme),
        };
        if text.contains('#') {
            return Err(UriError::Fragment);
        }
        let (authority, resource) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.is_empty() {
            return Err(UriError::NoHost);
        }
        let authority = Authority::parse(authority)?;
        Ok(Self {
            secure,
            port: authority.port.unwrap_or(if secure { 443 } else { 80 }),
            resource: parse_resource(resource)?,
            host: authority.host,
            zone: authority.zone,
            userinfo: authority.userinfo,
        })
    }

    /// What to look up: the host, with its zone.
    pub(crate) fn lookup_name(&self) -> String {
        match &self.zone {
            Some(zone) => format!("{}%{zone}", self.host),
            None => self.host.clone(),
        }
    }
}

impl fmt::Display for Target {
    /// Host and port.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.lookup_name(), self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

struct Authority {
    userinfo: Option<(String, String)>,
    host: String,
    zone: Option<String>,
    port: Option<u16>,
}

impl Authority {
    fn parse(text: &str) -> Result<Self, UriError> {
        let (userinfo, rest) = match text.rsplit_once('@') {
            Some((userinfo, rest)) => (Some(parse_userinfo(userinfo)?), rest),
            None => (None, text),
        };
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or(UriError::InvalidHost)?,
            None => rest.split_at(rest.find(':').unwrap_or(rest.len())),
        };
        if host.is_empty() {
            return Err(UriError::NoHost);
        }
        let (host, zone) = if rest.starts_with('[') { parse_ipv6(host)? } else { (parse_host_name(host)?, None) };
        // RFC 3986 section 3.2.3 allows a colon without digits behind it.
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok().filter(|&port| port != 0).ok_or(UriError::InvalidPort)?)
            }
            // Several colons: most likely an IPv6 address without its brackets.
            Some(other) if other.contains(':') => return Err(UriError::InvalidHost),
            Some(_) => return Err(UriError::InvalidPort),
            None => return Err(UriError::InvalidHost),
        };
        Ok(Self { userinfo, host, zone, port })
    }
}

/// RFC 6874: the zone stands behind `%25`; the bare `%` that every other place uses is taken as well.
fn parse_ipv6(text: &str) -> Result<(String, Option<String>), UriError> {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone.strip_prefix("25").unwrap_or(zone))),
        None => (text, None),
    };
    let is_zone_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if zone.is_some_and(|zone| zone.is_empty() || !zone.bytes().all(is_zone_byte)) {
        return Err(UriError::InvalidHost);
    }
    let address: Ipv6Addr = address.parse().map_err(|_| UriError::InvalidHost)?;
    Ok((address.to_string(), zone.map(str::to_owned)))
}

fn parse_host_name(text: &str) -> Result<String, UriError> {
    let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if text.bytes().all(is_host_byte) { Ok(text.to_ascii_lowercase()) } else { Err(UriError::InvalidHost) }
}

fn parse_userinfo(text: &str) -> Result<(String, String), UriError> {
    let decode = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8().map_err(|_| UriError::InvalidUserinfo)?;
        Ok(decoded.into_owned())
    };
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let (user, password) = (decode(user)?, decode(password)?);
    let has_control = |text: &str| text.chars().any(char::is_control);
    if user.contains(':') || has_control(&user) || has_control(&password) {
        return Err(UriError::InvalidUserinfo);
    }
    Ok((user, password))
}

fn parse_resource(text: &str) -> Result<String, UriError> {
    let slash = if text.starts_with('/') { "" } else { "/" };
    // An IRI becomes a URI by percent-encoding what is not ASCII (RFC 3987 section 3.1); the rest is left as it is.
    if text.chars().any(|c| c.is_ascii_control()) {
        return Err(UriError::Malformed);
    }
    let resource = format!("{slash}{}", utf8_percent_encode(text, CONTROLS));
    resource.parse::<Uri>().map_err(|_| UriError::Malformed)?;
    Ok(resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Target {
        Target::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn s3_scheme_host_port_path_and_query_are_taken_apart() {
        let target = parse("wss://Example.com:8443/chat/room?x=1&y=%20");
        assert!(target.secure);
        assert_eq!((target.host.as_str(), target.port), ("example.com", 8443));
        assert_eq!(target.resource, "/chat/room?x=1&y=%20");
        assert_eq!(target.userinfo, None);
    }

    #[test]
    fn s3_ports_default_by_scheme_and_an_empty_path_is_a_slash() {
        for (text, port, resource) in [
            ("ws://h", 80, "/"),
            ("WSS://h", 443, "/"),
            ("ws://h:", 80, "/"),
            ("ws://h?a=b/c", 80, "/?a=b/c"),
            ("ws://h/?", 80, "/?"),
            (" ws://h/x\n", 80, "/x"),
        ] {
            let target = parse(text);
            assert_eq!((target.port, target.resource.as_str()), (port, resource), "{text}");
        }
    }

    #[test]
    fn addresses_are_taken_without_brackets_and_zone() {
        assert_eq!(parse("ws://127.0.0.1:1/").host, "127.0.0.1");
        let target = parse("ws://[FE80::1%25eth0]:9000/");
        assert_eq!(target.host, "fe80::1");
        assert_eq!(target.lookup_name(), "fe80::1%eth0");
        assert_eq!(target.to_string(), "[fe80::1%eth0]:9000");
        assert_eq!(parse("ws://[fe80::1%eth0]/").zone.as_deref(), Some("eth0"));
        assert_eq!(parse("ws://[::1]").to_string(), "[::1]:80");
    }

    #[test]
    fn userinfo_is_percent_decoded() {
        let userinfo = |text| parse(text).userinfo.unwrap();
        assert_eq!(userinfo("ws://us%40er:p%3Ass%C3%A9@h/"), ("us@er".into(), "p:ssé".into()));
        assert_eq!(userinfo("ws://token@h/"), ("token".into(), String::new()));
        assert_eq!(userinfo("ws://a:b:c@h/"), ("a".into(), "b:c".into()));
    }

    #[test]
    fn what_is_not_ascii_in_the_path_is_encoded() {
        assert_eq!(parse("ws://h/grün?ü=%C3%BC").resource, "/gr%C3%BCn?%C3%BC=%C3%BC");
    }

    #[test]
    fn each_mistake_has_its_own_error() {
        for (text, error) in [
            ("localhost:8765", UriError::NoScheme),
            ("://h", UriError::NoScheme),
            ("http://h/", UriError::HttpScheme),
            ("HTTPS://h/", UriError::HttpsScheme),
            ("ftp://h/", UriError::UnknownScheme),
            ("ws://h/a#b", UriError::Fragment),
            ("ws://h#", UriError::Fragment),
            ("ws://", UriError::NoHost),
            ("ws:///chat", UriError::NoHost),
            ("ws://:80/", UriError::NoHost),
            ("ws://u:p@/", UriError::NoHost),
            ("ws://::1/", UriError::NoHost),
            ("ws://fe80::1/", UriError::InvalidHost),
            ("ws://[::1/", UriError::InvalidHost),
            ("ws://[::1]x/", UriError::InvalidHost),
            ("ws://[1.2.3.4]/", UriError::InvalidHost),
            ("ws://[fe80::1%25]/", UriError::InvalidHost),
            ("ws://bücher.example/", UriError::InvalidHost),
            ("ws://a b/", UriError::InvalidHost),
            ("ws://a,b/", UriError::InvalidHost),
            ("ws://h:0/", UriError::InvalidPort),
            ("ws://h:65536/", UriError::InvalidPort),
            ("ws://h:+80/", UriError::InvalidPort),
            ("ws://h:http/", UriError::InvalidPort),
            ("ws://%ff@h/", UriError::InvalidUserinfo),
            ("ws://a%3Ab:c@h/", UriError::InvalidUserinfo),
            ("ws://a%0d%0a:c@h/", UriError::InvalidUserinfo),
            ("ws://h/a b", UriError::Malformed),
            ("ws://h/a\u{1}b", UriError::Malformed),
        ] {
            assert_eq!(Target::parse(text).err(), Some(error), "{text}");
        }
    }
}
