//! Codes as a decompressor reads them.

use crate::{
    alphabet::{FIXED_DISTANCES, FIXED_LITERALS, MAX_CODE},
    error::Corrupt,
};

/// The code of literals and lengths: 9 bits at once.
pub(crate) type Literals = Code<512, 288>;
/// The code of distances, and before it that of code lengths, which has at most 7 bits.
pub(crate) type Distances = Code<128, 32>;

/// The fixed code (RFC 1951 §3.2.6), made by the compiler, so that short messages need not wait for it.
pub(crate) static FIXED_LITERAL_CODE: Literals = fixed_literals();
pub(crate) static FIXED_DISTANCE_CODE: Distances = fixed_distances();

/// A canonical Huffman code. Short codes are looked up; long ones, which are rare by their nature, are compared with where
/// each length ends. That takes a third of the memory of tables of two levels.
#[derive(Debug)]
pub(crate) struct Code<const FAST: usize, const SYMBOLS: usize> {
    /// By the next bits: symbol and length of the code, `symbol << 4 | length`; 0 if it is longer.
    fast: [u16; FAST],
    /// In the order of their codes.
    symbols: [u16; SYMBOLS],
    /// Behind the last code of each length, first bit on top, filled up with zeros to 15 bits.
    limits: [u16; MAX_CODE + 1],
    /// What to add to a code of each length for its place in `symbols`.
    offsets: [u16; MAX_CODE + 1],
}

impl<const FAST: usize, const SYMBOLS: usize> Code<FAST, SYMBOLS> {
    const FAST_BITS: usize = FAST.trailing_zeros() as usize;

    pub(crate) const fn new() -> Self {
        Self { fast: [0; FAST], symbols: [0; SYMBOLS], limits: [0; MAX_CODE + 1], offsets: [0; MAX_CODE + 1] }
    }

    /// Makes the code in which symbol `n` has `lengths[n]` bits (RFC 1951 §3.2.2), of `SYMBOLS` symbols at most, each of
    /// 15 bits at most. False if there are more codes than bits allow, or fewer than they need: then it must not be used.
    /// No code at all, and a single one of one bit, are allowed, unless the code is to be `complete`.
    pub(crate) const fn set(&mut self, lengths: &[u8], complete: bool) -> bool {
        let mut counts = [0u16; MAX_CODE + 1];
        let mut symbol = 0;
        while symbol < lengths.len() {
            counts[lengths[symbol] as usize] += 1;
            symbol += 1;
        }
        let used = lengths.len() as u16 - counts[0];

        let (mut code, mut index) = (0u32, 0u16);
        let mut next = [0u16; MAX_CODE + 1];
        let mut length = 1;
        while length <= MAX_CODE {
            code <<= 1;
            next[length] = index;
            self.offsets[length] = index.wrapping_sub(code as u16);
            code += counts[length] as u32;
            if code > 1 << length {
                return false;
            }
            index += counts[length];
            self.limits[length] = (code << (MAX_CODE - length)) as u16;
            length += 1;
        }
        let whole = code == 1 << MAX_CODE;
        if !whole && (complete || used > 1 || used != counts[1]) {
            return false;
        }

        let mut slot = 0;
        while slot < FAST {
            self.fast[slot] = 0;
            slot += 1;
        }
        symbol = 0;
        while symbol < lengths.len() {
            let length = lengths[symbol] as usize;
            if length != 0 {
                let place = next[length];
                next[length] += 1;
                self.symbols[place as usize] = symbol as u16;
                if length <= Self::FAST_BITS {
                    self.fill(place.wrapping_sub(self.offsets[length]), length, symbol as u16);
                }
            }
            symbol += 1;
        }
        true
    }

    /// The next symbol and the length of its code in `bits`, lowest bit first; there are zeros above those that have
    /// arrived. A length above what has arrived means that more is needed, and nothing else.
    #[inline]
    pub(crate) fn symbol(&self, bits: u64) -> Result<(u16, u32), Corrupt> {
        let entry = self.fast[bits as usize & (FAST - 1)];
        if entry != 0 { Ok((entry >> 4, u32::from(entry & 15))) } else { self.long_symbol(bits) }
    }

    /// Codes are sent with their first bit first, so that they are compared in reverse.
    #[cold]
    fn long_symbol(&self, bits: u64) -> Result<(u16, u32), Corrupt> {
        let bits = (bits as u16).reverse_bits() >> 1;
        let length = (1..=MAX_CODE).find(|&length| bits < self.limits[length]).ok_or(Corrupt::Symbol)?;
        let place = (bits >> (MAX_CODE - length)).wrapping_add(self.offsets[length]);
        Ok((self.symbols[usize::from(place)], length as u32))
    }

    /// Every row of bits that begins with this code leads to its symbol.
    const fn fill(&mut self, code: u16, length: usize, symbol: u16) {
        let mut slot = (code.reverse_bits() >> (16 - length)) as usize;
        while slot < FAST {
            self.fast[slot] = symbol << 4 | length as u16;
            slot += 1 << length;
        }
    }
}

const fn fixed_literals() -> Literals {
    let mut code = Code::new();
    assert!(code.set(&FIXED_LITERALS, true));
    code
}

const fn fixed_distances() -> Distances {
    let mut code = Code::new();
    assert!(code.set(&FIXED_DISTANCES, true));
    code
}
