//! Pages, bodies, limits and errors of HTTP.

use std::time::Duration;

use tautline_device_server::Settings;

use crate::program::Program;
use crate::support::{Bed, IN, SECOND, settings};

fn bed() -> Bed<Program> {
    Bed::new(settings(Settings::new()), Program::default())
}

/// The answer to one request in the default server, its status and its body.
fn ask(request: &str) -> (u16, String, String) {
    parts(&bed().ask(request.as_bytes()))
}

fn parts(answer: &str) -> (u16, String, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|digits| digits.parse().ok());
    (status.unwrap_or_else(|| panic!("no status: {head}")), head.to_ascii_lowercase(), body.to_owned())
}

#[test]
fn a_page_is_sent_with_its_type_length_and_tag() {
    let (status, head, body) = ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((status, body.as_str()), (200, "<!doctype html><p>Hello"));
    for line in ["content-type: text/html; charset=utf-8", "content-length: 23", "etag: \"v1\""] {
        assert!(head.contains(line), "{head}");
    }
}

#[test]
fn a_page_larger_than_the_queue_arrives_whole() {
    let (status, head, body) = ask("GET /large?x=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((status, body.len()), (200, 5000));
    assert!(head.contains("content-length: 5000"));
}

#[test]
fn rfc9110_9_3_2_head_gets_the_headers_alone() {
    for path in ["/", "/state", "/nothing"] {
        let (get, head, page) = ask(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(ask(&format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n")), (get, head, String::new()));
        assert!(!page.is_empty());
    }
}

#[test]
fn rfc9110_13_1_2_a_page_that_the_client_has_is_not_sent_again() {
    let (status, head, body) = ask("GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: W/\"v0\", \"v1\"\r\n\r\n");
    assert_eq!((status, body.as_str()), (304, ""));
    assert!(head.contains("etag: \"v1\"") && !head.contains("content-length"));
    assert_eq!(ask("GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"v2\"\r\n\r\n").0, 200);
}

#[test]
fn rfc9110_15_5_6_methods_that_a_path_does_not_take_are_named() {
    let (status, head, _) = ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(status, 405);
    assert!(head.contains("allow: get, head"));
    let (status, head, body) = ask("GET /json HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((status, body.as_str()), (405, "Method Not Allowed"));
    assert!(head.contains("allow: post"));
}

#[test]
fn an_answer_may_have_no_body() {
    let (status, head, body) = ask("DELETE /state HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((status, body.as_str()), (204, ""));
    assert!(!head.contains("content-length"));
}

#[test]
fn an_answer_may_have_headers_of_the_programs_but_not_smuggle_any() {
    let (status, head, _) = ask("GET /moved HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(status, 303);
    assert!(head.contains("\r\nlocation: /\r\n") && head.contains("\r\ncontent-length: 0"), "{head}");
    let (status, head, _) = ask("GET /injected HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(status, 500);
    assert!(!head.contains("a: b"), "{head}");
}

#[test]
fn rfc9110_9_3_2_head_gets_no_body_even_if_it_sends_one() {
    let (status, head, body) = ask("HEAD /body HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!((status, body.as_str()), (200, ""));
    assert!(head.contains("content-length: 2"));
}

#[test]
fn an_answer_that_does_not_fit_the_queue_is_an_error_and_not_a_part() {
    let (status, head, body) = ask("GET /too/large HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((status, body.as_str()), (500, "Internal Server Error"));
    assert!(head.contains("connection: close"));
}

#[test]
fn errors_have_the_right_status_and_a_short_text() {
    let host = "Host: a\r\n";
    let long = format!("GET /{} HTTP/1.1\r\n{host}\r\n", "x".repeat(2 * IN));
    let many = format!("GET / HTTP/1.1\r\n{host}{}\r\n", "A: b\r\n".repeat(65));
    for (request, status) in [
        (format!("GET /nothing HTTP/1.1\r\n{host}\r\n"), 404),
        (format!("BREW / HTTP/1.1\r\n{host}\r\n"), 501),
        (format!("TRACE / HTTP/1.1\r\n{host}\r\n"), 501),
        (format!("CONNECT a:80 HTTP/1.1\r\n{host}\r\n"), 501),
        (format!("get / HTTP/1.1\r\n{host}\r\n"), 501),
        (format!("GET / HTTP/2.0\r\n{host}\r\n"), 505),
        (format!("GET a HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET http://[/ HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET /#a HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET * HTTP/1.1\r\n{host}\r\n"), 400),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        (format!("GET / HTTP/1.1\r\n{host}{host}\r\n"), 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(), 400),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n".to_owned(), 400),
        (many, 431),
        (format!("GET / HTTP/1.1\r\n{host}A: {}\r\n\r\n", "x".repeat(IN)), 431),
        (format!("POST /json HTTP/1.1\r\n{host}Content-Type: application/json\r\n\r\n"), 411),
        (format!("POST /json HTTP/1.1\r\n{host}Content-Length: 2\r\n\r\n{{}}"), 415),
        (format!("POST /json HTTP/1.1\r\n{host}Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{{}}"), 415),
        (format!("POST /any HTTP/1.1\r\n{host}Content-Length: 65\r\n\r\n"), 413),
        (format!("POST /any HTTP/1.1\r\n{host}Content-Length: 18446744073709551615\r\n\r\n"), 413),
        (format!("POST /any HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n41\r\n"), 413),
        (format!("POST /any HTTP/1.1\r\n{host}Content-Length: 1\r\nExpect: 200-ok\r\n\r\nx"), 417),
        (format!("POST /any HTTP/1.1\r\n{host}Transfer-Encoding: gzip, chunked\r\n\r\n"), 501),
    ] {
        let (found, head, body) = ask(&request);
        assert_eq!(found, status, "{request}");
        assert!(!body.is_empty() && head.contains("content-type: text/plain"), "{request}: {head}");
    }
    // The head's buffer is smaller than what the target may have, so here the head is what is too large.
    assert_eq!(ask(&long).0, 431);
}

#[test]
fn rfc9110_15_5_15_a_target_beyond_its_limit_is_refused() {
    let limits = tautline_proto::handshake::Limits::DEFAULT.with_max_target(20).expect("a limit");
    let mut bed = Bed::new(settings(Settings::new().limits(limits)), Program::default());
    let answer = bed.ask(b"GET /123456789012345678901234 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(parts(&answer).0, 414);
}

#[test]
fn options_of_the_whole_server_is_a_request_like_another() {
    assert_eq!(ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").0, 404);
}

#[test]
fn rfc9112_3_2_2_a_whole_url_is_taken_for_its_path() {
    assert_eq!(ask("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n").0, 200);
}

#[test]
fn json_is_taken_by_length_and_in_chunks_however_it_is_cut() {
    let length = "POST /json HTTP/1.1\r\nHost: a\r\nContent-Type: application/json; charset=utf-8\r\n\
                  Content-Length: 13\r\n\r\n{\"led\": true}";
    let chunked = "POST /json HTTP/1.1\r\nHost: a\r\nContent-Type: Application/Senml+JSON\r\n\
                   Transfer-Encoding: Chunked\r\n\r\n5\r\n{\"led\r\n8;x=y\r\n\": true}\r\n0\r\nA: b\r\n\r\n";
    for request in [length, chunked] {
        for chunk in 1..=request.len() {
            let mut bed = bed();
            bed.chunk(chunk);
            let (status, head, body) = parts(&bed.ask(request.as_bytes()));
            assert_eq!((status, body.as_str()), (200, "{\"led\": true}"), "in pieces of {chunk}");
            assert!(head.contains("content-type: application/json"));
            assert_eq!(bed.with(|program, _| program.told.clone())[1..], ["body {\"led\": true}"]);
        }
    }
}

#[test]
fn an_empty_body_is_a_body() {
    let (status, _, body) = ask("PUT /any HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((status, body.as_str()), (200, ""));
}

#[test]
fn rfc9110_10_1_1_a_client_that_expects_it_is_told_to_go_on() {
    let mut bed = bed();
    let client = bed.connect();
    let head = b"POST /any HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n";
    assert_eq!(bed.exchange(&client, head), "HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(parts(&bed.exchange(&client, b"abc")).2, "abc");
    // Whose body is here already is not.
    let together = [&head[..], b"abc"].concat();
    assert_eq!(parts(&bed.exchange(&client, &together)).0, 200);
    // And whose body is not wanted gets its answer at once.
    let head = b"POST /any HTTP/1.1\r\nHost: a\r\nContent-Length: 300\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(parts(&bed.exchange(&client, head)).0, 413);
    assert!(client.is_ended());
}

#[test]
fn a_connection_serves_request_after_request() {
    let mut bed = bed();
    let client = bed.connect();
    for _ in 0..3 {
        let (status, head, _) = parts(&bed.exchange(&client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(status, 200);
        assert!(!head.contains("connection: close"));
        bed.pass(SECOND);
        assert!(!client.is_ended());
    }
    bed.pass(5 * SECOND);
    assert!(client.is_ended());
    assert_eq!(client.received_text(), "");
}

#[test]
fn rfc9112_9_3_2_requests_may_follow_without_waiting_for_answers() {
    let mut bed = bed();
    let client = bed.connect();
    let post = "POST /any HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok";
    let all = format!("GET /state HTTP/1.1\r\nHost: a\r\n\r\n{post}GET /large HTTP/1.1\r\nHost: a\r\n\r\n\r\n{post}");
    let answers = bed.exchange(&client, all.as_bytes());
    let bodies: Vec<&str> = answers
        .split("HTTP/1.1 200 OK\r\n")
        .skip(1)
        .map(|answer| &answer[answer.find("\r\n\r\n").unwrap() + 4..])
        .collect();
    assert_eq!(bodies, [r#"{"led": true}"#, "ok", "x".repeat(5000).as_str(), "ok"]);
}

#[test]
fn a_connection_ends_when_the_client_says_so_and_with_http_1_0() {
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ] {
        let mut bed = bed();
        let client = bed.connect();
        let (status, head, _) = parts(&bed.exchange(&client, request.as_bytes()));
        assert_eq!(status, 200);
        assert!(head.contains("connection: close"));
        assert!(client.is_ended(), "{request}");
    }
}

/// What was said last would be lost in the reset of a connection that is closed with unread input.
#[test]
fn a_connection_that_is_ended_is_read_until_its_end() {
    let mut bed = bed();
    let client = bed.connect();
    let answer = bed.exchange(&client, b"POST /any HTTP/1.1\r\nHost: a\r\nContent-Length: 300\r\n\r\n");
    assert_eq!(parts(&answer).0, 413);
    client.send(&[b'x'; 300]);
    bed.settle();
    assert!(client.is_ended() && !client.is_dropped());
    assert_eq!(client.unread(), 0);
    client.finish();
    bed.settle();
    assert!(client.is_dropped());
    // Not for ever.
    let client = bed.connect();
    bed.exchange(&client, b"x\r\n\r\n");
    bed.pass(2 * SECOND);
    assert!(client.is_dropped());
}

#[test]
fn a_body_that_nobody_takes_is_not_the_next_request() {
    let mut bed = bed();
    let client = bed.connect();
    let smuggled = "GET /state HTTP/1.1\r\nHost: a\r\n\r\n";
    let request = format!("POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{smuggled}", smuggled.len());
    let answer = bed.exchange(&client, request.as_bytes());
    assert_eq!(answer.matches("HTTP/1.1").count(), 1);
    assert!(client.is_ended());
}

#[test]
fn a_head_that_trickles_in_has_its_deadline() {
    let mut bed = bed();
    let client = bed.connect();
    for byte in b"GET / HTTP".chunks(1) {
        client.send(byte);
        bed.pass(SECOND - Duration::from_millis(1));
    }
    assert_eq!(client.received_text(), "");
    bed.pass(SECOND);
    assert_eq!(parts(&client.received_text()).0, 408);
    assert!(client.is_ended());
}

#[test]
fn a_connection_that_says_nothing_is_ended_without_an_answer() {
    let mut bed = bed();
    let client = bed.connect();
    bed.pass(9 * SECOND);
    assert!(!client.is_ended());
    bed.pass(SECOND);
    assert!(client.is_ended());
    assert_eq!(client.received_text(), "");
}

#[test]
fn a_body_that_trickles_in_has_its_deadline() {
    for framing in ["Content-Length: 60", "Transfer-Encoding: chunked"] {
        let mut bed = bed();
        let client = bed.connect();
        client.send(format!("POST /any HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n").as_bytes());
        for byte in b"1;                  ".chunks(1) {
            client.send(byte);
            bed.pass(SECOND - Duration::from_millis(1));
        }
        assert_eq!(client.received_text(), "");
        bed.pass(SECOND);
        assert_eq!(parts(&client.received_text()).0, 408);
        assert!(client.is_ended());
        assert_eq!(bed.with(|program, _| program.told.last().cloned()).as_deref(), Some("aborted"));
    }
}

#[test]
fn an_answer_that_is_not_taken_has_its_deadline() {
    let mut bed = bed();
    let client = bed.connect();
    client.window(Some(100));
    assert_eq!(bed.exchange(&client, b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").len(), 100);
    for _ in 0..59 {
        client.window(Some(10));
        bed.pass(SECOND);
        assert!(!client.is_dropped());
    }
    bed.pass(SECOND);
    assert!(client.is_dropped());
}

#[test]
fn a_request_that_is_cut_at_any_byte_leaves_nothing_behind() {
    let request = b"POST /any HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let head = request.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    let mut bed = bed();
    for cut in 0..request.len() {
        for reset in [false, true] {
            let client = bed.connect();
            client.send(&request[..cut]);
            bed.settle();
            if reset {
                client.reset()
            } else {
                client.finish()
            }
            bed.pass(3 * SECOND);
            assert!(client.is_dropped(), "cut at {cut}");
            assert_eq!(client.received_text(), "");
        }
    }
    let told = bed.with(|program, _| std::mem::take(&mut program.told));
    assert_eq!(told.iter().filter(|told| *told == "aborted").count(), 2 * (request.len() - head));
    assert!(!told.iter().any(|told| told.starts_with("body")));
    // And all places are free.
    assert_eq!(parts(&bed.ask(request)).0, 200);
}
