//! Sec-WebSocket-Key and Sec-WebSocket-Accept (RFC 6455 sections 1.3, 4.1 and 4.2.2).

use super::sha1::sha1;

/// RFC 6455 section 1.3: proves that the server understood a WebSocket request and not just any HTTP.
const GUID: &[u8; 36] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The value of a request's Sec-WebSocket-Key: 16 random bytes as 24 base64 characters (RFC 6455 section 4.1, 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientKey([u8; 24]);

impl ClientKey {
    /// The key for 16 bytes that the caller drew at random for this connection.
    pub fn new(nonce: &[u8; 16]) -> Self {
        let mut key = [0; 24];
        base64(nonce, &mut key);
        Self(key)
    }

    /// Reads the key of a request; `None` unless it is the base64 of 16 bytes (RFC 6455 section 4.2.1, 5).
    ///
    /// The four unused bits of the last character may be anything: simple clients draw 22 random characters instead of
    /// 16 random bytes, RFC 4648 section 3.5 lets a decoder accept them, and the answer is computed from the text.
    pub fn parse(text: &str) -> Option<Self> {
        let key: [u8; 24] = text.as_bytes().try_into().ok()?;
        let (digits, padding) = key.split_at(22);
        let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        (digits.iter().all(is_digit) && padding == b"==").then_some(Self(key))
    }

    /// The key as it stands in the header.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).expect("base64 is ASCII")
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The Sec-WebSocket-Accept value that answers this key (RFC 6455 section 4.2.2, 5.4).
    pub fn accept(&self) -> AcceptKey {
        let mut text = [0; 24 + GUID.len()];
        text[..24].copy_from_slice(&self.0);
        text[24..].copy_from_slice(GUID);
        let mut accept = [0; 28];
        base64(&sha1(&text), &mut accept);
        AcceptKey(accept)
    }
}

/// The value of an answer's Sec-WebSocket-Accept: 28 base64 characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptKey([u8; 28]);

impl AcceptKey {
    /// The value as it stands in the header.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).expect("base64 is ASCII")
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// RFC 4648 section 4, into four characters for each three bytes, also those that are not full.
fn base64(bytes: &[u8], text: &mut [u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    text.fill(b'=');
    for (group, out) in bytes.chunks(3).zip(text.chunks_mut(4)) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | usize::from(group.get(at).copied().unwrap_or_default()));
        for (at, digit) in out.iter_mut().enumerate().take(group.len() + 1) {
            *digit = DIGITS[bits >> (18 - 6 * at) & 63];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn rfc4648_s10_the_examples_are_encoded_as_they_stand_there() {
        let examples: [(&[u8], &[u8]); 5] = [
            (b"f", b"Zg=="),
            (b"fo", b"Zm8="),
            (b"foo", b"Zm9v"),
            (b"foobar", b"Zm9vYmFy"),
            (&[0xff, 0xef, 0xbe], b"/+++"),
        ];
        for (bytes, expected) in examples {
            let mut text = [0; 8];
            base64(bytes, &mut text[..expected.len()]);
            assert_eq!(&text[..expected.len()], expected);
        }
    }
}
