//! What a block says.

use crate::{alphabet::MIN_MATCH, search::Match};

/// Some literals, and the match behind them if there is one, in four bytes. The literals themselves are in the text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token(u32);

impl Token {
    pub(crate) const MAX_LITERALS: usize = 255;

    pub(crate) const fn new(literals: usize, found: Option<Match>) -> Self {
        let found = match found {
            // 8, 15 and 8 bits.
            Some(Match { length, distance }) => {
                1 << 31 | (distance as u32 - 1) << 16 | (length as u32 - MIN_MATCH as u32) << 8
            }
            None => 0,
        };
        Self(found | literals as u32)
    }

    pub(crate) fn literals(self) -> usize {
        (self.0 & 0xff) as usize
    }

    pub(crate) fn found(self) -> Option<Match> {
        let length = (self.0 >> 8 & 0xff) as u16 + MIN_MATCH as u16;
        let distance = (self.0 >> 16 & 0x7fff) as u16 + 1;
        (self.0 >> 31 != 0).then_some(Match { length, distance })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_keeps_every_literal_count_length_and_distance() {
        for literals in [0, 1, 254, 255] {
            assert_eq!(Token::new(literals, None).literals(), literals);
            assert_eq!(Token::new(literals, None).found(), None);
            for length in [3, 4, 257, 258] {
                for distance in [1, 2, 32767, 32768] {
                    let found = Match { length, distance };
                    let token = Token::new(literals, Some(found));
                    assert_eq!((token.literals(), token.found()), (literals, Some(found)));
                }
            }
        }
    }
}
