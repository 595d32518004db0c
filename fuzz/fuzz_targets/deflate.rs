//! A conversation of compressed messages: what is written does not depend on the pieces, we and zlib read it, and we read
//! what zlib writes.
//!
//! Input: bits of the window (8 and the byte modulo 8), level of zlib (modulo 10), seed of the cuts (2), then what messages
//! consist of: 0 (modulo 4): counted bytes; 1: what was said so far back (2), so long (1); 2: so many (2) of a byte; 3: the end
//! of the message (1: the context is not taken over, 2: with its tail).

#![no_main]

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use libfuzzer_sys::fuzz_target;
use tautline_deflate::{Compressor, Decompressor, Flush, History, Status, TAIL, Window, WindowBits};
use tautline_fuzz::{Input, cuts};

/// No input makes more of it, so that many can be tried. Longer streams are in the tests of the crate.
const MOST: usize = 20_000;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let bits = WindowBits::new(8 + input.byte() % 8).expect("8 to 15");
    let level = input.byte() % 10;
    let seed = input.short();
    let mut sides = Sides::new(bits, level.into());
    let mut said = Vec::new();
    let mut start = 0;
    while !input.is_empty() && said.len() < MOST {
        match input.byte() % 4 {
            0 => said.extend_from_slice(input.counted()),
            1 => {
                let distance = usize::from(input.short()) + 1;
                for _ in 0..input.byte() {
                    let from = said.len().checked_sub(distance);
                    said.push(from.map_or(0, |from| said[from]));
                }
            }
            2 => {
                let count = input.short();
                said.extend(std::iter::repeat_n(input.byte(), count.into()));
            }
            _ => {
                sides.exchange(&said[start..], seed, input.byte());
                start = said.len();
            }
        }
    }
    sides.exchange(&said[start..], seed, 0);
});

struct Sides {
    whole: Compressor<64>,
    whole_history: History<Vec<u8>>,
    cut: Compressor<64>,
    cut_history: History<Vec<u8>>,
    decompressor: Decompressor,
    /// Of what we write, and of what zlib writes.
    windows: [Window<Vec<u8>>; 2],
    compress: Compress,
    decompress: Decompress,
}

impl Sides {
    fn new(bits: WindowBits, level: u32) -> Self {
        let history = || History::new(bits, vec![0; bits.history_bytes()]).expect("that is what it needs");
        // zlib has no raw stream of 8 bits.
        let zlib_bits = WindowBits::new(bits.value().max(9)).expect("9 to 15");
        let window = |bits: WindowBits| Window::new(bits, vec![0; bits.window_bytes()]).expect("that is what it needs");
        Self {
            whole: Compressor::new(),
            whole_history: history(),
            cut: Compressor::new(),
            cut_history: history(),
            decompressor: Decompressor::new(),
            windows: [window(bits), window(zlib_bits)],
            compress: Compress::new_with_window_bits(Compression::new(level), false, zlib_bits.value()),
            decompress: Decompress::new_with_window_bits(false, zlib_bits.value()),
        }
    }

    fn exchange(&mut self, message: &[u8], seed: u16, flags: u8) {
        let flush = if flags & 2 != 0 { Flush::Sync } else { Flush::Message };
        let mut made = vec![0; message.len() + message.len() / 64 + 100];
        let progress = self.whole.compress(&mut self.whole_history, message, &mut made, flush);
        assert_eq!((progress.consumed, progress.status), (message.len(), Status::NeedsInput));
        made.truncate(progress.produced);
        assert!(self.compress_cut(message, seed, flush) == made, "it depends on the cuts");
        if flush == Flush::Message {
            made.extend_from_slice(&TAIL);
        }
        self.read(0, &made, message, seed);
        let mut read = Vec::with_capacity(message.len() + 1);
        self.decompress.decompress_vec(&made, &mut read, FlushDecompress::Sync).expect("zlib reads it");
        assert!(read == message, "zlib reads something else");

        // zlib writes no end twice.
        if !message.is_empty() {
            let mut made = Vec::with_capacity(2 * message.len() + 1000);
            self.compress.compress_vec(message, &mut made, FlushCompress::Sync).expect("zlib writes it");
            self.read(1, &made, message, seed);
        }
        if flags & 1 != 0 {
            self.whole_history.reset();
            self.cut_history.reset();
            self.windows.iter_mut().for_each(Window::reset);
            self.compress.reset();
            self.decompress.reset(false);
        }
    }

    /// In pieces of input and output.
    fn compress_cut(&mut self, message: &[u8], seed: u16, flush: Flush) -> Vec<u8> {
        let mut made = Vec::new();
        let mut at = 0;
        for cut in cuts(message.len(), seed).into_iter().chain([message.len()]) {
            let flush = if cut == message.len() { flush } else { Flush::None };
            loop {
                let mut output = [0; 40];
                let room = 1 + (cut - at) % output.len();
                let progress = self.cut.compress(&mut self.cut_history, &message[at..cut], &mut output[..room], flush);
                at += progress.consumed;
                made.extend_from_slice(&output[..progress.produced]);
                if progress.status != Status::NeedsOutput {
                    break;
                }
                assert_eq!(progress.produced, room);
            }
            assert_eq!(at, cut);
        }
        made
    }

    /// In pieces of input, and with exactly the room that it takes.
    fn read(&mut self, window: usize, made: &[u8], message: &[u8], seed: u16) {
        let mut read = vec![0; message.len()];
        let (mut at, mut written) = (0, 0);
        for cut in cuts(made.len(), seed).into_iter().chain([made.len()]) {
            let (input, room) = (&made[at..cut], &mut read[written..]);
            let progress = self.decompressor.decompress(&mut self.windows[window], input, room).expect("it is sound");
            assert_eq!((progress.consumed, progress.status), (cut - at, Status::NeedsInput));
            (at, written) = (cut, written + progress.produced);
        }
        assert!(self.decompressor.is_between_blocks() && read == message, "something else is read");
    }
}
