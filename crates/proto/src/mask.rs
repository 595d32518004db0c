//! Masking of payloads (RFC 6455 §5.3).

/// XORs `data` with `key`, as if `data` began `phase` bytes into the payload. Applying it twice restores the data.
///
/// `phase` matters modulo 4 only, so a payload may be masked in pieces of any size.
#[cfg_attr(target_pointer_width = "64", inline)]
pub fn apply(key: [u8; 4], phase: usize, data: &mut [u8]) {
    xor_aligned(rotated(u32::from_le_bytes(key), phase), data);
}

/// The key as it stands `phase` bytes on; its first byte is the lowest one.
fn rotated(key: u32, phase: usize) -> u32 {
    key.rotate_right(8 * (phase as u32 % 4))
}

/// Shorter payloads are not worth aligning.
#[cfg(target_pointer_width = "64")]
const ALIGN_FROM: usize = 1024;
#[cfg(target_pointer_width = "64")]
const CACHE_LINE: usize = 64;

#[cfg(target_pointer_width = "64")]
#[inline]
fn xor_aligned(key: u32, data: &mut [u8]) {
    if data.len() < ALIGN_FROM {
        return xor(key, data);
    }
    // Vectors that straddle cache lines cost up to half the speed: what precedes the first line goes by itself.
    let before = data.as_ptr().align_offset(CACHE_LINE).min(data.len());
    let (head, aligned) = data.split_at_mut(before);
    xor(key, head);
    xor(rotated(key, before), aligned);
}

/// Over blocks of words: the compiler turns the inner loop into a few vector instructions, so that neither alignment nor
/// `unsafe` is needed to reach memory speed (see `benches/mask.rs`).
#[cfg(target_pointer_width = "64")]
#[inline(always)]
fn xor(key: u32, data: &mut [u8]) {
    let wide = u64::from(key) << 32 | u64::from(key);
    let (blocks, rest) = data.as_chunks_mut::<64>();
    for block in blocks {
        xor_words(wide, block.as_chunks_mut().0);
    }
    let (words, tail) = rest.as_chunks_mut();
    xor_words(wide, words);
    for (byte, key) in tail.iter_mut().zip(wide.to_le_bytes()) {
        *byte ^= key;
    }
}

#[cfg(target_pointer_width = "64")]
#[inline(always)]
fn xor_words(key: u64, words: &mut [[u8; 8]]) {
    for word in words {
        *word = (u64::from_le_bytes(*word) ^ key).to_le_bytes();
    }
}

/// On chips, whose flash is dearer than their time.
#[cfg(not(target_pointer_width = "64"))]
fn xor_aligned(key: u32, data: &mut [u8]) {
    let (words, tail) = data.as_chunks_mut();
    for word in words {
        *word = (u32::from_le_bytes(*word) ^ key).to_le_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key.to_le_bytes()) {
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
