//! Access tokens: what a client without a certificate shows.

use std::fmt;

use ring::digest::{SHA256, digest};

/// What every token begins with, so that people and programs that look for secrets in the wrong places recognise it.
const PREFIX: &str = "tl_";

/// The random bytes of an id: it names one of some thousand tokens at the most.
const ID: usize = 6;

/// The random bytes of a secret: nobody guesses 160 bits.
const SECRET: usize = 20;

/// An access token: `tl_`, its id of 12 hexadecimal digits, `_`, and its secret of 40. It is fit for a header, a query and
/// the name of a subprotocol as it is. Who has it is whom it was made for: only its hash is to be kept.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenText(String);

impl TokenText {
    /// A new one.
    pub fn random() -> Self {
        let (id, secret): ([u8; ID], [u8; SECRET]) = (rand::random(), rand::random());
        Self(format!("{PREFIX}{}_{}", hexadecimal(&id), hexadecimal(&secret)))
    }

    /// A token that somebody shows; `None` if it has not the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let is = |text: &str, bytes| {
            text.len() == 2 * bytes && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        (is(id, ID) && is(secret, SECRET)).then(|| Self(text.to_owned()))
    }

    /// Its id, which is no secret.
    pub fn id(&self) -> &str {
        &self.0[PREFIX.len()..PREFIX.len() + 2 * ID]
    }

    /// All of it, to be shown once to whom it was made for.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it: its SHA-256. A slow hash, as for passwords, would add nothing: what it makes expensive is guessing,
    /// and there are too many to guess.
    ///
    /// Hashes can be compared in any way: how long that takes tells about the hash, from which no token follows.
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, self.0.as_bytes()).as_ref());
        hash
    }
}

/// Without the secret.
impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenText({}...)", self.id())
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "tl_0123456789ab_0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn tokens_are_random_and_recognised() {
        let (one, other) = (TokenText::random(), TokenText::random());
        assert!(one != other && one.id() != other.id() && one.hash() != other.hash());
        assert_eq!(TokenText::parse(one.reveal()), Some(one));
    }

    #[test]
    fn what_has_not_their_form_is_none() {
        assert_eq!(TokenText::parse(TEXT).unwrap().id(), "0123456789ab");
        for bad in ["", "tl_", "tl__", &TEXT[1..], &TEXT[..TEXT.len() - 1], &format!("{TEXT}0"), &TEXT.to_uppercase()] {
            assert_eq!(TokenText::parse(bad), None, "{bad}");
        }
        assert_eq!(TokenText::parse(&TEXT.replace("ab_", "\u{e9}_")), None);
        assert_eq!(TokenText::parse(&TEXT.replacen("0123", "01_3", 1)), None);
    }

    #[test]
    fn the_hash_is_what_sha256sum_says() {
        let hash = hexadecimal(&TokenText::parse(TEXT).unwrap().hash());
        assert_eq!(hash, "61529e45c3c7cd960589d6a8bbec5beaa64edcb7ee3a72f5a532e590056f0e55");
    }

    #[test]
    fn the_secret_is_not_shown_by_accident() {
        assert_eq!(format!("{:?}", TokenText::parse(TEXT).unwrap()), "TokenText(0123456789ab...)");
    }
}
