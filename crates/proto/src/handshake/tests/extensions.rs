//! The grammar of RFC 6455 section 9.1.

use super::std::format;
use super::std::string::{String, ToString};
use super::std::vec::Vec;
use crate::handshake::extensions::{Malformed, in_headers, parse};

/// `name;param=value` of each, or the error.
fn read(value: &str) -> Result<Vec<String>, Malformed> {
    parse(value.as_bytes())
        .map(|extension| {
            let extension = extension?;
            let mut text = extension.name().to_string();
            for (name, value) in extension.params() {
                text += &match value {
                    Some(value) => format!(";{name}={value}"),
                    None => format!(";{name}"),
                };
            }
            Ok(text)
        })
        .collect()
}

#[test]
fn s9_1_lists_and_parameters() {
    for (value, expected) in [
        ("foo", &["foo"][..]),
        ("foo, bar; baz=2", &["foo", "bar;baz=2"]),
        ("foo;a;b=c;a", &["foo;a;b=c;a"]),
        (" foo ; a = b , ,bar ", &["foo;a=b", "bar"]),
        (
            "permessage-deflate; client_max_window_bits; server_max_window_bits=\"10\", permessage-deflate",
            &["permessage-deflate;client_max_window_bits;server_max_window_bits=10", "permessage-deflate"],
        ),
    ] {
        assert_eq!(read(value).unwrap(), expected, "{value}");
    }
}

#[test]
fn s9_1_quoted_values_are_unescaped() {
    assert_eq!(read(r#"a; b="c\de""#).unwrap(), ["a;b=cde"]);
    let extension = parse(br#"a; b="1\0""#).next().unwrap().unwrap();
    let (_, value) = extension.params().next().unwrap();
    assert_eq!(value.unwrap(), "10");
}

#[test]
fn s9_1_malformed_lists() {
    for value in [
        "",
        ",",
        "a b",
        "a;",
        "a; ;b",
        "a;b=",
        "a;=b",
        "a;b=\"",
        "a;b=\"\"",
        "a;b=\"c d\"",
        "a;b=\"c,d\"",
        "a;b=\"\\\"\"",
        "a;b=\"c\"d",
        "a=b",
        ";",
        "a, ;b",
        "\u{e4}",
        "a/b",
    ] {
        assert_eq!(read(value), Err(Malformed), "{value}");
    }
}

#[test]
fn s9_1_nothing_follows_an_error() {
    let mut extensions = parse(b"a, b c, d");
    assert!(extensions.next().unwrap().is_ok());
    assert_eq!(extensions.next(), Some(Err(Malformed)));
    assert_eq!(extensions.next(), None);
}

#[test]
fn s9_1_several_headers_are_one_list() {
    let headers = [("sec-websocket-extensions", &b"a"[..]), ("Host", b"x"), ("Sec-WebSocket-Extensions", b"b; c, d")];
    let names: Vec<_> = in_headers(headers.into_iter()).map(|extension| extension.name()).collect();
    assert_eq!(names, ["a", "b", "d"]);
}
