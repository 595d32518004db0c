//! Masking against a plain XOR over a buffer of the same size: `cargo bench -p tautline-proto --bench mask`.
//!
//! The reference is what a compiler makes of `*word ^= key` over aligned `u64`s. Rounds of both alternate, so that a
//! busy machine slows both, and medians are compared. The goal is a ratio of at most 1.2 for every size, at every offset
//! from an aligned address.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use tautline_proto::mask;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const SIZES: [(&str, usize); 4] = [("64 B", 64), ("1 KiB", 1 << 10), ("16 KiB", 16 << 10), ("1 MiB", 1 << 20)];
const OFFSETS: usize = 8;
const ROUNDS: usize = 151;
/// Bytes that one round works through, so that the clock's own time does not show.
const ROUND: usize = 4 << 20;
/// What an address is aligned to at offset 0: a cache line.
const ALIGNMENT: usize = 64;

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "mask::apply / plain XOR of aligned u64s (medians of {ROUNDS} interleaved rounds)\n")?;
    write!(out, "{:>8} {:>12}", "size", "plain XOR")?;
    for offset in 0..OFFSETS {
        write!(out, " {:>6}", format!("+{offset}"))?;
    }
    writeln!(out)?;
    let mut worst = 0.0f64;
    for (name, size) in SIZES {
        let (reference, ratios) = compare(size);
        write!(out, "{name:>8} {:>7.1} GB/s", size as f64 / reference.as_secs_f64() / 1e9)?;
        for ratio in ratios {
            worst = worst.max(ratio);
            write!(out, " {ratio:>6.2}")?;
        }
        writeln!(out)?;
    }
    writeln!(out, "\nworst: {worst:.2} (goal: at most 1.20)")
}

/// Time of the reference for one buffer of `size`, and what masking takes as a multiple of it at each offset.
fn compare(size: usize) -> (Duration, [f64; OFFSETS]) {
    let repetitions = ROUND / size;
    let mut words = vec![0x5au64; (size + ALIGNMENT) / 8];
    let first_word = (ALIGNMENT - words.as_ptr() as usize % ALIGNMENT) % ALIGNMENT / 8;
    let mut bytes = vec![0x5au8; size + ALIGNMENT + OFFSETS];
    let first_byte = (ALIGNMENT - bytes.as_ptr() as usize % ALIGNMENT) % ALIGNMENT;
    let mut times: [Vec<Duration>; OFFSETS + 1] = Default::default();
    for _ in 0..ROUNDS {
        times[0].push(timed(repetitions, || plain_xor(&mut words[first_word..first_word + size / 8])));
        for offset in 0..OFFSETS {
            let begin = first_byte + offset;
            let data = &mut bytes[begin..begin + size];
            times[offset + 1].push(timed(repetitions, || mask::apply(black_box(KEY), 0, black_box(&mut *data))));
        }
    }
    let reference = median(&mut times[0]);
    let ratio = |times: &mut Vec<Duration>| median(times).as_secs_f64() / reference.as_secs_f64();
    let (_, masked) = times.split_first_mut().expect("there is a reference");
    let mut ratios = [0.0; OFFSETS];
    for (ratios, times) in ratios.iter_mut().zip(masked) {
        *ratios = ratio(times);
    }
    (reference / repetitions as u32, ratios)
}

#[inline(never)]
fn plain_xor(words: &mut [u64]) {
    let key = black_box(0x3d21_fa37_3d21_fa37);
    for word in black_box(words) {
        *word ^= key;
    }
}

fn timed(repetitions: usize, mut work: impl FnMut()) -> Duration {
    let start = Instant::now();
    (0..repetitions).for_each(|_| work());
    start.elapsed()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
