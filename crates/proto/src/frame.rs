//! Frame headers (RFC 6455 §5.2).

use crate::violation::Violation;

/// The longest frame header: two bytes, eight of length, four of masking key.
pub const MAX_HEADER: usize = 14;

/// The largest payload of a control frame (RFC 6455 §5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

/// The bit of a frame's first byte that says that a message is compressed (RFC 7692 §6).
pub(crate) const RSV1: u8 = 0x40;

/// The longest control frame on the wire.
pub const MAX_CONTROL_FRAME: usize = 2 + 4 + MAX_CONTROL_PAYLOAD;

/// What a frame is (RFC 6455 §5.2, §11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpCode {
    /// The next part of a fragmented message.
    Continuation = 0x0,
    /// A text message, or the first part of one.
    Text = 0x1,
    /// A binary message, or the first part of one.
    Binary = 0x2,
    /// The closing handshake.
    Close = 0x8,
    /// A question whether the peer is there.
    Ping = 0x9,
    /// The answer to a ping.
    Pong = 0xA,
}

impl OpCode {
    /// The opcode with this number; `None` for the reserved ones.
    pub const fn new(number: u8) -> Option<Self> {
        Some(match number {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    /// The number on the wire.
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// Whether this is a close, ping or pong (RFC 6455 §5.5).
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// A frame header as a value. [`decode`](Self::decode) has checked what a header alone can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether this is the last frame of its message.
    pub fin: bool,
    /// What the frame is.
    pub opcode: OpCode,
    /// Whether this is the first frame of a compressed message: RSV1 (RFC 7692 §6).
    pub compressed: bool,
    /// The masking key, which frames from a client have and frames from a server do not.
    pub mask: Option<[u8; 4]>,
    /// Length of the payload in bytes, below 2^63.
    pub len: u64,
}

impl Header {
    /// Reads the header at the beginning of `bytes`: it and its length, or `None` while it is incomplete.
    ///
    /// # Errors
    ///
    /// The header breaks RFC 6455 §5.2 or §5.5: a reserved bit or opcode, a length that is not minimal or not below
    /// 2^63, a control frame that is fragmented or too long. Each shows as soon as the bytes that prove it are there.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        Self::decode_checked(check_first(first)?, bytes)
    }

    /// As [`decode`](Self::decode), for bytes of which [`check_first`] has seen the first one.
    pub(crate) fn decode_checked(opcode: OpCode, bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        let [first, second, ..] = *bytes else { return Ok(None) };
        let (fin, compressed) = (first & 0x80 != 0, first & RSV1 != 0);
        let masked = second & 0x80 != 0;
        let short = second & 0x7f;
        // §5.5: a control frame's payload is at most 125 bytes.
        if opcode.is_control() && short > 125 {
            return Err(Violation::ControlTooLong);
        }
        let (len, mut at) = match short {
            126 => {
                let Some(&bytes) = bytes[2..].first_chunk() else { return Ok(None) };
                (u64::from(u16::from_be_bytes(bytes)), 4)
            }
            127 => {
                let Some(&bytes) = bytes[2..].first_chunk() else { return Ok(None) };
                (u64::from_be_bytes(bytes), 10)
            }
            _ => (u64::from(short), 2),
        };
        // §5.2: the minimal number of bytes, and the most significant bit is zero.
        if (short == 126 && len < 126) || (short == 127 && len <= 0xffff) {
            return Err(Violation::LengthNotMinimal);
        }
        if len > i64::MAX as u64 {
            return Err(Violation::LengthTooLarge);
        }
        let mask = if masked {
            let Some(&key) = bytes[at..].first_chunk() else { return Ok(None) };
            at += 4;
            Some(key)
        } else {
            None
        };
        Ok(Some((Self { fin, opcode, compressed, mask, len }, at)))
    }

    /// Writes the header to the beginning of `out` and answers its length: 2 to 14 bytes.
    pub fn encode(&self, out: &mut [u8; MAX_HEADER]) -> usize {
        out[0] = u8::from(self.fin) << 7 | u8::from(self.compressed) << 6 | self.opcode.as_u8();
        let mut at = match self.len {
            0..=125 => {
                out[1] = self.len as u8;
                2
            }
            126..=0xffff => {
                out[1] = 126;
                out[2..4].copy_from_slice(&(self.len as u16).to_be_bytes());
                4
            }
            _ => {
                out[1] = 127;
                out[2..10].copy_from_slice(&self.len.to_be_bytes());
                10
            }
        };
        if let Some(key) = self.mask {
            out[1] |= 0x80;
            out[at..at + 4].copy_from_slice(&key);
            at += 4;
        }
        at
    }
}

/// What a frame with this first byte is, if there can be one.
#[inline(always)]
pub(crate) fn check_first(first: u8) -> Result<OpCode, Violation> {
    // §5.2: reserved bits are zero unless an extension gives them a meaning.
    if first & 0x30 != 0 {
        return Err(Violation::ReservedBit);
    }
    let opcode = OpCode::new(first & 0x0f).ok_or(Violation::ReservedOpCode)?;
    // RFC 7692 §6.1: only the first frame of a message has it. Whether it was agreed on, the connection knows.
    if first & RSV1 != 0 && !matches!(opcode, OpCode::Text | OpCode::Binary) {
        return Err(Violation::ReservedBit);
    }
    // §5.5: control frames must not be fragmented.
    if opcode.is_control() && first & 0x80 == 0 {
        return Err(Violation::FragmentedControl);
    }
    Ok(opcode)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(header: Header, expected_len: usize) {
        let mut bytes = [0; MAX_HEADER];
        let len = header.encode(&mut bytes);
        assert_eq!(len, expected_len);
        assert_eq!(Header::decode(&bytes[..len]), Ok(Some((header, len))));
        for cut in 0..len {
            assert_eq!(Header::decode(&bytes[..cut]), Ok(None), "cut at {cut}");
        }
    }

    #[test]
    fn s5_2_headers_of_every_length_form_survive_a_round_trip_and_wait_when_cut() {
        for (len, size) in [(0, 2), (125, 2), (126, 4), (0xffff, 4), (0x1_0000, 10), (i64::MAX as u64, 10)] {
            for fin in [false, true] {
                for opcode in [OpCode::Continuation, OpCode::Text, OpCode::Binary] {
                    let header = Header { fin, opcode, compressed: false, mask: None, len };
                    round_trip(header, size);
                    round_trip(Header { mask: Some([1, 2, 3, 4]), ..header }, size + 4);
                }
            }
        }
    }

    #[test]
    fn s5_2_a_length_that_is_not_minimal_is_refused() {
        assert_eq!(Header::decode(&[0x82, 126, 0, 125]), Err(Violation::LengthNotMinimal));
        assert_eq!(Header::decode(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff]), Err(Violation::LengthNotMinimal));
    }

    #[test]
    fn s5_2_a_length_of_2_to_the_63_is_refused() {
        assert_eq!(Header::decode(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]), Err(Violation::LengthTooLarge));
    }

