//! Streams that mean harm.

use fastrand::Rng;
use tautline_deflate::{Compressor, Corrupt, Decompress, Decompressor, Flush, Status, WindowBits};

use crate::{
    corpora,
    drive::{Pieces, compress, compress_in, decompress_in, history, window},
};

const NINE: WindowBits = WindowBits::new(9).expect("it is between 8 and 15");
const LIMIT: usize = 4000;

/// Whatever the stream, it ends, stays within its limit, and does not depend on pieces.
fn survive(data: &[u8], bits: WindowBits, seed: u64) {
    let run = |pieces: &mut Pieces| {
        let mut decompressor = Decompressor::new();
        let outcome = decompress_in(&mut decompressor.with(&mut window(bits)), data, LIMIT, pieces);
        (outcome, decompressor.is_between_blocks())
    };
    let whole = run(&mut Pieces::Whole);
    for mut pieces in [Pieces::Of(1), Pieces::random(seed)] {
        // A stream that has ended and has nothing behind it may have been left off at its end or behind it.
        assert_eq!(run(&mut pieces), whole);
    }
}

#[test]
fn truncated_streams_wait_for_more() {
    for (name, data) in corpora::all(2000, NINE, 31) {
        let made = compress(&mut history(NINE), &data, Flush::Finish);
        for len in 0..made.len() {
            let (mut decompressor, mut window) = (Decompressor::new(), window(NINE));
            let by = &mut decompressor.with(&mut window);
            let (read, status) = decompress_in(by, &made[..len], LIMIT, &mut Pieces::random(len as u64)).unwrap();
            assert!(data.starts_with(&read) && status == Status::NeedsInput, "{name}");
        }
    }
}

#[test]
fn changed_streams_are_survived() {
    let rng = &mut Rng::with_seed(32);
    for bits in corpora::windows() {
        for (_, data) in corpora::all(2000, bits, 33) {
            let made = compress(&mut history(bits), &data, Flush::Sync);
            for _ in 0..200 {
                let mut changed = made.clone();
                for _ in 0..rng.usize(1..4) {
                    let at = rng.usize(..changed.len());
                    match rng.u8(..3) {
                        0 => changed[at] ^= 1 << rng.u8(..8),
                        1 => changed[at] = rng.u8(..),
                        _ => drop(changed.drain(at..changed.len().min(at + rng.usize(..5)))),
                    }
                    if changed.is_empty() {
                        break;
                    }
                }
                survive(&changed, bits, rng.u64(..));
            }
        }
    }
}

#[test]
fn noise_is_survived() {
    let rng = &mut Rng::with_seed(34);
    for _ in 0..20_000 {
        let mut noise: Vec<u8> = (0..rng.usize(1..200)).map(|_| rng.u8(..)).collect();
        // Half of it begins as a dynamic block, where most can go wrong.
        if rng.bool() {
            noise[0] = noise[0] & !7 | 4;
        }
        survive(&noise, WindowBits::new(rng.u8(8..=15)).unwrap(), rng.u64(..));
    }
}

#[test]
fn a_bomb_stops_at_the_limit_and_can_go_on() {
    let data = vec![0; 10 << 20];
    let bomb = compress_in(
        &mut Compressor::<512>::new().with(&mut history(WindowBits::MAX)),
        &data,
        Flush::Sync,
        &mut Pieces::Whole,
    );
    assert!(bomb.len() < 20_000, "{}", bomb.len());
    let (mut decompressor, mut window) = (Decompressor::new(), window(WindowBits::MAX));
    let mut output = vec![1; 100_001];
    let first = decompressor.decompress(&mut window, &bomb, &mut output[..100_000]).unwrap();
    assert_eq!((first.produced, first.status), (100_000, Status::NeedsOutput));
    assert!(first.consumed < 500, "{}", first.consumed);
    assert_eq!(output[100_000], 1, "nothing behind the limit is touched");

    let (mut at, mut total) = (first.consumed, first.produced);
    loop {
        let progress = decompressor.decompress(&mut window, &bomb[at..], &mut output).unwrap();
        (at, total) = (at + progress.consumed, total + progress.produced);
        if progress.status == Status::NeedsInput {
            break;
        }
    }
    assert_eq!((at, total), (bomb.len(), data.len()));
}

#[test]
fn exactly_the_limit_is_allowed() {
    for (name, data) in corpora::all(3000, NINE, 35) {
        let made = compress(&mut history(NINE), &data, Flush::Sync);
        let run = |limit| {
            let by = &mut Decompressor::new();
            decompress_in(&mut by.with(&mut window(NINE)), &made, limit, &mut Pieces::Whole).unwrap()
        };
        assert!(run(data.len()) == (data.clone(), Status::NeedsInput), "{name}");
        if !data.is_empty() {
            assert_eq!(run(data.len() - 1).1, Status::NeedsOutput, "{name}");
        }
    }
}

#[test]
fn a_corrupt_stream_stays_so_until_it_is_reset() {
    let (mut decompressor, mut window) = (Decompressor::new(), window(NINE));
    let by = &mut decompressor.with(&mut window);
    assert_eq!(by.decompress(&[0x07], &mut [0; 10]), Err(Corrupt::BlockType));
    assert_eq!(by.decompress(&[0x00], &mut [0; 10]), Err(Corrupt::BlockType));
    assert!(!by.can_end());
    by.reset();
    assert_eq!(by.decompress(&[0x00], &mut [0; 10]).map(|progress| progress.consumed), Ok(1));
}

/// A window that is lent refers to nothing that was in it before it was cleared: not one byte of another connection.
#[test]
fn a_distance_beyond_what_there_is_or_beyond_the_window_is_refused() {
    let rng = &mut Rng::with_seed(36);
    let random: Vec<u8> = (0..600).map(|_| rng.u8(..)).collect();
    // The same bytes 600 bytes later: out of reach for 9 bits, within reach for 10.
    let made = compress(&mut history(WindowBits::MAX), &random.repeat(2), Flush::Sync);
    let run = |bits: u8| {
        let bits = WindowBits::new(bits).unwrap();
        let by = &mut Decompressor::new();
        decompress_in(&mut by.with(&mut window(bits)), &made, LIMIT, &mut Pieces::Whole)
    };
    assert_eq!(run(9).unwrap_err(), Corrupt::Distance);
    assert_eq!(run(10).unwrap().0, random.repeat(2));

    let mut lent = window(NINE);
    let secret = compress(&mut history(NINE), &random, Flush::Sync);
    decompress_in(&mut Decompressor::new().with(&mut lent), &secret, LIMIT, &mut Pieces::Whole).unwrap();
    lent.reset();
    let probe = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let seen = decompress_in(&mut Decompressor::new().with(&mut lent), &probe, LIMIT, &mut Pieces::Whole);
    assert_eq!(seen.unwrap_err(), Corrupt::Distance);
}
