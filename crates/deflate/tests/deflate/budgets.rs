//! What everything takes, and what it brings.

use std::mem::size_of;

use fastrand::Rng;
use tautline_deflate::{Compressor, Decompressor, Flush, History, Window, WindowBits};

use crate::{
    corpora,
    drive::{compress, history},
};

const fn bits(bits: u8) -> WindowBits {
    WindowBits::new(bits).expect("it is between 8 and 15")
}

#[test]
fn compressors_fit_their_budgets_with_their_windows() {
    assert!(size_of::<Compressor<128>>() + size_of::<History<[u8; bits(9).history_bytes()]>>() <= 4 << 10);
    assert!(size_of::<Compressor<1024>>() + size_of::<History<[u8; bits(12).history_bytes()]>>() <= 24 << 10);
    assert!(size_of::<Compressor<4096>>() + size_of::<History<[u8; bits(15).history_bytes()]>>() <= 100 << 10);
}

#[test]
fn a_decompressor_fits_its_budget_beside_its_window() {
    assert!(size_of::<Decompressor>() <= 3 << 10);
    assert!(size_of::<Window<[u8; 256]>>() <= 256 + 8);
}

#[test]
fn what_a_connection_keeps_is_a_box_and_a_few_numbers() {
    assert!(size_of::<Window<Box<[u8]>>>() <= 24);
    assert!(size_of::<History<Box<[u8]>>>() <= 40);
}

/// Zlib, at its usual level, brings 0.273 and 0.214.
#[test]
fn readings_become_small_when_they_refer_to_each_other() {
    let readings = corpora::readings(500_000, &mut Rng::with_seed(1));
    let total: usize = readings.iter().map(Vec::len).sum();
    for (window, percent) in [(9, 30), (15, 23)] {
        let mut history = history(bits(window));
        let made: usize = readings.iter().map(|reading| compress(&mut history, reading, Flush::Message).len()).sum();
        assert!(made * 100 <= total * percent, "{window} bits: {made} of {total}");
    }
}

#[test]
fn what_cannot_be_compressed_grows_by_a_few_bytes_for_each_block() {
    let mut rng = Rng::with_seed(2);
    let random: Vec<u8> = (0..50_000).map(|_| rng.u8(..)).collect();
    for bits in corpora::windows() {
        let made = compress(&mut history(bits), &random, Flush::Sync).len();
        // 50,000 bytes are a block for each 512 at least.
        assert!(made <= random.len() + 100 * 5 + 5, "{bits:?}: {made}");
    }
}
