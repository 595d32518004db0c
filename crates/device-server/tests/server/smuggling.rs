//! Requests that two programs could read in two ways: what one takes for a body is another request for the other.

use tautline_device_server::Settings;

use crate::program::Program;
use crate::support::{Bed, settings};

/// What is hidden behind each of the requests.
const HIDDEN: &str = "GET /state HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn requests_that_can_be_read_in_two_ways_are_refused_and_nothing_behind_them_is_read() {
    for lines in [
        // RFC 9112 section 6.3, 3: both of them.
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        // Section 6.3, 5: several lengths, equal or not, or what is not a number.
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: 4\r\nContent-Length: 4\r\n",
        "Content-Length: 4, 4\r\n",
        "Content-Length: +4\r\n",
        "Content-Length: -4\r\n",
        "Content-Length: 0x4\r\n",
        "Content-Length: 4 4\r\n",
        "Content-Length: 4;\r\n",
        "Content-Length: \r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: 99999999999999999999999999\r\n",
        "Content-Length: \u{664}\r\n",
        // Section 6.1: codings that are not understood by everybody.
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding: , chunked\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Transfer-Encoding: \r\n",
        // Section 5.1: white space before the colon, 5.2: folded lines.
        "Content-Length : 4\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "A: b\r\n\tContent-Length: 4\r\n",
        " Content-Length: 4\r\n",
        // Section 2.2: LF or CR alone.
        "A: b\nContent-Length: 4\r\n",
        "A: b\rContent-Length: 4\r\n",
        "Content-Length: 4\n",
        "A: b\r\r\nContent-Length: 4\r\n",
        // No name, or no colon, and the byte that ends strings.
        ": 4\r\n",
        "Content-Length\r\n",
        "Content-Length: 4\0\r\n",
        "Content\0-Length: 4\r\n",
    ] {
        for end in ["\r\n", "\n"] {
            let mut bed = Bed::new(settings(Settings::new()), Program::default());
            let client = bed.connect();
            let request = format!("POST /any HTTP/1.1\r\nHost: a\r\n{lines}{end}0\r\n\r\n{HIDDEN}");
            let answer = bed.exchange(&client, request.as_bytes());
            assert!(answer.starts_with("HTTP/1.1 400 "), "{lines:?}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{lines:?}: {answer}");
            assert!(client.is_ended(), "{lines:?}");
            assert_eq!(bed.with(|program, _| program.told.len()), 0, "{lines:?}");
        }
    }
}

#[test]
fn rfc9112_6_1_http_1_0_has_no_codings() {
    let mut bed = Bed::new(settings(Settings::new()), Program::default());
    let request = format!("POST /any HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}");
    assert!(bed.ask(request.as_bytes()).starts_with("HTTP/1.1 400 "));
}

#[test]
fn rfc9112_2_2_a_lone_line_feed_ends_no_line() {
    for request in
        ["GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\nHost: a\r\n\n", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"]
    {
        let mut bed = Bed::new(settings(Settings::new()), Program::default());
        assert!(bed.ask(request.as_bytes()).starts_with("HTTP/1.1 400 "), "{request:?}");
    }
}

#[test]
fn a_websocket_request_with_a_body_is_refused() {
    for body in ["Content-Length: 4", "Transfer-Encoding: chunked"] {
        let mut bed = Bed::new(settings(Settings::new()), Program::default());
        let request = format!(
            "GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{body}\r\n\r\n"
        );
        assert!(bed.ask(request.as_bytes()).starts_with("HTTP/1.1 400 "), "{body}");
    }
}
