//! What a client makes of answers.

use super::std::string::{String, ToString};
use super::std::vec::Vec;
use super::std::{format, vec};
use super::{ACCEPT, NONCE};
use crate::handshake::Limits;
use crate::handshake::client::{Error, Handshake, Offered, Progress, Request, Violation};
use crate::time::Instant;

const VALID: [(&str, &str); 3] =
    [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", ACCEPT)];

fn offer() -> Request<'static> {
    Request { subprotocols: &["a", "b"], ..Request::new("example.com", 80, "/", *NONCE) }
}

fn handshake() -> Handshake<'static> {
    Handshake::new(Instant::ZERO, &offer(), &Limits::DEFAULT)
}

/// The violation in an answer that has the valid headers, with those of one name replaced.
fn violation(without: &str, added: &[(&str, &str)]) -> Option<Violation> {
    let headers: Vec<_> = VALID.into_iter().filter(|(name, _)| *name != without).chain(added.iter().copied()).collect();
    violation_in(&mut handshake(), &super::head("HTTP/1.1 101 Switching Protocols", &headers))
}

fn violation_in(handshake: &mut Handshake<'_>, bytes: &[u8]) -> Option<Violation> {
    match handshake.receive(Instant::ZERO, bytes) {
        Progress::Complete(_) => None,
        Progress::Failed(Error::Violation(violation)) => Some(violation),
        other => panic!("{other:?}"),
    }
}

/// The decision as text and the length of the prefix that decides, when bytes come one by one.
fn bytewise(bytes: &[u8]) -> (usize, String) {
    let mut handshake = handshake();
    for end in 0..=bytes.len() {
        let progress = handshake.receive(Instant::ZERO, &bytes[..end]);
        if !matches!(progress, Progress::Incomplete) {
            return (end, format!("{progress:?}"));
        }
    }
    (usize::MAX, "Incomplete".to_string())
}

#[test]
fn s1_3_the_example_of_the_rfc() {
    let head = super::head(
        "HTTP/1.1 101 Switching Protocols",
        &[VALID[0], VALID[1], VALID[2], ("Sec-WebSocket-Protocol", "b"), ("X-Extra", "c")],
    );
    let bytes = [&head[..], b"\x81\x00"].concat();
    let Progress::Complete(response) = handshake().receive(Instant::ZERO, &bytes) else { panic!("complete") };
    assert_eq!((response.status(), response.head_len()), (101, head.len()));
    assert_eq!(response.subprotocol(), Some("b"));
    assert_eq!(response.header("x-extra"), Some(&b"c"[..]));
    assert_eq!(response.headers().count(), 5);
    assert_eq!(response.extensions().count(), 0);
}

#[test]
fn s4_1_upgrade_has_to_be_websocket_and_nothing_else() {
    assert_eq!(violation("Upgrade", &[("upgrade", "WebSocket")]), None);
    for added in [&[][..], &[("Upgrade", "h2c")], &[("Upgrade", "websocket, h2c")], &[("Upgrade", "")]] {
        assert_eq!(violation("Upgrade", added), Some(Violation::Upgrade));
    }
}

#[test]
fn s4_1_connection_has_to_name_upgrade() {
    assert_eq!(violation("Connection", &[("connection", "keep-alive, upgrade")]), None);
    for added in [&[][..], &[("Connection", "close")]] {
        assert_eq!(violation("Connection", added), Some(Violation::Connection));
    }
}

#[test]
fn s4_1_accept_has_to_fit_our_key() {
    let lowercase = ACCEPT.to_ascii_lowercase();
    for added in [
        &[][..],
        &[("Sec-WebSocket-Accept", "")],
        &[("Sec-WebSocket-Accept", "dGhlIHNhbXBsZSBub25jZQ==")],
        &[("Sec-WebSocket-Accept", &lowercase)],
        &[("Sec-WebSocket-Accept", &ACCEPT[..27])],
    ] {
        assert_eq!(violation("Sec-WebSocket-Accept", added), Some(Violation::Accept));
    }
}

#[test]
fn s11_3_3_second_accept_is_a_violation() {
    assert_eq!(violation("", &[("Sec-WebSocket-Accept", ACCEPT)]), Some(Violation::Accept));
}

#[test]
fn s4_1_subprotocol_has_to_be_one_of_ours() {
    assert_eq!(violation("", &[("Sec-WebSocket-Protocol", "a")]), None);
    for value in ["c", "A", "a, b", ""] {
        assert_eq!(violation("", &[("Sec-WebSocket-Protocol", value)]), Some(Violation::SubprotocolNotOffered));
    }
}

