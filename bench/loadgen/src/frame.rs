//! Frames (RFC 6455 section 5.2), made by hand, and the check of what comes back.

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;

/// The masking key of every frame. A real client takes another one for each; to a server that makes no difference.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// Payload bytes that number the messages, as hexadecimal digits.
const NUMBER: usize = 8;

/// The header of a final frame.
pub(crate) fn header(opcode: u8, len: usize, masked: bool) -> Vec<u8> {
    let mask_bit = if masked { 0x80 } else { 0 };
    let mut header = vec![0x80 | opcode];
    match len {
        0..=125 => header.push(mask_bit | len as u8),
        126..=0xffff => {
            header.push(mask_bit | 126);
            header.extend((len as u16).to_be_bytes());
        }
        _ => {
            header.push(mask_bit | 127);
            header.extend((len as u64).to_be_bytes());
        }
    }
    if masked {
        header.extend(MASK);
    }
    header
}

/// A whole masked frame.
pub(crate) fn masked(opcode: u8, payload: impl ExactSizeIterator<Item = u8>) -> Vec<u8> {
    let mut frame = header(opcode, payload.len(), true);
    frame.extend(payload.enumerate().map(|(i, byte)| byte ^ MASK[i & 3]));
    frame
}

/// The messages of an echo: all of one size and with the same body, but numbered, so that a lost, repeated or mixed-up
/// one is seen.
pub(crate) struct Messages {
    /// What is sent, with anything for a number.
    sent: Vec<u8>,
    /// What has to come back, likewise.
    expected: Vec<u8>,
    size: usize,
    raw: bool,
}

impl Messages {
    /// With `raw`, the frames come back as they were sent.
    pub(crate) fn new(size: usize, opcode: u8, raw: bool) -> Self {
        let body = printable_noise(size);
        let sent = masked(opcode, body.iter().copied());
        let expected = if raw { sent.clone() } else { [header(opcode, size, false), body].concat() };
        Self { sent, expected, size, raw }
    }

    pub(crate) fn sent_len(&self) -> usize {
        self.sent.len()
    }

    pub(crate) fn expected_len(&self) -> usize {
        self.expected.len()
    }

    /// Appends the frame of message `number`, from its byte `from` on.
    pub(crate) fn append(&self, number: u32, from: usize, out: &mut Vec<u8>) {
        let (at, head) = (out.len(), self.sent.len() - self.size);
        out.extend_from_slice(&self.sent[from..]);
        let missing = from.saturating_sub(head).min(self.numbered());
        let place = at + (head + missing).saturating_sub(from);
        let digits = &self.digits(number, true)[missing..self.numbered()];
        out[place..place + digits.len()].copy_from_slice(digits);
    }

    /// What of a frame depends on the message's number, and the header before it.
    pub(crate) fn start(&self, number: u32) -> Vec<u8> {
        let digits = self.digits(number, true);
        [&self.sent[..self.sent.len() - self.size], &digits[..self.numbered()]].concat()
    }

    /// What is the same in every frame, as far as it lies behind byte `from`.
    pub(crate) fn rest(&self, from: usize) -> &[u8] {
        let start = self.sent.len() - self.size + self.numbered();
        &self.sent[start.max(from)..]
    }

    /// Whether `got` is what has to come back for message `number`, from byte `from` of the reply on. It must not be
    /// more than the rest of this reply.
    pub(crate) fn is_reply(&self, number: u32, from: usize, got: &[u8]) -> bool {
        let head = self.expected.len() - self.size;
        let numbered = head..head + self.numbered();
        let to = from + got.len();
        let before = from.min(numbered.start)..to.min(numbered.start);
        let inside = from.clamp(numbered.start, numbered.end)..to.clamp(numbered.start, numbered.end);
        let behind = from.max(numbered.end)..to.max(numbered.end);
        let digits = self.digits(number, self.raw);
        got[..before.len()] == self.expected[before.clone()]
            && got[before.len()..before.len() + inside.len()] == digits[inside.start - head..inside.end - head]
            && got[got.len() - behind.len()..] == self.expected[behind]
    }

    fn numbered(&self) -> usize {
        self.size.min(NUMBER)
    }

    fn digits(&self, number: u32, masked: bool) -> [u8; NUMBER] {
        std::array::from_fn(|i| {
            let digit = b"0123456789abcdef"[(number >> (4 * (NUMBER - 1 - i))) as usize & 15];
            if masked { digit ^ MASK[i & 3] } else { digit }
        })
    }
}

/// Printable characters in an order that repeats after nobody's buffer.
fn printable_noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b' ' + (state >> 40) as u8 % 95
    };
    std::iter::repeat_with(next).take(size).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unmasked(frame: &[u8], header: usize) -> Vec<u8> {
        frame[header..].iter().enumerate().map(|(i, byte)| byte ^ MASK[i & 3]).collect()
    }

    #[test]
    fn lengths_take_the_shortest_form() {
        assert_eq!(header(BINARY, 125, false), [0x82, 125]);
        assert_eq!(header(TEXT, 126, false), [0x81, 126, 0, 126]);
        assert_eq!(header(BINARY, 65_536, false), [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(header(BINARY, 5, true), [0x82, 0x85, 0x37, 0xfa, 0x21, 0x3d]);
    }

    #[test]
    fn a_message_may_be_sent_in_pieces() {
        for size in [3, 64, 70_000] {
            let messages = Messages::new(size, BINARY, false);
            let mut whole = Vec::new();
            messages.append(7, 0, &mut whole);
            assert_eq!(whole.len(), messages.sent_len());
            for cut in [1, 6, 7, 13].into_iter().filter(|cut| *cut < whole.len()) {
                let mut pieces = whole[..cut].to_vec();
                messages.append(7, cut, &mut pieces);
                assert_eq!(pieces, whole, "size {size}, cut at {cut}");
            }
        }
    }

    #[test]
    fn exactly_the_reply_to_the_same_message_is_accepted_however_it_is_cut() {
        let messages = Messages::new(64, TEXT, false);
        let mut sent = Vec::new();
        messages.append(0xbeef, 0, &mut sent);
        let reply = [header(TEXT, 64, false), unmasked(&sent, 6)].concat();
        assert!(reply[2..].starts_with(b"0000beef"));
        for from in 0..reply.len() {
            for to in from..=reply.len() {
                assert!(messages.is_reply(0xbeef, from, &reply[from..to]), "{from}..{to}");
            }
        }
        assert!(!messages.is_reply(0xbeee, 0, &reply));
        for i in 0..reply.len() {
            let mut wrong = reply.clone();
            wrong[i] ^= 1;
            assert!(!messages.is_reply(0xbeef, 0, &wrong), "byte {i}");
        }
    }

    #[test]
    fn a_raw_echo_returns_what_was_sent() {
        let messages = Messages::new(5, BINARY, true);
        let mut sent = Vec::new();
        messages.append(3, 0, &mut sent);
        assert!(messages.is_reply(3, 0, &sent));
        assert!(!messages.is_reply(0xf000_0003, 0, &sent));
    }
}
