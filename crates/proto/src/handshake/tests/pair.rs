//! Our client against our server.

use super::std::vec::Vec;
use super::*;
use crate::handshake::client;

#[test]
fn s4_client_and_server_agree() {
    let offer = client::Request {
        subprotocols: &["one", "two"],
        origin: Some("http://192.168.4.1:9001"),
        secure: true,
        ..client::Request::new("192.168.4.1", 9001, "/counter?x", *NONCE)
    };
    let mut out = [0; 512];
    let len = offer.write(&mut out).unwrap();
    let options = Options { subprotocols: &["two"], ..Options::default() };
    let mut answer = [0; 512];
    let answer_len = serve(&out[..len], &options).unwrap().write_response(&[("Server", "x")], &mut answer).unwrap();
    let mut handshake = client::Handshake::new(Instant::ZERO, &offer, &Limits::DEFAULT);
    let client::Progress::Complete(response) = handshake.receive(Instant::ZERO, &answer[..answer_len]) else {
        panic!("the answer is accepted")
    };
    assert_eq!(response.subprotocol(), Some("two"));
    assert_eq!(response.head_len(), answer_len);
}

#[test]
fn s4_client_understands_every_refusal() {
    let offer = client::Request::new("a", 80, "/", *NONCE);
    for refusal in [Refusal::Malformed, Refusal::UnsupportedVersion, server::Rejection::unavailable(30).into()] {
        let mut out = [0; 512];
        let len = refusal.write_response("why", &[], &mut out).unwrap();
        let mut handshake = client::Handshake::new(Instant::ZERO, &offer, &Limits::DEFAULT);
        let client::Progress::Refused(response) = handshake.receive(Instant::ZERO, &out[..len]) else {
            panic!("the client is refused")
        };
        assert_eq!(response.status(), refusal.status());
        assert_eq!(response.content_length(), Some(3));
        assert_eq!(&out[response.head_len()..len], b"why");
    }
}

#[test]
fn headers_for_a_library_are_those_of_the_written_answer() {
    let bytes = request(&VALID);
    let accepted = serve(&bytes, &Options::default()).unwrap();
    let headers: Vec<_> = accepted.headers().collect();
    assert_eq!(headers, [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", ACCEPT)]);
}
