//! Codes as a compressor makes them.

use crate::{
    alphabet::{DISTANCES, FIXED_DISTANCES, FIXED_LITERALS, LITERALS, MAX_CODE, MAX_MATCH, MIN_MATCH},
    bit_writer::BitWriter,
};

/// The codes of a block: of literals and lengths, then of distances.
#[derive(Debug)]
pub(crate) struct Codes {
    /// Each with its first bit lowest. Before they are made, how often each symbol occurs.
    pub(crate) codes: [u16; LITERALS + DISTANCES],
    pub(crate) lengths: [u8; LITERALS + DISTANCES],
}

/// The fixed code (RFC 1951 §3.2.6), made by the compiler.
pub(crate) static FIXED: Codes = fixed();

impl Codes {
    pub(crate) const fn new() -> Self {
        Self { codes: [0; LITERALS + DISTANCES], lengths: [0; LITERALS + DISTANCES] }
    }

    /// Puts the code of a symbol.
    #[inline]
    pub(crate) fn put(&self, place: usize, bits: &mut BitWriter) {
        bits.put(self.codes[place].into(), self.lengths[place].into());
    }

    /// Makes the best codes for how often each symbol occurs, and returns how many bits all symbols take together,
    /// without those that follow a symbol.
    pub(crate) fn make(&mut self) -> u32 {
        let (literals, distances) = self.codes.split_at_mut(LITERALS);
        let (literal_lengths, distance_lengths) = self.lengths.split_at_mut(LITERALS);
        lengths(literals, literal_lengths, MAX_CODE);
        lengths(distances, distance_lengths, MAX_CODE);
        let bits = literals.iter().zip(&*literal_lengths).chain(distances.iter().zip(&*distance_lengths));
        let bits = bits.map(|(&count, &length)| u32::from(count) * u32::from(length)).sum();
        codes(literals, literal_lengths);
        codes(distances, distance_lengths);
        bits
    }
}

/// The lengths of the best code in which no symbol has more than `longest` bits. A single symbol gets one bit.
///
/// Takes 1.2 KiB of stack.
pub(crate) fn lengths(counts: &[u16], lengths: &mut [u8], longest: usize) {
    // Above the symbol stands how often it occurs; later, by place, which node is above it in the tree, or how deep it is.
    const SYMBOL: u32 = 0x1ff;
    let mut memory = [0u32; LITERALS];
    let mut used = 0;
    for (symbol, &count) in counts.iter().enumerate() {
        if count > 0 {
            memory[used] = u32::from(count) << 9 | symbol as u32;
            used += 1;
        }
    }
    lengths.fill(0);
    let nodes = &mut memory[..used];
    sort(nodes);
    if let [only] = *nodes {
        lengths[(only & SYMBOL) as usize] = 1;
    }
    if used < 2 {
        return;
    }

    // The two rarest become one, again and again. The places of symbols that are done with are those of the new nodes, which
    // come in ascending order by themselves.
    let (mut leaf, mut inner) = (0, 0);
    for made in 0..used - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            if leaf < used && (inner >= made || nodes[leaf] >> 9 <= nodes[inner] >> 9) {
                weight += nodes[leaf] >> 9;
                leaf += 1;
            } else {
                weight += nodes[inner] >> 9;
                nodes[inner] = (made as u32) << 9 | nodes[inner] & SYMBOL;
                inner += 1;
            }
        }
        nodes[made] = weight << 9 | nodes[made] & SYMBOL;
    }

    // From the root down: how many symbols there are of each length. Those that would be too long are hung up under the longest
    // that may have children.
    let mut of_length = [0u16; MAX_CODE + 1];
    of_length[1] = 2;
    nodes[used - 2] &= SYMBOL;
    for node in (0..used - 2).rev() {
        let above = (nodes[node] >> 9) as usize;
        let depth = (nodes[above] >> 9) + 1;
        nodes[node] = depth << 9 | nodes[node] & SYMBOL;
        let mut depth = (depth as usize).min(longest - 1);
        while of_length[depth] == 0 {
            depth -= 1;
        }
        of_length[depth] -= 1;
        of_length[depth + 1] += 2;
    }

    // The rarest symbols, which come first, get the longest codes.
    let mut symbols = nodes.iter().map(|node| (node & SYMBOL) as usize);
    for length in (1..=longest).rev() {
        for symbol in symbols.by_ref().take(of_length[length].into()) {
            lengths[symbol] = length as u8;
        }
    }
}

