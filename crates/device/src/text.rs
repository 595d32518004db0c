//! Writing text into memory of the caller's.

use core::fmt;

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// Text that is put together in memory of fixed size.
///
/// It counts on when the memory is full, so that [`len`](Self::len) tells how much is needed.
#[derive(Debug)]
pub struct Text<'b> {
    memory: &'b mut [u8],
    len: usize,
}

impl<'b> Text<'b> {
    /// Empty text.
    pub fn new(memory: &'b mut [u8]) -> Self {
        Self { memory, len: 0 }
    }

    /// Appends bytes that are text, or part of it.
    // Inlined this would be much of the client.
    #[inline(never)]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len());
        if let Some(room) = self.memory.get_mut(self.len..end) {
            room.copy_from_slice(bytes);
        }
        self.len = end;
    }

    /// Appends `text`.
    pub fn put(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Appends what stands for `text` in a path or a query (RFC 3986 §2.1): letters, digits, `-`, `.`, `_` and `~` as they are,
    /// the rest percent-encoded.
    pub fn encoded(&mut self, text: &str) {
        for &byte in text.as_bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                self.bytes(&[byte]);
            } else {
                self.bytes(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            }
        }
    }

    /// Appends the hexadecimal digits of `bytes`.
    pub(crate) fn hex(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.bytes(&[
                DIGITS[usize::from(byte >> 4)].to_ascii_lowercase(),
                DIGITS[usize::from(byte & 15)].to_ascii_lowercase(),
            ]);
        }
    }

    /// Appends a number in decimal.
    pub(crate) fn decimal(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.bytes(&digits[at..]);
    }

    /// Takes back what was appended after the text had `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// How many bytes the text has, also those that did not fit.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What was written, if it is text and all of it fitted.
    pub fn finish(self) -> Option<&'b str> {
        core::str::from_utf8(self.memory.get(..self.len)?).ok()
    }
}

impl fmt::Write for Text<'_> {
    /// Never fails; see [`Text::len`].
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_and_not_given() {
        let mut memory = [0; 4];
        let mut text = Text::new(&mut memory);
        text.put("ab");
        text.put("cde");
        assert_eq!(text.len(), 5);
        assert_eq!(text.finish(), None);
    }

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 9, 10, u64::MAX] {
            let mut memory = [0; 20];
            let mut text = Text::new(&mut memory);
            text.decimal(number);
            assert_eq!(text.finish().unwrap().parse(), Ok(number));
        }
    }

    #[test]
    fn rfc3986_s2_1_reserved_bytes_are_encoded() {
        let mut memory = [0; 32];
        let mut text = Text::new(&mut memory);
        text.encoded("a b/\u{e9}?~");
        assert_eq!(text.finish(), Some("a%20b%2F%C3%A9%3F~"));
    }
}
