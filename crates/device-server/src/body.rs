//! How long a request's body is, and taking it out of its chunks (RFC 9112 sections 6 and 7).

use tautline_proto::handshake::{Headers, HttpVersion};

/// The most that one chunk's extensions may have. Unit: bytes.
const MAX_EXTENSIONS: u16 = 128;

/// The most that all trailers of a request may have, together. Unit: bytes.
const MAX_TRAILERS: u16 = 512;

/// How a request's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is neither a length nor a coding, hence no body.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
}

impl Framing {
    /// Reads it from the headers; the error is the status of the answer.
    ///
    /// Stricter than RFC 9112 section 6.3 allows: whatever two programs could read in two ways is refused, so that
    /// nothing can be smuggled past a proxy.
    pub(crate) fn of(headers: Headers<'_>, version: HttpVersion) -> Result<Self, u16> {
        let mut framing = Self::None;
        for (name, value) in headers {
            let found = if name.eq_ignore_ascii_case("Content-Length") {
                Self::Length(length(value).ok_or(400_u16)?)
            } else if name.eq_ignore_ascii_case("Transfer-Encoding") {
                // Section 6.1: HTTP/1.0 knows no codings, and who sends one is up to something.
                if version < HttpVersion::HTTP_11 {
                    return Err(400);
                }
                coding(value)?
            } else {
                continue;
            };
            if framing != Self::None {
                return Err(400);
            }
            framing = found;
        }
        Ok(framing)
    }
}

/// Section 6.2: digits and nothing else; no sign, no list, no more than 64 bits.
fn length(value: &[u8]) -> Option<u64> {
    let digits = value.iter().all(u8::is_ascii_digit) && !value.is_empty();
    digits.then(|| core::str::from_utf8(value).ok()?.parse().ok())?
}

/// Section 6.1: chunked alone is understood. Other codings are 501 if chunked ends them, else the length is unknown: 400.
fn coding(value: &[u8]) -> Result<Framing, u16> {
    let mut codings = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    match (codings.next_back(), codings.next_back()) {
        (Some(last), None) if is_chunked(last) => Ok(Framing::Chunked),
        (Some(last), Some(before)) if is_chunked(last) && !before.is_empty() && !is_chunked(before) => Err(501),
        _ => Err(400),
    }
}

/// Takes a body out of what arrives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body {
    state: State,
    /// Bytes that may still come, by the limit of whoever takes them.
    allowed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Payload of a body of known length.
    Length(u64),
    /// The digits of a chunk's size: how many, and what they say so far.
    Size {
        digits: u8,
        size: u64,
    },
    /// The chunk's extensions, which nobody reads, and how long they are.
    Extension {
        size: u64,
        line: u16,
    },
    /// CR of that line has come.
    SizeEnd(u64),
    /// Payload of a chunk.
    Chunk(u64),
    /// CR behind it, then LF.
    ChunkEnd,
    ChunkEndLf,
    /// A trailer, or the empty line that ends them.
    Trailer {
        line: u16,
        all: u16,
    },
    TrailerEnd {
        line: u16,
        all: u16,
    },
    Done,
}

/// What [`Body::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'b> {
    /// All of it is looked at; there is more to come.
    Incomplete,
    /// Bytes of the body.
    Bytes(&'b [u8]),
    /// The body is complete.
    End,
}

impl Body {
    /// The error is the status of the answer: 413 if the body is larger than `limit`.
    pub(crate) fn new(framing: Framing, limit: u64) -> Result<Self, u16> {
        let state = match framing {
            Framing::None => State::Done,
            Framing::Length(len) if len > limit => return Err(413),
            Framing::Length(len) => State::Length(len),
            Framing::Chunked => FIRST_SIZE,
        };
        Ok(Self { state, allowed: limit })
    }

