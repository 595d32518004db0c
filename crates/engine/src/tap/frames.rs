//! Frames among bytes that come in any pieces.

use tautline_proto::{Direction, Header, MAX_HEADER, Violation, mask};

use super::{Frame, SHOWN, Shown};

/// Takes the bytes of one direction apart.
pub(super) struct Frames {
    direction: Direction,
    /// A header that is not all there.
    head: [u8; MAX_HEADER],
    head_len: usize,
    /// A frame whose payload is not all there, as far as that is shown.
    open: Option<Frame>,
    /// How many bytes of the payload are to come.
    left: u64,
    /// What comes has no meaning any more.
    broken: bool,
    /// Whether messages may be compressed.
    compressed: bool,
}

impl Frames {
    /// The first `skip` bytes continue a frame that has begun before.
    pub(super) fn new(direction: Direction, skip: u64, compressed: bool) -> Self {
        Self { direction, head: [0; MAX_HEADER], head_len: 0, open: None, left: skip, broken: false, compressed }
    }

    /// Takes bytes, and shows each frame once as much of it is there as is shown.
    pub(super) fn take(&mut self, mut bytes: &[u8], seen: &mut dyn FnMut(Shown)) {
        while !self.broken && !bytes.is_empty() {
            let taken = if self.left > 0 { self.payload(bytes, seen) } else { self.header(bytes, seen) };
            bytes = &bytes[taken..];
        }
    }

    /// Nothing more will come.
    pub(super) fn end(&mut self, seen: &mut dyn FnMut(Shown)) {
        if let Some(frame) = self.open.take() {
            seen(Shown::Frame(frame));
        }
    }

    /// A piece of payload. Answers its length.
    fn payload(&mut self, bytes: &[u8], seen: &mut dyn FnMut(Shown)) -> usize {
        let taken = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= taken as u64;
        if let Some(frame) = &mut self.open {
            let at = frame.payload.len();
            let shown = taken.min(SHOWN - at);
            frame.payload.extend_from_slice(&bytes[..shown]);
            if let Some(key) = frame.mask {
                mask::apply(key, at % 4, &mut frame.payload[at..]);
            }
            if self.left == 0 || frame.payload.len() == SHOWN {
                self.end(seen);
            }
        }
        taken
    }

    /// A byte of a header. Answers that it was one.
    fn header(&mut self, bytes: &[u8], seen: &mut dyn FnMut(Shown)) -> usize {
        self.head[self.head_len] = bytes[0];
        self.head_len += 1;
        let head = &self.head[..self.head_len];
        if head.len() < needed(head) {
            return 1;
        }
        let frame = frame(self.direction, head, self.compressed);
        self.head_len = 0;
        self.broken = frame.violation.is_some();
        self.left = frame.len;
        self.open = Some(frame);
        if self.broken || self.left == 0 {
            self.end(seen);
        }
        1
    }
}

