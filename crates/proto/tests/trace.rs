//! The trace hook sees every frame once, with its direction, its header and the payload that lay at hand.

mod support;

use std::sync::{Arc, Mutex};

use support::*;
use tautline_proto::*;

type Seen = (Direction, Header, Vec<u8>);

/// A frame inspector.
#[derive(Clone)]
struct Inspector {
    config: &'static Config,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Inspector {
    fn new() -> Self {
        Self { config: quiet(), seen: Arc::default() }
    }

    fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

impl Context for Inspector {
    fn config(&self) -> &Config {
        self.config
    }

    fn trace(&self, direction: Direction, header: &Header, payload: &[u8]) {
        self.seen.lock().unwrap().push((direction, *header, payload.to_vec()));
    }
}

fn pair() -> (Pair<Inspector>, Inspector, Inspector) {
    let (client, server) = (Inspector::new(), Inspector::new());
    (Pair::with(client.clone(), server.clone(), 1), client, server)
}

/// The frames of one direction, without their keys.
fn frames(seen: &[Seen], direction: Direction) -> Vec<(OpCode, bool, u64, Vec<u8>)> {
    let of = |(_, header, payload): &Seen| (header.opcode, header.fin, header.len, payload.clone());
    seen.iter().filter(|seen| seen.0 == direction).map(of).collect()
}

#[test]
fn what_one_side_sends_the_other_receives() {
    let (mut pair, client, server) = pair();
    for (part, payload) in [
        (Part::Whole(Kind::Text), &b"hello"[..]),
        (Part::First(Kind::Binary), b"first"),
        (Part::Next, b""),
        (Part::Last, &[7; 300]),
    ] {
        pair.client.send(pair.now, part, payload, &mut pair.to_server).unwrap();
        pair.server.send(pair.now, part, payload, &mut pair.to_client).unwrap();
    }
    pair.client.connection.ping(pair.now).unwrap();
    pair.run_for(SECOND);
    pair.server.close(pair.now, CloseCode::NORMAL, "bye");
    pair.run_to_the_end(SECOND);
    let (client, server) = (client.take(), server.take());
    let sent = frames(&client, Direction::Sent);
    // Four data frames, a ping and the reply to the close frame; the server has a pong and its close frame.
    assert_eq!(sent.len(), 6);
    assert_eq!(sent[5], (OpCode::Close, true, 2, vec![0x03, 0xe8]));
    assert_eq!(frames(&server, Direction::Received), sent);
    assert_eq!(frames(&server, Direction::Sent).len(), 6);
    assert_eq!(frames(&client, Direction::Received), frames(&server, Direction::Sent));
    for (direction, header, _) in client {
        assert_eq!(header.mask.is_some(), direction == Direction::Sent, "a client masks, a server does not");
    }
}

#[test]
fn a_frame_that_arrives_in_pieces_is_seen_once() {
    let inspector = Inspector::new();
    let mut server = Connection::new(inspector.clone(), Role::Server, START, 0);
    let mut control = Control::new();
    let bytes = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x89\x82\0\0\0\0hi";
    for cut in 0..=bytes.len() {
        let mut leftover = Vec::new();
        for piece in [&bytes[..cut], &bytes[cut..]] {
            leftover.extend_from_slice(piece);
            let mut input = &mut leftover[..];
            while server.receive(START, &mut input, &mut control).is_some() {}
            leftover = input.to_vec();
        }
        let seen = frames(&inspector.take(), Direction::Received);
        // Of a data frame, as much as lay behind its header.
        let prefix = if (6..11).contains(&cut) { &b"Hello"[..cut - 6] } else { b"Hello" };
        let expected = [(OpCode::Text, true, 5, prefix.to_vec()), (OpCode::Ping, true, 2, b"hi".to_vec())];
        assert_eq!(seen, expected, "cut at {cut}");
    }
}

#[test]
fn frames_sent_in_other_ways_are_seen_too() {
    let inspector = Inspector::new();
    let mut server = Connection::new(inspector.clone(), Role::Server, START, 0);
    let header = Header { fin: true, opcode: OpCode::Text, compressed: false, mask: None, len: 2 };
    server.send_encoded(&header, b"hi").unwrap();
    let part = Part::Whole(Kind::Binary);
    server.send_streamed(part, 1_000_000, b"beginning", [0; 4], &mut [0; MAX_HEADER]).unwrap();
    let streamed = Header { fin: true, opcode: OpCode::Binary, compressed: false, mask: None, len: 1_000_000 };
    let expected = [(Direction::Sent, header, b"hi".to_vec()), (Direction::Sent, streamed, b"beginning".to_vec())];
    assert_eq!(inspector.take(), expected);
}

#[test]
fn what_is_refused_is_not_seen() {
    let inspector = Inspector::new();
    let mut server = Connection::new(inspector.clone(), Role::Server, START, 0);
    server.send(Part::Next, b"", [0; 4], &mut [0; MAX_HEADER]).unwrap_err();
    assert_eq!(inspector.take(), []);
}
