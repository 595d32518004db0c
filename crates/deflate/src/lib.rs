//! Raw DEFLATE (RFC 1951) both ways, in a few KiB of memory that the caller owns: without an allocator, for any window.
//!
//! What a connection keeps is apart from what it takes to work:
//!
//! | | working memory, one for each thread | what a connection keeps |
//! |---|---|---|
//! | compress | [`Compressor`] | [`History`] |
//! | decompress | [`Decompressor`] | [`Window`] |
//!
//! A program that serves many connections on a thread has one [`Compressor`] and one [`Decompressor`] there, and for each
//! connection that takes its context over a [`History`] and a [`Window`] of the size that was negotiated; connections that
//! do not take it over can share those as well. A device has one of each. Each is a plain value without references into itself, so
//! it can be moved, boxed and used again; [`History`] and [`Window`] hold their memory as an array, a box or a borrowed slice, so that
//! their size can be a constant or be decided at run time.
//!
//! Input and output can be cut anywhere. Nothing that is decompressed makes it panic, take more time than is linear in
//! input and output, or write more than the caller gave room for.
//!
//! [`Compress`] and [`Decompress`] are for programs that leave it to their configuration what compresses; with the feature
//! `zlib-rs`, that crate is to be had behind them, too.
//!
//! # Messages that refer to those before them (RFC 7692)
//!
//! ```
//! use tautline_deflate::{Compressor, Decompressor, Flush, History, Status, TAIL, Window, WindowBits};
//!
//! const BITS: WindowBits = WindowBits::new(9).expect("between 8 and 15");
//!
//! let mut compressor = Compressor::<128>::new();
//! let mut history = History::new(BITS, [0; BITS.history_bytes()])?;
//! let mut decompressor = Decompressor::new();
//! let mut window = Window::new(BITS, [0; BITS.window_bytes()])?;
//!
//! let mut lengths = Vec::new();
//! for message in [r#"{"sensor":"kitchen","temperature":21.5}"#, r#"{"sensor":"kitchen","temperature":21.6}"#] {
//!     // As the frame's payload: without the tail.
//!     let mut payload = [0; 64];
//!     let made = compressor.compress(&mut history, message.as_bytes(), &mut payload, Flush::Message);
//!     assert_eq!(made.status, Status::NeedsInput, "else there is more: call again with room");
//!     lengths.push(made.produced);
//!
//!     // The receiver puts the tail behind it.
//!     let (mut text, mut len) = ([0; 64], 0);
//!     for piece in [&payload[..made.produced], &TAIL] {
//!         let read = decompressor.decompress(&mut window, piece, &mut text[len..])?;
//!         assert_eq!(read.status, Status::NeedsInput, "else it is longer than what is allowed");
//!         len += read.produced;
//!     }
//!     assert!(decompressor.is_between_blocks(), "else it was cut off");
//!     assert_eq!(&text[..len], message.as_bytes());
//! }
//! assert!(lengths[1] < 12, "{lengths:?}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod alphabet;
mod bit_writer;
mod block;
mod codec;
mod compressor;
mod decode;
mod decompressor;
mod encode;
mod error;
mod history;
mod progress;
mod search;
mod token;
mod window;
mod window_bits;
#[cfg(feature = "zlib-rs")]
mod zlib;

pub use codec::{Compress, Compressing, Decompress, Decompressing};
pub use compressor::Compressor;
pub use decompressor::Decompressor;
pub use error::{Corrupt, TooSmall};
pub use history::History;
pub use progress::{Flush, Progress, Status, TAIL};
pub use window::Window;
pub use window_bits::WindowBits;
#[cfg(feature = "zlib-rs")]
pub use zlib::{ZlibCompressor, ZlibDecompressor};
