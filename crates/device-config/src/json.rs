//! JSON (RFC 8259) as a reader that is asked for what is expected next.

use crate::problem::Syntax;

/// How deep objects and lists may stand within each other.
const MAX_DEPTH: usize = 8;

/// A place in a file.
#[derive(Clone, Debug)]
pub(crate) struct Scanner<'a> {
    file: &'a [u8],
    at: usize,
}

/// A text as it stands in the file, between its quotes; its escapes have been checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a>(&'a str);

/// A number as it stands in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number<'a>(&'a str);

impl<'a> Scanner<'a> {
    pub(crate) fn new(file: &'a [u8]) -> Self {
        // Editors on Windows put a mark before UTF-8.
        Self { file: file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file), at: 0 }
    }

    /// The line that it is on, from 1.
    pub(crate) fn line(&self) -> u32 {
        let before = &self.file[..self.at];
        1 + before.iter().filter(|byte| **byte == b'\n').count() as u32
    }

    /// The next byte that is no blank. Comments are found here, since people put them between any two things.
    pub(crate) fn peek(&mut self) -> Result<u8, Syntax> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.file.get(self.at) {
            self.at += 1;
        }
        match self.file.get(self.at) {
            None => Err(Syntax::End),
            Some(b'#' | b'/') => Err(Syntax::Comment),
            Some(byte) => Ok(*byte),
        }
    }

    /// Whether the next byte that is no blank is this one, which is then passed.
    pub(crate) fn pass(&mut self, byte: u8) -> Result<bool, Syntax> {
        let there = self.peek()? == byte;
        self.at += usize::from(there);
        Ok(there)
    }

    /// Nothing but blanks may follow.
    pub(crate) fn finish(&mut self) -> Result<(), Syntax> {
        match self.peek() {
            Err(Syntax::End) => Ok(()),
            Err(other) => Err(other),
            Ok(_) => Err(Syntax::Trailing),
        }
    }

    /// A key and its colon.
    pub(crate) fn key(&mut self) -> Result<Text<'a>, Syntax> {
        if self.peek()? != b'"' {
            return Err(Syntax::Key);
        }
        self.text()
    }

    /// A text, of which the quote is next.
    pub(crate) fn text(&mut self) -> Result<Text<'a>, Syntax> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.file.get(self.at) {
                None | Some(..0x20) => return Err(Syntax::Text),
                Some(b'"') => break,
                Some(b'\\') => self.at = self.escape().ok_or(Syntax::Escape)?,
                Some(_) => self.at += 1,
            }
        }
        let text = core::str::from_utf8(&self.file[start..self.at]).map_err(|_| Syntax::Utf8)?;
        self.at += 1;
        Ok(Text(text))
    }

    /// Where an escape ends that begins here: `\n`, `\u00e9`, `\ud83d\ude00`. RFC 8259 §7.
    fn escape(&self) -> Option<usize> {
        match self.file.get(self.at + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(self.at + 2),
            b'u' => match unit(&self.file[self.at..])? {
                0xd800..0xdc00 => matches!(unit(&self.file[self.at + 6..])?, 0xdc00..0xe000).then_some(self.at + 12),
                0xdc00..0xe000 => None,
                _ => Some(self.at + 6),
            },
            _ => None,
        }
    }

    /// A number, of which the first byte is next.
    pub(crate) fn number(&mut self) -> Result<Number<'a>, Syntax> {
        let start = self.at;
        while let Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E') = self.file.get(self.at) {
            self.at += 1;
        }
        let number = core::str::from_utf8(&self.file[start..self.at]).map_err(|_| Syntax::Number)?;
        if is_number(number.as_bytes()) { Ok(Number(number)) } else { Err(Syntax::Number) }
    }

    /// Passes a value of any kind.
    pub(crate) fn skip(&mut self) -> Result<(), Syntax> {
        self.skip_within(MAX_DEPTH)
    }

    fn skip_within(&mut self, depth: usize) -> Result<(), Syntax> {
        match self.peek()? {
            b'"' => self.text().map(drop),
            b'-' | b'0'..=b'9' => self.number().map(drop),
            b'{' => self.skip_all(b'}', depth),
            b'[' => self.skip_all(b']', depth),
            _ => {
                let rest = &self.file[self.at..];
                let word = [&b"true"[..], b"false", b"null"].into_iter().find(|word| rest.starts_with(word));
                self.at += word.ok_or(Syntax::Value)?.len();
                Ok(())
            }
        }
    }

    /// Passes an object or a list, up to its end.
    fn skip_all(&mut self, end: u8, depth: usize) -> Result<(), Syntax> {
        let depth = depth.checked_sub(1).ok_or(Syntax::Depth)?;
        self.at += 1;
        if self.pass(end)? {
            return Ok(());
        }
        loop {
            if end == b'}' {
                self.key()?;
                if !self.pass(b':')? {
                    return Err(Syntax::Colon);
                }
            }
            self.skip_within(depth)?;
            if self.pass(end)? {
                return Ok(());
            }
            if !self.pass(b',')? {
                return Err(Syntax::Comma);
            }
            if self.peek()? == end {
                return Err(Syntax::LastComma);
            }
        }
    }
}

impl<'a> Text<'a> {
    /// As it stands in the file.
    pub(crate) fn raw(self) -> &'a str {
        self.0
    }

    /// Whether it means this, however it is written.
    pub(crate) fn is(self, other: &str) -> bool {
        self.chars().eq(other.chars())
    }

    pub(crate) fn has_escapes(self) -> bool {
        self.0.contains('\\')
    }

    /// What it means.
    pub(crate) fn chars(self) -> impl Iterator<Item = char> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (char, len) = first(rest)?;
            rest = &rest[len..];
            Some(char)
        })
    }
}

impl Number<'_> {
    /// Its value, if it is whole and not negative, and written so.
    pub(crate) fn whole(self) -> Option<u32> {
        // The sign of a number is not `+` in JSON, which `parse` would take.
        self.0.parse().ok()
    }
}

/// The first character that a text means, and how many bytes it takes there.
fn first(text: &str) -> Option<(char, usize)> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'\\') {
        return text.chars().next().map(|char| (char, char.len_utf8()));
    }
    let char = match bytes.get(1)? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let high = unit(bytes)?;
            if !matches!(high, 0xd800..0xdc00) {
                return Some((char::from_u32(high)?, 6));
            }
            let low = unit(&bytes[6..])?;
            return Some((char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))?, 12));
        }
        itself => char::from(*itself),
    };
    Some((char, 2))
}

/// The UTF-16 unit of an escape `\uXXXX` at the start of these bytes.
fn unit(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}

/// RFC 8259 §6: `-`, an integer without leading zeros, a fraction, an exponent.
fn is_number(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let (integer, rest) = digits(text);
    let leading_zero = integer.len() > 1 && integer[0] == b'0';
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => digits(rest),
        _ => (&b"0"[..], rest),
    };
    let (exponent, rest) = match rest {
        [b'e' | b'E', b'+' | b'-', rest @ ..] | [b'e' | b'E', rest @ ..] => digits(rest),
        _ => (&b"0"[..], rest),
    };
    !integer.is_empty() && !leading_zero && !fraction.is_empty() && !exponent.is_empty() && rest.is_empty()
}

/// The digits at the start, and what follows.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}
