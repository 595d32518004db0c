//! What the fuzz targets share: how they read their input.
//!
//! The targets take bytes apart themselves, so that what an input means stays readable and seeds can be written by hand:
//! `cargo run --example seeds` writes the committed ones, and says there what each of their bytes stands for.

/// Fuzz input, read from the front. Behind its end are zeros.
#[derive(Debug)]
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// All of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// The next two bytes, big-endian.
    pub fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// The next `len` bytes, or as many as are left.
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Bytes that a byte in front of them counts.
    pub fn counted(&mut self) -> &'a [u8] {
        let len = self.byte();
        self.take(len.into())
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }
}

/// Where to cut `len` bytes: ascending, from a seed, so that a short input decides about many cuts. Small pieces and
/// large ones alternate; seed 0 cuts behind every byte.
pub fn cuts(len: usize, seed: u16) -> Vec<usize> {
    if seed == 0 {
        return (1..len).collect();
    }
    let mut random = u64::from(seed);
    let mut cuts = Vec::new();
    let mut at = 0;
    loop {
        // xorshift64*
        random ^= random >> 12;
        random ^= random << 25;
        random ^= random >> 27;
        let random = random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        let most = [1, 3, 9, 200][(random % 4) as usize];
        at += 1 + (random >> 2) as usize % most;
        if at >= len {
            return cuts;
        }
        cuts.push(at);
    }
}