    #[test]
    fn s5_2_reserved_bits_and_opcodes_are_refused_at_the_first_byte() {
        for bit in [0x20, 0x10] {
            assert_eq!(Header::decode(&[0x82 | bit]), Err(Violation::ReservedBit));
        }
        for opcode in [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf] {
            assert_eq!(Header::decode(&[0x80 | opcode]), Err(Violation::ReservedOpCode));
        }
    }

    #[test]
    fn r7692_s6_only_the_first_frame_of_a_message_says_that_it_is_compressed() {
        round_trip(Header { fin: true, opcode: OpCode::Text, compressed: true, mask: None, len: 5 }, 2);
        round_trip(Header { fin: false, opcode: OpCode::Binary, compressed: true, mask: None, len: 126 }, 4);
        for first in [0x40, 0xc0, 0xc8, 0xc9, 0xca] {
            assert_eq!(Header::decode(&[first]), Err(Violation::ReservedBit), "{first:02x}");
        }
    }

    #[test]
    fn s5_5_control_frames_are_short_and_whole() {
        for opcode in [0x8, 0x9, 0xa] {
            assert_eq!(Header::decode(&[opcode]), Err(Violation::FragmentedControl));
            assert_eq!(Header::decode(&[0x80 | opcode, 126]), Err(Violation::ControlTooLong));
        }
    }
}
