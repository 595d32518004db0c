//! Frames as bytes.

use tautline_proto::{Header, MAX_HEADER, OpCode, mask};

/// A frame from the loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: OpCode,
    pub(crate) payload: Vec<u8>,
}

/// A frame as a client sends it.
pub(crate) fn masked(opcode: OpCode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let key = [0x5a, payload.len() as u8, 0xc3, 0x0f];
    let mut head = [0; MAX_HEADER];
    let len = Header { fin, opcode, compressed: false, mask: Some(key), len: payload.len() as u64 }.encode(&mut head);
    let mut frame = [&head[..len], payload].concat();
    mask::apply(key, 0, &mut frame[len..]);
    frame
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    masked(OpCode::Text, true, text.as_bytes())
}

pub(crate) fn binary(payload: &[u8]) -> Vec<u8> {
    masked(OpCode::Binary, true, payload)
}

/// A message in frames of up to `size` bytes.
pub(crate) fn fragmented(opcode: OpCode, payload: &[u8], size: usize) -> Vec<u8> {
    let count = payload.len().div_ceil(size).max(1);
    let frame = |at: usize| {
        let opcode = if at == 0 { opcode } else { OpCode::Continuation };
        masked(opcode, at + 1 == count, &payload[at * size..payload.len().min((at + 1) * size)])
    };
    (0..count).flat_map(frame).collect()
}

/// The whole frames in `bytes`, and how long they are together. Panics unless they are what a server may send.
pub(crate) fn decode(bytes: &[u8]) -> (Vec<Frame>, usize) {
    let (mut frames, mut at) = (Vec::<Frame>::new(), 0);
    while let Some((header, len)) = Header::decode(&bytes[at..]).expect("a frame's header") {
        assert_eq!(header.mask, None, "a server does not mask");
        assert!(header.fin, "messages leave in one frame");
        let end = at + len + header.len as usize;
        if bytes.len() < end {
            break;
        }
        let last = frames.last().map(|frame| frame.opcode);
        assert_ne!(last, Some(OpCode::Close), "nothing follows a close frame (RFC 6455 5.5.1)");
        frames.push(Frame { opcode: header.opcode, payload: bytes[at + len..end].to_vec() });
        at = end;
    }
    (frames, at)
}