/// The canonical codes of these lengths (RFC 1951 §3.2.2), each with its first bit lowest.
pub(crate) const fn codes(codes: &mut [u16], lengths: &[u8]) {
    let mut next = [0u16; MAX_CODE + 2];
    let mut symbol = 0;
    while symbol < codes.len() {
        next[lengths[symbol] as usize + 1] += 1;
        symbol += 1;
    }
    // Symbols without a code count for nothing.
    next[1] = 0;
    let mut length = 1;
    while length <= MAX_CODE {
        next[length] = (next[length] + next[length - 1]) << 1;
        length += 1;
    }
    symbol = 0;
    while symbol < codes.len() {
        let length = lengths[symbol] as usize;
        if length > 0 {
            codes[symbol] = next[length].reverse_bits() >> (16 - length);
            next[length] += 1;
        }
        symbol += 1;
    }
}

/// A symbol, and the bits that follow it.
pub(crate) struct Symbol {
    /// Its place among [`Codes`].
    pub(crate) place: usize,
    pub(crate) extra: u32,
    pub(crate) extra_bits: u32,
}

/// The symbol of a length (RFC 1951 §3.2.5): four for each power of two.
// Chips without an instruction for it count zeros in a hundred bytes of code.
#[cfg_attr(target_pointer_width = "64", inline)]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
pub(crate) fn length_symbol(length: u16) -> Symbol {
    if usize::from(length) == MAX_MATCH {
        return Symbol { place: LITERALS - 1, extra: 0, extra_bits: 0 };
    }
    let above = u32::from(length) - MIN_MATCH as u32;
    let extra_bits = (31 - (above | 7).leading_zeros()) - 2;
    let symbol = extra_bits * 4 + (above >> extra_bits);
    Symbol { place: 257 + symbol as usize, extra: above & ((1 << extra_bits) - 1), extra_bits }
}

/// The symbol of a distance (RFC 1951 §3.2.5): two for each power of two.
#[cfg_attr(target_pointer_width = "64", inline)]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
pub(crate) fn distance_symbol(distance: u16) -> Symbol {
    let above = u32::from(distance) - 1;
    let extra_bits = (31 - (above | 3).leading_zeros()) - 1;
    let symbol = extra_bits * 2 + (above >> extra_bits);
    Symbol { place: LITERALS + symbol as usize, extra: above & ((1 << extra_bits) - 1), extra_bits }
}

/// The lengths of codes as the head of a dynamic block tells them (RFC 1951 §3.2.7): each with its repetitions.
#[derive(Debug)]
pub(crate) struct Runs<'a> {
    pub(crate) lengths: &'a [u8],
    /// How many are told.
    pub(crate) told: usize,
}

impl Iterator for Runs<'_> {
    /// A symbol of code lengths, then value and number of the bits that follow it.
    type Item = (u8, u8, u8);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.lengths[self.told..];
        let &length = rest.first()?;
        let run = rest.iter().take_while(|&&other| other == length).count();
        let before = self.told.checked_sub(1).map(|last| self.lengths[last]);
        let (count, symbol, extra_bits, least) = match (length, run) {
            (0, 11..) => (run.min(138), 18, 7, 11),
            (0, 3..) => (run, 17, 3, 3),
            (_, 3..) if before == Some(length) => (run.min(6), 16, 2, 3),
            _ => (1, length, 0, 1),
        };
        self.told += count;
        Some((symbol, (count - least) as u8, extra_bits))
    }
}

const fn fixed() -> Codes {
    let mut literal_codes = [0; FIXED_LITERALS.len()];
    codes(&mut literal_codes, &FIXED_LITERALS);
    let mut distance_codes = [0; FIXED_DISTANCES.len()];
    codes(&mut distance_codes, &FIXED_DISTANCES);
    let mut fixed = Codes::new();
    let mut symbol = 0;
    while symbol < LITERALS {
        fixed.codes[symbol] = literal_codes[symbol];
        fixed.lengths[symbol] = FIXED_LITERALS[symbol];
        symbol += 1;
    }
    while symbol < LITERALS + DISTANCES {
        fixed.codes[symbol] = distance_codes[symbol - LITERALS];
        fixed.lengths[symbol] = FIXED_DISTANCES[symbol - LITERALS];
        symbol += 1;
    }
    fixed
}

/// On a chip by insertion: some dozens of symbols, seldom more. The standard library's sorting would be 2 KB of its flash.
fn sort(nodes: &mut [u32]) {
    if cfg!(target_pointer_width = "64") { nodes.sort_unstable() } else { insert(nodes) }
}

