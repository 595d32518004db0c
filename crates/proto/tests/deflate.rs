//! Compressed messages (RFC 7692), against zlib.

use flate2::{Compress, Compression, FlushCompress};
use tautline_proto::handshake::deflate::{Parameters, Sender, WindowBits};
use tautline_proto::*;

const TAKEOVER: bool = true;

/// Both sides compress with this window.
fn agreed(bits: u8, takeover: bool) -> Parameters {
    let sender = Sender { window: WindowBits::new(bits).unwrap(), takeover };
    Parameters { server: sender, client: sender }
}

/// A client that inflates what a server sends.
struct Receiver {
    connection: Connection<&'static Config>,
    decompressor: deflate::Decompressor,
    window: deflate::Window<Vec<u8>>,
    control: Control,
    /// Room for so much at once.
    room: usize,
    input: Vec<u8>,
    messages: Vec<(Kind, Vec<u8>)>,
    /// How many parts the last message came in.
    parts: usize,
    partial: Vec<u8>,
}

impl Receiver {
    fn new(config: Config, agreed: Parameters) -> Self {
        let config: &'static Config = Box::leak(Box::new(config));
        let connection = Connection::new(config, Role::Client, Instant::ZERO, 0).with_deflate(Some(agreed));
        let memory = vec![0; agreed.server.window.window_bytes()];
        Self {
            connection,
            decompressor: deflate::Decompressor::new(),
            window: deflate::Window::new(agreed.server.window, memory).unwrap(),
            control: Control::new(),
            room: 4096,
            input: Vec::new(),
            messages: Vec::new(),
            parts: 0,
            partial: Vec::new(),
        }
    }

    fn with_room(mut self, room: usize) -> Self {
        self.room = room;
        self
    }

    fn receive(&mut self, bytes: &[u8]) {
        let mut buffer = std::mem::take(&mut self.input);
        buffer.extend_from_slice(bytes);
        let mut input = &mut buffer[..];
        let mut out = vec![0; self.room];
        while let Some(event) = self.connection.receive(Instant::ZERO, &mut input, &mut self.control) {
            match event {
                Event::Data(data) => self.data(&data),
                Event::Compressed(mut piece) => {
                    while let Some(data) = self.connection.inflate(
                        Instant::ZERO,
                        &mut piece,
                        &mut self.decompressor,
                        &mut self.window,
                        &mut out,
                        &mut self.control,
                    ) {
                        // `data` borrows `out`, not `self`.
                        self.parts = if data.is_first() { 1 } else { self.parts + 1 };
                        self.partial.extend_from_slice(data.bytes());
                        assert_eq!(
                            data.is_whole().then(|| data.text().is_some()),
                            data.is_whole().then_some(data.kind() == Kind::Text)
                        );
                        if data.is_last() {
                            self.messages.push((data.kind(), std::mem::take(&mut self.partial)));
                        }
                    }
                }
                _ => {}
            }
        }
        self.input = input.to_vec();
    }

    fn data(&mut self, data: &Data<'_>) {
        self.partial.extend_from_slice(data.bytes());
        if data.is_last() {
            self.messages.push((data.kind(), std::mem::take(&mut self.partial)));
        }
    }

    fn violation(&self) -> Option<Violation> {
        match self.connection.ended() {
            Some(Ended::Violation(violation)) => Some(violation),
            Some(ended) => panic!("{ended:?}"),
            None => None,
        }
    }
}

/// zlib, as a sender of messages.
struct Zlib(Compress);

impl Zlib {
    fn new(bits: u8) -> Self {
        Self(Compress::new_with_window_bits(Compression::default(), false, bits))
    }

    /// One message without its last four bytes.
    fn message(&mut self, message: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(message.len() + 1024);
        self.0.compress_vec(message, &mut out, FlushCompress::Sync).unwrap();
        // Section 7.2.3.6: zlib does not flush a second time when nothing has come in between.
        if out.is_empty() {
            return vec![0];
        }
        assert!(out.len() < out.capacity() && out.ends_with(&[0, 0, 0xff, 0xff]));
        out.truncate(out.len() - 4);
        out
    }
}

/// A server's frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).ok().filter(|&len| len < 126);
    let head = match len {
        Some(len) => vec![first, len],
        None => [&[first, 126][..], &u16::try_from(payload.len()).unwrap().to_be_bytes()].concat(),
    };
    [&head, payload].concat()
}

