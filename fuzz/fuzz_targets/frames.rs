//! Arbitrary bytes in arbitrary pieces into a connection of either role: what comes of them does not depend on the
//! pieces.
//!
//! Input: flags (1: we are the client, 2: we close first, 4: the peer ends its side), limit of frames, of messages and of
//! fragments (each a power of two; 0 for none), seed of the cuts (2), then the bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tautline_fuzz::{Input, cuts};
use tautline_proto::{
    CloseCode, Config, Connection, Control, Ended, Event, Header, Instant, Kind, MAX_CONTROL_FRAME, OpCode, Role,
    Transport,
};

const NOW: Instant = Instant::from_millis(1);

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let flags = input.byte();
    let config = Config::new()
        .max_frame(limit(input.byte()))
        .max_message(limit(input.byte()))
        .max_fragments(limit(input.byte()).clamp(1, u64::from(u32::MAX)) as u32);
    let seed = input.short();
    let bytes = input.rest();
    let whole = run(&config, flags, bytes, &[]);
    let cut = run(&config, flags, bytes, &cuts(bytes.len(), seed));
    assert_eq!(whole, cut, "it depends on the cuts");
});

fn limit(power: u8) -> u64 {
    match power % 64 {
        0 => u64::MAX,
        power => 1 << power,
    }
}

/// What came of it. A piece of a message that never ends is not part of that: how much of it is handed up before the
/// text turns out not to be text does depend on the cuts.
#[derive(Debug, PartialEq)]
struct Outcome {
    seen: Vec<Seen>,
    sent: Vec<(OpCode, Vec<u8>)>,
    ended: Option<Ended>,
    transport: Transport,
}

#[derive(Debug, PartialEq)]
enum Seen {
    Message(Kind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(CloseCode, String),
}

fn run(config: &Config, flags: u8, bytes: &[u8], cuts: &[usize]) -> Outcome {
    let role = if flags & 1 != 0 { Role::Client } else { Role::Server };
    let mut connection = Connection::new(config, role, NOW, 0);
    let mut control = Control::new();
    let (mut seen, mut sent, mut message, mut leftover) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    if flags & 2 != 0 {
        connection.close(NOW, CloseCode::GOING_AWAY, "first", &mut control);
        transmit(&mut connection, &mut control, &mut sent);
    }
    let (mut at, mut events) = (0, 0);
    for &cut in cuts.iter().chain([&bytes.len()]) {
        leftover.extend_from_slice(&bytes[at..cut]);
        at = cut;
        let mut input = &mut leftover[..];
        loop {
            let before = input.len();
            let event = connection.receive(NOW, &mut input, &mut control);
            assert!(input.len() <= before);
            let Some(event) = event else { break };
            events += 1;
            match event {
                Event::Data(data) => {
                    assert!(data.offset() + data.bytes().len() as u64 <= data.payload_len());
                    assert_eq!(
                        connection.payload_outstanding(),
                        data.payload_len() - data.offset() - data.bytes().len() as u64
                    );
                    assert!(data.text().is_none_or(|text| text.as_bytes() == data.bytes()));
                    if data.is_first() {
                        message.clear();
                    }
                    message.extend_from_slice(data.bytes());
                    if data.is_last() {
                        let message = std::mem::take(&mut message);
                        assert!(data.kind() == Kind::Binary || std::str::from_utf8(&message).is_ok());
                        seen.push(Seen::Message(data.kind(), message));
                    }
                }
                Event::Compressed(_) => panic!("compression was not agreed on"),
                Event::Ping(payload) => seen.push(Seen::Ping(payload.to_vec())),
                Event::Pong { payload, latency } => {
                    assert_eq!(latency, None, "no ping was sent");
                    seen.push(Seen::Pong(payload.to_vec()));
                }
                Event::Close { code, reason } => seen.push(Seen::Close(code, reason.into())),
            }
            transmit(&mut connection, &mut control, &mut sent);
        }
        assert!(input.len() <= 130);
        assert!(connection.ended().is_none() || input.is_empty(), "after the end, everything is discarded");
        leftover = input.to_vec();
        transmit(&mut connection, &mut control, &mut sent);
    }
    // Each takes two bytes of header, or ends a piece.
    assert!(events <= bytes.len() / 2 + cuts.len() + 1);
    if flags & 4 != 0 {
        connection.receive_end();
        transmit(&mut connection, &mut control, &mut sent);
        assert_eq!(connection.transport(), Transport::Close);
    }
    assert!(control.is_empty());
    Outcome { seen, sent, ended: connection.ended(), transport: connection.transport() }
}

fn transmit(connection: &mut Connection<&Config>, control: &mut Control, sent: &mut Vec<(OpCode, Vec<u8>)>) {
    let mut frame = [0; MAX_CONTROL_FRAME];
    loop {
        // A key of zeros, so that payloads can be read as they are.
        let len = connection.poll_transmit(NOW, [0; 4], control, &mut frame);
        if len == 0 {
            return;
        }
        let (header, head_len) = Header::decode(&frame[..len]).expect("valid").expect("complete");
        assert!(header.fin && header.opcode.is_control());
        assert_eq!(header.mask, (connection.role() == Role::Client).then_some([0; 4]));
        assert_eq!(head_len + header.len as usize, len);
        assert_ne!(sent.last().map(|(opcode, _)| *opcode), Some(OpCode::Close), "nothing follows a close frame");
        sent.push((header.opcode, frame[head_len..len].to_vec()));
    }
}