#[test]
fn s11_3_4_second_subprotocol_is_a_violation() {
    let added = [("Sec-WebSocket-Protocol", "a"), ("Sec-WebSocket-Protocol", "a")];
    assert_eq!(violation("", &added), Some(Violation::DuplicateSubprotocol));
}

#[test]
fn s4_1_extension_that_was_not_offered_is_a_violation() {
    assert_eq!(violation("", &[("Sec-WebSocket-Extensions", "foo")]), Some(Violation::ExtensionNotOffered));
    let offered = Offered { deflate: None, others: Some("foo; x, bar") };
    let request = Request { extensions: Some(&offered), ..offer() };
    let answer =
        |value| super::head("HTTP/1.1 101 OK", &[VALID[0], VALID[1], VALID[2], ("Sec-WebSocket-Extensions", value)]);
    let violation =
        |value| violation_in(&mut Handshake::new(Instant::ZERO, &request, &Limits::DEFAULT), &answer(value));
    assert_eq!(violation("bar; y=1, foo"), None);
    assert_eq!(violation("foo, baz"), Some(Violation::ExtensionNotOffered));
}

#[test]
fn s9_1_malformed_extensions_are_a_violation() {
    let request = Request { extensions: Some(&Offered { deflate: None, others: Some("foo") }), ..offer() };
    for value in ["foo;", ""] {
        let answer =
            super::head("HTTP/1.1 101 OK", &[VALID[0], VALID[1], VALID[2], ("Sec-WebSocket-Extensions", value)]);
        let mut handshake = Handshake::new(Instant::ZERO, &request, &Limits::DEFAULT);
        assert_eq!(violation_in(&mut handshake, &answer), Some(Violation::MalformedExtensions));
        // Where nothing was offered, whatever it says is not what was offered.
        assert_eq!(violation("", &[("Sec-WebSocket-Extensions", value)]), Some(Violation::ExtensionNotOffered));
    }
}

#[test]
fn s4_1_101_in_http_1_0_is_a_violation() {
    let bytes = super::head("HTTP/1.0 101 Switching Protocols", &VALID);
    assert_eq!(violation_in(&mut handshake(), &bytes), Some(Violation::HttpVersion));
}

#[test]
fn http_2_6_other_major_version_is_a_violation() {
    assert_eq!(violation_in(&mut handshake(), b"HTTP/2.0 101 OK\r\n"), Some(Violation::HttpVersion));
}

#[test]
fn http_3_1_2_malformed_status_lines_are_violations() {
    for line in ["HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 10", "HTTP/1.1 1012", "HTTP/1.1 099 X", "HTTP/1.1  101 X", "HTTP/x"]
    {
        assert_eq!(violation_in(&mut handshake(), &super::head(line, &VALID)), Some(Violation::Malformed), "{line}");
    }
}

#[test]
fn http_3_1_2_reason_may_be_anything_or_missing() {
    for line in ["HTTP/1.1 101", "HTTP/1.1 101 ", "HTTP/1.1 101 Web Socket Protocol Handshake"] {
        assert_eq!(violation_in(&mut handshake(), &super::head(line, &VALID)), None, "{line}");
    }
}

#[test]
fn http_3_2_malformed_headers_are_violations() {
    for lines in ["Upgrade : websocket", "Upgrade", "X: a\0"] {
        let bytes = format!("HTTP/1.1 101 OK\r\n{lines}\r\n\r\n");
        assert_eq!(violation_in(&mut handshake(), bytes.as_bytes()), Some(Violation::Malformed), "{lines}");
    }
}

#[test]
fn other_protocols_show_at_their_first_byte() {
    assert_eq!(violation_in(&mut handshake(), b"\x15"), Some(Violation::NotHttp));
    assert_eq!(violation_in(&mut handshake(), b"SSH-2.0"), Some(Violation::NotHttp));
    assert_eq!(violation_in(&mut handshake(), b"HTTP/1.1 100 Continue\r\n\r\nS"), Some(Violation::NotHttp));
}

#[test]
fn s4_1_other_status_is_a_refusal_that_says_when_and_where_to() {
    let bytes = super::head(
        "HTTP/1.1 503 Service Unavailable",
        &[("Retry-After", "120"), ("Location", "https://other.example/"), ("Content-Length", "4")],
    );
    let bytes = [&bytes[..], b"busy"].concat();
    let Progress::Refused(response) = handshake().receive(Instant::ZERO, &bytes) else { panic!("refused") };
    assert_eq!(response.refusal(), Error::Refused { status: 503, retry_after: Some(120) });
    assert_eq!(response.location(), Some("https://other.example/"));
    assert_eq!(response.content_length(), Some(4));
    assert_eq!(&bytes[response.head_len()..], b"busy");
}

