//! Raw DEFLATE (RFC 1951) both ways, in a few KiB of memory that the caller owns: without an allocator, for any window.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod alphabet;
mod decode;
mod decompressor;
mod error;
mod progress;
mod window;
mod window_bits;

pub use decompressor::Decompressor;
pub use error::{Corrupt, TooSmall};
pub use progress::{Flush, Progress, Status, TAIL};
pub use window::Window;
pub use window_bits::WindowBits;
