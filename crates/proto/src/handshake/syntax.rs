//! The pieces of HTTP's grammar that the handshake needs (RFC 7230 sections 3.2 and 7, RFC 3986 section 3.2).

/// RFC 7230 section 3.2.6, tchar.
pub(super) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// Whether two texts are the same, whatever the case of ASCII letters.
// Inlined wherever a name is compared, it would be much of the handshake's code.
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(super) fn is_same(text: &[u8], other: &str) -> bool {
    text.eq_ignore_ascii_case(other.as_bytes())
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
pub(super) fn list_has(value: &[u8], element: &str) -> bool {
    in_list(value, element).0
}

/// Whether a comma-separated list has this element, whatever the case, and whether it has others. (Of bytes, since for text this is
/// four times the code.)
pub(super) fn in_list(value: &[u8], element: &str) -> (bool, bool) {
    let (mut found, mut others) = (false, false);
    for item in value.split(|&byte| byte == b',').map(trim) {
        let same = is_same(item, element);
        found |= same;
        others |= !same && !item.is_empty();
    }
    (found, others)
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
                is_ipv6(host.as_bytes()).then_some(())?;
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
pub(super) fn is_host_name(host: &str) -> bool {
    let is_host_byte = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&' | b'\'')
            || matches!(byte, b'(' | b')' | b'*' | b'+' | b';' | b'=')
    };
    !host.is_empty() && host.bytes().all(is_host_byte)
}

/// RFC 3986 section 3.2.2, IPv6address. What it stands for nobody asks, and the standard library's parser is 2 KB on a chip.
pub(super) fn is_ipv6(text: &[u8]) -> bool {
    // Of the group that is being read: how many digits it has.
    let (mut groups, mut gap, mut digits) = (0, false, 0);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b':' if digits > 0 => (groups, digits) = (groups + 1, 0),
            // Of the colons of a gap the first ends a group, if there is one, and the second is the gap.
            b':' if at == 0 && text.starts_with(b"::") => {}
            b':' if !gap && text[..at].ends_with(b":") => gap = true,
            // The last two groups.
            b'.' if is_ipv4(&text[at - digits..]) => {
                (groups, digits) = (groups + 1, 1);
                break;
            }
            _ if byte.is_ascii_hexdigit() && digits < 4 => digits += 1,
            _ => return false,
        }
    }
    if digits > 0 {
        groups += 1;
    } else if !text.ends_with(b"::") {
        return false;
    }
    // The gap stands for one group at least.
    if gap { groups < 8 } else { groups == 8 }
}

/// RFC 3986 section 3.2.2, IPv4address.
fn is_ipv4(text: &[u8]) -> bool {
    let (mut dots, mut digits, mut octet) = (0, 0, 0);
    for &byte in text {
        match byte {
            b'.' if digits > 0 => (dots, digits, octet) = (dots + 1, 0, 0),
            // No zero in front.
            b'0'..=b'9' if digits == 0 || octet > 0 => {
                (digits, octet) = (digits + 1, 10 * octet + u32::from(byte - b'0'))
            }
            _ => return false,
        }
        if octet > 255 {
            return false;
        }
    }
    dots == 3 && digits > 0
}

/// Whether all characters may stand in a request target. RFC 6455 section 3: no fragment, and a `#` elsewhere has to be escaped.
pub(super) fn is_target(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
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
        is_target(target).then_some(())?;
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

#[cfg(test)]
mod tests {
    use core::net::Ipv6Addr;
    use std::vec::Vec;

    use super::is_ipv6;

    fn check(text: &[u8]) {
        let text = core::str::from_utf8(text).unwrap();
        assert_eq!(is_ipv6(text.as_bytes()), text.parse::<Ipv6Addr>().is_ok(), "{text}");
    }

    #[test]
    fn rfc3986_s3_2_2_all_short_texts_are_addresses_exactly_where_the_standard_library_says_so() {
        const LETTERS: &[u8] = b":.1af%";
        let mut texts: Vec<Vec<u8>> = [Vec::new()].into();
        for _ in 0..6 {
            let longer =
                |text: &Vec<u8>| LETTERS.iter().map(|&letter| [&text[..], &[letter]].concat()).collect::<Vec<_>>();
            texts = texts.iter().flat_map(longer).collect();
            texts.iter().for_each(|text| check(text));
        }
    }

    #[test]
    fn rfc3986_s3_2_2_addresses_of_any_number_of_groups_are_told_apart() {
        for before in 0..=9 {
            for after in 0..=9 {
                for gap in ["", ":", "::", ":::"] {
                    for end in
                        ["", "1.2.3.4", "255.255.255.255", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.0.0.0", "1.2.3.1234"]
                    {
                        let groups = |count| std::vec!["12ab"; count].join(":");
                        let colon = if after > 0 && !end.is_empty() { ":" } else { "" };
                        check(std::format!("{}{gap}{}{colon}{end}", groups(before), groups(after)).as_bytes());
                    }
                }
            }
        }
    }
}
