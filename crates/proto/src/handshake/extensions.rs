//! The grammar of Sec-WebSocket-Extensions (RFC 6455 section 9.1), read without an allocation.
//!
//! What permessage-deflate (RFC 7692) makes of it stands in [`deflate`](super::deflate).

use core::fmt;

use super::syntax::{ascii_value, is_token_byte, trim};

/// The extensions that a message offers or accepts, over all its Sec-WebSocket-Extensions headers, in their order.
///
/// Stops at the first malformed one; a request that passed [`super::server::validate`] has none.
pub fn in_headers<'a>(
    headers: impl Iterator<Item = (&'a str, &'a [u8])> + Clone,
) -> impl Iterator<Item = Extension<'a>> + Clone {
    headers
        .filter(|(name, _)| name.eq_ignore_ascii_case("Sec-WebSocket-Extensions"))
        .flat_map(|(_, value)| parse(value))
        .map_while(Result::ok)
}

/// Reads the value of one Sec-WebSocket-Extensions header.
///
/// The iterator ends after the first error.
pub fn parse(value: &[u8]) -> Extensions<'_> {
    match ascii_value(value) {
        Some(text) => Extensions { rest: text, state: State::First },
        None => Extensions { rest: "", state: State::Malformed },
    }
}

/// Whether a value follows the grammar and names at least one extension.
pub(super) fn is_well_formed(value: &[u8]) -> bool {
    parse(value).all(|extension| extension.is_ok())
}

/// The value of a Sec-WebSocket-Extensions header does not follow RFC 6455 section 9.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed extension list")
    }
}

impl core::error::Error for Malformed {}

/// One extension with its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    name: &'a str,
    params: &'a str,
}

impl<'a> Extension<'a> {
    /// The extension's registered name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The parameters in their order, with repeated ones: whether those are allowed is for the extension to say.
    pub fn params(&self) -> Params<'a> {
        Params { rest: self.params }
    }
}

/// The value of an extension's parameter: a token, perhaps sent as a quoted string.
#[derive(Clone, Copy)]
pub struct ParamValue<'a> {
    /// Between the quotes, with its backslashes.
    raw: &'a str,
}

impl<'a> ParamValue<'a> {
    /// The characters of the value, without quotes and backslashes.
    pub fn chars(&self) -> impl Iterator<Item = char> + Clone + use<'a> {
        let mut escaped = false;
        self.raw.chars().filter(move |&c| {
            escaped = c == '\\' && !escaped;
            !escaped
        })
    }
}

impl PartialEq<str> for ParamValue<'_> {
    fn eq(&self, other: &str) -> bool {
        self.chars().eq(other.chars())
    }
}

impl PartialEq<&str> for ParamValue<'_> {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

impl fmt::Display for ParamValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chars().try_for_each(|c| fmt::Write::write_char(f, c))
    }
}

impl fmt::Debug for ParamValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Iterator over the extensions in one header; see [`parse`].
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    rest: &'a str,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A list has at least one element (RFC 7230 section 7).
    First,
    Further,
    Malformed,
    Done,
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Result<Extension<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = match self.state {
            State::Done => return None,
            State::Malformed => Some(Err(Malformed)),
            State::First | State::Further => {
                self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
                match (self.rest, self.state) {
                    ("", State::First) => Some(Err(Malformed)),
                    ("", _) => None,
                    _ => Some(self.extension().ok_or(Malformed)),
                }
            }
        };
        self.state = if matches!(item, Some(Ok(_))) { State::Further } else { State::Done };
        item
    }
}

impl<'a> Extensions<'a> {
    fn extension(&mut self) -> Option<Extension<'a>> {
        let (name, rest) = token(self.rest)?;
        let mut params = Params { rest };
        while params.step()?.is_some() {}
        let (text, after) = rest.split_at(rest.len() - params.rest.len());
        self.rest = match after.strip_prefix(',') {
            None if !after.is_empty() => return None,
            None => "",
            Some(after) => after,
        };
        Some(Extension { name, params: text })
    }
}

/// Iterator over an extension's parameters: name and value, if it has one. See [`Extension::params`].
#[derive(Clone, Debug)]
pub struct Params<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Params<'a> {
    type Item = (&'a str, Option<ParamValue<'a>>);

    fn next(&mut self) -> Option<Self::Item> {
        self.step().flatten()
    }
}

impl<'a> Params<'a> {
    /// The next parameter; `Some(None)` when there is none, `None` when it is malformed.
    fn step(&mut self) -> Option<Option<(&'a str, Option<ParamValue<'a>>)>> {
        self.rest = skip_space(self.rest);
        let Some(rest) = self.rest.strip_prefix(';') else { return Some(None) };
        let (name, rest) = token(skip_space(rest))?;
        let Some(value) = skip_space(rest).strip_prefix('=') else {
            self.rest = rest;
            return Some(Some((name, None)));
        };
        let value = skip_space(value);
        let (raw, rest) = match value.strip_prefix('"') {
            Some(quoted) => quoted_token(quoted)?,
            None => token(value)?,
        };
        self.rest = rest;
        Some(Some((name, Some(ParamValue { raw }))))
    }
}

fn skip_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// Splits a token off the front.
fn token(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(|byte| !is_token_byte(byte)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Splits the inside of a quoted string off the front, whose opening quote is gone, and drops its closing quote.
///
/// RFC 6455 section 9.1: what it says without the backslashes has to be a token too.
fn quoted_token(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'\\' if !escaped => escaped = true,
            b'"' if !escaped => {
                let (raw, rest) = text.split_at(index);
                return (index > 0).then_some((raw, rest.strip_prefix('"')?));
            }
            _ if is_token_byte(byte) => escaped = false,
            _ => return None,
        }
    }
    None
}

/// Whether every extension in `accepted` (one header's value) is among those in `offer`, or is the one called `known`; `None`
/// if it is malformed.
pub(super) fn were_offered(accepted: &[u8], offer: Option<&str>, known: Option<&str>) -> Option<bool> {
    let offer = offer.map_or(&[][..], |offer| trim(offer.as_bytes()));
    let mut offered = true;
    for extension in parse(accepted) {
        let name = extension.ok()?.name();
        offered &= known == Some(name) || parse(offer).map_while(Result::ok).any(|other| other.name() == name);
    }
    Some(offered)
}
