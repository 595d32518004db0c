//! JSON (RFC 8259) where it lies: no allocator, no tree.
//!
//! An envelope's members come in any order and hold any value, which is handed on as it stands. So what is needed is to check a
//! document, to find the members of its object, and to read strings and whole numbers.

use crate::text::Text;

/// How deep values may be nested: an envelope and the hub's limit in it.
const MAX_DEPTH: u32 = 128;

/// A value as it stands in the text, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value<'t>(&'t str);

/// The members of an object: names (with their escapes) and values.
#[derive(Clone, Debug)]
pub(crate) struct Members<'t> {
    rest: &'t str,
}

impl<'t> Value<'t> {
    /// The text as one JSON value with nothing but white space around it.
    pub(crate) fn parse(text: &'t str) -> Option<Self> {
        let (value, rest) = value(text)?;
        skip(rest).is_empty().then_some(Self(value))
    }

    /// The value's text.
    pub(crate) fn text(self) -> &'t str {
        self.0
    }

    /// The members, if this is an object.
    pub(crate) fn members(self) -> Option<Members<'t>> {
        self.0.strip_prefix('{').map(|rest| Members { rest })
    }

    /// The string between the quotes, with its escapes, if this is one.
    pub(crate) fn escaped(self) -> Option<&'t str> {
        self.0.strip_prefix('"')?.strip_suffix('"')
    }
}

impl<'t> Iterator for Members<'t> {
    type Item = (&'t str, Value<'t>);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = skip(self.rest);
        let rest = rest.strip_prefix(',').unwrap_or(rest);
        let (name, rest) = string(skip(rest))?;
        let (found, rest) = value(skip(rest).strip_prefix(':')?)?;
        self.rest = rest;
        Some((name.get(1..name.len() - 1)?, Value(found)))
    }
}

/// Appends a string with its quotes, escaped.
pub(crate) fn put_string(out: &mut Text<'_>, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.put("\"");
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.put(&text[plain..at]);
        plain = at + 1;
        match byte {
            b'"' | b'\\' => out.bytes(&[b'\\', byte]),
            b'\n' => out.put("\\n"),
            _ => {
                out.put("\\u00");
                out.bytes(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            }
        }
    }
    out.put(&text[plain..]);
    out.put("\"");
}

/// Takes the escapes out of a string of [`Value::escaped`], where it lies: it only becomes shorter. Answers its length.
///
/// Half a surrogate pair becomes U+FFFD, as nothing else stands for it in UTF-8.
pub(crate) fn unescape(bytes: &mut [u8]) -> usize {
    let (mut read, mut len) = (0, 0);
    while let Some(&byte) = bytes.get(read) {
        read += 1;
        if byte != b'\\' {
            bytes[len] = byte;
            len += 1;
            continue;
        }
        let character = match bytes.get(read).copied().unwrap_or_default() {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = unit(bytes, read + 1);
                read += 4;
                let low = matches!(bytes.get(read + 1..read + 3), Some(b"\\u")).then(|| unit(bytes, read + 3));
                match (first, low) {
                    (0xd800..0xdc00, Some(low @ 0xdc00..0xe000)) => {
                        read += 6;
                        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00))
                    }
                    _ => char::from_u32(first),
                }
                .unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            other => char::from(other),
        };
        read += 1;
        let mut utf8 = [0; 4];
        let utf8 = character.encode_utf8(&mut utf8).as_bytes();
        bytes[len..len + utf8.len()].copy_from_slice(utf8);
        len += utf8.len();
    }
    len
}

/// Four hexadecimal digits.
fn unit(bytes: &[u8], at: usize) -> u32 {
    let digits = bytes.get(at..at + 4).unwrap_or_default();
    digits.iter().fold(0, |unit, &digit| unit << 4 | char::from(digit).to_digit(16).unwrap_or_default())
}

/// Splits one value off. Nesting takes a bit for each level, not the stack.
fn value(text: &str) -> Option<(&str, &str)> {
    let text = skip(text);
    let mut rest = text;
    // Bit 0 is the innermost level: 1 for an object.
    let (mut levels, mut depth) = (0u128, 0);
    loop {
        // A value begins here.
        rest = skip(rest);
        match rest.as_bytes().first()? {
            open @ (b'{' | b'[') => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return None;
                }
                let object = *open == b'{';
                levels = levels << 1 | u128::from(object);
                rest = skip(&rest[1..]);
                if !rest.starts_with(if object { '}' } else { ']' }) {
                    if object {
                        rest = name(rest)?;
                    }
                    continue;
                }
            }
            b'"' => rest = string(rest)?.1,
            b'-' | b'0'..=b'9' => rest = number(rest)?,
            _ => rest = ["true", "false", "null"].iter().find_map(|word| rest.strip_prefix(word))?,
        }
        // A value ended here: what is around it goes on, or ends too.
        loop {
            if depth == 0 {
                return Some(text.split_at(text.len() - rest.len()));
            }
            let object = levels & 1 == 1;
            rest = skip(rest);
            match rest.as_bytes().first()? {
                b',' => {
                    rest = &rest[1..];
                    if object {
                        rest = name(skip(rest))?;
                    }
                    break;
                }
                b'}' if object => {}
                b']' if !object => {}
                _ => return None,
            }
            rest = &rest[1..];
            levels >>= 1;
            depth -= 1;
        }
    }
}

