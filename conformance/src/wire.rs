//! Frames on the wire (RFC 6455 §5.2), written and read independently of the core that is under test.

/// The bit of a frame's first byte that says that it is the last one of its message.
pub const FIN: u8 = 0x80;
/// Opcode of a frame that continues a message.
pub const CONTINUATION: u8 = 0x0;
/// Opcode of a text message.
pub const TEXT: u8 = 0x1;
/// Opcode of a binary message.
pub const BINARY: u8 = 0x2;
/// Opcode of a close frame.
pub const CLOSE: u8 = 0x8;
/// Opcode of a ping.
pub const PING: u8 = 0x9;
/// Opcode of a pong.
pub const PONG: u8 = 0xA;

/// In how many bytes a frame writes the length of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In the second byte.
    Seven,
    /// In two further bytes.
    Sixteen,
    /// In eight further bytes.
    SixtyFour,
}

impl Form {
    /// The shortest one that holds `len`.
    pub fn minimal(len: u64) -> Self {
        match len {
            0..=125 => Self::Seven,
            126..=0xffff => Self::Sixteen,
            _ => Self::SixtyFour,
        }
    }
}

/// A header with any first byte, any form of the length and any length, however wrong.
pub fn header(first: u8, key: Option<[u8; 4]>, form: Form, len: u64) -> Vec<u8> {
    let mask = if key.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match form {
        Form::Seven => bytes.push(mask | (len as u8 & 0x7f)),
        Form::Sixteen => {
            bytes.push(mask | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        Form::SixtyFour => {
            bytes.push(mask | 127);
            bytes.extend(len.to_be_bytes());
        }
    }
    bytes.extend(key.iter().flatten());
    bytes
}

/// A frame, masked with `key` if there is one.
pub fn frame(first: u8, key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u64;
    let mut bytes = header(first, key, Form::minimal(len), len);
    match key {
        Some(key) => bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key)),
        None => bytes.extend(payload),
    }
    bytes
}

/// A frame as it was read, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// FIN, the reserved bits and the opcode.
    pub first: u8,
    /// The masking key.
    pub key: Option<[u8; 4]>,
    /// The payload, unmasked.
    pub payload: Vec<u8>,
}

/// Reads the frame at the beginning of `bytes`, and how long it is; `None` while it is incomplete.
///
/// # Errors
///
/// The length is not written in its minimal form.
pub fn read(bytes: &[u8]) -> Result<Option<(Frame, usize)>, String> {
    let (Some(&first), Some(&second)) = (bytes.first(), bytes.get(1)) else { return Ok(None) };
    let (form, length_bytes) = match second & 0x7f {
        126 => (Form::Sixteen, 2),
        127 => (Form::SixtyFour, 8),
        _ => (Form::Seven, 0),
    };
    let Some(extended) = bytes.get(2..2 + length_bytes) else { return Ok(None) };
    let len = match form {
        Form::Seven => u64::from(second & 0x7f),
        _ => extended.iter().fold(0, |len, &byte| len << 8 | u64::from(byte)),
    };
    if Form::minimal(len) != form {
        return Err(format!("a length of {len} is written as {form:?}"));
    }
    let mut at = 2 + length_bytes;
    let key = if second & 0x80 != 0 {
        let Some(&key) = bytes.get(at..).and_then(|rest| rest.first_chunk()) else { return Ok(None) };
        at += 4;
        Some(key)
    } else {
        None
    };
    let end = at + len as usize;
    let Some(payload) = bytes.get(at..end) else { return Ok(None) };
    let key_or_zero = key.unwrap_or_default();
    let payload = payload.iter().zip(key_or_zero.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    Ok(Some((Frame { first, key, payload }, end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s5_7_the_examples_of_the_rfc_are_written_as_there() {
        assert_eq!(frame(FIN | TEXT, None, b"Hello"), b"\x81\x05Hello");
        assert_eq!(
            frame(FIN | TEXT, Some([0x37, 0xfa, 0x21, 0x3d]), b"Hello"),
            b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
        );
        assert_eq!(frame(FIN | BINARY, None, &[7; 256])[..4], [0x82, 0x7e, 0x01, 0x00]);
        assert_eq!(frame(FIN | BINARY, None, &[7; 65536])[..10], [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn what_is_written_can_be_read() {
        for len in [0, 1, 125, 126, 65535, 65536] {
            for key in [None, Some([1, 2, 3, 4])] {
                let payload = vec![0x5a; len];
                let bytes = frame(FIN | BINARY, key, &payload);
                let expected = Frame { first: FIN | BINARY, key, payload };
                assert_eq!(read(&bytes), Ok(Some((expected, bytes.len()))));
                assert_eq!(read(&bytes[..bytes.len() - 1]), Ok(None));
            }
        }
    }
}
