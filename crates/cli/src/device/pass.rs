//! What a device needs to know of itself, as text.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tautline_store::Secret;

/// What stands in front of it. Lines that begin otherwise are for people.
const SCHEME: &str = "tautline:device?";

/// What stands for itself in an address (RFC 3986 section 2.3).
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A device's number, name and key. It shows as `tautline:device?number=7&name=kitchen&key=...`, key included; not in debug output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    /// Which device it is on the wire.
    pub(crate) number: u32,
    /// Its name.
    pub(crate) name: String,
    /// Its key.
    pub(crate) key: Secret,
}

impl Pass {
    /// Whether a line is meant to be one.
    pub(crate) fn is_meant_by(line: &str) -> bool {
        line.starts_with(SCHEME)
    }

    /// Reads what [`Display`](fmt::Display) writes; `None` if it is not that. What is not known is left out, for later versions.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (mut number, mut name, mut key) = (None, None, None);
        for pair in text.strip_prefix(SCHEME)?.split('&') {
            let (field, value) = pair.split_once('=')?;
            match field {
                "number" => number = Some(value.parse().ok().filter(|&number| number != 0)?),
                "name" => name = Some(percent_decode_str(value).decode_utf8().ok()?.into_owned()),
                "key" => key = Some(bytes(value)?),
                _ => {}
            }
        }
        Some(Self { number: number?, name: name.filter(|name| check_name(name).is_ok())?, key: Secret(key?) })
    }

    /// The key's 64 hexadecimal digits.
    pub(crate) fn key_digits(&self) -> String {
        self.key.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = utf8_percent_encode(&self.name, &RESERVED);
        write!(f, "{SCHEME}number={}&name={name}&key={}", self.number, self.key_digits())
    }
}

/// Whether a device can be called this: it has to fit into a hello, and onto a terminal.
pub(super) fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
        return Err("a name has 1 to 64 bytes and no control characters");
    }
    Ok(())
}

/// 32 bytes of 64 hexadecimal digits.
fn bytes(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_what_it_is_written_as() {
        let pass = Pass { number: 7, name: "küche & bad=1?".into(), key: Secret([0xa5; 32]) };
        let text = pass.to_string();
        let expected = format!("tautline:device?number=7&name=k%C3%BCche%20%26%20bad%3D1%3F&key={}", "a5".repeat(32));
        assert_eq!(text, expected);
        assert_eq!(Pass::parse(&text), Some(pass.clone()));
        assert_eq!(Pass::parse(&(text + "&hub=later")), Some(pass));
    }

    #[test]
    fn what_is_not_a_pass_is_not_taken() {
        let key = "0f".repeat(32);
        let whole = format!("tautline:device?number=7&name=a&key={key}");
        assert!(Pass::parse(&whole).is_some());
        for wrong in [
            whole.replace("tautline:", ""),
            whole.replace("number=7", "number=0"),
            whole.replace("number=7", "number=x"),
            whole.replace("&name=a", ""),
            whole.replace("name=a", "name="),
            whole.replace("name=a", "name=%1b"),
            whole.replace("name=a", "name=%ff"),
            whole.replace("key=0f", "key="),
            whole.replace("key=0f", "key=+f"),
            whole.replace("key=0f", "key=é"),
        ] {
            assert_eq!(Pass::parse(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_does_not_show_itself_in_debug_output() {
        let pass = Pass { number: 7, name: "a".into(), key: Secret([0xa5; 32]) };
        assert_eq!(format!("{pass:?}"), r#"Pass { number: 7, name: "a", key: Secret(..) }"#);
    }
}
