//! What must not be shown of a handshake.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::tokens::SUBPROTOCOL;

/// Stands for what is not shown.
pub(super) const REDACTED: &str = "[redacted]";

/// A header's value as it may be shown.
pub(super) fn header(name: &str, value: &str) -> String {
    match name.to_ascii_lowercase().as_str() {
        "cookie" | "set-cookie" => REDACTED.to_owned(),
        "authorization" | "proxy-authorization" => match value.split_once(' ') {
            // Which scheme it is helps, and is no secret.
            Some((scheme, _)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') => {
                format!("{scheme} {REDACTED}")
            }
            _ => REDACTED.to_owned(),
        },
        "sec-websocket-protocol" => value.split(',').map(subprotocol).collect::<Vec<_>>().join(","),
        name if is_secret(name) => REDACTED.to_owned(),
        // An address, of a page or of what a proxy was asked for, may have the same secrets as ours.
        _ => target(value),
    }
}

/// The target of a request as it may be shown.
pub(super) fn target(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let query: Vec<_> = query.split('&').map(parameter).collect();
    format!("{path}?{}", query.join("&"))
}

fn parameter(parameter: &str) -> Cow<'_, str> {
    let Some((name, _)) = parameter.split_once('=') else { return parameter.into() };
    let decoded = percent_decode_str(name).decode_utf8_lossy();
    if is_secret(&decoded.to_ascii_lowercase()) { format!("{name}={REDACTED}").into() } else { parameter.into() }
}

fn subprotocol(item: &str) -> Cow<'_, str> {
    let start = item.len() - item.trim_start().len();
    let (space, name) = item.split_at(start);
    match name.get(..SUBPROTOCOL.len()) {
        Some(prefix) if prefix.eq_ignore_ascii_case(SUBPROTOCOL) => format!("{space}{prefix}{REDACTED}").into(),
        _ => item.into(),
    }
}

/// Whether something of this name, in small letters, is most probably a secret.
fn is_secret(name: &str) -> bool {
    ["token", "secret", "passw", "api-key", "api_key", "apikey", "credential"].iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        for (name, value, shown) in [
            ("Authorization", "Bearer abc.def", "Bearer [redacted]"),
            ("authorization", "abcdef", "[redacted]"),
            ("Authorization", "a=b, c", "[redacted]"),
            ("Proxy-Authorization", "Basic dTpw", "Basic [redacted]"),
            ("Cookie", "session=1; theme=dark", "[redacted]"),
            ("Set-Cookie", "session=1", "[redacted]"),
            ("X-Auth-Token", "abc", "[redacted]"),
            ("X-API-Key", "abc", "[redacted]"),
            (
                "Sec-WebSocket-Protocol",
                "tautline.v1.json, tautline.token.abc,TAUTLINE.Token.x",
                "tautline.v1.json, tautline.token.[redacted],TAUTLINE.Token.[redacted]",
            ),
            ("Referer", "http://h/?a=1&token=abc", "http://h/?a=1&token=[redacted]"),
        ] {
            assert_eq!(header(name, value), shown, "{name}: {value}");
        }
    }

    #[test]
    fn what_explains_a_handshake_is_shown() {
        for (name, value) in [
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("Sec-WebSocket-Protocol", " a, tautline.v1.json"),
            ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
            ("Origin", "http://localhost:8000"),
            ("Host", "localhost:8000"),
        ] {
            assert_eq!(header(name, value), value);
        }
    }

    #[test]
    fn tokens_in_a_query_are_not_shown_however_they_are_written() {
        for (given, shown) in [
            ("/rooms/lab/esp", "/rooms/lab/esp"),
            ("/esp?token=abc", "/esp?token=[redacted]"),
            ("/esp?epoch=1&token=a=b&offset=2", "/esp?epoch=1&token=[redacted]&offset=2"),
            ("/esp?%74oken=abc&TOKEN=x", "/esp?%74oken=[redacted]&TOKEN=[redacted]"),
            ("/esp?access_token=abc?token=x", "/esp?access_token=[redacted]"),
            ("/esp?a=b?token=x", "/esp?a=b?token=x"),
            ("/esp?token", "/esp?token"),
        ] {
            assert_eq!(target(given), shown);
        }
    }
}
