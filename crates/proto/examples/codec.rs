//! Work for the instruction counter: `codec WORK ROUNDS` does some of the core's work so many times.
//!
//! `cargo xtask test --only instructions` counts the instructions of a round and compares them with a baseline, which no
//! busy machine can disturb. Without arguments it lists the work there is.

use std::env;
use std::hint::black_box;
use std::process::ExitCode;

use tautline_proto::handshake::HttpVersion;
use tautline_proto::handshake::server::{Options, validate};
use tautline_proto::{Config, Connection, Control, Event, Header, Instant, Kind, MAX_HEADER, OpCode, Part, Role};

static CONFIG: Config = Config::new();

/// Does some work so many times.
type Work = fn(u32);

const ALL: [(&str, Work); 7] = [
    ("receive-binary-64", |rounds| receive(rounds, OpCode::Binary, 64, 1)),
    ("receive-binary-64-x16", |rounds| receive(rounds, OpCode::Binary, 64, 16)),
    ("receive-text-64", |rounds| receive(rounds, OpCode::Text, 64, 1)),
    ("receive-binary-16k", |rounds| receive(rounds, OpCode::Binary, 16 * 1024, 1)),
    ("send-64", send),
    ("ping-pong", ping_pong),
    ("handshake", handshake),
];

#[allow(clippy::print_stdout)]
fn main() -> ExitCode {
    let (name, rounds) = (env::args().nth(1), env::args().nth(2).and_then(|rounds| rounds.parse().ok()));
    let work = ALL.iter().find(|(work, _)| Some(*work) == name.as_deref());
    match (work, rounds) {
        (Some((_, work)), Some(rounds)) => work(rounds),
        _ => {
            ALL.iter().for_each(|(name, _)| println!("{name}"));
            return if name.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    }
    ExitCode::SUCCESS
}

fn server() -> (Connection<&'static Config>, Control) {
    (Connection::new(&CONFIG, Role::Server, Instant::ZERO, 0), Control::new())
}

/// Receives `frames` messages of `len` bytes that arrive together.
fn receive(rounds: u32, opcode: OpCode, len: usize, frames: usize) {
    let mut head = [0; MAX_HEADER];
    let head_len =
        Header { fin: true, opcode, compressed: false, mask: Some([1, 2, 3, 4]), len: len as u64 }.encode(&mut head);
    let mut payload = vec![b'x'; len];
    tautline_proto::mask::apply([1, 2, 3, 4], 0, &mut payload);
    let input = [&head[..head_len], &payload].concat().repeat(frames);
    let (mut connection, mut control) = server();
    let mut buffer = input.clone();
    for _ in 0..rounds {
        buffer.copy_from_slice(black_box(&input));
        let mut unread = &mut buffer[..];
        while let Some(event) = connection.receive(Instant::ZERO, &mut unread, &mut control) {
            let Event::Data(data) = event else { unreachable!("only data was sent") };
            black_box(data.bytes());
        }
    }
}

fn send(rounds: u32) {
    let (mut connection, _) = server();
    let mut head = [0; MAX_HEADER];
    for _ in 0..rounds {
        let payload = black_box(&[b'x'; 64][..]);
        let len = black_box(&mut connection).send(Part::Whole(Kind::Binary), payload, [0; 4], &mut head);
        black_box((len.expect("it is open"), &head));
    }
}

/// A ping arrives and its pong leaves.
fn ping_pong(rounds: u32) {
    let (mut connection, mut control) = server();
    let mut out = [0; tautline_proto::MAX_CONTROL_FRAME];
    for _ in 0..rounds {
        let mut ping = black_box([0x89, 0x84, 0, 0, 0, 0, 1, 2, 3, 4]);
        black_box(connection.receive(Instant::ZERO, &mut &mut ping[..], &mut control));
        black_box(connection.poll_transmit(Instant::ZERO, [0; 4], &mut control, &mut out));
    }
}

/// A browser's opening handshake is judged.
fn handshake(rounds: u32) {
    const HEADERS: [(&str, &[u8]); 8] = [
        ("Host", b"hub.example:8000"),
        ("Connection", b"keep-alive, Upgrade"),
        ("Upgrade", b"websocket"),
        ("Origin", b"http://hub.example:8000"),
        ("Sec-WebSocket-Version", b"13"),
        ("User-Agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0"),
        ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Extensions", b"permessage-deflate; client_max_window_bits"),
    ];
    for _ in 0..rounds {
        let headers = black_box(&HEADERS).iter().copied();
        let accepted = validate("GET", HttpVersion::HTTP_11, "/counter", headers, &Options::default());
        black_box(accepted.expect("a good request"));
    }
}
