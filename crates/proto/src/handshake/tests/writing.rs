//! The exact bytes that are written.

use super::std::format;
use super::std::string::{String, ToString};
use super::*;
use crate::handshake::client::{Offered, Request};
use crate::handshake::server::Rejection;
use crate::handshake::{ClientKey, WriteError};

fn write_101(added: &[(&str, &str)], spoken: &[&str], extra: &[(&str, &str)]) -> Result<String, WriteError> {
    let bytes = request(&valid_with("", added));
    let accepted = serve(&bytes, &Options { subprotocols: spoken, ..Options::default() }).unwrap();
    let mut out = [0; 512];
    let len = accepted.write_response(extra, &mut out)?;
    Ok(String::from_utf8(out[..len].to_vec()).unwrap())
}

fn write_refusal(refusal: Refusal, body: &str, extra: &[(&str, &str)]) -> Result<String, WriteError> {
    let mut out = [0; 512];
    let len = refusal.write_response(body, extra, &mut out)?;
    Ok(String::from_utf8(out[..len].to_vec()).unwrap())
}

fn write_request(request: &Request<'_>) -> Result<String, WriteError> {
    let mut out = [0; 512];
    let len = request.write(&mut out)?;
    Ok(String::from_utf8(out[..len].to_vec()).unwrap())
}

fn plain_request() -> Request<'static> {
    Request::new("example.com", 80, "/", *NONCE)
}

#[test]
fn s1_3_key_and_accept() {
    let key = ClientKey::new(NONCE);
    assert_eq!(key.as_str(), KEY);
    assert_eq!(ClientKey::parse(KEY), Some(key));
    assert_eq!(key.accept().as_str(), ACCEPT);
}

#[test]
fn s4_2_2_the_101_in_its_exact_bytes() {
    assert_eq!(
        write_101(&[], &[], &[]).unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
}

#[test]
fn s4_2_2_the_101_with_subprotocol_and_extra_headers() {
    assert_eq!(
        write_101(&[("Sec-WebSocket-Protocol", "a, b")], &["b"], &[("Server", "tautline"), ("X-Empty", "")]).unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: b\r\n\
         Server: tautline\r\nX-Empty: \r\n\r\n"
    );
}

#[test]
fn s4_2_2_extra_headers_cannot_override_the_handshake() {
    for name in ["upgrade", "Connection", "Sec-WebSocket-Accept", "sec-websocket-extensions", "Content-Length"] {
        assert_eq!(write_101(&[], &[], &[(name, "x")]), Err(WriteError::ReservedHeader), "{name}");
    }
}

#[test]
fn http_3_2_4_extra_headers_cannot_inject_lines() {
    for value in ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b"] {
        assert_eq!(write_101(&[], &[], &[("X", value)]), Err(WriteError::InvalidHeaderValue));
        assert_eq!(write_refusal(Refusal::BadKey, "", &[("X", value)]), Err(WriteError::InvalidHeaderValue));
        let request = Request { extra: &[("X", value)], ..plain_request() };
        assert_eq!(write_request(&request), Err(WriteError::InvalidHeaderValue));
    }
    for name in ["", "a b", "a:b", "a\r\nb", "\u{e4}"] {
        assert_eq!(write_101(&[], &[], &[(name, "x")]), Err(WriteError::InvalidHeaderName));
    }
}

#[test]
fn small_buffer_says_how_much_is_needed() {
    let bytes = request(&VALID);
    let accepted = serve(&bytes, &Options::default()).unwrap();
    let needed = accepted.write_response(&[], &mut [0; 512]).unwrap();
    for size in 0..needed {
        let mut out = [0; 512];
        assert_eq!(accepted.write_response(&[], &mut out[..size]), Err(WriteError::BufferTooSmall { needed }));
    }
    assert_eq!(accepted.write_response(&[], &mut [0; 512][..needed]), Ok(needed));
}

