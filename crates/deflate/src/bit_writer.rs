//! Bits on their way out.

/// Bits that are not written yet, the first one lowest.
#[derive(Debug)]
pub(crate) struct BitWriter {
    bits: u64,
    count: u32,
}

/// Where they go, and how far that has come.
#[derive(Debug)]
pub(crate) struct Output<'a> {
    pub(crate) bytes: &'a mut [u8],
    pub(crate) written: usize,
}

impl BitWriter {
    /// So many bits can be put behind [`BitWriter::make_room`].
    pub(crate) const ROOM: u32 = 48;

    pub(crate) const fn new() -> Self {
        Self { bits: 0, count: 0 }
    }

    /// Writes what is in the way of [`BitWriter::ROOM`] bits. False if the output is full.
    #[inline]
    pub(crate) fn make_room(&mut self, output: &mut Output<'_>) -> bool {
        if self.count > u64::BITS - Self::ROOM {
            self.write(output);
        }
        self.count <= u64::BITS - Self::ROOM
    }

    /// Puts the low `count` bits of `bits`; there is nothing above them.
    // On a chip, which shifts 64 bits in a dozen instructions, the call is less code.
    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    pub(crate) fn put(&mut self, bits: u64, count: u32) {
        self.bits |= bits << self.count;
        self.count += count;
    }

    /// Zeros up to the end of a byte.
    pub(crate) fn align(&mut self) {
        self.count = self.count.next_multiple_of(8);
    }

    /// Writes all whole bytes. False if the output is full before.
    pub(crate) fn write(&mut self, output: &mut Output<'_>) -> bool {
        let room = &mut output.bytes[output.written..];
        let bytes = (self.count as usize / 8).min(room.len());
        match room.first_chunk_mut() {
            // What is written too much is written again.
            Some(chunk) => *chunk = self.bits.to_le_bytes(),
            None => room[..bytes].copy_from_slice(&self.bits.to_le_bytes()[..bytes]),
        }
        output.written += bytes;
        self.bits = self.bits.checked_shr(bytes as u32 * 8).unwrap_or(0);
        self.count -= bytes as u32 * 8;
        self.count < 8
    }
}

impl Output<'_> {
    /// Copies as much as there is room for, and returns how much that was.
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> usize {
        let room = &mut self.bytes[self.written..];
        let len = room.len().min(bytes.len());
        room[..len].copy_from_slice(&bytes[..len]);
        self.written += len;
        len
    }
}
