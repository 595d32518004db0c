//! Finding and checking the head of an HTTP message, request or response (RFC 7230 section 3).

use super::limits::Limits;
use super::syntax::{is_same, is_token_byte, is_value_byte, trim};

/// The version of HTTP that a message speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HttpVersion {
    /// The digit before the dot.
    pub major: u8,
    /// The digit behind the dot.
    pub minor: u8,
}

impl HttpVersion {
    /// HTTP/1.0, which cannot upgrade a connection.
    pub const HTTP_10: Self = Self { major: 1, minor: 0 };
    /// HTTP/1.1.
    pub const HTTP_11: Self = Self { major: 1, minor: 1 };

    /// Reads `HTTP/1.1` and the like (RFC 7230 section 2.6; the case matters).
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        match text.strip_prefix(b"HTTP/") {
            Some([major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9']) => {
                Some(Self { major: major - b'0', minor: minor - b'0' })
            }
            _ => None,
        }
    }

    /// RFC 6455 sections 4.1 and 4.2.1 want HTTP/1.1 or higher; higher majors upgrade in other ways.
    pub(super) fn can_upgrade(self) -> bool {
        self.major == 1 && self.minor >= 1
    }
}

/// The headers of a checked head, in their order: names as sent, values without the white space around them.
///
/// A value may hold any bytes but control characters; those above 127 are in no particular encoding.
#[derive(Clone)]
pub struct Headers<'a> {
    rest: &'a [u8],
}

impl<'a> Headers<'a> {
    /// Takes header lines with the empty line behind them, after [`check_headers`] has found them well-formed.
    pub(super) fn new(checked: &'a [u8]) -> Self {
        Self { rest: checked }
    }

    /// The value of the first header with this name, whatever its case.
    pub fn first(&self, name: &str) -> Option<&'a [u8]> {
        let mut headers = self.clone();
        while let Some((found, value)) = headers.next_bytes() {
            if is_same(found, name) {
                return Some(value);
            }
        }
        None
    }

    /// As [`next`](Self::next), without a look at the name, whose bytes are all ASCII.
    pub(super) fn next_bytes(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let end = self.rest.iter().position(|&byte| byte == b'\n')?;
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        let colon = line.iter().position(|&byte| byte == b':')?;
        let (name, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        Some((name, trim(value.strip_suffix(b"\r").unwrap_or(value))))
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.next_bytes()?;
        Some((core::str::from_utf8(name).ok()?, value))
    }
}

impl core::fmt::Debug for Headers<'_> {
    /// Names only: the values may be credentials.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.clone().map(|(name, _)| name)).finish()
    }
}

/// What is wrong with a head as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadError {
    Malformed,
    TooLarge,
    TooManyHeaders,
}

/// What [`HeadScanner::next`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scanned {
    /// All bytes are looked at; more are needed.
    Incomplete,
    /// A byte of the start line (never its line end).
    StartByte(u8),
    /// The start line is complete.
    StartLine,
    /// The head is complete.
    End,
}

/// Looks at each byte of a growing buffer once, so that a head that trickles in costs no more than one that comes whole,
/// and what is refused does not depend on how it was cut.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeadScanner {
    position: usize,
    start: usize,
    line_start: usize,
    /// Where the first header line starts; zero until the start line has ended.
    headers: usize,
}

impl HeadScanner {
    pub(super) fn next(&mut self, bytes: &[u8], limits: &Limits) -> Result<Scanned, HeadError> {
        loop {
            // Asked before there is a next byte: the caller's buffer may be full now.
            if self.position >= limits.max_head() {
                return Err(HeadError::TooLarge);
            }
            let Some(&byte) = bytes.get(self.position) else { return Ok(Scanned::Incomplete) };
            let position = self.position;
            self.position += 1;
            let line = bytes.get(self.line_start..position).unwrap_or_default();
            match byte {
                b'\n' => {
                    self.line_start = self.position;
                    let is_empty = matches!(line, [] | [b'\r']);
                    if self.headers != 0 {
                        if is_empty {
                            return Ok(Scanned::End);
                        }
                    } else if is_empty {
                        // RFC 7230 section 3.5: empty lines before the start line are ignored.
                        self.start = self.position;
                    } else {
                        self.headers = self.position;
                        return Ok(Scanned::StartLine);
                    }
                }
                // RFC 7230 section 3.5 lets a recipient take LF alone for a line end, but never CR alone.
                _ if line.last() == Some(&b'\r') => return Err(HeadError::Malformed),
                b'\r' => {}
                _ if self.headers == 0 => return Ok(Scanned::StartByte(byte)),
                _ if !is_value_byte(byte) => return Err(HeadError::Malformed),
                _ => {}
            }
        }
    }

    /// Goes on behind a complete head as if the next one started there; the limit still counts from the first byte.
    pub(super) fn restart(&mut self) {
        *self = Self { position: self.position, start: self.position, line_start: self.position, headers: 0 };
    }

    /// The start line, without its line end, once [`Scanned::StartLine`] has been seen.
    pub(super) fn start_line<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let line = bytes.get(self.start..self.headers).unwrap_or_default();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    /// The header lines with the empty line behind them, once [`Scanned::End`] has been seen.
    pub(super) fn header_lines<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.headers..self.position).unwrap_or_default()
    }

    /// How many bytes have been looked at; the length of the head once [`Scanned::End`] has been seen.
    pub(super) fn position(&self) -> usize {
        self.position
    }
}

/// Checks complete header lines against RFC 7230 section 3.2 and the limit on their number. That no byte of theirs is a control
/// character the scanner has seen to.
pub(super) fn check_headers(mut lines: &[u8], max_headers: usize) -> Result<(), HeadError> {
    let mut count = 0;
    loop {
        let line = lines.iter().position(|&byte| byte == b'\n').and_then(|end| lines.split_at_checked(end + 1));
        let (line, rest) = line.ok_or(HeadError::Malformed)?;
        if matches!(line, b"\n" | b"\r\n") {
            return Ok(());
        }
        count += 1;
        if count > max_headers {
            return Err(HeadError::TooManyHeaders);
        }
        // Section 3.2.4: no white space before the colon, nor in front of the name, which would continue the line before.
        let colon = line.iter().position(|&byte| !is_token_byte(byte)).unwrap_or_default();
        if colon == 0 || line[colon] != b':' {
            return Err(HeadError::Malformed);
        }
        lines = rest;
    }
}
