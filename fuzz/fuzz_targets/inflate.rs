//! Arbitrary bytes as raw DEFLATE: what comes of them does not depend on the pieces, stays within its limit, and is what zlib
//! makes of them.
//!
//! Input: bits of the window (8 and the byte modulo 8), limit of the output (a power of two, the byte modulo 18), seed of the
//! cuts (2), then the bytes.

#![no_main]

use flate2::{Decompress, FlushDecompress};
use libfuzzer_sys::fuzz_target;
use tautline_deflate::{Corrupt, Decompressor, Status, Window, WindowBits};
use tautline_fuzz::{Input, cuts};

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let bits = WindowBits::new(8 + input.byte() % 8).expect("8 to 15");
    let limit = 1 << (input.byte() % 18);
    let seed = input.short();
    // Behind it is nothing that could be waited for, so that what is wrong is noticed here and by zlib.
    let bytes = [input.rest(), &[0; 64]].concat();

    let whole = run(bits, &bytes, limit, &[]);
    assert_eq!(whole, run(bits, &bytes, limit, &cuts(bytes.len(), seed)), "it depends on the cuts");

    // A larger window takes everything that a smaller one takes, and makes the same of it.
    let largest = run(WindowBits::MAX, &bytes, limit, &[]);
    if whole.is_ok() {
        assert_eq!(whole, largest);
    }
    match (zlib(&bytes, limit), largest) {
        (Some((output, ended)), Ok(ours)) => {
            assert_eq!(ours.output, output);
            assert_eq!(ours.status == Status::Ended, ended);
        }
        (None, Err(_)) => {}
        // zlib looks at a distance when there is room for what it refers to.
        (Some((output, false)), Err(Corrupt::Distance)) if output.len() == limit => {}
        (zlib, ours) => panic!("zlib: {}, here: {ours:?}", zlib.is_some()),
    }
});

/// What came of a stream, up to its end.
#[derive(Debug, PartialEq)]
struct Outcome {
    output: Vec<u8>,
    status: Status,
    between_blocks: bool,
}

fn run(bits: WindowBits, bytes: &[u8], limit: usize, cuts: &[usize]) -> Result<Outcome, Corrupt> {
    let mut decompressor = Decompressor::new();
    let mut window = Window::new(bits, vec![0x5a; bits.window_bytes()]).expect("that is what it needs");
    let mut output = vec![0; limit];
    let (mut at, mut written) = (0, 0);
    let mut status = Status::NeedsInput;
    for &cut in cuts.iter().chain([&bytes.len()]) {
        while at < cut {
            // Pieces of the output are as those of the input.
            let room = if cuts.is_empty() { limit } else { limit.min(written + cut - at) };
            let progress = decompressor.decompress(&mut window, &bytes[at..cut], &mut output[written..room])?;
            (at, written, status) = (at + progress.consumed, written + progress.produced, progress.status);
            match status {
                Status::NeedsInput => assert_eq!(at, cut),
                Status::NeedsOutput => assert_eq!(written, room),
                Status::Ended => {}
            }
            if status == Status::Ended || written == limit && status == Status::NeedsOutput {
                output.truncate(written);
                return Ok(Outcome { output, status, between_blocks: decompressor.is_between_blocks() });
            }
        }
    }
    // What the last piece says may not have had room.
    while status == Status::NeedsOutput && written < limit {
        let progress = decompressor.decompress(&mut window, &[], &mut output[written..])?;
        (written, status) = (written + progress.produced, progress.status);
    }
    output.truncate(written);
    Ok(Outcome { output, status, between_blocks: decompressor.is_between_blocks() })
}

/// What zlib makes of it, and whether it ended; `None` if it is corrupt.
fn zlib(bytes: &[u8], limit: usize) -> Option<(Vec<u8>, bool)> {
    let mut zlib = Decompress::new(false);
    let mut output = vec![0; limit];
    let status = zlib.decompress(bytes, &mut output, FlushDecompress::Sync).ok()?;
    output.truncate(zlib.total_out() as usize);
    Some((output, status == flate2::Status::StreamEnd))
}
