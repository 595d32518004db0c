//! Writes the committed seeds: `cargo run --example seeds` in this directory. The bytes in front of each are explained
//! at the top of its target.

use std::{fs, io, path::Path};

use tautline_deflate::{Compressor, Flush, History, WindowBits};
use tautline_proto::Instant;
use tautline_proto::handshake::client::Request;
use tautline_proto::handshake::server;
use tautline_proto::handshake::{Limits, server::Options};
use tautline_telemetry::{
    Acknowledgement, Address, Body, Busy, Command, ErrorCode, Hello, Key, Kind, MAX_MESSAGE, Outcome, Problem,
    Readings, Record, Sensor, Status, Time, Type, Value, Welcome,
};

fn main() -> io::Result<()> {
    for (name, bytes) in handshakes() {
        write("handshake", name, &bytes)?;
    }
    for (name, bytes) in frames() {
        write("frames", name, &bytes)?;
    }
    for (name, bytes) in pairs() {
        write("pair", name, &bytes)?;
    }
    for (name, bytes) in telemetry_messages() {
        write("telemetry_codec", name, &bytes)?;
    }
    for (name, bytes) in telemetry_sessions() {
        write("telemetry_session", name, &bytes)?;
    }
    for (name, bytes) in inflations() {
        write("inflate", name, &bytes)?;
    }
    for (name, bytes) in deflations() {
        write("deflate", name, &bytes)?;
    }
    Ok(())
}

fn write(target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&dir)?;
    fs::write(dir.join(name), bytes)
}

