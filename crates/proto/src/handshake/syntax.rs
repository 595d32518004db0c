//! The pieces of HTTP's grammar that the handshake needs (RFC 7230 sections 3.2 and 7, RFC 3986 section 3.2).

use core::net::Ipv6Addr;

/// RFC 7230 section 3.2.6, tchar.
pub(super) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// RFC 7230 section 3.2.6, token.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Whether a byte may stand in a header's value (RFC 7230 section 3.2): no control characters, hence no CR or LF.
pub(super) const fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// A header's value without the white space around it, if it is ASCII without control characters.
///
/// Every header that the handshake decides on is ASCII by its grammar.
pub(super) fn ascii_value(value: &[u8]) -> Option<&str> {
    let value = trim(value);
    value.iter().all(|&byte| byte.is_ascii() && is_value_byte(byte)).then_some(())?;
    core::str::from_utf8(value).ok()
}

/// Removes optional white space from both ends (RFC 7230 section 3.2.3).
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The elements of a comma-separated list, without empty ones (RFC 7230 section 7 has recipients ignore them).
pub(super) fn list(value: &str) -> impl Iterator<Item = &str> + Clone {
    value.split(',').map(|item| item.trim_matches([' ', '\t'])).filter(|item| !item.is_empty())
}

/// Whether a comma-separated list has this element, whatever the case.
pub(super) fn list_has(value: &str, element: &str) -> bool {
    list(value).any(|item| item.eq_ignore_ascii_case(element))
}

/// A host (an IPv6 address without its brackets) and its port, as in the Host header (RFC 7230 section 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    pub(super) host: &'a str,
    pub(super) port: Option<u16>,
}

impl<'a> Authority<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                host.parse::<Ipv6Addr>().ok()?;
                (host, port)
            }
            None => {
                let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
                is_host_name(host).then_some(())?;
                (host, port)
            }
        };
        // RFC 3986 section 3.2.3 allows a colon without digits behind it.
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            None => return None,
            Some("") => None,
            Some(digits) => Some(digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??),
        };
        Some(Self { host, port })
    }

    /// Same host, and same port unless one of the two does not name any.
    pub(super) fn matches(&self, other: &Self) -> bool {
        let same_port = match (self.port, other.port) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        self.host.eq_ignore_ascii_case(other.host) && same_port
    }
}

/// RFC 3986 section 3.2.2, reg-name, without the comma: in a Host header it only comes from two headers that a proxy
/// has merged.
fn is_host_name(host: &str) -> bool {
    let is_host_byte = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&' | b'\'')
            || matches!(byte, b'(' | b')' | b'*' | b'+' | b';' | b'=')
    };
    !host.is_empty() && host.bytes().all(is_host_byte)
}

/// A request target, taken apart (RFC 7230 section 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// Of the absolute form; it then replaces the Host header (RFC 7230 section 5.4).
    pub(super) authority: Option<Authority<'a>>,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// The origin form and the absolute form, which RFC 6455 section 4.1 allows; `None` for anything else.
    pub(super) fn parse(target: &'a str) -> Option<Self> {
        // RFC 6455 section 3: no fragment, and a `#` elsewhere has to be escaped.
        target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#').then_some(())?;
        let (authority, rest) = if target.starts_with('/') {
            (None, target)
        } else {
            let (scheme, rest) = target.split_once("://")?;
            ["http", "https", "ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known)).then_some(())?;
            let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            (Some(Authority::parse(authority)?), rest)
        };
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        Some(Self { authority, path: if path.is_empty() { "/" } else { path }, query })
    }
}
