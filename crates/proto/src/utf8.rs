//! UTF-8 validated as it arrives, cut anywhere (RFC 6455 §5.6, §8.1).

/// Validates a text message given in pieces and fails at the first byte that cannot be part of valid UTF-8.
///
/// Four bytes of state: the beginning of a character whose rest has not arrived.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Utf8 {
    pending: [u8; 3],
    len: u8,
}

/// The bytes are not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidUtf8;

impl Utf8 {
    /// Takes the next piece. Answers the piece as `str` when it begins and ends at character boundaries.
    pub(crate) fn push<'b>(&mut self, data: &'b [u8]) -> Result<Option<&'b str>, InvalidUtf8> {
        let resumed = self.len > 0;
        let rest = if resumed { self.complete_pending(data)? } else { data };
        match validate(rest) {
            Ok(text) => Ok(if resumed || self.len > 0 { None } else { Some(text) }),
            Err(Flaw::Invalid) => Err(InvalidUtf8),
            Err(Flaw::Incomplete { valid }) => {
                let tail = &rest[valid..];
                self.pending[..tail.len()].copy_from_slice(tail);
                self.len = tail.len() as u8;
                Ok(None)
            }
        }
    }

    /// The message is over: a character may not be left unfinished.
    pub(crate) fn finish(&mut self) -> Result<(), InvalidUtf8> {
        let unfinished = self.len > 0;
        *self = Self::default();
        if unfinished { Err(InvalidUtf8) } else { Ok(()) }
    }

    /// Adds bytes of `data` to the unfinished character, one by one so that it fails as early as possible; answers
    /// the rest of `data`.
    fn complete_pending<'b>(&mut self, data: &'b [u8]) -> Result<&'b [u8], InvalidUtf8> {
        let mut character = [0; 4];
        let mut len = usize::from(self.len);
        character[..len].copy_from_slice(&self.pending[..len]);
        for (taken, &byte) in data.iter().enumerate() {
            character[len] = byte;
            len += 1;
            match core::str::from_utf8(&character[..len]) {
                Ok(_) => {
                    self.len = 0;
                    return Ok(&data[taken + 1..]);
                }
                Err(e) if e.error_len().is_some() => return Err(InvalidUtf8),
                // Still unfinished, so at most three bytes long: four bytes are a character or an error.
                Err(_) => {
                    self.pending[len - 1] = byte;
                    self.len = len as u8;
                }
            }
        }
        Ok(&[])
    }
}

enum Flaw {
    Invalid,
    /// Valid up to here; what follows is the beginning of a character.
    Incomplete {
        valid: usize,
    },
}

#[cfg(not(feature = "simd"))]
fn validate(data: &[u8]) -> Result<&str, Flaw> {
    core::str::from_utf8(data).map_err(|e| flaw(e.error_len(), e.valid_up_to()))
}

#[cfg(feature = "simd")]
fn validate(data: &[u8]) -> Result<&str, Flaw> {
    simdutf8::compat::from_utf8(data).map_err(|e| flaw(e.error_len(), e.valid_up_to()))
}

fn flaw(error_len: Option<usize>, valid: usize) -> Flaw {
    match error_len {
        Some(_) => Flaw::Invalid,
        None => Flaw::Incomplete { valid },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "κόσμε \u{0} ߿ ࠀ \u{ffff} \u{10000} \u{10ffff} é";

    fn check(pieces: &[&[u8]]) -> Result<(), InvalidUtf8> {
        let mut utf8 = Utf8::default();
        for piece in pieces {
            utf8.push(piece)?;
        }
        utf8.finish()
    }

    #[test]
    fn s8_1_valid_text_cut_at_any_two_places_is_valid() {
        let bytes = VALID.as_bytes();
        for a in 0..=bytes.len() {
            for b in a..=bytes.len() {
                assert_eq!(check(&[&bytes[..a], &bytes[a..b], &bytes[b..]]), Ok(()), "cut at {a} and {b}");
            }
        }
    }

    #[test]
    fn s8_1_every_invalid_pair_of_bytes_is_refused_however_it_is_cut() {
        for a in 0..=255u8 {
            for b in 0..=255u8 {
                let whole = core::str::from_utf8(&[a, b]).is_ok();
                assert_eq!(check(&[&[a, b]]).is_ok(), whole, "{a:02x} {b:02x}");
                assert_eq!(check(&[&[a], &[b]]).is_ok(), whole, "{a:02x} | {b:02x}");
            }
        }
    }

    #[test]
    fn s8_1_fails_at_the_first_byte_that_cannot_be_right() {
        // U+110000 and a surrogate are already impossible at their second byte.
        for bad in [&[0xf4, 0x90][..], &[0xed, 0xa0], &[0xc0], &[0xff], &[0xe0, 0x80]] {
            let mut utf8 = Utf8::default();
            let (last, first) = bad.split_last().unwrap();
            assert!(utf8.push(first).is_ok());
            assert_eq!(utf8.push(&[*last]), Err(InvalidUtf8), "{bad:02x?}");
        }
    }

    #[test]
    fn a_piece_between_character_boundaries_is_handed_out_as_text() {
        let mut utf8 = Utf8::default();
        assert_eq!(utf8.push("é".as_bytes()), Ok(Some("é")));
        assert_eq!(utf8.push(&[0xc3]), Ok(None));
        assert_eq!(utf8.push(&[0xa9, b'x']), Ok(None));
        assert_eq!(utf8.push(b"x"), Ok(Some("x")));
        assert_eq!(utf8.finish(), Ok(()));
    }

    #[test]
    fn an_unfinished_character_is_refused_at_the_end() {
        assert_eq!(check(&[&[0xf0, 0x9f, 0x92]]), Err(InvalidUtf8));
    }
}
