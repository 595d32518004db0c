//! Mutated heads: nothing panics, and how the bytes are cut never changes the decision.

use super::std::format;
use super::std::vec::Vec;
use super::*;
use crate::handshake::client;
use crate::handshake::deflate::Acceptance;
use crate::handshake::server::OriginPolicy;

const ROUNDS: usize = 20_000;

/// xorshift64*, so that each run tries the same.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    fn mutate(&mut self, seed: &[u8]) -> Vec<u8> {
        const PIECES: [&[u8]; 14] = [
            b"\r\n",
            b"\n",
            b"\r",
            b",",
            b";",
            b"=",
            b"\"",
            b"\\",
            b" ",
            b"\xff",
            b"\0",
            b"\r\n\r\n",
            b": ",
            b"[::1]:80",
        ];
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(5) {
                0 if at < bytes.len() => bytes[at] = self.below(256) as u8,
                1 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                2 => {
                    let end = (at + self.below(20)).min(bytes.len());
                    bytes.drain(at..end);
                }
                3 => {
                    let end = (at + self.below(40)).min(bytes.len());
                    let copy = bytes[at..end].to_vec();
                    let to = self.below(bytes.len() + 1);
                    bytes.splice(to..to, copy);
                }
                _ => {
                    let piece = PIECES[self.below(PIECES.len())];
                    bytes.splice(at..at, piece.iter().copied());
                }
            }
        }
        bytes
    }
}

#[test]
fn mutated_requests_never_panic() {
    let seed = request(&valid_with(
        "",
        &[
            ("Origin", "http://[::1]:80"),
            ("Sec-WebSocket-Protocol", "a, b"),
            (
                "Sec-WebSocket-Extensions",
                "permessage-deflate; server_max_window_bits=\"1\\0\"; client_no_context_takeover, foo",
            ),
        ],
    ));
    let limits = Limits::DEFAULT.with_max_head(480).unwrap().with_max_target(20).unwrap();
    let options =
        Options { subprotocols: &["b"], origin: OriginPolicy::Default, deflate: Some(Acceptance::default()), limits };
    let mut random = Random(0x5eed);
    let mut accepted_count = 0;
    for _ in 0..ROUNDS {
        let bytes = random.mutate(&seed);
        let mut handshake = server::Handshake::new(Instant::ZERO, &limits);
        let cut = random.below(bytes.len() + 1);
        let _ = handshake.receive(Instant::ZERO, &bytes[..cut]);
        let result = match handshake.receive(Instant::ZERO, &bytes) {
            Progress::Complete(request) => {
                assert!(request.head_len() <= bytes.len());
                assert!(request.headers().count() <= limits.max_headers());
                let _ = (request.path(), request.query(), request.extensions().count());
                request.accept(&options)
            }
            Progress::Refused(refusal) => Err(refusal),
            Progress::Incomplete => continue,
        };
        let mut out = [0; 512];
        match result {
            Ok(accepted) => {
                accepted_count += 1;
                accepted.write_response(&[], &mut out).unwrap();
            }
            Err(refusal) => {
                assert!((400..600).contains(&refusal.status()));
                refusal.write_response("", &[], &mut out).unwrap();
            }
        }
        if random.below(16) == 0 {
            let whole = match server::Handshake::new(Instant::ZERO, &limits).receive(Instant::ZERO, &bytes) {
                Progress::Incomplete => None,
                Progress::Complete(request) => Some(Ok(request.head_len())),
                Progress::Refused(refusal) => Some(Err(refusal)),
            };
            assert_eq!(serve_bytewise(&bytes, &limits).1, whole);
        }
    }
    assert!(accepted_count > ROUNDS / 100, "the mutations leave some requests valid");
}

#[test]
fn mutated_answers_never_panic() {
    let offer = client::Request {
        subprotocols: &["a", "b"],
        extensions: Some(&client::Offered { deflate: None, others: Some("foo; x=1") }),
        ..client::Request::new("a", 80, "/", *NONCE)
    };
    let seed = head(
        "HTTP/1.1 101 Switching Protocols",
        &[
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", ACCEPT),
            ("Sec-WebSocket-Protocol", "b"),
            ("Sec-WebSocket-Extensions", "foo; x=\"1\""),
            ("Retry-After", "12"),
            ("Content-Length", "3"),
        ],
    );
    let mut random = Random(0xfeed);
    let mut complete_count = 0;
    for _ in 0..ROUNDS {
        let bytes = random.mutate(&seed);
        let mut pieces = client::Handshake::new(Instant::ZERO, &offer, &Limits::DEFAULT);
        let cut = random.below(bytes.len() + 1);
        let _ = pieces.receive(Instant::ZERO, &bytes[..cut]);
        let in_pieces = format!("{:?}", pieces.receive(Instant::ZERO, &bytes));
        let mut whole = client::Handshake::new(Instant::ZERO, &offer, &Limits::DEFAULT);
        let progress = whole.receive(Instant::ZERO, &bytes);
        assert_eq!(in_pieces, format!("{progress:?}"));
        match progress {
            client::Progress::Complete(response) => {
                complete_count += 1;
                assert_eq!(response.header("Sec-WebSocket-Accept"), Some(ACCEPT.as_bytes()));
                assert!(response.subprotocol().is_none_or(|subprotocol| ["a", "b"].contains(&subprotocol)));
            }
            client::Progress::Refused(response) => {
                let _ = (response.refusal(), response.location(), response.content_length());
            }
            client::Progress::Incomplete | client::Progress::Failed(_) => {}
        }
    }
    assert!(complete_count > ROUNDS / 100, "the mutations leave some answers valid");
}
