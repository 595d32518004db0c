//! Ratio, speed and memory beside zlib: `cargo run --release -p tautline-deflate --example measure`.
//!
//! Two loads: readings of a device as JSON, each a message that refers to those before it, as permessage-deflate sends them;
//! and text of this repository as one message. Rounds of ours and of zlib at level 6 alternate, and the fastest of each are
//! compared: whatever else a machine does makes a round slower, and never faster.

use std::fs;
use std::io::{self, Write};
use std::mem::size_of;
use std::path::Path;
use std::slice;
use std::time::Instant;

use fastrand::Rng;
use flate2::{Compression, FlushCompress, FlushDecompress};
use tautline_deflate::{Compress, Compressor, Decompressor, Flush, History, TAIL, Window, WindowBits, ZlibCompressor};

#[path = "../tests/deflate/corpora.rs"]
#[expect(dead_code, reason = "the tests have other data, too")]
mod corpora;

/// How often everything is done.
const ROUNDS: usize = 15;
const LEVEL: u8 = 6;

fn main() -> io::Result<()> {
    let out = &mut io::stdout().lock();
    let readings = corpora::readings(500_000, &mut Rng::with_seed(1));
    let average = size(&readings) / readings.len();
    let title = format!("{} readings of {average} bytes, each a message: messages/s", readings.len());
    table(out, &title, &readings, readings.len())?;

    let alone: usize =
        readings.iter().map(|reading| size(&compress::<128>(WindowBits::MAX, slice::from_ref(reading)))).sum();
    let alone = (alone - TAIL.len() * readings.len()) as f64 / size(&readings) as f64;
    writeln!(out, "Each by itself: {alone:.3}\n")?;

    let text = vec![text(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs")))?];
    let title = format!("{} bytes of text as one message: KB/s", text[0].len());
    table(out, &title, &text, text[0].len() / 1000)?;

    let mut zlib_rs = ZlibCompressor::new(WindowBits::MAX, LEVEL).expect("both are within bounds");
    let made = zlib_rs.compress(&text[0], &mut vec![0; text[0].len()], Flush::Sync).produced;
    writeln!(out, "The text by zlib-rs, level {LEVEL}, 15 bits: {:.3}", made as f64 / text[0].len() as f64)
}

/// A row for each window, with as many tokens as the memory budgets leave room for; speeds in `units` for each second.
fn table(out: &mut impl Write, title: &str, messages: &[Vec<u8>], units: usize) -> io::Result<()> {
    writeln!(out, "{title}\n")?;
    writeln!(
        out,
        "| bits | bytes to compress | bytes to decompress | ratio | zlib's ratio | compressed | zlib's | decompressed | zlib's |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|---|")?;
    for bits in corpora::windows() {
        match bits.value() {
            ..=11 => row::<128>(out, bits, messages, units)?,
            12..=13 => row::<1024>(out, bits, messages, units)?,
            _ => row::<4096>(out, bits, messages, units)?,
        }
    }
    writeln!(out)
}

fn row<const TOKENS: usize>(
    out: &mut impl Write,
    bits: WindowBits,
    messages: &[Vec<u8>],
    units: usize,
) -> io::Result<()> {
    let made = compress::<TOKENS>(bits, messages);
    let zlib_made = compress_by_zlib(bits, messages);
    let mut fastest = [f64::INFINITY; 4];
    for _ in 0..ROUNDS {
        let times = [
            timed(|| drop(compress::<TOKENS>(bits, messages))),
            timed(|| drop(compress_by_zlib(bits, messages))),
            timed(|| decompress(bits, &made, messages)),
            timed(|| decompress_by_zlib(bits, &made, messages)),
        ];
        for (fastest, time) in fastest.iter_mut().zip(times) {
            *fastest = fastest.min(time);
        }
    }
    let speeds = fastest.map(|time| format!("{:.0}", units as f64 / time));
    // The tail is not sent.
    let ratio = |made: &[Vec<u8>]| (size(made) - TAIL.len() * made.len()) as f64 / size(messages) as f64;
    writeln!(
        out,
        "| {} | {} | {} | {:.3} | {:.3} | {} |",
        bits.value(),
        size_of::<Compressor<TOKENS>>() + size_of::<History<[u8; 0]>>() + bits.history_bytes(),
        size_of::<Decompressor>() + size_of::<Window<[u8; 0]>>() + bits.window_bytes(),
        ratio(&made),
        ratio(&zlib_made),
        speeds.join(" | "),
    )
}

fn compress<const TOKENS: usize>(bits: WindowBits, messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut compressor = Compressor::<TOKENS>::new();
    let mut history = History::new(bits, vec![0; bits.history_bytes()]).expect("that is what it needs");
    let each = messages.iter().map(|message| {
        let mut output = vec![0; message.len() + 100];
        let progress = compressor.compress(&mut history, message, &mut output, Flush::Sync);
        output.truncate(progress.produced);
        output
    });
    each.collect()
}

/// 8 bits are 9 for zlib.
fn compress_by_zlib(bits: WindowBits, messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let level = Compression::new(LEVEL.into());
    let mut zlib = flate2::Compress::new_with_window_bits(level, false, bits.value().max(9));
    let each = messages.iter().map(|message| {
        let mut output = vec![0; message.len() + 100];
        let before = zlib.total_out();
        zlib.compress(message, &mut output, FlushCompress::Sync).expect("zlib compresses everything");
        output.truncate((zlib.total_out() - before) as usize);
        output
    });
    each.collect()
}

fn decompress(bits: WindowBits, made: &[Vec<u8>], messages: &[Vec<u8>]) {
    let mut decompressor = Decompressor::new();
    let mut window = Window::new(bits, vec![0; bits.window_bytes()]).expect("that is what it needs");
    for (made, message) in made.iter().zip(messages) {
        let mut output = vec![0; message.len()];
        decompressor.decompress(&mut window, made, &mut output).expect("it was compressed here");
        assert!(output == *message);
    }
}

fn decompress_by_zlib(bits: WindowBits, made: &[Vec<u8>], messages: &[Vec<u8>]) {
    let mut zlib = flate2::Decompress::new_with_window_bits(false, bits.value().max(9));
    for (made, message) in made.iter().zip(messages) {
        let mut output = vec![0; message.len()];
        zlib.decompress(made, &mut output, FlushDecompress::Sync).expect("it was compressed here");
        assert!(output == *message);
    }
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn size(messages: &[Vec<u8>]) -> usize {
    messages.iter().map(Vec::len).sum()
}

/// All pages of a folder, in the order of their names.
fn text(folder: &Path) -> io::Result<Vec<u8>> {
    let entries: io::Result<Vec<_>> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect();
    let mut entries = entries?;
    entries.sort_unstable();
    let mut text = Vec::new();
    for entry in entries {
        if entry.is_dir() {
            text.extend(self::text(&entry)?);
        } else if entry.extension().is_some_and(|extension| extension == "md") {
            text.extend(fs::read(entry)?);
        }
    }
    Ok(text)
}