fn text(message: &str) -> (Kind, Vec<u8>) {
    (Kind::Text, message.into())
}

#[test]
fn r7692_s7_2_3_the_examples_of_the_rfc() {
    let hello = text("Hello");
    for (name, stream, messages) in [
        ("one block", &b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"[..], std::slice::from_ref(&hello)),
        ("in fragments", b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00", std::slice::from_ref(&hello)),
        (
            "with the window of the message before",
            b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00",
            &[hello.clone(), hello.clone()],
        ),
        (
            "a block without compression",
            b"\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
            std::slice::from_ref(&hello),
        ),
        ("a final block", b"\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00", std::slice::from_ref(&hello)),
        ("two blocks", b"\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", std::slice::from_ref(&hello)),
        ("nothing", b"\xc1\x01\x00", &[text("")]),
    ] {
        for room in [1, 2, 5, 6, 100] {
            let mut whole = Receiver::new(Config::new(), agreed(15, TAKEOVER)).with_room(room);
            whole.receive(stream);
            assert_eq!((&whole.messages[..], whole.violation()), (messages, None), "{name}, room {room}");
            let mut bytewise = Receiver::new(Config::new(), agreed(15, TAKEOVER)).with_room(room);
            stream.iter().for_each(|&byte| bytewise.receive(&[byte]));
            assert_eq!(
                (&bytewise.messages[..], bytewise.violation()),
                (messages, None),
                "{name}, room {room}, by bytes"
            );
        }
    }
}

#[test]
fn what_fits_comes_in_one_part() {
    for room in [4, 5, 6] {
        let mut receiver = Receiver::new(Config::new(), agreed(15, TAKEOVER)).with_room(room);
        receiver.receive(b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00");
        assert_eq!(receiver.parts, if room < 5 { 2 } else { 1 }, "room {room}");
    }
}

#[test]
fn a_conversation_with_zlib_arrives_however_it_is_cut() {
    let mut random = fastrand::Rng::with_seed(7692);
    for (round, bits) in (9..=15).cycle().take(35).enumerate() {
        let takeover = round % 2 == 0;
        let mut zlib = Zlib::new(bits);
        let (mut stream, mut sent) = (Vec::new(), Vec::new());
        for number in 0..40 {
            let message = format!(r#"{{"sensor":"t{}","celsius":{}}}"#, number % 3, random.u32(..1000))
                .repeat(random.usize(0..4));
            if !takeover {
                zlib.0.reset();
            }
            sent.push(text(&message));
            if takeover && number % 5 == 0 {
                // Section 6.1: each message may do without.
                stream.extend(frame(0x81, message.as_bytes()));
                continue;
            }
            let compressed = zlib.message(message.as_bytes());
            let cut = random.usize(..=compressed.len());
            if number % 2 == 0 {
                stream.extend(frame(0xc1, &compressed));
            } else {
                stream.extend(
                    [frame(0x41, &compressed[..cut]), frame(0x89, b"between"), frame(0x80, &compressed[cut..])]
                        .concat(),
                );
            }
        }
        let mut receiver = Receiver::new(Config::new(), agreed(bits, takeover)).with_room(random.usize(1..300));
        let mut rest = &stream[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(random.usize(1..=rest.len().min(50)));
            receiver.receive(now);
            rest = later;
        }
        assert_eq!(receiver.violation(), None);
        assert_eq!(receiver.messages, sent, "round {round}");
    }
}

#[test]
fn r7692_s6_a_compressed_message_that_was_not_agreed_on_is_a_violation() {
    static CONFIG: Config = Config::new();
    for bytes in [&mut [0xc1, 0x07][..], &mut [0xc1]] {
        let mut connection = Connection::new(&CONFIG, Role::Client, Instant::ZERO, 0);
        let mut input = bytes;
        assert_eq!(connection.receive(Instant::ZERO, &mut input, &mut Control::new()), None);
        assert_eq!(connection.ended(), Some(Ended::Violation(Violation::ReservedBit)));
    }
}

#[test]
fn r7692_s6_1_only_the_first_frame_says_that_a_message_is_compressed() {
    for stream in [
        &b"\x41\x03\xf2\x48\xcd\xc0\x04\xc9\xc9\x07\x00"[..],
        b"\x01\x00\xc0\x00",
        b"\xc9\x00",
        b"\xc8\x00",
        b"\xca\x00",
    ] {
        let mut receiver = Receiver::new(Config::new(), agreed(15, TAKEOVER));
        receiver.receive(stream);
        assert_eq!(receiver.violation(), Some(Violation::ReservedBit), "{stream:02x?}");
    }
}

#[test]
fn corrupt_and_incomplete_messages_are_violations() {
    for (name, payload) in [
        ("a block of the type that there is not", &[0x07][..]),
        ("a distance to before the beginning", &[0xf2, 0x00, 0x11, 0x00, 0x00]),
        ("cut off", &[0xf2, 0x48, 0xcd]),
        ("a stored block of the wrong length", &[0x00, 0x05, 0x00, 0x00, 0x00]),
    ] {
        let mut receiver = Receiver::new(Config::new(), agreed(15, TAKEOVER));
        receiver.receive(&frame(0xc2, payload));
        assert_eq!(receiver.violation(), Some(Violation::InvalidDeflate), "{name}");
        assert_eq!(receiver.violation().unwrap().close_code(), CloseCode::INVALID_PAYLOAD);
    }
}

#[test]
fn r7692_s7_1_1_without_takeover_no_message_refers_to_another() {
    let mut receiver = Receiver::new(Config::new(), agreed(15, false));
    receiver.receive(b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00");
    assert_eq!((receiver.messages.len(), receiver.violation()), (1, Some(Violation::InvalidDeflate)));
}

#[test]
fn a_message_is_as_large_as_what_it_is_inflated_to() {
    let bomb = Zlib::new(15).message(&vec![b'x'; 1_000_000]);
    assert!(bomb.len() < 2000);
    for (limit, whole) in [(1_000_000, true), (999_999, false)] {
        let mut receiver = Receiver::new(Config::new().max_message(limit), agreed(15, TAKEOVER));
        receiver.receive(&frame(0xc1, &bomb));
        let expected = if whole { None } else { Some(Violation::MessageTooBig) };
        assert_eq!((receiver.messages.len(), receiver.violation()), (usize::from(whole), expected));
    }
    // Nothing more is inflated than was asked for when the limit shows.
    let mut receiver = Receiver::new(Config::new().max_message(5000), agreed(15, TAKEOVER)).with_room(1000);
    receiver.receive(&frame(0xc1, &bomb));
    assert_eq!((receiver.partial.len(), receiver.violation()), (5000, Some(Violation::MessageTooBig)));
}

#[test]
fn s8_1_text_is_checked_when_it_is_inflated() {
    for (message, valid) in [("κόσμε".as_bytes(), true), (b"\xff", false), (b"\xce", false), (b"\xed\xa0\x80", false)]
    {
        for room in [1, 2, 100] {
            let mut receiver = Receiver::new(Config::new(), agreed(15, TAKEOVER)).with_room(room);
            receiver.receive(&frame(0xc1, &Zlib::new(15).message(message)));
            let expected = if valid { None } else { Some(Violation::InvalidUtf8) };
            assert_eq!(receiver.violation(), expected, "{message:02x?}, room {room}");
        }
    }
}

#[test]
fn r7692_s6_1_the_first_frame_of_what_we_send_compressed_says_so() {
    static CONFIG: Config = Config::new();
    let connection = || Connection::new(&CONFIG, Role::Server, Instant::ZERO, 0);
    let mut head = [0; MAX_HEADER];
    let mut refused = connection();
    let whole = Part::Whole(Kind::Text);
    assert_eq!(refused.send_compressed(whole, b"abc", [0; 4], &mut head), Err(SendError::NotAgreed));
    let header = Header { fin: true, opcode: OpCode::Text, compressed: true, mask: None, len: 3 };
    assert_eq!(refused.send_encoded(&header, b"abc"), Err(SendError::NotAgreed));

    let mut agreed = connection().with_deflate(Some(agreed(15, TAKEOVER)));
    for (part, first) in [(whole, 0xc1), (Part::First(Kind::Binary), 0x42), (Part::Next, 0x00), (Part::Last, 0x80)] {
        assert_eq!(agreed.send_compressed(part, b"abc", [0; 4], &mut head), Ok(2));
        assert_eq!(head[..2], [first, 3]);
    }
    assert_eq!(agreed.send(whole, b"abc", [0; 4], &mut head), Ok(2));
    assert_eq!(head[0], 0x81);
    assert_eq!(agreed.send_encoded(&header, b"abc"), Ok(()));
}
