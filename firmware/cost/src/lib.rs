//! What both programs have: registers of a board that is nowhere, so that the compiler can leave nothing out. Nobody runs
//! them; `cargo xtask firmware` compares their sizes.

#![no_std]
#![allow(unsafe_code)] // registers, and memory that is not counted

use core::convert::Infallible;

use embedded_io_async::{ErrorType, Read, Write};
use tautline_device::{Clock, ConnectError, Connector, Transport};
use tautline_proto::Instant;

const REGISTER: usize = 0x1000_0000;

/// What nobody can know at compile time.
pub fn input() -> u32 {
    // SAFETY: it would be a register.
    unsafe { (REGISTER as *const u32).read_volatile() }
}

/// Where something goes that would be missed.
pub fn output(value: u32) {
    // SAFETY: as in `input`.
    unsafe { (REGISTER as *mut u32).write_volatile(value) }
}

/// Memory for a buffer, the `index`th: at the end of the board's, where the linker puts nothing but the stack.
pub fn uncounted<const LENGTH: usize>(index: usize) -> &'static mut [u8; LENGTH] {
    let end = 0x8040_0000 + 400 * 1024;
    // SAFETY: it would be memory that nobody else has; each index is asked for once, with one length.
    unsafe { &mut *((end - (index + 1) * LENGTH) as *mut [u8; LENGTH]) }
}

/// A network, a clock and both halves of a connection, which cost next to nothing.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Connector for Nothing {
    type Transport<'t> = Self;

    async fn connect(&mut self) -> Result<Self, ConnectError> {
        if input() == 0 { Err(ConnectError::Lookup) } else { Ok(Self) }
    }
}

impl Transport for Nothing {
    type Error = Infallible;
    type Reader<'h> = Self;
    type Writer<'h> = Self;

    fn split(&mut self) -> (Self, Self) {
        (Self, Self)
    }

    async fn close(self) {}
}

impl ErrorType for Nothing {
    type Error = Infallible;
}

impl Read for Nothing {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let length = (input() as usize).min(buffer.len());
        buffer[..length].iter_mut().for_each(|byte| *byte = input() as u8);
        Ok(length)
    }
}

impl Write for Nothing {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        bytes.iter().for_each(|byte| output((*byte).into()));
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl Clock for Nothing {
    fn now(&self) -> Instant {
        Instant::from_micros(input().into())
    }

    async fn sleep_until(&self, at: Instant) {
        core::future::poll_fn(|cx| match self.now() {
            now if now < at => {
                cx.waker().wake_by_ref();
                core::task::Poll::Pending
            }
            _ => core::task::Poll::Ready(()),
        })
        .await;
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        output(0);
    }
}