#[test]
fn refusal_in_its_exact_bytes() {
    assert_eq!(
        write_refusal(Refusal::MissingKey, "no key\n", &[]).unwrap(),
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: 7\r\n\r\nno key\n"
    );
}

#[test]
fn http_6_7_426_names_the_upgrade() {
    let text = write_refusal(Refusal::NotAnUpgrade, "", &[]).unwrap();
    assert!(text.starts_with(
        "HTTP/1.1 426 Upgrade Required\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\nContent-Type:"
    ));
    assert!(text.ends_with("Content-Length: 0\r\n\r\n"));
}

#[test]
fn s4_4_426_names_the_version() {
    assert!(write_refusal(Refusal::UnsupportedVersion, "", &[]).unwrap().contains("\r\nSec-WebSocket-Version: 13\r\n"));
}

#[test]
fn http_405_names_the_method_that_is_allowed() {
    assert!(write_refusal(Refusal::MethodNotAllowed, "", &[]).unwrap().contains("\r\nAllow: GET\r\n"));
}

#[test]
fn http_401_carries_its_challenge() {
    let refusal = Rejection::unauthorized("Basic realm=\"hub\"").into();
    let text = write_refusal(refusal, "", &[]).unwrap();
    assert!(text.starts_with("HTTP/1.1 401 Unauthorized\r\n"));
    assert!(text.contains("\r\nWWW-Authenticate: Basic realm=\"hub\"\r\n"));
}

