//! What can be wrong with a file, and what is only odd.

use core::fmt;

/// Why a file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error<'a> {
    /// The line, from 1; 0 for what is missing.
    pub line: u32,
    /// The key, as `wifi.attempts`; empty before the first. Keys that are not known stand as they are in the file.
    pub key: &'a str,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a key or its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The file is not JSON.
    Syntax(Syntax),
    /// The key is missing.
    Missing,
    /// The key is there twice.
    Twice,
    /// The value is not an object.
    Object,
    /// The value is not a text of so many bytes, without control characters.
    Text(usize, usize),
    /// The value is not a whole number from the one to the other.
    Number(u32, u32),
    /// The password is none that Wi-Fi allows.
    Password,
    /// The address does not begin with `ws://` or `wss://`.
    Scheme,
    /// The address has a name and password, a query or a fragment.
    Extra,
    /// What stands for the host is neither a name nor an IP address.
    Host,
    /// The port is not a number from 1 to 65535.
    Port,
    /// The path has blanks or other characters that have to be percent-encoded.
    Path,
    /// The memory for texts with escapes is too small.
    Room,
}

/// What is not JSON (RFC 8259).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Syntax {
    /// The file ends too early.
    End,
    /// It does not begin with `{`.
    Start,
    /// Something stands behind the end.
    Trailing,
    /// A key is expected.
    Key,
    /// A colon is expected.
    Colon,
    /// A comma is missing.
    Comma,
    /// A comma stands before the end of an object or list.
    LastComma,
    /// A comment.
    Comment,
    /// A value is expected.
    Value,
    /// A number is not written as JSON wants it.
    Number,
    /// A text is not closed, or has control characters.
    Text,
    /// An escape that there is not, or half of a surrogate pair.
    Escape,
    /// Bytes that are not UTF-8.
    Utf8,
    /// Objects and lists within each other, more than 8.
    Depth,
}

/// Something odd in a file that can be used all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warning<'a> {
    /// The line, from 1.
    pub line: u32,
    /// The key, as in [`Error`].
    pub key: &'a str,
    /// What is odd there.
    pub notice: Notice,
}

/// What is odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A comma is missing before `socket_delay_ms`.
    Comma,
    /// The key is not known: its value is passed over.
    Unknown,
    /// `<...>`: what was to be filled in was not.
    Placeholder,
    /// `cert_reqs` is 1. A certificate that need not be good protects nobody, so it is taken for 2.
    Optional,
    /// There is `ssl` for a server of `ws://`.
    Unused,
}

impl fmt::Display for Error<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        place(f, self.line, self.key)?;
        self.problem.fmt(f)
    }
}

impl fmt::Display for Warning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        place(f, self.line, self.key)?;
        f.write_str(match self.notice {
            Notice::Comma => "a comma is missing before it",
            Notice::Unknown => "not known, and passed over",
            Notice::Placeholder => "still has to be filled in",
            Notice::Optional => "1 is taken for 2: the server's certificate has to be good",
            Notice::Unused => "has no effect on a server of ws://",
        })
    }
}

fn place(f: &mut fmt::Formatter<'_>, line: u32, key: &str) -> fmt::Result {
    if line > 0 {
        write!(f, "line {line}: ")?;
    }
    if key.is_empty() { Ok(()) } else { write!(f, "{key}: ") }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax(syntax) => return syntax.fmt(f),
            Self::Text(least, most) => {
                return write!(f, "has to be a text of {least} to {most} bytes without control characters");
            }
            Self::Number(least, most) => return write!(f, "has to be a whole number from {least} to {most}"),
            Self::Missing => "is missing",
            Self::Twice => "is there twice",
            Self::Object => "has to be an object, in braces",
            Self::Password => "has to be empty, 8 to 63 bytes, or 64 hexadecimal digits",
            Self::Scheme => "has to begin with ws:// or wss://",
            Self::Extra => "cannot have a user, a query or a fragment",
            Self::Host => "has to name a host, or its IPv4 address, or its IPv6 address in brackets",
            Self::Port => "its port has to be a number from 1 to 65535",
            Self::Path => "its path cannot have blanks or other characters that are not ASCII: percent-encode them",
            Self::Room => "does not fit into the memory for texts with escapes",
        })
    }
}

impl fmt::Display for Syntax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::End => "the file ends too early",
            Self::Start => "the file has to begin with {",
            Self::Trailing => "something stands behind the last }",
            Self::Key => "a key in double quotes is expected after it",
            Self::Colon => "a colon is missing behind it",
            Self::Comma => "a comma is missing after it",
            Self::LastComma => "a comma after it that nothing follows",
            Self::Comment => "JSON has no comments",
            Self::Value => "a value is expected",
            Self::Number => "not a number as JSON writes it",
            Self::Text => "the text is not closed, or has control characters",
            Self::Escape => "the text has an escape that there is not",
            Self::Utf8 => "the text is not UTF-8",
            Self::Depth => "too many objects or lists within each other",
        })
    }
}

impl core::error::Error for Error<'_> {}

impl From<Syntax> for Problem {
    fn from(syntax: Syntax) -> Self {
        Self::Syntax(syntax)
    }
}
