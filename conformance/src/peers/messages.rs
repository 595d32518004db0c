//! Messages to be sent and compared.

use tautline::Message;

/// Lengths of payloads, in bytes: around each change of the frame's length field, and beyond a read buffer.
pub const LENGTHS: [usize; 13] = [0, 1, 2, 125, 126, 127, 4095, 4096, 65_535, 65_536, 65_537, 70_000, 1 << 20];

/// Text of exactly so many bytes, with characters of one to four bytes.
pub fn text(length: usize) -> String {
    const PATTERN: &str = "aß€😀0\"\\\n";
    let mut text = String::with_capacity(length);
    for char in PATTERN.chars().cycle() {
        if text.len() + char.len_utf8() > length {
            break;
        }
        text.push(char);
    }
    // What is left is shorter than a character.
    text.extend(std::iter::repeat_n('.', length - text.len()));
    text
}

/// So many bytes without a pattern that could hide a shifted or repeated piece.
pub fn binary(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32 ^ length as u32;
    let byte = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8
    };
    std::iter::repeat_with(byte).take(length).collect()
}

/// Text and binary of every length, and text that is easily spoiled.
pub fn messages() -> Vec<Message> {
    let special =
        ["\0", "\u{feff}bom", "\u{2028}\r\n", "ñ € 😀", "\u{10ffff}\u{d7ff}\u{e000}", "{\"json\": [\"\\u00e9\"]}"];
    let sized = LENGTHS.iter().flat_map(|&length| [Message::from(text(length)), Message::from(binary(length))]);
    special.into_iter().map(Message::from).chain(sized).collect()
}

/// The beginning of a message, for a failure.
pub(super) fn shown(message: &Message) -> String {
    let excerpt = match message {
        Message::Text(text) => format!("{:?}", text.chars().take(60).collect::<String>()),
        Message::Binary(bytes) => format!("{:02x?}", &bytes[..bytes.len().min(32)]),
    };
    format!("{} bytes: {excerpt}", message.len())
}

/// Panics unless they are equal; without printing a mebibyte.
#[track_caller]
pub(super) fn assert_same(received: &Message, sent: &Message) {
    let same = received == sent;
    assert!(same, "received {}\n    sent {}", shown(received), shown(sent));
}
