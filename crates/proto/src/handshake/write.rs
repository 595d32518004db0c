//! Writing a head into the caller's buffer.

use core::fmt;

use super::syntax::{is_same, is_token, is_value_byte};

/// The caller asked for something that cannot be written. Nothing must be sent then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// The buffer is too small for the whole message.
    BufferTooSmall {
        /// How many bytes it takes.
        needed: usize,
    },
    /// The host is not a host name or an IP address.
    InvalidHost,
    /// The target does not start with `/`, or has a space, a `#`, a control or a non-ASCII character.
    InvalidTarget,
    /// A subprotocol is not a token (RFC 7230 section 3.2.6).
    InvalidSubprotocol,
    /// A subprotocol is offered twice (RFC 6455 section 4.1, 10).
    DuplicateSubprotocol,
    /// The extension offer does not follow RFC 6455 section 9.1.
    InvalidExtensions,
    /// A header's name is not a token.
    InvalidHeaderName,
    /// A header's value has a control character, such as a line break.
    InvalidHeaderValue,
    /// A header that belongs to the handshake itself was given as an extra one.
    ReservedHeader,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BufferTooSmall { needed } => return write!(f, "the buffer is too small: {needed} bytes are needed"),
            Self::InvalidHost => "the host is not a valid host name or address",
            Self::InvalidTarget => "the request target is not a valid path and query",
            Self::InvalidSubprotocol => "a subprotocol is not a token",
            Self::DuplicateSubprotocol => "a subprotocol is offered twice",
            Self::InvalidExtensions => "the extension offer is malformed",
            Self::InvalidHeaderName => "a header name is not a token",
            Self::InvalidHeaderValue => "a header value contains a control character",
            Self::ReservedHeader => "a header that the handshake itself writes was given as an extra header",
        })
    }
}

impl core::error::Error for WriteError {}

/// Appends to a buffer and counts on when it is full, so that the error can say how much is needed.
pub(super) struct Writer<'o> {
    out: &'o mut [u8],
    len: usize,
}

impl<'o> Writer<'o> {
    pub(super) fn new(out: &'o mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    pub(super) fn put(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Writes bytes that are text.
    // Inlined this would be an eighth of a chip's client.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len());
        if let Some(room) = self.out.get_mut(self.len..end) {
            room.copy_from_slice(bytes);
        }
        self.len = end;
    }

    /// Writes a header whose name and value are known to be valid.
    pub(super) fn header(&mut self, name: &str, value: &str) {
        self.put(name);
        self.put(": ");
        self.put(value);
        self.put("\r\n");
    }

    /// Writes a header that came from the caller.
    pub(super) fn checked_header(&mut self, name: &str, value: &str) -> Result<(), WriteError> {
        if !is_token(name) {
            return Err(WriteError::InvalidHeaderName);
        }
        // RFC 7230 section 3.2.4: a line break in a value would start a header of its own.
        if !value.bytes().all(is_value_byte) {
            return Err(WriteError::InvalidHeaderValue);
        }
        self.header(name, value);
        Ok(())
    }

    /// The number of bytes written, if all of them fitted.
    pub(super) fn finish(self) -> Result<usize, WriteError> {
        if self.len > self.out.len() {
            return Err(WriteError::BufferTooSmall { needed: self.len });
        }
        Ok(self.len)
    }
}

/// Whether a header decides over the handshake or the framing of the message, so that only the handshake may write it.
pub(super) fn is_reserved(name: &str) -> bool {
    const PREFIX: &str = "Sec-WebSocket-";
    ["Host", "Upgrade", "Connection", "Content-Length", "Transfer-Encoding"]
        .iter()
        .any(|reserved| is_same(name.as_bytes(), reserved))
        || name.as_bytes().get(..PREFIX.len()).is_some_and(|start| is_same(start, PREFIX))
}

/// A number in decimal, without an allocation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal {
    digits: [u8; 10],
    start: usize,
}

impl Decimal {
    pub(super) fn new(mut number: u32) -> Self {
        let mut decimal = Self { digits: [b'0'; 10], start: 9 };
        for (index, digit) in decimal.digits.iter_mut().enumerate().rev() {
            *digit = b'0' + (number % 10) as u8;
            decimal.start = index;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        decimal
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.digits.get(self.start..).unwrap_or_default()
    }

    pub(super) fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).expect("digits are ASCII")
    }
}
