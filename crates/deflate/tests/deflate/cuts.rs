//! Pieces make no difference.

use tautline_deflate::{Compressor, Decompressor, Flush, Status, WindowBits};

use crate::{
    corpora,
    drive::{Pieces, compress_in, decompress_in, history, window},
};

const NINE: WindowBits = WindowBits::new(9).expect("it is between 8 and 15");

#[test]
fn what_is_written_does_not_depend_on_pieces() {
    for bits in corpora::windows() {
        for (name, data) in corpora::all(20_000, bits, 1) {
            for flush in [Flush::Sync, Flush::Message, Flush::Finish] {
                let compress = |pieces: &mut Pieces| {
                    compress_in(&mut Compressor::<64>::new().with(&mut history(bits)), &data, flush, pieces)
                };
                let whole = compress(&mut Pieces::Whole);
                for mut pieces in [Pieces::Of(1), Pieces::Of(7), Pieces::random(2), Pieces::random(3)] {
                    assert!(compress(&mut pieces) == whole, "{name}, {bits:?}, {flush:?}");
                }
            }
        }
    }
}

#[test]
fn what_is_read_does_not_depend_on_pieces() {
    for bits in corpora::windows() {
        for (name, data) in corpora::all(20_000, bits, 4) {
            let whole = compress_in(
                &mut Compressor::<64>::new().with(&mut history(bits)),
                &data,
                Flush::Finish,
                &mut Pieces::Whole,
            );
            for mut pieces in [Pieces::Of(1), Pieces::Of(7), Pieces::random(5), Pieces::random(6)] {
                let mut decompressor = Decompressor::new();
                let mut window = window(bits);
                let by = &mut decompressor.with(&mut window);
                let (read, status) = decompress_in(by, &whole, data.len() + 1, &mut pieces).unwrap();
                assert!(read == data && status == Status::Ended, "{name}, {bits:?}");
            }
        }
    }
}

/// Each kind of block is cut at each byte, in what comes in and in what goes out.
#[test]
fn every_cut_of_input_and_output_is_the_same() {
    for (name, data) in corpora::all(1500, NINE, 7) {
        let mut compressor = Compressor::<128>::new();
        let whole = compress_in(&mut compressor.with(&mut history(NINE)), &data, Flush::Sync, &mut Pieces::Whole);
        for cut in 0..=data.len() {
            let mut history = history(NINE);
            let mut output = vec![0; whole.len() + 8];
            let first = compressor.compress(&mut history, &data[..cut], &mut output, Flush::None);
            assert_eq!(first.consumed, cut);
            let rest = &mut output[first.produced..];
            let second = compressor.compress(&mut history, &data[cut..], rest, Flush::Sync);
            assert!(output[..first.produced + second.produced] == whole, "{name}: input cut at {cut}");
        }
        for cut in 0..whole.len() {
            let mut history = history(NINE);
            let mut output = vec![0; whole.len()];
            let first = compressor.compress(&mut history, &data, &mut output[..cut], Flush::Sync);
            assert_eq!((first.produced, first.status), (cut, Status::NeedsOutput));
            let rest = &mut output[cut..];
            let second = compressor.compress(&mut history, &data[first.consumed..], rest, Flush::Sync);
            assert_eq!(second.status, Status::NeedsInput);
            assert!(output == whole, "{name}: output cut at {cut}");
        }

        for cut in 0..=whole.len() {
            let (mut decompressor, mut window) = (Decompressor::new(), window(NINE));
            let mut output = vec![0; data.len()];
            let first = decompressor.decompress(&mut window, &whole[..cut], &mut output).unwrap();
            assert_eq!((first.consumed, first.status), (cut, Status::NeedsInput));
            let rest = &mut output[first.produced..];
            let second = decompressor.decompress(&mut window, &whole[cut..], rest).unwrap();
            assert_eq!((first.produced + second.produced, second.status), (data.len(), Status::NeedsInput));
            assert!(decompressor.is_between_blocks() && output == data, "{name}: input cut at {cut}");
        }
        for cut in 0..data.len() {
            let (mut decompressor, mut window) = (Decompressor::new(), window(NINE));
            let mut output = vec![0; data.len()];
            let first = decompressor.decompress(&mut window, &whole, &mut output[..cut]).unwrap();
            assert_eq!((first.produced, first.status), (cut, Status::NeedsOutput));
            let (rest, left) = (&mut output[cut..], &whole[first.consumed..]);
            let second = decompressor.decompress(&mut window, left, rest).unwrap();
            assert_eq!(second.status, Status::NeedsInput);
            assert!(decompressor.is_between_blocks() && output == data, "{name}: output cut at {cut}");
        }
    }
}
