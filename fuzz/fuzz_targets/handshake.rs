//! The opening handshake of either side: nothing panics, the outcome does not depend on how the bytes are cut, and what
//! one side writes the other one takes.
//!
//! Input: mode (0: a request, 1: an answer, 2: a whole handshake, modulo 3), limits, seed of the cuts (2), then for 0 and
//! 1 the bytes, for 2 counted: host, target, subprotocol, origin, name and value of a header.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tautline_fuzz::{Input, cuts};
use tautline_proto::Instant;
use tautline_proto::handshake::deflate::Acceptance;
use tautline_proto::handshake::server::{Options, OriginPolicy, Progress as Asked};
use tautline_proto::handshake::{Limits, client, server};

const NOW: Instant = Instant::from_millis(1);
const NONCE: [u8; 16] = *b"the sample nonce";

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let (mode, limits, seed) = (input.byte() % 3, limits(input.byte()), input.short());
    match mode {
        0 => request(input.rest(), &limits, seed),
        1 => answer(input.rest(), &limits, seed),
        _ => whole(&mut input, seed),
    }
});

/// Every second kind of input has limits that a short input can exceed.
fn limits(choice: u8) -> Limits {
    if choice & 1 == 0 {
        return Limits::DEFAULT;
    }
    let set = |limits: Limits| limits.with_max_head(128)?.with_max_target(16)?.with_max_headers(8);
    set(Limits::DEFAULT).expect("these are within bounds")
}

fn request(bytes: &[u8], limits: &Limits, seed: u16) {
    let whole = ask(bytes, limits, &[]);
    assert_eq!(whole, ask(bytes, limits, &cuts(bytes.len(), seed)), "it depends on the cuts");
}

/// What a server makes of a request, as text that can be compared.
fn ask(bytes: &[u8], limits: &Limits, cuts: &[usize]) -> String {
    let mut handshake = server::Handshake::new(NOW, limits);
    for &cut in cuts.iter().chain([&bytes.len()]) {
        let progress = handshake.receive(NOW, &bytes[..cut]);
        let result = match progress {
            Asked::Incomplete => continue,
            Asked::Complete(request) => decide(&request, cut, limits),
            Asked::Refused(refusal) => refuse(&refusal),
        };
        assert_eq!(handshake.poll_timeout(), None);
        assert!(!matches!(handshake.receive(NOW, bytes), Asked::Incomplete), "it forgets its answer");
        return result;
    }
    assert!(handshake.poll_timeout().is_some());
    assert!(bytes.len() <= limits.max_head(), "a full buffer is not decided");
    "incomplete".into()
}

fn decide(request: &server::Request<'_>, arrived: usize, limits: &Limits) -> String {
    assert!(request.head_len() <= arrived.min(limits.max_head()));
    let (path, query, extensions) = (request.path(), request.query(), request.extensions().count());
    let mut text =
        format!("{} {} {path} {query:?} {extensions} {:?}", request.method(), request.target(), request.version());
    for (name, value) in request.headers() {
        text += &format!("\n{name}: {value:?}");
    }
    let spoken = ["chat", "superchat"];
    for origin in [OriginPolicy::default(), OriginPolicy::Any] {
        let options = Options { subprotocols: &spoken, origin, deflate: Some(Acceptance::default()), limits: *limits };
        let result = request.accept(&options);
        let validated =
            server::validate(request.method(), request.version(), request.target(), request.headers(), &options);
        assert_eq!(result, validated);
        match result {
            Ok(accepted) => {
                assert!(request.is_upgrade());
                let offered = |selected| request.subprotocols().any(|offered| offered == selected);
                assert!(accepted.subprotocol().is_none_or(|selected| offered(selected) && spoken.contains(&selected)));
                let mut out = [0; 1024];
                let len = accepted.write_response(&[("X-Extra", "value")], &mut out).expect("it fits");
                assert!(out[..len].starts_with(b"HTTP/1.1 101 ") && out[..len].ends_with(b"\r\n\r\n"));
                text += &format!("\naccepted {accepted:?}");
            }
            Err(refusal) => text += &refuse(&refusal),
        }
    }
    text
}

fn refuse(refusal: &server::Refusal) -> String {
    assert!(refusal.status() >= 400);
    let mut out = [0; 1024];
    let body = refusal.to_string();
    let len = refusal.write_response(&body, &[], &mut out).expect("it fits");
    let start = format!("HTTP/1.1 {} ", refusal.status());
    assert!(out.starts_with(start.as_bytes()) && out[..len].ends_with(body.as_bytes()));
    format!("\nrefused {refusal:?}")
}

