//! Streams written out by hand: the RFCs' examples, and one for each thing that can be wrong.

use tautline_deflate::{Corrupt, Decompressor, Flush, Status, TAIL, Window, WindowBits};

use crate::drive::{compress, decompress, history, window};

/// Bits of a stream, lowest first.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    /// A number, as everything but codes is written.
    fn number(mut self, value: u32, len: u32) -> Self {
        self.0.extend((0..len).map(|bit| value >> bit & 1 != 0));
        self
    }

    /// A code, first bit first.
    fn code(mut self, code: &str) -> Self {
        self.0.extend(code.bytes().map(|bit| bit == b'1'));
        self
    }

    /// The head of a dynamic block with these lengths of the codes of code lengths, in the order of the RFC.
    fn dynamic(self, literals: u32, distances: u32, lengths: &[u32]) -> Self {
        let head = self.number(0b10 << 1, 3).number(literals - 257, 5).number(distances - 1, 5);
        let head = head.number(lengths.len() as u32 - 4, 4);
        lengths.iter().fold(head, |head, &length| head.number(length, 3))
    }

    fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
        self.0.chunks(8).map(byte).collect()
    }
}

fn corrupt(bits: Bits) -> Corrupt {
    // Plenty follows, so that nothing is refused for being cut off.
    let mut bytes = bits.bytes();
    bytes.extend([0; 64]);
    decompress(&mut window(WindowBits::MIN), &bytes, 10_000).unwrap_err()
}

/// The bytes of a message, whose last byte has the head of an empty stored block.
fn message(window: &mut Window<Box<[u8]>>, payload: &[u8]) -> Vec<u8> {
    decompress(window, &[payload, &TAIL].concat(), 100).unwrap()
}

#[test]
fn rfc7692_7_2_3_1_one_block() {
    let payload = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(compress(&mut history(WindowBits::MAX), b"Hello", Flush::Message), payload);
    assert_eq!(message(&mut window(WindowBits::MIN), &payload), b"Hello");
}

#[test]
fn rfc7692_7_2_3_2_a_message_refers_to_the_one_before() {
    let window = &mut window(WindowBits::MIN);
    assert_eq!(message(window, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]), b"Hello");
    assert_eq!(message(window, &[0xf2, 0x00, 0x11, 0x00, 0x00]), b"Hello");
    window.reset();
    let alone = decompress(window, &[0xf2, 0x00, 0x11, 0x00, 0x00], 100);
    assert_eq!(alone.unwrap_err(), Corrupt::Distance);
}

#[test]
fn rfc7692_7_2_3_3_a_stored_block() {
    let payload = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
    assert_eq!(message(&mut window(WindowBits::MIN), &payload), b"Hello");
}

#[test]
fn rfc7692_7_2_3_4_a_message_goes_on_behind_a_final_block() {
    let window = &mut window(WindowBits::MIN);
    let payload = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    assert_eq!(message(window, &payload), b"Hello");
    // What is behind it may refer to what is before it.
    assert_eq!(message(window, &[0xf2, 0x00, 0x11, 0x00, 0x00]), b"Hello");
}

#[test]
fn rfc7692_7_2_3_5_two_blocks_in_one_message() {
    let payload = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(message(&mut window(WindowBits::MIN), &payload), b"Hello");
}

#[test]
fn rfc7692_7_2_3_6_an_empty_message_is_one_byte() {
    assert_eq!(compress(&mut history(WindowBits::MIN), b"", Flush::Message), [0x00]);
    assert_eq!(message(&mut window(WindowBits::MIN), &[0x00]), b"");
}

#[test]
fn a_final_block_ends_at_a_byte_and_takes_nothing_behind_it() {
    let (mut decompressor, mut window) = (Decompressor::new(), window(WindowBits::MIN));
    let stream = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, b'n', b'e', b'x', b't'];
    let progress = decompressor.decompress(&mut window, &stream, &mut [0; 100]).unwrap();
    assert_eq!((progress.consumed, progress.produced, progress.status), (7, 5, Status::Ended));
    assert!(decompressor.is_between_blocks());
}

#[test]
fn rfc1951_3_2_3_the_third_type_of_block_does_not_exist() {
    assert_eq!(corrupt(Bits::default().number(0b11 << 1, 3)), Corrupt::BlockType);
}

#[test]
fn rfc1951_3_2_4_a_length_that_is_not_its_complement_is_refused() {
    assert_eq!(corrupt(Bits::default().number(0, 8).number(5, 16).number(5, 16)), Corrupt::StoredLength);
}

