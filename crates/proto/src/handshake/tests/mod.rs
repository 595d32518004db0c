//! Tests of the opening handshake. Each name starts with the RFC section that its behaviour comes from: `s` for
//! RFC 6455, `http` for RFC 7230 and its relatives, nothing for our own API.

extern crate std;

mod answers;
mod deflate;
mod extensions;
mod fuzz;
mod origin;
mod pair;
mod requests;
mod writing;

use std::string::String;
use std::vec::Vec;

use super::Limits;
use super::server::{self, Accepted, Options, Progress, Refusal};
use crate::time::Instant;

/// RFC 6455 section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const NONCE: &[u8; 16] = b"the sample nonce";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The headers of a valid request, in the order in which [`request`] sends them.
const VALID: [(&str, &str); 5] = [
    ("Host", "server.example.com"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Version", "13"),
];

/// A request head from a request line and headers.
fn head(line: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = String::from(line) + "\r\n";
    for (name, value) in headers {
        head += &std::format!("{name}: {value}\r\n");
    }
    (head + "\r\n").into_bytes()
}

fn request(headers: &[(&str, &str)]) -> Vec<u8> {
    head("GET /chat HTTP/1.1", headers)
}

/// The valid headers without those of the given name, and with these added.
fn valid_with<'a>(without: &str, added: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    VALID.into_iter().filter(|(name, _)| *name != without).chain(added.iter().copied()).collect()
}

/// What becomes of a request that arrives whole.
fn serve<'a>(bytes: &'a [u8], options: &Options<'_>) -> Result<Accepted<'a>, Refusal> {
    match server::Handshake::new(Instant::ZERO, &options.limits).receive(Instant::ZERO, bytes) {
        Progress::Complete(request) => request.accept(options),
        Progress::Refused(refusal) => Err(refusal),
        Progress::Incomplete => panic!("the head is incomplete"),
    }
}

/// What becomes of the valid headers when those of one name are replaced.
fn serve_with(without: &str, added: &[(&str, &str)]) -> Result<Option<String>, Refusal> {
    let bytes = request(&valid_with(without, added));
    serve(&bytes, &Options::default()).map(|accepted| accepted.subprotocol().map(String::from))
}

/// The length of the prefix at which a server comes to its decision, and the decision, when bytes come one by one.
fn serve_bytewise(bytes: &[u8], limits: &Limits) -> (usize, Option<Result<usize, Refusal>>) {
    let mut handshake = server::Handshake::new(Instant::ZERO, limits);
    for end in 0..=bytes.len() {
        match handshake.receive(Instant::ZERO, &bytes[..end]) {
            Progress::Incomplete => {}
            Progress::Complete(request) => return (end, Some(Ok(request.head_len()))),
            Progress::Refused(refusal) => return (end, Some(Err(refusal))),
        }
    }
    (bytes.len(), None)
}
