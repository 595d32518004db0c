//! As much of WebSocket as the load generator needs to be content.

/// Answers every request: the load generator always sends the key that this value belongs to.
pub(crate) const ACCEPTED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
/// A close frame with code 1000.
pub(crate) const CLOSE: &[u8] = &[0x88, 2, 0x03, 0xe8];

/// Takes the complete frames, of less than 64 KiB each, from the front of `input` and appends them to `out` unmasked.
pub(crate) fn unmask(input: &mut Vec<u8>, out: &mut Vec<u8>) {
    let mut taken = 0;
    while let Some(frame) = complete(&input[taken..]) {
        let Frame { header, end } = frame;
        let bytes = &input[taken..taken + end];
        let mask = &bytes[header..header + 4];
        out.extend([bytes[0], bytes[1] & 0x7f]);
        out.extend_from_slice(&bytes[2..header]);
        out.extend(bytes[header + 4..].iter().enumerate().map(|(i, byte)| byte ^ mask[i & 3]));
        taken += end;
    }
    input.drain(..taken);
}

struct Frame {
    /// Bytes before the masking key.
    header: usize,
    /// Bytes altogether.
    end: usize,
}

fn complete(bytes: &[u8]) -> Option<Frame> {
    let (header, payload) = match bytes.get(1)? & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
        short => (2, usize::from(short)),
    };
    let end = header + 4 + payload;
    (bytes.len() >= end).then_some(Frame { header, end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_frames_are_unmasked_and_the_rest_stays() {
        let mut input = vec![0x82, 0x82, 1, 2, 3, 4, b'a' ^ 1, b'b' ^ 2];
        input.extend([0x82, 0xfe, 0, 126, 0, 0, 0, 0]);
        input.extend([7; 126]);
        input.extend([0x82, 0x81, 9]);
        let mut out = Vec::new();
        unmask(&mut input, &mut out);
        assert_eq!(out[..4], [0x82, 2, b'a', b'b']);
        assert_eq!(out[4..8], [0x82, 126, 0, 126]);
        assert_eq!(out.len(), 8 + 126);
        assert_eq!(input, [0x82, 0x81, 9]);
    }
}
