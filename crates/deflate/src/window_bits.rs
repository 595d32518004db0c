//! How far back a stream refers.

/// The size of a window as the power of two that negotiations speak of (RFC 7692 §7.1.2): 8 (256 bytes) to 15 (32 KiB).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowBits(u8);

impl WindowBits {
    /// The smallest window, of 256 bytes.
    pub const MIN: Self = Self(8);
    /// The largest window, of 32 KiB, which every stream of DEFLATE may use.
    pub const MAX: Self = Self(15);

    /// `None` outside of 8 to 15.
    pub const fn new(bits: u8) -> Option<Self> {
        if bits >= Self::MIN.0 && bits <= Self::MAX.0 { Some(Self(bits)) } else { None }
    }

    /// The power of two, 8 to 15.
    pub const fn value(self) -> u8 {
        self.0
    }

    /// How many bytes back a stream can refer, which is the memory that a [`Window`](crate::Window) needs.
    pub const fn window_bytes(self) -> usize {
        1 << self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_windows_that_can_be_negotiated_exist() {
        assert_eq!(WindowBits::new(7), None);
        assert_eq!(WindowBits::new(8), Some(WindowBits::MIN));
        assert_eq!(WindowBits::new(15), Some(WindowBits::MAX));
        assert_eq!(WindowBits::new(16), None);
        assert_eq!(WindowBits::MAX.window_bytes(), 32 * 1024);
    }
}