fn answer(bytes: &[u8], limits: &Limits, seed: u16) {
    let whole = read(bytes, limits, &[]);
    assert_eq!(whole, read(bytes, limits, &cuts(bytes.len(), seed)), "it depends on the cuts");
}

/// What a client makes of an answer, as text that can be compared.
fn read(bytes: &[u8], limits: &Limits, cuts: &[usize]) -> String {
    let offered = ["chat", "superchat"];
    let mut request = client::Request::new("example.com", 80, "/", NONCE);
    request.subprotocols = &offered;
    let extensions = client::Offered { deflate: None, others: Some("permessage-deflate; client_max_window_bits") };
    request.extensions = Some(&extensions);
    let mut handshake = client::Handshake::new(NOW, &request, limits);
    for &cut in cuts.iter().chain([&bytes.len()]) {
        let result = match handshake.receive(NOW, &bytes[..cut]) {
            client::Progress::Incomplete => continue,
            client::Progress::Failed(error) => format!("{error:?}: {error}"),
            client::Progress::Complete(response) => {
                assert_eq!(response.status(), 101);
                assert!(response.subprotocol().is_none_or(|selected| offered.contains(&selected)));
                describe(&response, cut)
            }
            client::Progress::Refused(response) => {
                assert_ne!(response.status(), 101);
                describe(&response, cut) + &format!("{:?}", response.refusal())
            }
        };
        assert_eq!(handshake.poll_timeout(), None);
        assert!(!matches!(handshake.receive(NOW, bytes), client::Progress::Incomplete), "it forgets its answer");
        return result;
    }
    assert!(handshake.poll_timeout().is_some());
    "incomplete".into()
}

fn describe(response: &client::Response<'_>, arrived: usize) -> String {
    assert!(response.head_len() <= arrived);
    let mut text = format!(
        "{} {} {:?} {:?} {:?} {}",
        response.status(),
        response.head_len(),
        response.location(),
        response.retry_after(),
        response.content_length(),
        response.extensions().count(),
    );
    for (name, value) in response.headers() {
        text += &format!("\n{name}: {value:?}");
    }
    text
}

/// A request that can be written is understood as it was meant, and the answer to it as well.
fn whole(input: &mut Input<'_>, seed: u16) {
    let strings: [&str; 6] = std::array::from_fn(|_| std::str::from_utf8(input.counted()).unwrap_or_default());
    let [host, target, subprotocol, origin, name, value] = strings;
    let subprotocols = [subprotocol, "superchat"];
    let extra = [(name, value)];
    // Other characters may be written, but no server can know what they mean in a header that decides.
    if !origin.is_ascii() || !value.is_ascii() {
        return;
    }
    let mut request = client::Request::new(host, seed, target, NONCE);
    request.subprotocols = if subprotocol.is_empty() { &[] } else { &subprotocols };
    request.origin = Some(origin).filter(|origin| !origin.is_empty());
    request.extra = if name.is_empty() { &[] } else { &extra };

    let mut out = [0; 4096];
    let Ok(len) = request.write(&mut out) else { return };
    let mut handshake = server::Handshake::new(NOW, &Limits::DEFAULT);
    let Asked::Complete(asked) = handshake.receive(NOW, &out[..len]) else { panic!("a request is not understood") };
    assert_eq!((asked.target(), asked.head_len(), asked.is_upgrade()), (target, len, true));
    let spoken = ["superchat", "chat"];
    let options = Options { subprotocols: &spoken, origin: OriginPolicy::Any, ..Options::default() };
    let accepted = match asked.accept(&options) {
        Ok(accepted) => accepted,
        Err(refusal) => panic!("{refusal:?} {:?}", String::from_utf8_lossy(&out[..len])),
    };

    let mut answer = [0; 1024];
    let len = accepted.write_response(&[], &mut answer).expect("it fits");
    let mut handshake = client::Handshake::new(NOW, &request, &Limits::DEFAULT);
    let client::Progress::Complete(response) = handshake.receive(NOW, &answer[..len]) else { panic!("not taken") };
    assert_eq!(response.subprotocol(), accepted.subprotocol());
    assert_eq!(response.head_len(), len);
}