#[test]
fn http_429_and_503_carry_retry_after_in_seconds() {
    let text = write_refusal(Rejection::unavailable(u32::MAX).into(), "", &[]).unwrap();
    assert!(text.starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
    assert!(text.contains("\r\nRetry-After: 4294967295\r\n"));
    let text = write_refusal(Rejection::too_many_requests(0).into(), "", &[]).unwrap();
    assert!(text.starts_with("HTTP/1.1 429 Too Many Requests\r\n"));
    assert!(text.contains("\r\nRetry-After: 0\r\n"));
}

#[test]
fn refusal_may_have_another_content_type_but_no_other_framing() {
    let text = write_refusal(Rejection::NOT_FOUND.into(), "{}", &[("content-type", "application/json")]).unwrap();
    assert!(text.contains("\r\ncontent-type: application/json\r\n"));
    assert!(!text.contains("text/plain"));
    assert_eq!(write_refusal(Refusal::BadKey, "", &[("content-length", "9")]), Err(WriteError::ReservedHeader));
}

#[test]
fn s4_1_the_request_in_its_exact_bytes() {
    let request = Request {
        port: 9001,
        subprotocols: &["chat", "superchat"],
        extensions: Some(&Offered { deflate: None, others: Some("permessage-deflate") }),
        origin: Some("http://example.com"),
        user_agent: Some("tautline/0.1"),
        authorization: Some("Bearer x"),
        extra: &[("Cookie", "a=b")],
        ..Request::new("server.example.com", 80, "/chat?x=1", *NONCE)
    };
    assert_eq!(
        write_request(&request).unwrap(),
        "GET /chat?x=1 HTTP/1.1\r\nHost: server.example.com:9001\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\
         Origin: http://example.com\r\nUser-Agent: tautline/0.1\r\nAuthorization: Bearer x\r\nCookie: a=b\r\n\r\n"
    );
}

#[test]
fn s4_1_host_names_the_port_unless_it_is_the_default_one() {
    let cases = [
        ("a", 80, false, "a"),
        ("a", 443, false, "a:443"),
        ("a", 443, true, "a"),
        ("a", 80, true, "a:80"),
        ("::1", 80, false, "[::1]"),
        ("[::1]", 9001, false, "[::1]:9001"),
        ("192.168.4.1", 8765, false, "192.168.4.1:8765"),
    ];
    for (host, port, secure, expected) in cases {
        let text = write_request(&Request { secure, ..Request::new(host, port, "/", *NONCE) }).unwrap();
        assert!(text.contains(&format!("\r\nHost: {expected}\r\n")), "{text}");
    }
}

#[test]
fn a_request_is_written_for_another_target_just_so() {
    let request = Request { port: 8000, ..plain_request() };
    let expected = write_request(&Request { target: "/chat?room=1", ..request }).unwrap();
    let mut out = [0; 512];
    let len = request.write_for("/chat?room=1", &mut out).unwrap();
    assert_eq!(&out[..len], expected.as_bytes());
    assert_eq!(request.write_for("chat", &mut out), Err(WriteError::InvalidTarget));
}

#[test]
fn s4_1_invalid_requests_are_not_written() {
    let request = plain_request();
    for host in ["", "a b", "a/b", "a:80", "a:", "[::1]:80", "a\r\nb", "u@h"] {
        assert_eq!(write_request(&Request { host, ..request }), Err(WriteError::InvalidHost), "{host}");
    }
    for target in ["", "chat", "/a b", "/a#b", "/\u{e4}", "/\r\n", "http://a/"] {
        assert_eq!(write_request(&Request { target, ..request }), Err(WriteError::InvalidTarget), "{target}");
    }
    for subprotocol in ["", "a b", "a,b", "a\r\n"] {
        let subprotocols = &[subprotocol];
        assert_eq!(write_request(&Request { subprotocols, ..request }), Err(WriteError::InvalidSubprotocol));
    }
    let request = Request { subprotocols: &["a", "b", "a"], ..request };
    assert_eq!(write_request(&request), Err(WriteError::DuplicateSubprotocol));
}

#[test]
fn s9_1_malformed_extension_offer_is_not_written() {
    for offer in ["", "a;", "a\r\nb", "a;b=\"c d\""] {
        let offered = Offered { deflate: None, others: Some(offer) };
        let request = Request { extensions: Some(&offered), ..plain_request() };
        assert_eq!(write_request(&request), Err(WriteError::InvalidExtensions), "{offer}");
    }
}

#[test]
fn s4_1_optional_fields_cannot_inject_lines() {
    let bad = Some("a\r\nb");
    let request = plain_request();
    for request in [
        Request { origin: bad, ..request },
        Request { user_agent: bad, ..request },
        Request { authorization: bad, ..request },
    ] {
        assert_eq!(write_request(&request), Err(WriteError::InvalidHeaderValue));
    }
}

#[test]
fn s4_1_extra_headers_cannot_override_or_repeat_the_request() {
    for name in ["Host", "upgrade", "Sec-WebSocket-Key", "Sec-WebSocket-Anything", "Transfer-Encoding"] {
        let request = Request { extra: &[(name, "x")], ..plain_request() };
        assert_eq!(write_request(&request), Err(WriteError::ReservedHeader), "{name}");
    }
    let request = Request { extra: &[("origin", "http://a")], ..plain_request() };
    assert!(write_request(&request).is_ok());
    let request = Request { origin: Some("http://b"), ..request };
    assert_eq!(write_request(&request), Err(WriteError::ReservedHeader));
}

#[test]
fn request_too_large_for_the_buffer_is_not_written() {
    let needed = plain_request().write(&mut [0; 512]).unwrap();
    assert_eq!(plain_request().write(&mut [0; 10]), Err(WriteError::BufferTooSmall { needed }));
}

#[test]
fn debug_output_holds_no_credentials() {
    let request = Request {
        authorization: Some("Bearer secret"),
        extra: &[("Cookie", "secret")],
        ..Request::new("a", 80, "/?token=secret", *NONCE)
    };
    assert!(!format!("{request:?}").contains("secret"));
    let bytes = super::request(&valid_with("", &[("Authorization", "secret")]));
    let progress = server::Handshake::new(Instant::ZERO, &Limits::DEFAULT).receive(Instant::ZERO, &bytes);
    assert!(!format!("{progress:?}").contains("secret"));
    assert_eq!(Refusal::from(Rejection::NOT_FOUND).to_string(), "Not Found");
}