    /// Takes the next piece off the beginning of `input`; the error is the status of the answer.
    pub(crate) fn next<'b>(&mut self, input: &mut &'b [u8]) -> Result<Piece<'b>, u16> {
        loop {
            match self.state {
                State::Done | State::Length(0) => {
                    self.state = State::Done;
                    return Ok(Piece::End);
                }
                State::Length(left) | State::Chunk(left) if left > 0 => return Ok(self.payload(left, input)),
                _ => {}
            }
            let Some((&byte, rest)) = input.split_first() else { return Ok(Piece::Incomplete) };
            *input = rest;
            self.state = self.step(byte)?;
        }
    }

    fn payload<'b>(&mut self, left: u64, input: &mut &'b [u8]) -> Piece<'b> {
        if input.is_empty() {
            return Piece::Incomplete;
        }
        let (bytes, rest) = input.split_at(input.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        *input = rest;
        let left = left - bytes.len() as u64;
        self.state = match self.state {
            State::Length(_) => State::Length(left),
            _ if left == 0 => State::ChunkEnd,
            _ => State::Chunk(left),
        };
        Piece::Bytes(bytes)
    }

    /// Section 7.1, byte by byte, with CR LF for every line end.
    fn step(&mut self, byte: u8) -> Result<State, u16> {
        Ok(match (self.state, byte) {
            (State::Size { digits: 1.., size } | State::Extension { size, .. }, b'\r') => State::SizeEnd(size),
            (State::Size { digits: 1.., size }, b';') => State::Extension { size, line: 0 },
            // Sixteen digits are more than any body here may have.
            (State::Size { digits: 16.., .. }, _) => return Err(413),
            (State::Size { digits, size }, _) => {
                let digit = char::from(byte).to_digit(16).ok_or(400_u16)?;
                State::Size { digits: digits + 1, size: size << 4 | u64::from(digit) }
            }
            (State::Extension { size, line }, b'\t' | b' '..=b'~' | 0x80..) if line < MAX_EXTENSIONS => {
                State::Extension { size, line: line + 1 }
            }
            (State::SizeEnd(0), b'\n') => State::Trailer { line: 0, all: 0 },
            (State::SizeEnd(size), b'\n') => {
                self.allowed = self.allowed.checked_sub(size).ok_or(413_u16)?;
                State::Chunk(size)
            }
            (State::ChunkEnd, b'\r') => State::ChunkEndLf,
            (State::ChunkEndLf, b'\n') => FIRST_SIZE,
            (State::Trailer { line, all }, b'\r') => State::TrailerEnd { line, all },
            (State::Trailer { line, all }, b'\t' | b' '..=b'~' | 0x80..) if all < MAX_TRAILERS => {
                State::Trailer { line: line + 1, all: all + 1 }
            }
            (State::TrailerEnd { line: 0, .. }, b'\n') => State::Done,
            (State::TrailerEnd { all, .. }, b'\n') => State::Trailer { line: 0, all },
            _ => return Err(400),
        })
    }
}

const FIRST_SIZE: State = State::Size { digits: 0, size: 0 };

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// What a chunked body of at most `limit` bytes comes to, fed in pieces of `cut` bytes, and whether that was all.
    fn chunked(bytes: &[u8], limit: u64, cut: usize) -> Result<(Vec<u8>, bool), u16> {
        let mut body = Body::new(Framing::Chunked, limit)?;
        let mut all = Vec::new();
        for piece in bytes.chunks(cut) {
            let mut input = piece;
            loop {
                match body.next(&mut input)? {
                    Piece::Incomplete => break,
                    Piece::Bytes(bytes) => all.extend_from_slice(bytes),
                    Piece::End => return Ok((all, input.is_empty())),
                }
            }
        }
        Ok((all, false))
    }

    #[test]
    fn rfc9112_7_1_chunks_come_together_however_they_are_cut() {
        let bytes = b"4\r\nWiki\r\n0A;name=\"v\"\r\npedia in a\r\n0\r\nTrailer: x\r\n\r\n";
        for cut in 1..=bytes.len() {
            assert_eq!(chunked(bytes, 14, cut), Ok((b"Wikipedia in a".to_vec(), true)), "{cut}");
        }
    }

    #[test]
    fn a_body_larger_than_its_limit_is_refused_at_the_size_of_its_chunk() {
        assert_eq!(chunked(b"4\r\nWiki\r\n5\r\n", 8, 1), Err(413));
        assert_eq!(chunked(b"fffffffffffffffff\r\n", u64::MAX, 1), Err(413));
        assert_eq!(chunked(b"ffffffffffffffff\r\n", 1, 1), Err(413));
        assert_eq!(Body::new(Framing::Length(9), 8).err(), Some(413));
    }

    #[test]
    fn rfc9112_7_1_chunks_that_could_be_read_in_two_ways_are_refused() {
        for bytes in [
            &b"\r\n"[..],
            b";x\r\n",
            b"g\r\n",
            b"+4\r\n",
            b"0x4\r\n",
            b" 4\r\n",
            b"4 \r\n",
            b"4\n",
            b"4\rW",
            b"4;a\nb",
            b"4;a\0",
            b"4\r\nWikix",
            b"4\r\nWiki\n",
            b"4\r\nWiki\r\r",
            b"0\r\nA: b\n",
            b"0\r\n\0",
            b"0\r\n\rx",
        ] {
            for cut in [1, bytes.len()] {
                assert_eq!(chunked(bytes, 100, cut), Err(400), "{bytes:?}");
            }
        }
    }

    #[test]
    fn endless_extensions_and_trailers_are_refused() {
        let long = [&b"1;"[..], &[b'x'; 200]].concat();
        assert_eq!(chunked(&long, 100, 1), Err(400));
        let long = [&b"0\r\n"[..], &b"a: b\r\n".repeat(200)].concat();
        assert_eq!(chunked(&long, 100, 1), Err(400));
    }
}
