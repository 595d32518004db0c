//! Masking of payloads (RFC 6455 §5.3).

/// XORs `data` with `key`, as if `data` began `phase` bytes into the payload. Applying it twice restores the data.
///
/// `phase` matters modulo 4 only, so a payload may be masked in pieces of any size.
pub fn apply(key: [u8; 4], phase: usize, data: &mut [u8]) {
    let mut key = key;
    key.rotate_left(phase % 4);
    // Eight bytes at a time over unaligned words: the compiler turns this loop into vector instructions, so neither
    // alignment nor `unsafe` is needed to reach memory speed (see `benches/mask.rs`).
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, tail) = data.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::apply;

    /// RFC 6455 §5.3, literally: octet i of the result is octet i of the data XOR octet (i mod 4) of the key.
    fn by_definition(key: [u8; 4], phase: usize, data: &mut [u8]) {
        for (i, byte) in data.iter_mut().enumerate() {
            *byte ^= key[(phase + i) % 4];
        }
    }

    #[test]
    fn s5_3_agrees_with_the_definition_for_every_length_phase_and_alignment() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for len in 0..80 {
            for start in 0..8 {
                for phase in 0..9 {
                    let mut expected = [0u8; 96];
                    for (i, b) in expected.iter_mut().enumerate() {
                        *b = (i * 7) as u8;
                    }
                    let mut actual = expected;
                    by_definition(key, phase, &mut expected[start..start + len]);
                    apply(key, phase, &mut actual[start..start + len]);
                    assert_eq!(actual, expected, "len {len}, start {start}, phase {phase}");
                }
            }
        }
    }

    #[test]
    fn s5_3_may_be_applied_in_pieces() {
        let key = [1, 2, 3, 4];
        let mut whole = [9u8; 33];
        apply(key, 0, &mut whole);
        for cut in 0..=33 {
            let mut pieces = [9u8; 33];
            let (a, b) = pieces.split_at_mut(cut);
            apply(key, 0, a);
            apply(key, cut, b);
            assert_eq!(pieces, whole, "cut at {cut}");
        }
    }
}
