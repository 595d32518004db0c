//! What holds for whatever compresses: this crate, and zlib-rs.

use fastrand::Rng;
use tautline_deflate::{
    Compress, Compressor, Decompress, Decompressor, Flush, Status, TAIL, WindowBits, ZlibCompressor, ZlibDecompressor,
};

use crate::{
    corpora,
    drive::{Pieces, compress_in, decompress_in, history, window},
};

const TWELVE: WindowBits = WindowBits::new(12).expect("it is between 8 and 15");

fn with_each(test: impl Fn(&mut dyn Compress, &mut dyn Decompress)) {
    let (mut compressor, mut decompressor) = (Compressor::<512>::new(), Decompressor::new());
    let (mut history, mut window) = (history(TWELVE), window(TWELVE));
    test(&mut compressor.with(&mut history), &mut decompressor.with(&mut window));
    for level in [0, 1, 6, 9] {
        let (mut compressor, mut decompressor) =
            (ZlibCompressor::new(TWELVE, level).unwrap(), ZlibDecompressor::new(TWELVE));
        test(&mut compressor, &mut decompressor);
    }
}

#[test]
fn messages_are_understood_in_any_pieces_with_and_without_context() {
    with_each(|compress, decompress| {
        let rng = &mut Rng::with_seed(41);
        for round in 0..200 {
            let (name, data) = corpora::all(rng.usize(..3000), TWELVE, rng.u64(..)).swap_remove(rng.usize(..9));
            let mut made = compress_in(compress, &data, Flush::Message, &mut Pieces::random(rng.u64(..)));
            if data.is_empty() {
                assert_eq!(made, [0x00]);
            }
            made.extend_from_slice(&TAIL);
            let (read, status) =
                decompress_in(decompress, &made, data.len(), &mut Pieces::random(rng.u64(..))).unwrap();
            assert!(read == data && status == Status::NeedsInput && decompress.can_end(), "{name}, round {round}");
            if round % 5 == 0 {
                compress.reset();
                decompress.reset();
            }
        }
    });
}

#[test]
fn more_to_come_is_told_exactly() {
    with_each(|compress, decompress| {
        for (name, data) in corpora::all(1000, TWELVE, 42) {
            let made = compress_in(compress, &data, Flush::Sync, &mut Pieces::Whole);
            let limit = data.len().saturating_sub(1);
            let (_, status) = decompress_in(decompress, &made, limit, &mut Pieces::Whole).unwrap();
            let expected = if data.is_empty() { Status::NeedsInput } else { Status::NeedsOutput };
            assert_eq!(status, expected, "{name}");
            compress.reset();
            decompress.reset();
        }
    });
}

#[test]
fn streams_end_and_others_begin() {
    with_each(|compress, decompress| {
        for (name, data) in corpora::all(1000, TWELVE, 43) {
            let made = compress_in(compress, &data, Flush::Finish, &mut Pieces::random(44));
            compress.reset();
            let (read, status) = decompress_in(decompress, &made, data.len(), &mut Pieces::random(45)).unwrap();
            assert!(read == data && status == Status::Ended, "{name}");
            decompress.reset();
        }
    });
}

#[test]
fn damage_is_told_until_reset() {
    with_each(|_, decompress| {
        decompress.decompress(&[0x07], &mut [0; 10]).unwrap_err();
        decompress.decompress(&[0x00], &mut [0; 10]).unwrap_err();
        decompress.reset();
        assert_eq!(decompress.decompress(&[0x00], &mut [0; 10]).unwrap().consumed, 1);
    });
}

#[test]
fn compressors_take_turns_on_one_connection() {
    for bits in (9..=15).map(|bits| WindowBits::new(bits).unwrap()) {
        let rng = &mut Rng::with_seed(46);
        let (mut compressor, mut zlib) = (Compressor::<512>::new(), ZlibCompressor::new(bits, 6).unwrap());
        let (mut history, mut decompressor, mut window) = (history(bits), Decompressor::new(), window(bits));
        for round in 0..200 {
            let most = [40, 600, 3 * bits.window_bytes()][rng.usize(..3)];
            let (name, data) = corpora::all(rng.usize(..=most), bits, rng.u64(..)).swap_remove(rng.usize(..9));
            let pieces = &mut Pieces::random(rng.u64(..));
            let mut made = if rng.bool() {
                zlib.begin_after(history.recent());
                let made = compress_in(&mut zlib, &data, Flush::Message, pieces);
                history.remember(&data);
                made
            } else {
                compress_in(&mut compressor.with(&mut history), &data, Flush::Message, pieces)
            };
            made.extend_from_slice(&TAIL);
            let by = &mut decompressor.with(&mut window);
            let (read, status) = decompress_in(by, &made, data.len(), &mut Pieces::Whole).unwrap();
            assert!(read == data && status == Status::NeedsInput, "{name}, {bits:?}, round {round}");
        }
    }
}

#[test]
fn each_refers_to_what_the_other_has_compressed() {
    let message: Vec<u8> = (0..300).map(|number| format!("{number} ")).collect::<String>().into();
    let (mut compressor, mut zlib) = (Compressor::<512>::new(), ZlibCompressor::new(TWELVE, 6).unwrap());
    let whole = &mut Pieces::Whole;
    for own_first in [true, false] {
        let mut history = history(TWELVE);
        let mut lens = Vec::new();
        for own in [own_first, !own_first] {
            let made = if own {
                compress_in(&mut compressor.with(&mut history), &message, Flush::Message, whole)
            } else {
                zlib.begin_after(history.recent());
                history.remember(&message);
                compress_in(&mut zlib, &message, Flush::Message, whole)
            };
            lens.push(made.len());
        }
        assert!(lens[1] * 10 < lens[0], "{lens:?}, the own one first: {own_first}");
    }
}

#[test]
fn what_zlib_cannot_do_is_refused() {
    assert!(ZlibCompressor::new(WindowBits::MIN, 6).is_none());
    assert!(ZlibCompressor::new(WindowBits::MAX, 10).is_none());
    assert!(format!("{:?}", ZlibCompressor::new(WindowBits::MAX, 9)).contains("ZlibCompressor"));
}

#[test]
fn everything_can_move_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<(Compressor<128>, Decompressor)>();
    is_send::<(ZlibCompressor, ZlibDecompressor)>();
}
