//! The two alphabets of a block, and the fixed code (RFC 1951 §3.2.5, §3.2.6).

/// Literals are symbols 0 to 255, lengths those above this one, which ends a block.
pub(crate) const END_OF_BLOCK: u16 = 256;
/// Symbols of literals and lengths that a block can use.
pub(crate) const LITERALS: usize = 286;
/// Symbols of distances that a block can use.
pub(crate) const DISTANCES: usize = 30;
/// Symbols in which the lengths of a dynamic block's codes are written.
pub(crate) const CODE_LENGTHS: usize = 19;

pub(crate) const MIN_MATCH: usize = 3;
pub(crate) const MAX_MATCH: usize = 258;
/// No code is longer, in bits.
pub(crate) const MAX_CODE: usize = 15;

/// The order in which a dynamic block tells the lengths of the codes of code lengths (RFC 1951 §3.2.7).
pub(crate) const CODE_LENGTH_ORDER: [u8; CODE_LENGTHS] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// For each symbol of a length, from 257 on: the shortest that it stands for, and how many bits follow.
pub(crate) const LENGTHS: [(u16, u8); 29] = lengths();

/// For each symbol of a distance: the nearest that it stands for, and how many bits follow.
pub(crate) const DISTANCE: [(u16, u8); DISTANCES] = distances();

/// How long the fixed code of a literal or length is, in bits. Two symbols that are never used have one, too.
pub(crate) const FIXED_LITERALS: [u8; 288] = fixed_literals();
/// The fixed codes of distances all have five bits, two that are never used included.
pub(crate) const FIXED_DISTANCES: [u8; 32] = [5; 32];

const fn lengths() -> [(u16, u8); 29] {
    let mut table = [(0, 0); 29];
    let (mut symbol, mut base) = (0, MIN_MATCH as u16);
    while symbol < 28 {
        let extra = if symbol < 8 { 0 } else { (symbol / 4 - 1) as u8 };
        table[symbol] = (base, extra);
        base += 1 << extra;
        symbol += 1;
    }
    // The longest has a symbol of its own.
    table[28] = (MAX_MATCH as u16, 0);
    table
}

const fn distances() -> [(u16, u8); DISTANCES] {
    let mut table = [(0, 0); DISTANCES];
    let (mut symbol, mut base) = (0, 1);
    while symbol < DISTANCES {
        let extra = if symbol < 4 { 0 } else { (symbol / 2 - 1) as u8 };
        table[symbol] = (base, extra);
        base += 1 << extra;
        symbol += 1;
    }
    table
}

const fn fixed_literals() -> [u8; 288] {
    let mut lengths = [8; 288];
    let mut symbol = 144;
    while symbol < 280 {
        lengths[symbol] = if symbol < 256 { 9 } else { 7 };
        symbol += 1;
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc1951_3_2_5_lengths_and_distances_are_those_of_the_tables() {
        assert_eq!(LENGTHS[0], (3, 0));
        assert_eq!(LENGTHS[8], (11, 1));
        assert_eq!(LENGTHS[16], (35, 3));
        assert_eq!(LENGTHS[27], (227, 5));
        assert_eq!(LENGTHS[28], (258, 0));
        assert_eq!(DISTANCE[3], (4, 0));
        assert_eq!(DISTANCE[4], (5, 1));
        assert_eq!(DISTANCE[29], (24577, 13));
    }

    #[test]
    fn rfc1951_3_2_6_fixed_codes_have_the_lengths_of_the_table() {
        for (range, length) in [(0..144, 8), (144..256, 9), (256..280, 7), (280..288, 8)] {
            assert!(FIXED_LITERALS[range].iter().all(|&fixed| fixed == length));
        }
    }
}
