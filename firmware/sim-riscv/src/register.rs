//! Access to the board's registers, which are at fixed addresses in memory.

/// What the register at this address says.
pub(crate) fn read(address: usize) -> u32 {
    // SAFETY: every address that this crate uses is that of a register of the board `virt`, aligned to its 32 bits.
    unsafe { (address as *const u32).read_volatile() }
}

/// Writes the register at this address.
pub(crate) fn write(address: usize, value: u32) {
    // SAFETY: as in `read`; a register is no memory of Rust's.
    unsafe { (address as *mut u32).write_volatile(value) }
}
