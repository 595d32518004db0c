//! What the board itself does not have and the emulator's host lends: random numbers, the serial port's other end, and the
//! way out. This is semihosting, which a debugger gives to a real board.

use core::fmt;

use cortex_m_semihosting::{debug, syscall};

use crate::register;

/// The data register of the first serial port.
const UART: usize = 0x4000_c000;

/// The serial port, which is the emulator's standard output. It takes every byte at once.
pub(crate) struct Uart;

impl fmt::Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| register::write(UART, u32::from(byte)));
        Ok(())
    }
}

/// The host's random numbers.
#[derive(Clone, Copy)]
pub(crate) struct Rng(usize);

impl Rng {
    /// Opens the host's device.
    pub(crate) fn open() -> Self {
        const NAME: &[u8] = b"/dev/urandom\0";
        const READ_BINARY: usize = 1;
        // SAFETY: the name is there for the call, ends with a zero, and is as long as said.
        Self(unsafe { syscall!(OPEN, NAME.as_ptr(), READ_BINARY, NAME.len() - 1) })
    }

    /// Fills the bytes.
    ///
    /// # Panics
    ///
    /// If the emulator was started without semihosting.
    pub(crate) fn fill(self, bytes: &mut [u8]) {
        // SAFETY: the host writes no more than the slice's length.
        let left = unsafe { syscall!(READ, self.0, bytes.as_mut_ptr(), bytes.len()) };
        assert_eq!(left, 0, "-semihosting-config enable=on,target=native");
    }
}

/// The host's time.
pub(crate) fn unix_seconds() -> u64 {
    // SAFETY: it takes no memory.
    unsafe { syscall!(TIME) as u64 }
}

/// Ends the emulator.
pub(crate) fn exit(success: bool) -> ! {
    debug::exit(if success { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    loop {
        core::hint::spin_loop();
    }
}