fn handshakes() -> Vec<(&'static str, Vec<u8>)> {
    const ASK: &[u8] = b"\x00\x00\x00\x07";
    const ASK_LIMITED: &[u8] = b"\x00\x01\x00\x07";
    const ANSWER: &[u8] = b"\x01\x00\x00\x07";
    let request = |lines: &str| [lines, "\r\n\r\n"].concat().into_bytes();
    let plain = "GET /chat?room=1 HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13";
    let answered = answer();
    let whole = |strings: [&str; 6]| {
        let mut bytes = b"\x02\x00\x1f\x90".to_vec();
        for string in strings {
            bytes.push(string.len() as u8);
            bytes.extend_from_slice(string.as_bytes());
        }
        bytes
    };
    vec![
        ("request", [ASK, &request(plain)].concat()),
        ("request_limited", [ASK_LIMITED, &request(plain)].concat()),
        (
            "request_with_everything",
            [
                ASK,
                &request(&format!(
                    "{plain}\r\nOrigin: http://localhost:8000\r\nSec-WebSocket-Protocol: a, chat\r\n\
                    Sec-WebSocket-Protocol: superchat\r\nUser-Agent: seed\r\n\
                    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=\"10\", x"
                )),
                b"\x81\x80\0\0\0\0",
            ]
            .concat(),
        ),
        ("request_of_another_version", [ASK, &request(&plain.replace("13", "8"))].concat()),
        ("request_of_a_page", [ASK, &request("GET / HTTP/1.1\r\nHost: x")].concat()),
        ("request_of_http_2", [ASK, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice()].concat()),
        ("request_of_tls", [ASK, b"\x16\x03\x01\x02\x00\x01\x00".as_slice()].concat()),
        ("request_with_an_absolute_target", [ASK, &request(&plain.replace("/chat", "http://other/chat"))].concat()),
        ("answer", [ANSWER, &answered].concat()),
        ("answer_after_an_interim_one", [ANSWER, b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", &answered].concat()),
        (
            "answer_that_refuses",
            [ANSWER, b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno".as_slice()].concat(),
        ),
        ("answer_elsewhere", [ANSWER, b"HTTP/1.1 302 Found\r\nLocation: ws://other/\r\n\r\n".as_slice()].concat()),
        ("whole", whole(["localhost", "/", "", "", "", ""])),
        ("whole_with_everything", whole(["::1", "/a?b=%20", "chat", "https://example.com", "X-Device", "esp32"])),
    ]
}

/// The answer to the request that the target waits for an answer to.
fn answer() -> Vec<u8> {
    let mut request = Request::new("example.com", 80, "/", *b"the sample nonce");
    request.subprotocols = &["chat", "superchat"];
    let mut out = [0; 1024];
    let len = request.write(&mut out).expect("a valid request");
    let now = Instant::ZERO;
    let mut handshake = server::Handshake::new(now, &Limits::DEFAULT);
    let server::Progress::Complete(asked) = handshake.receive(now, &out[..len]) else { panic!("a valid request") };
    let options = Options { subprotocols: &["superchat"], ..Options::default() };
    let mut answer = [0; 1024];
    let len = asked.accept(&options).expect("accepted").write_response(&[], &mut answer).expect("it fits");
    answer[..len].to_vec()
}

fn frames() -> Vec<(&'static str, Vec<u8>)> {
    // No limits; seed 7.
    const SERVER: &[u8] = &[0, 0, 0, 0, 0, 7];
    const CLIENT: &[u8] = &[1, 0, 0, 0, 0, 7];
    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let masked = |first: u8, payload: &[u8]| {
        let mut frame = vec![first, 0x80 | payload.len() as u8];
        frame.extend(KEY);
        frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
        frame
    };
    let plain = |first: u8, payload: &[u8]| [&[first, payload.len() as u8], payload].concat();
    let long = |len: usize| [&[0x82, 126, (len >> 8) as u8, len as u8][..], &vec![7; len]].concat();
    vec![
        ("text", [SERVER, &masked(0x81, "κόσμε".as_bytes())].concat()),
        ("text_of_a_server", [CLIENT, &plain(0x81, "κόσμε".as_bytes())].concat()),
        (
            "fragments_and_pings",
            [
                SERVER,
                &masked(0x01, b"\xce"),
                &masked(0x89, b"ping"),
                &masked(0x00, b""),
                &masked(0x8a, b"pong"),
                &masked(0x80, b"\xba"),
            ]
            .concat(),
        ),
        ("not_text", [SERVER, &masked(0x01, b"good"), &masked(0x80, b"\xed\xa0\x80")].concat()),
        ("close", [SERVER, &masked(0x88, b"\x03\xe8bye"), &masked(0x81, b"late")].concat()),
        ("close_without_code", [CLIENT, &plain(0x88, b"")].concat()),
        ("bad_code", [CLIENT, &plain(0x88, b"\x03\xed")].concat()),
        ("we_close_first", [&[3, 0, 0, 0, 0, 0][..], &plain(0x82, b"data"), &plain(0x88, b"\x03\xe9")].concat()),
        ("end", [&[4, 0, 0, 0, 0, 1][..], &masked(0x02, b"begun"), &masked(0x89, b"ping")].concat()),
        ("limits", [&[1, 3, 4, 1, 0, 9][..], &plain(0x02, b"12345678"), &plain(0x00, b"12345678")].concat()),
        ("16_bits", [CLIENT, &long(300)].concat()),
        ("64_bits", [CLIENT, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0, 7, 7]].concat()),
        ("reserved_bit", [SERVER, &masked(0xc1, b"deflated?")].concat()),
        ("reserved_opcode", [SERVER, &masked(0x83, b"")].concat()),
        ("unmasked_and_reserved", [&[0; 6][..], &plain(0x8c, b"both wrong")].concat()),
        ("unmasked", [SERVER, &plain(0x81, b"no mask")].concat()),
    ]
}

fn pairs() -> Vec<(&'static str, Vec<u8>)> {
    /// The operation `number` of the client and of the server.
    const fn client(number: u8, amount: u8) -> [u8; 2] {
        [number << 1, amount]
    }
    const fn server(number: u8, amount: u8) -> [u8; 2] {
        [number << 1 | 1, amount]
    }
    let script = |operations: &[[u8; 2]]| [&[0x40, 0xc0][..], operations.as_flattened()].concat();
    let (all_to_client, all_to_server) = (client(7, 0), server(7, 0));
    vec![
        ("messages", script(&[client(0, 10), server(0, 11), all_to_client, all_to_server])),
        ("messages_in_pieces", script(&[client(0, 200), server(6, 1), server(6, 50), server(6, 1), all_to_server])),
        ("fragments", script(&[client(1, 4), server(6, 3), client(2, 5), client(4, 0), client(3, 1), all_to_server])),
        ("close_of_the_client", script(&[client(0, 7), client(5, 4), all_to_server, all_to_client])),
        ("close_of_the_server", script(&[server(5, 1), all_to_client, all_to_server])),
        ("closes_that_cross", script(&[client(5, 0), server(5, 1), all_to_client, all_to_server])),
        ("pings_answered", script(&[client(9, 10), all_to_client, all_to_server, all_to_client, client(9, 10)])),
        ("silence", script(&[client(9, 60)])),
        ("stall", script(&[client(9, 10), client(15, 60), client(14, 0), server(14, 0), client(9, 40)])),
        ("stuck", script(&[server(13, 0), server(0, 9), client(9, 30), server(13, 1)])),
        ("cable", script(&[client(0, 3), client(10, 255), client(9, 40)])),
        ("end_of_the_transport", script(&[server(1, 3), server(11, 255), all_to_client, client(0, 3)])),
        ("failure", script(&[client(0, 3), server(12, 255), client(0, 3), client(9, 40)])),
        ("large", script(&[[0x80, 255], [0x81, 254], all_to_client, all_to_server])),
    ]
}

fn telemetry_messages() -> Vec<(&'static str, Vec<u8>)> {
    let sensors = [Sensor { index: 0, kind: Type::F32, name: "temperature", unit: "Cel" }];
    let record = |offset, value| Record { offset, sensor: 0, value };
    let records = [
        record(0, Value::Bool(true)),
        record(1, Value::I16(-2)),
        record(2, Value::U64(3)),
        record(3, Value::F64(0.5)),
        record(4, Value::Text("κόσμε")),
        record(5, Value::Bytes(b"\xff")),
    ];
    let stored = Acknowledgement::new(4, 0b10).expect("bit 0 is not set");
    let bodies = [
        (
            "hello",
            Body::Hello(Hello { last_command: 0, name: "kitchen", firmware: "1.0", sensors: sensors[..].into() }),
        ),
        ("readings", Body::Readings(Readings { time: Time::Calendar(1_800_000_000_000), records: records[..].into() })),
        ("readings_with_age", Body::Readings(Readings { time: Time::Age(250), records: records[..1].into() })),
        ("result", Body::Result(Outcome { status: Status::Refused, value: Some(Value::Text("no lamp")) })),
        ("time_request", Body::TimeRequest),
        ("welcome", Body::Welcome(Welcome { stored, time: 1_800_000_000_000, quiet: 30 })),
        ("acknowledgement", Body::Acknowledgement(stored)),
        ("command_interval", Body::Command(Command::Interval { sensor: 255, interval: 1_000 })),
        ("command_switch", Body::Command(Command::Switch { index: 1, on: true })),
        ("command_set", Body::Command(Command::Set { key: "brightness", value: Some(Value::U8(80)) })),
        ("time", Body::Time(1_800_000_000_000)),
        ("busy", Body::Busy(Busy { about: Kind::Readings, retry: 500 })),
        ("error", Body::Error(Problem { about: Kind::Hello, code: ErrorCode::CONFLICT, text: "taken" })),
    ];
    let mut seeds: Vec<_> = bodies.iter().map(|(name, body)| (*name, telemetry_message(body, None))).collect();
    seeds.push(("with_a_tag", telemetry_message(&bodies[1].1, Some(&Key::new(&[1; 32])))));
    seeds.push(("several", bodies[3..8].iter().flat_map(|(_, body)| telemetry_message(body, None)).collect()));
    seeds
}

fn telemetry_message(body: &Body<'_>, key: Option<&Key>) -> Vec<u8> {
    let link = if body.kind() == Kind::Hello { 0 } else { 9 };
    let sequence = if body.kind() == Kind::Acknowledgement { 0 } else { 1 };
    let mut out = [0; MAX_MESSAGE];
    let len = body.encode(Address { device: 7, session: 8, link }, sequence, key, &mut out).expect("it fits");
    out[..len].to_vec()
}

fn telemetry_sessions() -> Vec<(&'static str, Vec<u8>)> {
    /// Deliver the oldest to the hub, the oldest to the device; commit; go to the next timer; push.
    const TO_HUB: [u8; 2] = [0x03, 0];
    const TO_DEVICE: [u8; 2] = [0x83, 0];
    const COMMIT: [u8; 2] = [8, 0];
    const WAIT: [u8; 2] = [15, 0];
    const PUSH: [u8; 2] = [0, 200];
    let link = [[1, 0], TO_HUB, TO_DEVICE, TO_HUB, TO_DEVICE];
    let script = |operations: &[[u8; 2]]| [&link[..], operations].concat().as_flattened().to_vec();
    vec![
        ("stored", script(&[PUSH, TO_HUB, COMMIT, TO_DEVICE, PUSH, TO_HUB, COMMIT, TO_DEVICE])),
        ("lost", script(&[PUSH, PUSH, [14, 0], WAIT, TO_HUB, COMMIT, [0x8e, 0], WAIT, TO_HUB, TO_DEVICE])),
        ("out_of_order", script(&[PUSH, PUSH, PUSH, PUSH, [3, 3], COMMIT, [3, 2], [3, 1], [8, 1], COMMIT, TO_DEVICE])),
        ("replayed", script(&[PUSH, [5, 0], COMMIT, TO_HUB, [0x85, 0], TO_DEVICE, TO_DEVICE])),
        ("reflected_and_changed", script(&[PUSH, [6, 0], [7, 9], TO_HUB, COMMIT, [0x86, 0], [0x87, 5]])),
        ("hub_restarts", script(&[PUSH, TO_HUB, [10, 0], WAIT, TO_HUB, TO_DEVICE, TO_HUB, TO_DEVICE, TO_HUB, COMMIT])),
        ("not_stored", script(&[PUSH, TO_HUB, [9, 0], WAIT, TO_HUB, COMMIT, TO_DEVICE])),
        ("new_connection", script(&[PUSH, [11, 0], TO_HUB, TO_DEVICE, WAIT])),
        ("commands", script(&[[12, 0], TO_DEVICE, TO_HUB, [12, 0], [0x85, 0], TO_DEVICE, WAIT])),
        ("busy", script(&[PUSH, [13, 0], TO_DEVICE, PUSH, WAIT])),
        ("no_link", script(&[PUSH, [13, 1], TO_DEVICE, TO_HUB, TO_HUB, TO_DEVICE])),
    ]
}

fn inflations() -> Vec<(&'static str, Vec<u8>)> {
    /// A window of 9 bits, and of 15; 64 KiB of room; cuts.
    const SMALL: [u8; 4] = [1, 16, 0, 7];
    const LARGE: [u8; 4] = [7, 16, 0, 7];
    let text = words();
    let compressed = |data: &[u8], bits: WindowBits| {
        let mut history = History::new(bits, vec![0; bits.history_bytes()]).expect("that is what it needs");
        let mut made = vec![0; data.len() + 1000];
        let made_len = Compressor::<512>::new().compress(&mut history, data, &mut made, Flush::Finish).produced;
        made.truncate(made_len);
        made
    };
    let small = WindowBits::new(9).expect("8 to 15");
    vec![
        ("fixed", [&SMALL[..], &compressed(b"Hello, hello, hello", small)].concat()),
        ("dynamic", [&LARGE[..], &compressed(&text, WindowBits::MAX)].concat()),
        ("stored", [&SMALL[..], &[0x01, 0x05, 0x00, 0xfa, 0xff], b"Hello"].concat()),
        ("zeros", [&LARGE[..], &compressed(&[0; 5000], WindowBits::MAX)].concat()),
        ("two_streams", [&SMALL[..], &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], &[0xf2, 0x00, 0x11, 0x00]].concat()),
        ("too_far", [&SMALL[..], &[0xf2, 0x00, 0x11, 0x00, 0x00]].concat()),
    ]
}

fn deflations() -> Vec<(&'static str, Vec<u8>)> {
    /// A window of 9 bits, and of 15; level 6; cuts.
    const SMALL: [u8; 4] = [1, 6, 0, 7];
    const LARGE: [u8; 4] = [7, 6, 0, 7];
    const END: [u8; 2] = [3, 0];
    const FORGET: [u8; 2] = [3, 1];
    let counted = |text: &[u8]| [&[0, text.len() as u8], text].concat();
    let reading = |value: u32| counted(format!(r#"{{"sensor":"kitchen","temperature":{value}}}"#).as_bytes());
    let readings =
        |end: [u8; 2]| (20..28).flat_map(|value| [reading(value), end.to_vec()].concat()).collect::<Vec<u8>>();
    let long: Vec<u8> = words().chunks(255).flat_map(counted).collect();
    vec![
        ("readings", [&SMALL[..], &readings(END)].concat()),
        ("readings_alone", [&SMALL[..], &readings(FORGET)].concat()),
        ("text", [&LARGE[..], &long, &END].concat()),
        ("zeros", [&LARGE[..], &[2, 0x80, 0, 0], &END, &[2, 0x20, 0, 7, 3, 2]].concat()),
        ("from_the_edge", [&SMALL[..], &long[..600], &[1, 0x01, 0xff, 200, 1, 0x02, 0x00, 200], &END].concat()),
        ("nothing", [&SMALL[..], &END, &END, &[3, 2]].concat()),
    ]
}

/// Some words that make a dynamic block worth its head.
fn words() -> Vec<u8> {
    let list = ["a", "line", "that", "is", "taut", "between", "device", "and", "hub", "carries", "what", "they", "say"];
    (0..400).flat_map(|n| [list[n * n % 13], [" ", ", ", ".\n"][n * 7 % 5 % 3]].concat().into_bytes()).collect()
}
