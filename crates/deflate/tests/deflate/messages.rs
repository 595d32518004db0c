//! Streams of messages, and what is kept between them.

use fastrand::Rng;
use tautline_deflate::{Compressor, Decompressor, Flush, History, Status, TAIL, TooSmall, Window, WindowBits};

use crate::{
    corpora,
    drive::{compress, decompress, history, window},
};

const NINE: WindowBits = WindowBits::new(9).expect("it is between 8 and 15");

#[test]
fn sync_is_a_message_with_its_tail() {
    for (name, data) in corpora::all(3000, NINE, 21) {
        let message = compress(&mut history(NINE), &data, Flush::Message);
        let sync = compress(&mut history(NINE), &data, Flush::Sync);
        assert!(sync == [&message[..], &TAIL].concat(), "{name}");
    }
}

#[test]
fn a_message_that_was_cut_off_does_not_end_between_blocks() {
    let data = corpora::text(300, &mut Rng::with_seed(22));
    let message = compress(&mut history(NINE), &data, Flush::Message);
    for len in 1..message.len() - 1 {
        let mut decompressor = Decompressor::new();
        let mut window = window(NINE);
        let mut output = [0; 1000];
        let cut = [&message[..len], &TAIL].concat();
        let ended = decompressor.decompress(&mut window, &cut, &mut output);
        assert!(ended.is_err() || !decompressor.is_between_blocks(), "cut off at {len}");
    }
}

/// One compressor, one decompressor, many connections of any window.
#[test]
fn connections_take_turns() {
    let rng = &mut Rng::with_seed(23);
    let (mut compressor, mut decompressor) = (Compressor::<256>::new(), Decompressor::new());
    let mut connections: Vec<_> = corpora::windows().map(|bits| (history(bits), window(bits))).collect();
    for _ in 0..2000 {
        let connection = rng.usize(..connections.len());
        let (history, window) = &mut connections[connection];
        let data = corpora::readings(rng.usize(1..2000), rng).concat();
        let mut made = vec![0; data.len() + 100];
        let progress = compressor.compress(history, &data, &mut made, Flush::Sync);
        assert_eq!((progress.consumed, progress.status), (data.len(), Status::NeedsInput));
        let mut read = vec![0; data.len()];
        let progress = decompressor.decompress(window, &made[..progress.produced], &mut read).unwrap();
        assert_eq!((progress.produced, progress.status), (data.len(), Status::NeedsInput));
        assert!(decompressor.is_between_blocks() && read == data);
    }
}

#[test]
fn a_context_that_is_not_taken_over_is_forgotten_by_both() {
    let rng = &mut Rng::with_seed(24);
    for bits in corpora::windows() {
        let (mut history, mut window) = (history(bits), window(bits));
        for reading in corpora::readings(200_000, rng) {
            let made = compress(&mut history, &reading, Flush::Sync);
            assert_eq!(decompress(&mut window, &made, reading.len()).unwrap(), reading);
            history.reset();
            window.reset();
        }
    }
}

#[test]
fn a_window_may_be_larger_than_the_history_that_it_follows() {
    let data = corpora::patchwork(30_000, &mut Rng::with_seed(25));
    for bits in corpora::windows() {
        let made = compress(&mut history(bits), &data, Flush::Sync);
        for larger in corpora::windows().filter(|&larger| larger >= bits) {
            assert!(decompress(&mut window(larger), &made, data.len()).unwrap() == data);
        }
    }
}

#[test]
fn streams_follow_each_other_and_may_refer_to_what_was_before() {
    let data = corpora::text(5000, &mut Rng::with_seed(26));
    let (mut history, mut window) = (history(WindowBits::MAX), window(WindowBits::MAX));
    let first = compress(&mut history, &data, Flush::Finish);
    let second = compress(&mut history, &data, Flush::Finish);
    assert!(second.len() < 100, "{}", second.len());
    let both = [first, second].concat();
    let (mut decompressor, mut read) = (Decompressor::new(), vec![0; 2 * data.len()]);
    let one = decompressor.decompress(&mut window, &both, &mut read).unwrap();
    assert_eq!((one.produced, one.status), (data.len(), Status::Ended));
    let two = decompressor.decompress(&mut window, &both[one.consumed..], &mut read[one.produced..]).unwrap();
    assert_eq!((two.produced, two.status), (data.len(), Status::Ended));
    assert!(read == data.repeat(2));
}

#[test]
fn what_was_begun_can_be_given_up() {
    let (mut compressor, mut history) = (Compressor::<128>::new(), history(NINE));
    let (mut decompressor, mut window) = (Decompressor::new(), window(NINE));
    let data = corpora::text(1000, &mut Rng::with_seed(27));
    compressor.compress(&mut history, &data, &mut [0; 10], Flush::Sync);
    compressor.reset();
    history.reset();
    decompressor.decompress(&mut window, &[0xf2, 0x48, 0xcd], &mut [0; 10]).unwrap();
    decompressor.reset();
    window.reset();

    let mut made = vec![0; 2000];
    let progress = compressor.compress(&mut history, &data, &mut made, Flush::Sync);
    let mut read = vec![0; 1000];
    decompressor.decompress(&mut window, &made[..progress.produced], &mut read).unwrap();
    assert!(read == data);
}

#[test]
fn dirty_memory_makes_no_difference_to_what_is_read() {
    let rng = &mut Rng::with_seed(28);
    for bits in corpora::windows() {
        let dirt: Vec<u8> = (0..bits.history_bytes()).map(|_| rng.u8(..)).collect();
        let mut history = History::new(bits, dirt.clone().into_boxed_slice()).unwrap();
        let mut window = Window::new(bits, dirt.into_boxed_slice()).unwrap();
        for _ in 0..20 {
            let data = corpora::patchwork(5000, rng);
            let made = compress(&mut history, &data, Flush::Sync);
            assert!(decompress(&mut window, &made, data.len()).unwrap() == data);
        }
    }
}

#[test]
fn memory_below_what_a_history_needs_is_refused() {
    for bits in corpora::windows() {
        let needed = bits.history_bytes();
        let mut memory = vec![0; needed];
        assert_eq!(History::new(bits, &mut memory[1..]).unwrap_err(), TooSmall { needed });
        assert!(History::new(bits, &mut memory[..]).is_ok());
    }
}
