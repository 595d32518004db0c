//! Sending: whole messages, fragments, streams, and what a caller may not do.

mod support;

use support::*;
use tautline_proto::*;

const TEXT: Part = Part::Whole(Kind::Text);
const BINARY: Part = Part::Whole(Kind::Binary);
const FIRST: Part = Part::First(Kind::Text);

#[test]
fn messages_of_every_length_arrive_however_the_link_cuts_them() {
    for seed in 0..10 {
        let mut pair = Pair::seeded(quiet(), seed);
        let mut random = fastrand::Rng::with_seed(seed);
        let mut sent = Vec::new();
        for chunk in [1, 7, 1000, usize::MAX] {
            (pair.to_client.chunk, pair.to_server.chunk) = (chunk, chunk);
            for len in [0, 1, 125, 126, 127, 4_000, 65_535, 65_536] {
                if len > chunk.saturating_mul(5_000) {
                    continue;
                }
                let payload: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(len).collect();
                pair.client.send(pair.now, BINARY, &payload, &mut pair.to_server).unwrap();
                pair.server.send(pair.now, BINARY, &payload, &mut pair.to_client).unwrap();
                sent.push((Kind::Binary, payload));
            }
        }
        pair.run_for(SECOND);
        assert!(pair.client.messages() == sent && pair.server.messages() == sent, "seed {seed}");
    }
}

#[test]
fn every_message_arrives_cut_at_every_byte() {
    for role in [Role::Client, Role::Server] {
        let mut sender = Connection::new(quiet(), role, START, 0);
        let mut stream = Vec::new();
        for (part, payload) in [
            (TEXT, "héllo".as_bytes()),
            (FIRST, "κό".as_bytes()),
            (Part::Next, b""),
            (Part::Last, "σμε".as_bytes()),
            (BINARY, &[0xff; 126]),
        ] {
            send_into(&mut sender, part, payload, &mut stream);
        }
        let expected = [(Kind::Text, "héllo".into()), (Kind::Text, "κόσμε".into()), (Kind::Binary, vec![0xff; 126])];
        for cut in 0..=stream.len() {
            let mut pair = Pair::new(quiet());
            let receiver = if role == Role::Client { &mut pair.server } else { &mut pair.client };
            receiver.receive(START, &stream[..cut]);
            receiver.receive(START, &stream[cut..]);
            assert_eq!(receiver.messages(), expected, "cut at {cut}");
        }
    }
}

#[test]
fn s5_4_fragments_arrive_as_one_message_with_control_frames_between() {
    let mut pair = Pair::new(quiet());
    for (part, piece) in [(FIRST, "κόσ"), (Part::Next, ""), (Part::Next, "μ"), (Part::Last, "ε")] {
        pair.client.send(pair.now, part, piece.as_bytes(), &mut pair.to_server).unwrap();
        pair.client.connection.ping(pair.now).unwrap();
        pair.run_for(20 * MS);
    }
    assert_eq!(pair.server.messages(), [(Kind::Text, "κόσμε".into())]);
    assert_eq!(pair.client.latencies().len(), 4);
    assert!(!pair.client.connection.is_message_in_progress());
}

#[test]
fn s5_4_what_does_not_continue_a_message_is_refused_and_changes_nothing() {
    for role in [Role::Client, Role::Server] {
        let mut connection = Connection::new(quiet(), role, START, 0);
        let mut send = |part| connection.send(part, b"", [0; 4], &mut [0; MAX_HEADER]).map(drop);
        for part in [Part::Next, Part::Last] {
            assert_eq!(send(part), Err(SendError::NoMessageInProgress));
        }
        assert_eq!(send(TEXT), Ok(()));
        assert_eq!(send(Part::Last), Err(SendError::NoMessageInProgress));
        assert_eq!(send(FIRST), Ok(()));
        for part in [TEXT, BINARY, FIRST, Part::First(Kind::Binary)] {
            assert_eq!(send(part), Err(SendError::MessageInProgress));
        }
        assert_eq!(send(Part::Next), Ok(()));
        assert_eq!(send(TEXT), Err(SendError::MessageInProgress));
        assert_eq!(send(Part::Last), Ok(()));
        assert_eq!(send(Part::Next), Err(SendError::NoMessageInProgress));
        assert_eq!(send(BINARY), Ok(()));
    }
}

#[test]
fn a_refused_frame_leaves_the_buffer_for_the_header_alone() {
    let mut connection = Connection::new(quiet(), Role::Client, START, 0);
    let mut head = [0x5a; MAX_HEADER];
    assert_eq!(connection.send(Part::Next, b"", [0; 4], &mut head), Err(SendError::NoMessageInProgress));
    assert_eq!(head, [0x5a; MAX_HEADER]);
}

