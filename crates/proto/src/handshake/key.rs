//! Sec-WebSocket-Key and Sec-WebSocket-Accept (RFC 6455 sections 1.3, 4.1 and 4.2.2).

use base64ct::{Base64, Encoding};
use sha1_smol::Sha1;

/// RFC 6455 section 1.3: proves that the server understood a WebSocket request and not just any HTTP.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The value of a request's Sec-WebSocket-Key: 16 random bytes as 24 base64 characters (RFC 6455 section 4.1, 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientKey([u8; 24]);

impl ClientKey {
    /// The key for 16 bytes that the caller drew at random for this connection.
    pub fn new(nonce: &[u8; 16]) -> Self {
        let mut text = [0; 24];
        Base64::encode(nonce, &mut text).expect("16 bytes are 24 characters of base64");
        Self(text)
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

    /// The Sec-WebSocket-Accept value that answers this key (RFC 6455 section 4.2.2, 5.4).
    pub fn accept(&self) -> AcceptKey {
        let mut sha1 = Sha1::new();
        sha1.update(&self.0);
        sha1.update(GUID.as_bytes());
        let mut text = [0; 28];
        Base64::encode(&sha1.digest().bytes(), &mut text).expect("20 bytes are 28 characters of base64");
        AcceptKey(text)
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
}
