//! Data of the kinds that matter, made from a seed.

use fastrand::Rng;
use tautline_deflate::WindowBits;

/// Every window there is.
pub(crate) fn windows() -> impl Iterator<Item = WindowBits> {
    (8..=15).filter_map(WindowBits::new)
}

/// About `len` bytes of every kind, named.
pub(crate) fn all(len: usize, bits: WindowBits, seed: u64) -> Vec<(&'static str, Vec<u8>)> {
    let rng = &mut Rng::with_seed(seed);
    vec![
        ("nothing", Vec::new()),
        ("a byte", vec![rng.u8(..)]),
        ("text", text(len, rng)),
        ("readings", readings(len, rng).concat()),
        ("records", records(len, rng)),
        ("zeros", vec![0; len]),
        ("random", (0..len).map(|_| rng.u8(..)).collect()),
        ("echoes", echoes(len, bits.window_bytes(), rng)),
        ("patchwork", patchwork(len, rng)),
    ]
}

/// Words, the more frequent the shorter, with punctuation.
pub(crate) fn text(len: usize, rng: &mut Rng) -> Vec<u8> {
    let letters = |len| (0..len).map(|_| b"etaoinshrdlucmfwypvbgkjqxz"[rng_square(rng, 26)]).collect::<Vec<u8>>();
    let words: Vec<Vec<u8>> = (0..800).map(|rank| 2 + rank / 100).map(letters).collect();
    let mut text = Vec::new();
    while text.len() < len {
        text.extend_from_slice(&words[rng_square(rng, words.len())]);
        text.extend_from_slice([" ", " ", " ", " ", ", ", ".\n"][rng.usize(..6)].as_bytes());
    }
    text.truncate(len);
    text
}

/// Messages of a device with some sensors, one after the other, of 92 bytes on average.
pub(crate) fn readings(len: usize, rng: &mut Rng) -> Vec<Vec<u8>> {
    let (mut sequence, mut time) = (rng.u32(10_000..20_000), 1_763_755_200);
    let (mut temperature, mut pressure) = (2150, 10_132);
    let mut readings = Vec::new();
    let mut total = 0;
    while total < len {
        sequence += 1;
        time += 10;
        temperature = (temperature + rng.i32(-40..=40)).clamp(1500, 3000);
        pressure += rng.i32(-3..=3);
        let reading = format!(
            r#"{{"id":"kitchen","seq":{sequence},"ts":{time},"temp":{}.{:02},"hum":{}.{},"hpa":{}.{},"rssi":-{}}}"#,
            temperature / 100,
            temperature % 100,
            rng.u8(40..60),
            2 * rng.u8(..5),
            pressure / 10,
            pressure % 10,
            rng.u8(58..72),
        );
        total += reading.len();
        readings.push(reading.into_bytes());
    }
    readings
}

/// Little-endian numbers that go up, beside others that hardly change.
fn records(len: usize, rng: &mut Rng) -> Vec<u8> {
    let mut time = 1_700_000_000u32;
    let mut records = Vec::new();
    while records.len() < len {
        time += rng.u32(1..5);
        records.extend_from_slice(&time.to_le_bytes());
        records.extend_from_slice(&rng.i16(-30..30).to_le_bytes());
        records.extend_from_slice(&[0, 0, 1, rng.u8(..3)]);
    }
    records.truncate(len);
    records
}

/// Random bytes that are said again after a window, a little less, and a little more.
fn echoes(len: usize, window: usize, rng: &mut Rng) -> Vec<u8> {
    let mut echoes: Vec<u8> = Vec::new();
    while echoes.len() < len {
        let distance = (window + 3).saturating_sub(rng.usize(..6)).max(1);
        if echoes.len() < distance || rng.u8(..8) == 0 {
            echoes.push(rng.u8(..));
        } else {
            for _ in 0..rng.usize(3..300) {
                echoes.push(echoes[echoes.len() - distance]);
            }
        }
    }
    echoes.truncate(len);
    echoes
}

/// Pieces of everything, and of itself from anywhere.
pub(crate) fn patchwork(len: usize, rng: &mut Rng) -> Vec<u8> {
    let mut work: Vec<u8> = Vec::new();
    while work.len() < len {
        match rng.u8(..5) {
            0 => work.extend((0..rng.usize(1..60)).map(|_| rng.u8(..))),
            1 => work.extend_from_slice(b"the quick brown fox "),
            2 => work.extend(std::iter::repeat_n(rng.u8(..), rng.usize(1..700))),
            3 => work.extend(text(rng.usize(1..100), &mut rng.fork())),
            _ if work.is_empty() => {}
            _ => {
                let distance = rng.usize(1..=work.len().min(40_000));
                for _ in 0..rng.usize(3..300) {
                    work.push(work[work.len() - distance]);
                }
            }
        }
    }
    work.truncate(len);
    work
}

/// Small numbers are more frequent.
fn rng_square(rng: &mut Rng, end: usize) -> usize {
    rng.usize(..end) * rng.usize(..end) / end
}