#[test]
fn rfc1951_3_2_5_symbols_that_mean_nothing_are_refused() {
    let fixed = || Bits::default().number(0b01 << 1, 3);
    assert_eq!(corrupt(fixed().code("11000110")), Corrupt::Symbol);
    assert_eq!(corrupt(fixed().code("11000111")), Corrupt::Symbol);
    let literal_a_and_length_3 = || fixed().code("10010001").code("0000001");
    assert_eq!(corrupt(literal_a_and_length_3().code("11110")), Corrupt::Symbol);
    assert_eq!(corrupt(literal_a_and_length_3().code("11111")), Corrupt::Symbol);
    assert_eq!(corrupt(literal_a_and_length_3().code("00001")), Corrupt::Distance);
    let good = literal_a_and_length_3().code("00000").code("0000000").number(0, 3).bytes();
    assert_eq!(message(&mut window(WindowBits::MIN), &good), b"aaaa");
}

#[test]
fn rfc1951_3_2_7_too_many_codes_are_refused() {
    assert_eq!(corrupt(Bits::default().dynamic(287, 1, &[0; 4])), Corrupt::TooManyCodes);
    assert_eq!(corrupt(Bits::default().dynamic(257, 31, &[0; 4])), Corrupt::TooManyCodes);
}

#[test]
fn rfc1951_3_2_7_code_lengths_that_are_no_code_are_refused() {
    // None, one, too many, too few.
    for lengths in [[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0], [2, 2, 2, 0]] {
        assert_eq!(corrupt(Bits::default().dynamic(257, 1, &lengths)), Corrupt::CodeLengths, "{lengths:?}");
    }
}

#[test]
fn rfc1951_3_2_7_repetitions_of_nothing_and_beyond_the_end_are_refused() {
    // Codes: 0 for 16, 1 for 18.
    let head = || Bits::default().dynamic(257, 1, &[1, 0, 1, 0]);
    assert_eq!(corrupt(head().code("0")), Corrupt::CodeLengths);
    let beyond = head().code("1").number(127, 7).code("1").number(127, 7);
    assert_eq!(corrupt(beyond), Corrupt::CodeLengths);
}

/// Lengths of codes, 18 codes of four bits for the symbols 0 to 15 and 18: 16 is not among them.
fn told(literals: &[(usize, u8)], distances: &[(usize, u8)]) -> Bits {
    let mut lengths = [0; 258];
    for &(symbol, length) in literals {
        lengths[symbol] = length;
    }
    for &(symbol, length) in distances {
        lengths[257 + symbol] = length;
    }
    // In the RFC's order (16, 17, 18, 0, 8, ...): all sixteen lengths, in four bits each.
    let order = [0, 0, 0, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4];
    let head = Bits::default().dynamic(257, 1, &order);
    lengths.iter().fold(head, |bits, length| bits.code(&format!("{length:04b}")))
}

#[test]
fn rfc1951_3_2_7_codes_of_a_block_have_to_be_whole_and_to_end_it() {
    // The one of one symbol may be there alone.
    let good = told(&[(97, 1), (256, 1)], &[(0, 1)]).code("001").number(0, 3).bytes();
    assert_eq!(message(&mut window(WindowBits::MIN), &good), b"aa");
    let no_distance = told(&[(97, 1), (256, 1)], &[]).code("001").number(0, 3).bytes();
    assert_eq!(message(&mut window(WindowBits::MIN), &no_distance), b"aa");

    assert_eq!(corrupt(told(&[(97, 1), (98, 1)], &[])), Corrupt::CodeLengths, "no end");
    assert_eq!(corrupt(told(&[(97, 2), (98, 2), (256, 2)], &[])), Corrupt::CodeLengths, "too few");
    assert_eq!(corrupt(told(&[(97, 1), (98, 1), (256, 1)], &[])), Corrupt::CodeLengths, "too many");
    assert_eq!(corrupt(told(&[(97, 1), (256, 1)], &[(0, 2)])), Corrupt::CodeLengths, "one that could be shorter");
}

#[test]
fn a_code_of_fifteen_bits_is_read() {
    let literals: Vec<(usize, u8)> = (1..=14).map(|length| (usize::from(length), length)).collect();
    let literals = [&literals[..], &[(97, 15), (256, 15)]].concat();
    let bits = told(&literals, &[]).code("111111111111110").code("0").code("111111111111111").number(0, 3);
    assert_eq!(message(&mut window(WindowBits::MIN), &bits.bytes()), [97, 1]);
}