#[test]
fn nothing_is_sent_once_a_close_frame_is_queued() {
    let mut pair = Pair::new(quiet());
    pair.client.send(pair.now, FIRST, b"begun", &mut pair.to_server).unwrap();
    pair.client.close(pair.now, CloseCode::NORMAL, "");
    assert!(!pair.client.connection.is_open());
    for part in [TEXT, Part::Next, Part::Last] {
        assert_eq!(pair.client.send(pair.now, part, b"late", &mut pair.to_server), Err(SendError::Closed));
    }
    assert_eq!(pair.client.connection.ping(pair.now), Err(SendError::Closed));
    let header = Header { fin: true, opcode: OpCode::Text, compressed: false, mask: None, len: 0 };
    assert_eq!(pair.client.connection.send_encoded(&header, b""), Err(SendError::Closed));
    pair.run_to_the_end(SECOND);
    assert_eq!(pair.server.messages(), []);
}

#[test]
fn nothing_is_sent_once_the_peers_close_frame_is_here() {
    let mut pair = Pair::new(quiet());
    pair.client.close(pair.now, CloseCode::NORMAL, "");
    pair.run_for(5 * MS);
    assert_eq!(pair.server.send(pair.now, TEXT, b"late", &mut pair.to_client), Err(SendError::Closed));
    assert_eq!(pair.server.connection.ping(pair.now), Err(SendError::Closed));
}

#[test]
fn a_streamed_frame_needs_its_length_only() {
    for (len, head_len) in [(0u64, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10), (i64::MAX as u64, 10)] {
        for role in [Role::Client, Role::Server] {
            let mut connection = Connection::new(quiet(), role, START, 0);
            let mut head = [0; MAX_HEADER];
            let written = connection.send_streamed(BINARY, len, b"", [1, 2, 3, 4], &mut head).unwrap();
            let (header, read) = Header::decode(&head[..written]).unwrap().unwrap();
            let mask = (role == Role::Client).then_some([1, 2, 3, 4]);
            assert_eq!(header, Header { fin: true, opcode: OpCode::Binary, compressed: false, mask, len });
            assert_eq!((read, written), (written, if mask.is_some() { head_len + 4 } else { head_len }));
        }
    }
}

#[test]
fn a_streamed_frame_arrives_as_its_payload_follows() {
    let mut pair = Pair::new(quiet());
    let key = [9, 8, 7, 6];
    let mut head = [0; MAX_HEADER];
    let payload: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let len = pair.client.connection.send_streamed(BINARY, 100_000, b"", key, &mut head).unwrap();
    pair.to_server.send(pair.now, &head[..len]);
    let mut at = 0;
    for piece in payload.chunks(777) {
        let mut piece = piece.to_vec();
        mask::apply(key, at, &mut piece);
        at += piece.len();
        pair.to_server.send(pair.now, &piece);
        pair.run_for(MS);
    }
    pair.run_for(SECOND);
    assert!(pair.server.messages() == [(Kind::Binary, payload)]);
}

#[test]
fn an_encoded_frame_is_checked_as_any_other() {
    let header = Header { fin: true, opcode: OpCode::Text, compressed: false, mask: None, len: 2 };
    let mut server = Connection::new(quiet(), Role::Server, START, 0);
    assert_eq!(server.send_encoded(&header, b"hi"), Ok(()));
    server.send(FIRST, b"", [0; 4], &mut [0; MAX_HEADER]).unwrap();
    assert_eq!(server.send_encoded(&header, b"hi"), Err(SendError::MessageInProgress));
    server.send(Part::Last, b"", [0; 4], &mut [0; MAX_HEADER]).unwrap();
    assert_eq!(server.send_encoded(&header, b"hi"), Ok(()));
}

#[test]
fn several_pings_before_one_leaves_are_one_ping() {
    let mut pair = Pair::new(quiet());
    for _ in 0..3 {
        pair.client.connection.ping(pair.now).unwrap();
    }
    pair.run_for(SECOND);
    let latest = 3u32.to_be_bytes();
    assert_eq!(pair.server.notes, [(START + 5 * MS, Note::Ping(latest.into()))]);
    assert_eq!(pair.client.notes, [(START + 10 * MS, Note::Pong(latest.into(), Some(10 * MS)))]);
}

fn send_into(sender: &mut Connection<&'static Config>, part: Part, payload: &[u8], stream: &mut Vec<u8>) {
    let key = [3, 1, 4, 1];
    let mut head = [0; MAX_HEADER];
    let len = sender.send(part, payload, key, &mut head).unwrap();
    stream.extend_from_slice(&head[..len]);
    let at = stream.len();
    stream.extend_from_slice(payload);
    if sender.role() == Role::Client {
        mask::apply(key, 0, &mut stream[at..]);
    }
}