/// Takes a member's name and its colon off.
fn name(text: &str) -> Option<&str> {
    skip(string(text)?.1).strip_prefix(':')
}

/// Splits a string with its quotes off.
fn string(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(text.split_at(at + 1)),
            b'\\' => match bytes.get(at + 1)? {
                b'u' => {
                    if !bytes.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) {
                        return None;
                    }
                    at += 6;
                }
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                _ => return None,
            },
            0..b' ' => return None,
            _ => at += 1,
        }
    }
}

/// Takes a number off.
fn number(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('-').unwrap_or(text);
    let mut rest = match rest.strip_prefix('0') {
        Some(rest) => rest,
        None => digits(rest)?,
    };
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = digits(fraction)?;
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        rest = digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))?;
    }
    Some(rest)
}

fn digits(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
    (rest.len() < text.len()).then_some(rest)
}

fn skip(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::{String, ToString};
    use std::vec::Vec;
    use std::{format, vec};

    use super::*;

    fn unescaped(value: Value<'_>) -> String {
        let mut bytes = value.escaped().unwrap().as_bytes().to_vec();
        let len = unescape(&mut bytes);
        bytes.truncate(len);
        String::from_utf8(bytes).unwrap()
    }

    /// Any document, or nearly one.
    fn document(random: &mut fastrand::Rng, depth: usize) -> String {
        let text = |random: &mut fastrand::Rng| {
            let pieces =
                ["a", "é", "\\n", "\\\"", "\\u00e9", "\\ud83d\\ude00", "\\ud83d", "\\udc00x", "😀", "\\/", "\\\\", ","];
            let string: String = (0..random.usize(..4)).map(|_| pieces[random.usize(..pieces.len())]).collect();
            format!("\"{string}\"")
        };
        match random.u32(..if depth > 4 { 4 } else { 6 }) {
            0 => text(random),
            1 => ["0", "-1", "17", "1.5", "1e9", "-0.1E-3", "01", "1.", "-", "+1"][random.usize(..10)].to_string(),
            2 => ["true", "false", "null", "nul", ""][random.usize(..5)].to_string(),
            3 => ["{}", "[]", "[ ]", "{,}", "[1,]"][random.usize(..5)].to_string(),
            4 => {
                let items: Vec<_> = (0..random.usize(1..4)).map(|_| document(random, depth + 1)).collect();
                format!("[{}]", items.join(" , "))
            }
            _ => {
                let mut members = Vec::new();
                for n in 0..random.usize(1..4) {
                    members.push(format!("\"m{n}\" : {}", document(random, depth + 1)));
                }
                format!("{{ {} }}", members.join(","))
            }
        }
    }

    #[test]
    fn rfc8259_takes_the_documents_that_serde_json_takes_and_sees_the_same_in_them() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut good = 0;
        for _ in 0..50_000 {
            let text = document(&mut random, 0);
            let lone_surrogate = text.contains("\\ud83d\"") || text.contains("\\udc00") || text.contains("\\ud83d");
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            let ours = Value::parse(&text);
            if lone_surrogate && theirs.is_err() {
                continue;
            }
            assert_eq!(ours.is_some(), theirs.is_ok(), "{text}");
            let (Some(ours), Ok(theirs)) = (ours, theirs) else { continue };
            good += 1;
            if let Some(string) = theirs.as_str() {
                assert_eq!(unescaped(ours), string);
            }
            if let Some(object) = theirs.as_object() {
                let members: Vec<_> = ours.members().unwrap().collect();
                assert_eq!(members.len(), object.len(), "{text}");
                for (name, value) in members {
                    assert_eq!(serde_json::from_str::<serde_json::Value>(value.text()).unwrap(), object[name]);
                }
            }
        }
        assert!(good > 10_000, "{good}");
    }

    #[test]
    fn any_bytes_do_no_harm() {
        let mut random = fastrand::Rng::with_seed(4);
        let alphabet = b"{}[]\",:\\u01d8e-+. ntr\xc3\xa9";
        for _ in 0..200_000 {
            let bytes: Vec<u8> = (0..random.usize(..20)).map(|_| alphabet[random.usize(..alphabet.len())]).collect();
            let Ok(text) = str::from_utf8(&bytes) else { continue };
            if let Some(value) = Value::parse(text) {
                value.members().into_iter().flatten().count();
                value.escaped().map(|_| unescaped(value));
            }
        }
    }

    #[test]
    fn nesting_has_a_limit_and_takes_no_stack() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Value::parse(&nested(128)).is_some());
        assert!(Value::parse(&nested(129)).is_none());
        assert!(Value::parse(&nested(1_000_000)).is_none());
    }

    #[test]
    fn strings_are_written_so_that_they_are_read_the_same() {
        for text in ["", "plain", "\"\\/\n\r\t\u{0}\u{1f}", "é😀"] {
            let mut memory = vec![0; 100];
            let mut out = Text::new(&mut memory);
            put_string(&mut out, text);
            let written = out.finish().unwrap();
            assert_eq!(serde_json::from_str::<String>(written).unwrap(), text);
        }
    }
}
