//! What zlib writes is read, and what is written zlib reads: C zlib, and zlib-rs.

use fastrand::Rng;
use flate2::{FlushCompress, FlushDecompress};
use tautline_deflate::{Compressor, Decompressor, Flush, TAIL, Window, WindowBits, ZlibCompressor, ZlibDecompressor};

use crate::{
    corpora,
    drive::{Pieces, compress_in, decompress, decompress_in, history, window},
};

/// C zlib, as whoever has negotiated this window has it. It has no raw stream of 8 bits.
struct Zlib {
    compress: flate2::Compress,
    decompress: flate2::Decompress,
}

impl Zlib {
    fn new(bits: WindowBits, level: u32) -> Self {
        let bits = bits.value().max(9);
        let level = flate2::Compression::new(level);
        Self {
            compress: flate2::Compress::new_with_window_bits(level, false, bits),
            decompress: flate2::Decompress::new_with_window_bits(false, bits),
        }
    }

    fn compress(&mut self, data: &[u8], flush: FlushCompress) -> Vec<u8> {
        let mut made = Vec::with_capacity(2 * data.len() + 1000);
        self.compress.compress_vec(data, &mut made, flush).unwrap();
        made
    }

    /// A few bytes at a time, so that its own window is what it refers to.
    fn decompress(&mut self, mut data: &[u8], limit: usize) -> Vec<u8> {
        let mut made = Vec::new();
        loop {
            let (before, mut output) = (self.decompress.total_in(), [0; 100]);
            let written = self.decompress.total_out();
            self.decompress.decompress(data, &mut output, FlushDecompress::Sync).unwrap();
            data = &data[(self.decompress.total_in() - before) as usize..];
            let written = (self.decompress.total_out() - written) as usize;
            made.extend_from_slice(&output[..written]);
            assert!(made.len() <= limit);
            if data.is_empty() && written < output.len() {
                return made;
            }
        }
    }
}

#[test]
fn what_zlib_writes_is_read() {
    for bits in corpora::windows().filter(|&bits| bits != WindowBits::MIN) {
        for (name, data) in corpora::all(50_000, bits, 11) {
            for level in [0, 1, 4, 6, 9] {
                let made = Zlib::new(bits, level).compress(&data, FlushCompress::Sync);
                assert!(decompress(&mut window(bits), &made, data.len()).unwrap() == data, "{name}, {bits:?}, {level}");
            }
        }
    }
}

#[test]
fn what_zlib_rs_writes_is_read() {
    for bits in corpora::windows().filter(|&bits| bits != WindowBits::MIN) {
        for (name, data) in corpora::all(20_000, bits, 12) {
            for level in [0, 1, 6] {
                let by = &mut ZlibCompressor::new(bits, level).unwrap();
                let made = compress_in(by, &data, Flush::Sync, &mut Pieces::Whole);
                assert!(decompress(&mut window(bits), &made, data.len()).unwrap() == data, "{name}, {bits:?}, {level}");
            }
        }
    }
}

#[test]
fn what_is_written_both_read() {
    for bits in corpora::windows() {
        for (name, data) in corpora::all(50_000, bits, 13) {
            let by = &mut Compressor::<512>::new();
            let made = compress_in(&mut by.with(&mut history(bits)), &data, Flush::Sync, &mut Pieces::Whole);
            assert!(Zlib::new(bits, 6).decompress(&made, data.len()) == data, "{name}, {bits:?}");
            let by = &mut ZlibDecompressor::new(bits);
            let read = decompress_in(by, &made, data.len(), &mut Pieces::Of(100)).unwrap().0;
            assert!(read == data, "{name}, {bits:?}");
            assert!(decompress(&mut window(bits), &made, data.len()).unwrap() == data, "{name}, {bits:?}");
        }
    }
}

/// Longer than any window and than the places in the index, in blocks with few and with many tokens.
#[test]
fn long_streams_are_read_by_both() {
    fn run<const TOKENS: usize>(bits: WindowBits, seed: u64) {
        let data = corpora::patchwork(200_000, &mut Rng::with_seed(seed));
        let by = &mut Compressor::<TOKENS>::new();
        let made = compress_in(&mut by.with(&mut history(bits)), &data, Flush::Sync, &mut Pieces::random(seed));
        assert!(Zlib::new(bits, 6).decompress(&made, data.len()) == data, "{bits:?}, {TOKENS} tokens");
        assert!(decompress(&mut window(bits), &made, data.len()).unwrap() == data, "{bits:?}, {TOKENS} tokens");
    }
    for bits in corpora::windows() {
        run::<2>(bits, 14);
        run::<128>(bits, 15);
        run::<4096>(bits, 16);
    }
}

/// Streams of messages of any kind and size in both directions, the context kept or not.
#[test]
fn conversations_with_zlib_are_understood() {
    for seed in 0..100 {
        let rng = &mut Rng::with_seed(seed);
        let bits = WindowBits::new(rng.u8(9..=15)).unwrap();
        let (mut zlib, mut history, mut window) = (Zlib::new(bits, rng.u32(1..=9)), history(bits), window(bits));
        let (mut compressor, mut decompressor) = (Compressor::<128>::new(), Decompressor::new());
        let takeover = rng.bool();
        for message in 0..20 {
            let len = [10, 100, 1000, 10_000][rng.usize(..4)];
            let (_, data) = corpora::all(rng.usize(..len), bits, rng.u64(..)).swap_remove(rng.usize(..9));

            let by = &mut compressor.with(&mut history);
            let mut made = compress_in(by, &data, Flush::Message, &mut Pieces::random(rng.u64(..)));
            made.extend_from_slice(&TAIL);
            assert!(zlib.decompress(&made, data.len()) == data, "seed {seed}, message {message}");

            let made = zlib.compress(&data, FlushCompress::Sync);
            let read = read(&mut decompressor, &mut window, &made, data.len(), rng);
            assert!(read == data, "seed {seed}, message {message}");
            if !takeover {
                history.reset();
                window.reset();
                zlib.compress.reset();
                zlib.decompress.reset(false);
            }
        }
    }
}

fn read(by: &mut Decompressor, window: &mut Window<Box<[u8]>>, made: &[u8], limit: usize, rng: &mut Rng) -> Vec<u8> {
    let (read, _) = decompress_in(&mut by.with(window), made, limit, &mut Pieces::random(rng.u64(..))).unwrap();
    assert!(by.is_between_blocks());
    read
}
