//! Frames as bytes, written and read by rules of their own, so that a mistake in the library cannot hide itself.

use tautline::{Kind, Message, OpCode, Role};

/// The key of every frame that a test sends as a client.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame, unmasked.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) fin: bool,
    pub(crate) opcode: OpCode,
    pub(crate) payload: Vec<u8>,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (fin, len) = (if self.fin { "" } else { " more" }, self.payload.len());
        write!(f, "{:?}{fin} {len}: {:?}", self.opcode, String::from_utf8_lossy(&self.payload[..len.min(24)]))
    }
}

impl Frame {
    pub(crate) fn new(opcode: OpCode, payload: impl AsRef<[u8]>) -> Self {
        Self { fin: true, opcode, payload: payload.as_ref().to_vec() }
    }

    pub(crate) fn text(payload: impl AsRef<[u8]>) -> Self {
        Self::new(OpCode::Text, payload)
    }

    pub(crate) fn binary(payload: impl AsRef<[u8]>) -> Self {
        Self::new(OpCode::Binary, payload)
    }

    pub(crate) fn more(payload: impl AsRef<[u8]>) -> Self {
        Self::new(OpCode::Continuation, payload)
    }

    pub(crate) fn ping(payload: impl AsRef<[u8]>) -> Self {
        Self::new(OpCode::Ping, payload)
    }

    pub(crate) fn pong(payload: impl AsRef<[u8]>) -> Self {
        Self::new(OpCode::Pong, payload)
    }

    pub(crate) fn close(code: u16, reason: &str) -> Self {
        Self::new(OpCode::Close, [&code.to_be_bytes(), reason.as_bytes()].concat())
    }

    /// A close frame without a code.
    pub(crate) fn close_empty() -> Self {
        Self::new(OpCode::Close, "")
    }

    /// The same as a frame that is not its message's last.
    pub(crate) fn unfinished(mut self) -> Self {
        self.fin = false;
        self
    }

    /// The code of a close frame.
    pub(crate) fn code(&self) -> Option<u16> {
        assert_eq!(self.opcode, OpCode::Close);
        self.payload.first_chunk().map(|code| u16::from_be_bytes(*code))
    }

    /// The reason in a close frame.
    pub(crate) fn reason(&self) -> &str {
        assert_eq!(self.opcode, OpCode::Close);
        std::str::from_utf8(self.payload.get(2..).unwrap_or_default()).unwrap()
    }

    pub(crate) fn is_control(&self) -> bool {
        matches!(self.opcode, OpCode::Close | OpCode::Ping | OpCode::Pong)
    }

    /// The bytes that `sender` puts on the wire.
    pub(crate) fn bytes(&self, sender: Role) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.fin) << 7 | self.opcode.as_u8()];
        let mask = if sender == Role::Client { 0x80 } else { 0 };
        match self.payload.len() {
            len @ 0..=125 => bytes.push(mask | len as u8),
            len @ 126..=0xffff => {
                bytes.push(mask | 126);
                bytes.extend((len as u16).to_be_bytes());
            }
            len => {
                bytes.push(mask | 127);
                bytes.extend((len as u64).to_be_bytes());
            }
        }
        if sender == Role::Client {
            bytes.extend(KEY);
            bytes.extend(self.payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
        } else {
            bytes.extend(&self.payload);
        }
        bytes
    }
}

/// The bytes of several frames of `sender`.
pub(crate) fn bytes_of(sender: Role, frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(|frame| frame.bytes(sender)).collect()
}

/// The whole frames in what `sender` put on the wire, and how many bytes they have together.
///
/// # Panics
///
/// The bytes are not frames as RFC 6455 §5 has them, or not in an order that it allows.
pub(crate) fn decode(sender: Role, bytes: &[u8]) -> (Vec<Frame>, usize) {
    let mut frames: Vec<Frame> = Vec::new();
    let mut at = 0;
    while let Some((frame, len)) = decode_one(sender, &bytes[at..]) {
        at += len;
        frames.push(frame);
    }
    check_order(&frames);
    (frames, at)
}

fn decode_one(sender: Role, bytes: &[u8]) -> Option<(Frame, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    assert_eq!(first & 0x70, 0, "reserved bits");
    let opcode = OpCode::new(first & 0x0f).expect("a known opcode");
    assert_eq!(second & 0x80 != 0, sender == Role::Client, "a client masks, a server does not");
    let (len, mut at) = match second & 0x7f {
        126 => (u64::from(u16::from_be_bytes(*bytes[2..].first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*bytes[2..].first_chunk()?), 10),
        len => (u64::from(len), 2),
    };
    let shortest = match len {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    };
    assert_eq!(at, shortest, "the length is written in the fewest bytes");
    let mut key = [0; 4];
    if sender == Role::Client {
        key = *bytes.get(at..)?.first_chunk()?;
        at += 4;
    }
    let len = usize::try_from(len).unwrap();
    let payload = bytes.get(at..at + len)?.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    Some((Frame { fin: first & 0x80 != 0, opcode, payload }, at + len))
}

fn check_order(frames: &[Frame]) {
    let mut in_message = false;
    for (index, frame) in frames.iter().enumerate() {
        if frame.is_control() {
            assert!(frame.fin && frame.payload.len() <= 125, "control frame {frame:?}");
            let last = index + 1 == frames.len();
            assert!(frame.opcode != OpCode::Close || last, "nothing follows a close frame: {frames:?}");
        } else {
            assert_eq!(frame.opcode == OpCode::Continuation, in_message, "frame {index} of {frames:?}");
            in_message = !frame.fin;
        }
    }
}

/// The messages in these frames, put together.
pub(crate) fn messages(frames: &[Frame]) -> Vec<Message> {
    let mut messages = Vec::new();
    let (mut kind, mut payload) = (Kind::Binary, Vec::new());
    for frame in frames.iter().filter(|frame| !frame.is_control()) {
        match frame.opcode {
            OpCode::Text => kind = Kind::Text,
            OpCode::Binary => kind = Kind::Binary,
            _ => {}
        }
        payload.extend(&frame.payload);
        if frame.fin {
            let payload = std::mem::take(&mut payload);
            messages.push(match kind {
                Kind::Text => Message::text(String::from_utf8(payload).expect("text is UTF-8")),
                Kind::Binary => Message::binary(payload),
            });
        }
    }
    messages
}