fn insert(nodes: &mut [u32]) {
    for end in 1..nodes.len() {
        let node = nodes[end];
        let mut at = end;
        while at > 0 && nodes[at - 1] > node {
            nodes[at] = nodes[at - 1];
            at -= 1;
        }
        nodes[at] = node;
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::alphabet::{DISTANCE, LENGTHS};

    #[test]
    fn rfc1951_3_2_5_every_length_and_distance_has_its_symbol() {
        for length in 3..=258 {
            let Symbol { place, extra, extra_bits } = length_symbol(length);
            let (base, bits) = LENGTHS[place - 257];
            assert_eq!((u32::from(base) + extra, u32::from(bits)), (length.into(), extra_bits), "{length}");
        }
        for distance in 1..=32768 {
            let Symbol { place, extra, extra_bits } = distance_symbol(distance);
            let (base, bits) = DISTANCE[place - LITERALS];
            assert_eq!((u32::from(base) + extra, u32::from(bits)), (distance.into(), extra_bits), "{distance}");
        }
    }

    /// What Huffman's algorithm comes to, done naively.
    fn best_total(counts: &[u16]) -> u32 {
        let mut weights: Vec<u32> = counts.iter().filter(|&&count| count > 0).map(|&count| count.into()).collect();
        let mut total = if weights.len() == 1 { weights[0] } else { 0 };
        while weights.len() > 1 {
            weights.sort_unstable_by(|a, b| b.cmp(a));
            let sum = weights.pop().unwrap() + weights.pop().unwrap();
            total += sum;
            weights.push(sum);
        }
        total
    }

    fn is_whole(lengths: &[u8], longest: u8) -> bool {
        assert!(lengths.iter().all(|&length| length <= longest));
        lengths.iter().filter(|&&length| length > 0).map(|&length| 1u32 << (15 - length)).sum::<u32>() == 1 << 15
    }

    #[test]
    fn codes_are_as_short_as_huffmans() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..2000 {
            let symbols = random.usize(1..=LITERALS);
            let most = random.u16(1..300);
            let counts: Vec<u16> = (0..symbols).map(|_| random.u16(0..most)).collect();
            let mut found = std::vec![9; symbols];
            lengths(&counts, &mut found, MAX_CODE);
            let total: u32 = counts.iter().zip(&found).map(|(&count, &bits)| u32::from(count) * u32::from(bits)).sum();
            assert_eq!(total, best_total(&counts));
            assert!(counts.iter().zip(&found).all(|(&count, &bits)| (count == 0) == (bits == 0)));
            let used = counts.iter().filter(|&&count| count > 0).count();
            assert!(used < 2 || is_whole(&found, 15));
        }
    }

    #[test]
    fn codes_that_would_be_too_long_are_shortened_and_stay_whole() {
        // Fibonacci numbers make the deepest trees.
        let counts: Vec<u16> = (0..22)
            .scan((1, 1), |(a, b), _| {
                (*a, *b) = (*b, *a + *b);
                Some(*a)
            })
            .collect();
        for longest in [5, 7, 15] {
            let mut found = std::vec![0; counts.len()];
            lengths(&counts, &mut found, longest);
            assert!(is_whole(&found, longest as u8), "{longest}: {found:?}");
        }
    }

    #[test]
    fn rfc1951_3_2_7_runs_tell_every_length() {
        let mut random = fastrand::Rng::with_seed(2);
        for _ in 0..2000 {
            let mut lengths = Vec::new();
            while lengths.len() < 258 {
                let length = random.u8(0..4);
                lengths.extend(std::iter::repeat_n(length, random.usize(1..200)));
            }
            let mut read: Vec<u8> = Vec::new();
            for (symbol, extra, extra_bits) in (Runs { lengths: &lengths, told: 0 }) {
                assert!(extra < 1 << extra_bits || extra == 0);
                let (length, count) = match symbol {
                    16 => (*read.last().unwrap(), 3 + extra),
                    17 => (0, 3 + extra),
                    18 => (0, 11 + extra),
                    _ => (symbol, 1),
                };
                read.extend(std::iter::repeat_n(length, count.into()));
            }
            assert_eq!(read, lengths);
        }
    }

    #[test]
    fn a_chip_sorts_as_a_host_does() {
        let mut random = fastrand::Rng::with_seed(1);
        for len in (0..50).chain([LITERALS]) {
            let mut nodes: Vec<u32> = (0..len).map(|_| random.u32(..100)).collect();
            let mut sorted = nodes.clone();
            sorted.sort_unstable();
            super::insert(&mut nodes);
            assert_eq!(nodes, sorted);
        }
    }
}