#[test]
fn http_1_0_refusal_is_understood() {
    let progress_of = handshake().receive(Instant::ZERO, b"HTTP/1.0 404 Not Found\r\n\r\n");
    assert!(matches!(progress_of, Progress::Refused(response) if response.status() == 404));
}

#[test]
fn http_retry_after_is_read_as_seconds_only() {
    for (value, expected) in [
        ("0", Some(0)),
        ("99999999999", Some(u32::MAX)),
        ("Fri, 31 Dec 1999 23:59:59 GMT", None),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("", None),
    ] {
        let bytes = super::head("HTTP/1.1 429 X", &[("retry-after", value)]);
        let Progress::Refused(response) = handshake().receive(Instant::ZERO, &bytes) else { panic!("refused") };
        assert_eq!(response.retry_after(), expected, "{value}");
    }
}

#[test]
fn http_6_2_interim_answers_are_skipped() {
    let last = super::head("HTTP/1.1 101 OK", &VALID);
    let bytes = [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", &last[..]].concat();
    let Progress::Complete(response) = handshake().receive(Instant::ZERO, &bytes) else { panic!("complete") };
    assert_eq!(response.head_len(), bytes.len());
    assert_eq!(response.headers().count(), 3);
}

#[test]
fn head_limits_hold() {
    let limits = Limits::DEFAULT.with_max_head(128).unwrap().with_max_headers(8).unwrap();
    let handshake = || Handshake::new(Instant::ZERO, &offer(), &limits);
    let long = format!("HTTP/1.1 101 {}", "x".repeat(115));
    assert_eq!(violation_in(&mut handshake(), long.as_bytes()), Some(Violation::HeadTooLarge));
    let many = super::head("HTTP/1.1 101 OK", &vec![("X", "y"); 9]);
    assert_eq!(violation_in(&mut handshake(), &many), Some(Violation::TooManyHeaders));
}

#[test]
fn silent_server_times_out() {
    let mut handshake = handshake();
    let deadline = Instant::from_millis(10_000);
    assert_eq!(handshake.poll_timeout(), Some(deadline));
    assert_eq!(handshake.handle_timeout(Instant::from_millis(9_999)), None);
    assert_eq!(handshake.handle_timeout(deadline), Some(Error::TimedOut));
    assert_eq!(handshake.poll_timeout(), None);
    assert!(matches!(handshake.receive(deadline, b"HTTP/"), Progress::Failed(Error::TimedOut)));
}

#[test]
fn trickling_server_times_out() {
    let progress = handshake().receive(Instant::from_millis(10_000), b"HTTP/1.1 1");
    assert!(matches!(progress, Progress::Failed(Error::TimedOut)));
}

#[test]
fn every_decision_is_the_same_however_the_bytes_are_cut() {
    let valid = super::head("HTTP/1.1 101 Switching Protocols", &VALID);
    for bytes in [
        [&valid[..], b"\x81\x02hi"].concat(),
        [b"HTTP/1.1 100 Continue\r\n\r\n", &valid[..]].concat(),
        super::head("HTTP/1.1 302 Found", &[("Location", "/x")]),
        super::head("HTTP/2.0 101 OK", &VALID),
        super::head("HTTP/1.1 101 OK", &[("Bad Name", "x")]),
        b"HTTP/1.1 101 OK\nUpgrade: websocket\n\n".to_vec(),
        b"HTTQ".to_vec(),
    ] {
        let (decided_at, expected) = bytewise(&bytes);
        for cut in 0..=bytes.len() {
            let mut handshake = handshake();
            let first = handshake.receive(Instant::ZERO, &bytes[..cut]);
            assert_eq!(matches!(first, Progress::Incomplete), cut < decided_at, "cut at {cut}");
            assert_eq!(format!("{:?}", handshake.receive(Instant::ZERO, &bytes)), expected, "cut at {cut}");
        }
    }
}

#[test]
fn errors_explain_themselves() {
    let error = Error::Refused { status: 503, retry_after: Some(5) };
    assert_eq!(error.to_string(), "the server answered with HTTP status 503: try again in 5 s");
    assert_eq!(Error::from(Violation::Accept).to_string(), "the server's Sec-WebSocket-Accept does not fit our key");
}