/// How many bytes a header has, as far as its beginning shows (RFC 6455 §5.2).
fn needed(head: &[u8]) -> usize {
    let Some(second) = head.get(1) else { return 2 };
    let len = match second & 0x7f {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    len + if second & 0x80 == 0 { 0 } else { 4 }
}

/// The frame of a header that is there, whatever it says (RFC 6455 §5.2).
fn frame(direction: Direction, head: &[u8], compressed: bool) -> Frame {
    let (first, second) = (head[0], head[1]);
    let masked = second & 0x80 != 0;
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let len = match second & 0x7f {
        126 => number(&head[2..4]),
        127 => number(&head[2..10]),
        short => u64::from(short),
    };
    Frame {
        direction,
        head: head.to_vec(),
        fin: first & 0x80 != 0,
        reserved: [0x40, 0x20, 0x10].map(|bit| first & bit != 0),
        opcode: first & 0x0f,
        mask: head.last_chunk().copied().filter(|_| masked),
        len,
        payload: Vec::new(),
        violation: violation(direction, head, masked, compressed),
    }
}

/// What the protocol core finds wrong with a client's header.
fn violation(direction: Direction, head: &[u8], masked: bool, compressed: bool) -> Option<Violation> {
    match (direction, Header::decode(head)) {
        (Direction::Sent, _) => None,
        (Direction::Received, Err(violation)) => Some(violation),
        (Direction::Received, Ok(Some((header, _)))) if header.compressed && !compressed => {
            Some(Violation::ReservedBit)
        }
        (Direction::Received, Ok(_)) => (!masked).then_some(Violation::NotMasked),
    }
}

#[cfg(test)]
mod tests {
    use tautline_proto::OpCode;

    use super::*;

    fn encoded(header: Header, payload: &[u8]) -> Vec<u8> {
        let mut head = [0; MAX_HEADER];
        let len = header.encode(&mut head);
        let mut bytes = [&head[..len], payload].concat();
        mask::apply(header.mask.unwrap_or_default(), 0, &mut bytes[len..]);
        bytes
    }

    fn masked(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
        encoded(
            Header { fin: true, opcode, compressed: false, mask: Some([1, 2, 3, 4]), len: payload.len() as u64 },
            payload,
        )
    }

    /// What is seen of these bytes, cut where `cut` says.
    fn seen(skip: u64, bytes: &[u8], cut: usize) -> Vec<Frame> {
        let (mut frames, mut seen) = (Frames::new(Direction::Received, skip, false), Vec::new());
        for piece in [&bytes[..cut], &bytes[cut..]] {
            frames.take(piece, &mut |shown| seen.extend(only(shown)));
        }
        frames.end(&mut |shown| seen.extend(only(shown)));
        seen
    }

    fn only(shown: Shown) -> Option<Frame> {
        if let Shown::Frame(frame) = shown { Some(frame) } else { None }
    }

    #[test]
    fn frames_are_the_same_however_they_are_cut() {
        let long = vec![7; 70_000];
        let header =
            Header { fin: false, opcode: OpCode::Binary, compressed: false, mask: Some([9, 8, 7, 6]), len: 70_000 };
        let bytes = [
            masked(OpCode::Text, b"Hello"),
            masked(OpCode::Ping, b""),
            encoded(header, &long),
            masked(OpCode::Continuation, &[1; 300]),
            masked(OpCode::Close, b"\x03\xe8bye"),
        ]
        .concat();
        let expected = seen(0, &bytes, 0);
        let of = |frame: &Frame| (frame.fin, frame.opcode, frame.mask.is_some(), frame.len, frame.payload.len());
        let all: Vec<_> = expected.iter().map(of).collect();
        let five = [
            (true, 1, true, 5, 5),
            (true, 9, true, 0, 0),
            (false, 2, true, 70_000, SHOWN),
            (true, 0, true, 300, SHOWN),
            (true, 8, true, 5, 5),
        ];
        assert_eq!(all, five);
        assert_eq!((&*expected[0].payload, &*expected[4].payload), (&b"Hello"[..], &b"\x03\xe8bye"[..]));
        assert_eq!(expected[2].payload, long[..SHOWN]);
        assert_eq!((expected[2].head.len(), expected[3].head.len()), (14, 8));
        let interesting = (0..400).chain(bytes.len() - 400..=bytes.len());
        for cut in interesting {
            assert_eq!(seen(0, &bytes, cut), expected, "cut at {cut}");
        }
        let (mut frames, mut singly) = (Frames::new(Direction::Received, 0, false), Vec::new());
        bytes.iter().for_each(|byte| frames.take(&[*byte], &mut |shown| singly.extend(only(shown))));
        assert_eq!(singly, expected, "byte by byte");
    }

    #[test]
    fn what_has_begun_before_is_left_out() {
        let whole = [masked(OpCode::Text, &[b'x'; 20]), masked(OpCode::Ping, b"?")].concat();
        for begun in 6..=26 {
            let rest = &whole[begun..];
            for cut in 0..=rest.len() {
                let seen = seen(26 - begun as u64, rest, cut);
                assert_eq!(seen.len(), 1, "begun {begun}, cut at {cut}");
                assert_eq!((seen[0].opcode, &*seen[0].payload), (9, &b"?"[..]));
            }
        }
    }

    #[test]
    fn a_frame_that_breaks_the_rules_is_shown_and_what_follows_it_is_not() {
        let behind = masked(OpCode::Text, b"no frame any more");
        for (bytes, violation) in [
            (vec![0xc1, 0x81, 1, 2, 3, 4, b'x'], Violation::ReservedBit),
            (vec![0x83, 0x80, 1, 2, 3, 4], Violation::ReservedOpCode),
            (vec![0x81, 0x01, b'x'], Violation::NotMasked),
            (vec![0x09, 0x80, 1, 2, 3, 4], Violation::FragmentedControl),
            (vec![0x82, 0xfe, 0, 5, 1, 2, 3, 4], Violation::LengthNotMinimal),
        ] {
            let bytes = [bytes, behind.clone()].concat();
            for cut in 0..bytes.len() {
                let seen = seen(0, &bytes, cut);
                assert_eq!(seen.len(), 1, "{violation:?}, cut at {cut}");
                assert_eq!(seen[0].violation, Some(violation));
            }
        }
        let reserved = seen(0, &[0xd5, 0x80, 0, 0, 0, 0], 0);
        assert_eq!((reserved[0].reserved, reserved[0].opcode), ([true, false, true], 5));
    }

    #[test]
    fn a_frame_that_does_not_come_to_its_end_is_shown_in_the_end() {
        let bytes = masked(OpCode::Text, b"Hello");
        let seen = seen(0, &bytes[..8], 3);
        assert_eq!((seen[0].len, &*seen[0].payload), (5, &b"He"[..]));
    }
}
