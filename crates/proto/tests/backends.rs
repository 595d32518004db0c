//! What holds for whatever compresses messages on hosts, checked by zlib as the receiver.

use fastrand::Rng;
use flate2::{Decompress, FlushDecompress};
use tautline_proto::Role;
use tautline_proto::compression::{Backend, DeflateSpace, Deflater};
use tautline_proto::handshake::deflate::{Parameters, Sender, WindowBits};

const BACKENDS: [Backend; 2] = [Backend::Small, Backend::ZlibRs];

/// Every way to compress: window, context takeover and backend.
fn ways() -> impl Iterator<Item = (Sender, Backend)> {
    let windows = (8..=15).map(|bits| WindowBits::new(bits).unwrap());
    windows.flat_map(|window| {
        [true, false]
            .into_iter()
            .flat_map(move |takeover| BACKENDS.into_iter().map(move |backend| (Sender { window, takeover }, backend)))
    })
}

fn deflater(sender: Sender, backend: Backend) -> Deflater {
    Deflater::new(Role::Server, Parameters { server: sender, client: Sender::DEFAULT }).with_backend(backend)
}

/// A receiver with exactly the window that was agreed on, as far as zlib has it: it cannot read a raw stream of 8 bits in less
/// than 9.
struct Receiver {
    zlib: Decompress,
    sender: Sender,
}

impl Receiver {
    fn new(sender: Sender) -> Self {
        Self { zlib: Self::zlib(sender), sender }
    }

    fn zlib(sender: Sender) -> Decompress {
        Decompress::new_with_window_bits(false, sender.window.value().max(9))
    }

    /// What these bytes of a message are inflated to.
    fn piece(&mut self, bytes: &[u8]) -> Vec<u8> {
        let (mut inflated, mut read) = (Vec::with_capacity(1000), 0);
        while read < bytes.len() || inflated.len() == inflated.capacity() {
            inflated.reserve(100_000);
            let before = self.zlib.total_in();
            self.zlib.decompress_vec(&bytes[read..], &mut inflated, FlushDecompress::Sync).expect("DEFLATE");
            read += (self.zlib.total_in() - before) as usize;
        }
        inflated
    }

    /// What ends a message (RFC 7692 section 7.2.2).
    fn end(&mut self) -> Vec<u8> {
        let last = self.piece(&[0x00, 0x00, 0xff, 0xff]);
        if !self.sender.takeover {
            self.zlib = Self::zlib(self.sender);
        }
        last
    }

    fn message(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut message = self.piece(bytes);
        message.append(&mut self.end());
        message
    }
}

/// A message as there are many: of text that is like others', or of noise.
fn message(rng: &mut Rng, most: usize) -> Vec<u8> {
    let len = rng.usize(..=most);
    if rng.u8(..6) == 0 {
        return std::iter::repeat_with(|| rng.u8(..)).take(len).collect();
    }
    let mut text = String::new();
    while text.len() < len {
        text += &format!(r#"{{"sensor":"t{}","celsius":{}}}"#, rng.u8(..4), rng.u16(..1000));
    }
    text.truncate(len);
    text.into()
}

/// Some are for `Backend::Small` whatever was chosen, some are larger than every window.
fn some_len(rng: &mut Rng) -> usize {
    [20, 200, 5_000, 70_000][rng.usize(..4)]
}

#[test]
fn conversations_are_understood_with_messages_whole_in_pieces_and_as_they_are() {
    // One for all connections of a thread.
    let space = &mut DeflateSpace::default();
    let rng = &mut Rng::with_seed(7692);
    for (sender, backend) in ways() {
        let (mut deflater, mut receiver) = (deflater(sender, backend), Receiver::new(sender));
        for round in 0..25 {
            let most = some_len(rng);
            let message = message(rng, most);
            let context = format!("{sender:?}, {backend:?}, round {round}, {} bytes", message.len());
            if rng.bool() {
                // `None`: it is sent as it is, which is nothing to the receiver's window either.
                if let Some(compressed) = deflater.deflate(space, &message) {
                    assert!(receiver.message(compressed) == message, "{context}");
                }
                continue;
            }
            let (mut rest, mut read) = (&message[..], Vec::new());
            while !rest.is_empty() && rng.u8(..5) > 0 {
                let (piece, others) = rest.split_at(rng.usize(..=rest.len()));
                read.append(&mut receiver.piece(deflater.deflate_piece(space, piece, false)));
                assert!(read == message[..message.len() - others.len()], "a piece is complete by itself: {context}");
                rest = others;
            }
            read.append(&mut receiver.piece(deflater.deflate_piece(space, rest, true)));
            read.append(&mut receiver.end());
            assert!(read == message, "{context}");
        }
    }
}

#[test]
fn a_message_in_pieces_may_be_interrupted_by_those_of_other_connections() {
    let space = &mut DeflateSpace::default();
    for (sender, backend) in ways() {
        let rng = &mut Rng::with_seed(1);
        let mut connections: Vec<_> = (0..3)
            .map(|_| {
                let message = message(rng, 30_000);
                (deflater(sender, backend), Receiver::new(sender), message, Vec::new())
            })
            .collect();
        for turn in 0..10 {
            for (deflater, receiver, message, read) in &mut connections {
                let piece = &message[message.len() * turn / 10..message.len() * (turn + 1) / 10];
                read.append(&mut receiver.piece(deflater.deflate_piece(space, piece, turn == 9)));
            }
            assert!(space.deflate(sender.window, backend, &message(rng, 9_000)).is_none_or(|made| made.len() < 9_000));
        }
        for (_, receiver, message, read) in &mut connections {
            read.append(&mut receiver.end());
            assert!(read == message, "{sender:?}, {backend:?}");
        }
    }
}

#[test]
fn r7692_s7_1_1_without_takeover_every_message_is_written_the_same() {
    let space = &mut DeflateSpace::default();
    for (sender, backend) in ways().filter(|(sender, _)| !sender.takeover) {
        let message = message(&mut Rng::with_seed(3), 20_000);
        let mut deflater = deflater(sender, backend);
        let whole = deflater.deflate(space, &message).map(<[u8]>::to_vec);
        for _ in 0..2 {
            let first = deflater.deflate_piece(space, &message, false).to_vec();
            assert_eq!(deflater.deflate_piece(space, &[], true), [0x00]);
            assert!(whole.as_deref().is_none_or(|whole| first[..first.len() - 5] == whole[..whole.len() - 1]));
            assert_eq!(deflater.deflate(space, &message).map(<[u8]>::to_vec), whole, "{sender:?}, {backend:?}");
        }
    }
}

#[test]
fn zlib_rs_makes_large_text_shorter_and_leaves_short_messages_as_they_are() {
    let space = &mut DeflateSpace::default();
    // Some 20 KB as people write it.
    let text = include_str!("../src/handshake/client.rs");
    for bits in [9, 12, 15] {
        let window = WindowBits::new(bits).unwrap();
        let mut lens =
            |text: &str| BACKENDS.map(|backend| space.deflate(window, backend, text.as_bytes()).unwrap().len());
        let [small, zlib] = lens(text);
        assert!(zlib * 100 < small * 98, "{zlib} after {small}, {bits} bits");
        let [small, zlib] = lens(&text[..2000]);
        assert_eq!(small, zlib);
    }
}

#[test]
fn backends_can_be_told() {
    let sender = Sender::DEFAULT;
    assert_eq!(Deflater::new(Role::Client, Parameters { server: sender, client: sender }).backend(), Backend::Small);
    assert_eq!(deflater(sender, Backend::ZlibRs).backend(), Backend::ZlibRs);
}
