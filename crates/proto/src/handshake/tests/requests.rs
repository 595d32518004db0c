//! What a server makes of requests.

use super::std::string::{String, ToString};
use super::std::vec::Vec;
use super::std::{format, vec};
use super::*;
use crate::handshake::HttpVersion;
use crate::handshake::server::{MAX_SUBPROTOCOLS, OriginPolicy, Rejection};
use core::time::Duration;

fn refused(without: &str, added: &[(&str, &str)]) -> Refusal {
    serve_with(without, added).expect_err("the request is refused")
}

fn refused_bytes(bytes: &[u8]) -> Refusal {
    serve(bytes, &Options::default()).expect_err("the request is refused")
}

fn accepted(without: &str, added: &[(&str, &str)]) {
    serve_with(without, added).expect("the request is accepted");
}

fn subprotocol(offered: &[&str], spoken: &[&str]) -> Result<Option<String>, Refusal> {
    let added: Vec<_> = offered.iter().map(|value| ("Sec-WebSocket-Protocol", *value)).collect();
    let bytes = request(&valid_with("", &added));
    let options = Options { subprotocols: spoken, ..Options::default() };
    serve(&bytes, &options).map(|accepted| accepted.subprotocol().map(String::from))
}

#[test]
fn s1_3_the_example_of_the_rfc() {
    let bytes = b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
        Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let origins = ["http://example.com"];
    let options = Options { subprotocols: &["chat"], origin: OriginPolicy::List(&origins), ..Options::default() };
    let accepted = serve(bytes, &options).unwrap();
    assert_eq!(accepted.accept_key().as_str(), ACCEPT);
    assert_eq!(accepted.subprotocol(), Some("chat"));
    assert_eq!(accepted.origin(), Some("http://example.com"));
    assert_eq!(accepted.host(), "server.example.com");
    assert_eq!(accepted.extensions(), None);
}

#[test]
fn s4_2_1_a_request_shows_its_parts() {
    let bytes = head("GET /room/7?name=a%20b HTTP/1.1", &valid_with("", &[("X-Extra", "  spaced  ")]));
    let Progress::Complete(request) =
        server::Handshake::new(Instant::ZERO, &Limits::DEFAULT).receive(Instant::ZERO, &bytes)
    else {
        panic!("the head is complete")
    };
    assert_eq!((request.method(), request.target()), ("GET", "/room/7?name=a%20b"));
    assert_eq!((request.path(), request.query()), ("/room/7", Some("name=a%20b")));
    assert_eq!(request.version(), HttpVersion::HTTP_11);
    assert_eq!(request.header("x-extra"), Some(&b"spaced"[..]));
    assert_eq!(request.headers().count(), 6);
    assert_eq!(request.head_len(), bytes.len());
    assert!(request.is_upgrade());
}

#[test]
fn s4_2_1_method_other_than_get_is_405() {
    for method in ["POST", "HEAD", "get", "CONNECT"] {
        let refusal = refused_bytes(&head(&format!("{method} / HTTP/1.1"), &VALID));
        assert_eq!((refusal, refusal.status()), (Refusal::MethodNotAllowed, 405));
    }
}

#[test]
fn s4_2_1_http_1_0_is_505() {
    let refusal = refused_bytes(&head("GET / HTTP/1.0", &VALID));
    assert_eq!((refusal, refusal.status()), (Refusal::UnsupportedHttpVersion, 505));
}

#[test]
fn s4_2_1_http_1_0_can_still_be_served_a_page() {
    let bytes = b"GET / HTTP/1.0\r\n\r\n";
    let progress = server::Handshake::new(Instant::ZERO, &Limits::DEFAULT).receive(Instant::ZERO, bytes);
    assert!(matches!(progress, Progress::Complete(request) if request.version() == HttpVersion::HTTP_10));
}

#[test]
fn s4_2_1_http_1_2_is_accepted() {
    serve(&head("GET / HTTP/1.2", &VALID), &Options::default()).unwrap();
}

#[test]
fn http_2_6_other_major_version_is_505_before_the_head_ends() {
    for version in ["HTTP/2.0", "HTTP/0.9", "HTTP/3.0"] {
        let bytes = format!("GET / {version}\r\n");
        assert_eq!(refused_bytes(bytes.as_bytes()), Refusal::UnsupportedHttpVersion, "{version}");
    }
}

#[test]
fn s4_2_1_http_2_from_a_library_is_505() {
    let headers = VALID.iter().map(|(name, value)| (*name, value.as_bytes()));
    let version = HttpVersion { major: 2, minor: 0 };
    assert_eq!(
        server::validate("GET", version, "/", headers, &Options::default()),
        Err(Refusal::UnsupportedHttpVersion)
    );
}

#[test]
fn http_3_1_1_malformed_request_lines_are_400() {
    for line in [
        "GET /",
        "GET",
        " GET / HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / HTTP/11",
        "GET / HTTP/1.1.1",
        "GET / http/1.1",
        "GET /a b HTTP/1.1",
        "GET /\u{e4} HTTP/1.1",
        "GET /\t HTTP/1.1",
        "G{T / HTTP/1.1",
    ] {
        let refusal = refused_bytes(&head(line, &VALID));
        assert_eq!((refusal, refusal.status()), (Refusal::Malformed, 400), "{line}");
    }
}

#[test]
fn http_3_1_1_tls_on_a_plain_port_is_refused_at_its_first_byte() {
    assert_eq!(refused_bytes(&[0x16]), Refusal::Malformed);
}

#[test]
fn http_3_5_empty_lines_before_the_request_are_ignored() {
    let bytes = [b"\r\n\n".to_vec(), request(&VALID)].concat();
    serve(&bytes, &Options::default()).unwrap();
}

#[test]
fn http_3_5_bare_lf_is_a_line_end() {
    let bytes: Vec<u8> = request(&VALID).into_iter().filter(|&byte| byte != b'\r').collect();
    serve(&bytes, &Options::default()).unwrap();
}

#[test]
fn http_3_5_bare_cr_is_400() {
    assert_eq!(refused_bytes(b"GET / HTTP/1.1\rHost: a\r\n\r\n"), Refusal::Malformed);
    assert_eq!(refused_bytes(b"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n"), Refusal::Malformed);
}

#[test]
fn http_3_2_malformed_headers_are_400() {
    for lines in ["Host : a", "Host", ": a", " Host: a", "Host: a\r\n folded: b", "Ho st: a", "X: a\0b", "X: a\x7fb"] {
        let bytes = format!("GET / HTTP/1.1\r\n{lines}\r\n\r\n");
        let refusal = refused_bytes(bytes.as_bytes());
        assert_eq!((refusal, refusal.status()), (Refusal::Malformed, 400), "{lines}");
    }
}

#[test]
fn http_3_2_control_characters_are_refused_before_the_head_ends() {
    assert_eq!(refused_bytes(b"GET / HTTP/1.1\r\nX: \x01"), Refusal::Malformed);
    assert_eq!(refused_bytes(b"GET / HTTP/1.1\r\nX: a\rb"), Refusal::Malformed);
}

#[test]
fn http_3_2_other_headers_may_hold_any_encoding() {
    let mut bytes = request(&VALID);
    bytes.splice(bytes.len() - 2.., b"X-Name: \xfc\xff\r\n\r\n".iter().copied());
    serve(&bytes, &Options::default()).unwrap();
}

#[test]
fn http_5_3_target_forms() {
    for target in ["/", "/a?b", "http://server.example.com/chat", "WSS://server.example.com:443?x", "//double"] {
        serve(&head(&format!("GET {target} HTTP/1.1"), &VALID), &Options::default()).expect(target);
    }
    for target in ["*", "chat", "ftp://a/", "http:///path", "http://u@h/", "a:80"] {
        let refusal = refused_bytes(&head(&format!("GET {target} HTTP/1.1"), &VALID));
        assert_eq!((refusal, refusal.status()), (Refusal::BadTarget, 400), "{target}");
    }
}

#[test]
fn s3_fragment_in_the_target_is_400() {
    assert_eq!(refused_bytes(&head("GET /a#b HTTP/1.1", &VALID)), Refusal::BadTarget);
}

#[test]
fn s4_2_1_missing_host_is_400() {
    let refusal = refused("Host", &[]);
    assert_eq!((refusal, refusal.status()), (Refusal::MissingHost, 400));
}

#[test]
fn http_5_4_two_hosts_are_400() {
    assert_eq!(refused("", &[("Host", "server.example.com")]), Refusal::DuplicateHost);
}

#[test]
fn http_5_4_malformed_hosts_are_400() {
    for host in ["", "a b", "a/b", "a@b", "a:b", "a:99999", "a:+1", "[::1", "[a]", "[::1]x", ":80", "a,b", "a:1:2"] {
        let refusal = refused("Host", &[("Host", host)]);
        assert_eq!((refusal, refusal.status()), (Refusal::BadHost, 400), "{host}");
    }
}

#[test]
fn http_5_4_hosts_with_and_without_port() {
    for host in ["a", "a:", "a:80", "192.168.4.1:8765", "[::1]", "[fe80::1]:9001", "my_board.local"] {
        accepted("Host", &[("Host", host)]);
    }
}

#[test]
fn s4_2_1_upgrade_and_connection_may_stand_in_lists_and_lines_in_any_case() {
    accepted("Upgrade", &[("Upgrade", "h2c, WebSocket")]);
    accepted("Upgrade", &[("Upgrade", "h2c"), ("UPGRADE", "WEBSOCKET")]);
    accepted("Connection", &[("Connection", "keep-alive,, UPGRADE")]);
    accepted("Connection", &[("connection", "keep-alive"), ("connection", "upgrade")]);
}

#[test]
fn s4_2_1_without_upgrade_it_is_426_naming_websocket() {
    for added in [&[][..], &[("Upgrade", "h2c")], &[("Upgrade", "websockets")], &[("Upgrade", "web socket")]] {
        let refusal = refused("Upgrade", added);
        assert_eq!((refusal, refusal.status()), (Refusal::NotAnUpgrade, 426));
        assert!(refusal.headers().any(|header| (header.name(), header.value()) == ("Upgrade", "websocket")));
    }
}

#[test]
fn s4_2_1_without_connection_upgrade_it_is_426() {
    for added in [&[][..], &[("Connection", "keep-alive")], &[("Connection", "Upgraded")]] {
        let refusal = refused("Connection", added);
        assert_eq!((refusal, refusal.status()), (Refusal::ConnectionNotUpgrade, 426));
    }
}

#[test]
fn s4_2_1_a_page_request_is_no_upgrade() {
    let is_upgrade = |headers: &[(&str, &str)]| {
        let owned: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        server::is_upgrade(owned.iter().copied())
    };
    assert!(is_upgrade(&VALID));
    assert!(!is_upgrade(&[("Host", "a"), ("Connection", "keep-alive")]));
    assert!(!is_upgrade(&[("Upgrade", "websocket")]));
    assert!(!is_upgrade(&[("Upgrade", "h2c"), ("Connection", "Upgrade, HTTP2-Settings")]));
}

#[test]
fn http_3_2_requests_for_pages_keep_the_rules_of_target_and_host() {
    let check = |line: &str, headers: &[(&str, &str)]| {
        let bytes = head(line, headers);
        match server::Handshake::new(Instant::ZERO, &Limits::DEFAULT).receive(Instant::ZERO, &bytes) {
            Progress::Complete(request) => request.check_routing(),
            other => panic!("{line}: {other:?}"),
        }
    };
    let host = [("Host", "a:80")];
    for line in ["GET / HTTP/1.1", "POST /a?b HTTP/1.1", "GET http://[::1]:80/ HTTP/1.1", "OPTIONS * HTTP/1.1"] {
        assert_eq!(check(line, &host), Ok(()), "{line}");
    }
    for line in
        ["GET * HTTP/1.1", "GET a HTTP/1.1", "GET /#a HTTP/1.1", "CONNECT a:80 HTTP/1.1", "GET http://[/ HTTP/1.1"]
    {
        assert_eq!(check(line, &host), Err(Refusal::BadTarget), "{line}");
    }
    assert_eq!(check("GET / HTTP/1.1", &[]), Err(Refusal::MissingHost));
    assert_eq!(check("GET / HTTP/1.0", &[]), Ok(()));
    assert_eq!(check("GET / HTTP/1.1", &[("Host", "")]), Ok(()));
    assert_eq!(check("GET / HTTP/1.0", &[("Host", "a"), ("host", "a")]), Err(Refusal::DuplicateHost));
    assert_eq!(check("GET / HTTP/1.1", &[("Host", "a b")]), Err(Refusal::BadHost));
    assert_eq!(check("GET / HTTP/1.1", &[("Host", "\u{e9}")]), Err(Refusal::BadHeader));
}

#[test]
fn s4_2_1_missing_version_is_400() {
    let refusal = refused("Sec-WebSocket-Version", &[]);
    assert_eq!((refusal, refusal.status()), (Refusal::MissingVersion, 400));
}

#[test]
fn s4_4_other_versions_are_426_naming_13() {
    for version in ["0", "8", "12", "14", "255"] {
        let refusal = refused("Sec-WebSocket-Version", &[("Sec-WebSocket-Version", version)]);
        assert_eq!((refusal, refusal.status()), (Refusal::UnsupportedVersion, 426), "{version}");
        assert!(refusal.headers().any(|header| (header.name(), header.value()) == ("Sec-WebSocket-Version", "13")));
    }
}

#[test]
fn s4_3_malformed_versions_are_400() {
    for version in ["", "013", "+13", "13.0", "256", "13, 8", "thirteen"] {
        let refusal = refused("Sec-WebSocket-Version", &[("Sec-WebSocket-Version", version)]);
        assert_eq!((refusal, refusal.status()), (Refusal::BadVersion, 400), "{version}");
    }
}

#[test]
fn s11_3_5_two_versions_are_400() {
    let refusal = refused("", &[("Sec-WebSocket-Version", "13")]);
    assert_eq!((refusal, refusal.status()), (Refusal::DuplicateVersion, 400));
}

#[test]
fn s4_2_1_missing_key_is_400() {
    let refusal = refused("Sec-WebSocket-Key", &[]);
    assert_eq!((refusal, refusal.status()), (Refusal::MissingKey, 400));
}

#[test]
fn s11_3_1_two_keys_are_400() {
    assert_eq!(refused("", &[("Sec-WebSocket-Key", KEY)]), Refusal::DuplicateKey);
}

#[test]
fn s4_2_1_key_that_is_not_16_bytes_of_base64_is_400() {
    for key in [
        "",
        "dGhlIHNhbXBsZSBub25j",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZTE=",
        "dGhlIHNhbXBsZSBub25jZTEy",
        "dGhlIHNhbXBsZSBub25jZQ==AAAA",
        "dGhlIHNhbXBsZSBub25-ZQ==",
        "dGhlIHNhb=BsZSBub25jZQ==",
    ] {
        let refusal = refused("Sec-WebSocket-Key", &[("Sec-WebSocket-Key", key)]);
        assert_eq!((refusal, refusal.status()), (Refusal::BadKey, 400), "{key}");
    }
}

#[test]
fn s4_2_1_key_with_stray_bits_in_its_last_character_is_accepted() {
    accepted("Sec-WebSocket-Key", &[("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZR==")]);
}

#[test]
fn s4_2_2_first_offered_subprotocol_is_selected() {
    assert_eq!(subprotocol(&["a, b, c"], &["c", "b"]), Ok(Some("b".to_string())));
}

#[test]
fn s4_2_2_subprotocols_may_stand_in_several_headers() {
    assert_eq!(subprotocol(&["a", "b,c"], &["c"]), Ok(Some("c".to_string())));
}

#[test]
fn s4_2_2_no_common_subprotocol_selects_none() {
    assert_eq!(subprotocol(&["a, b"], &["c"]), Ok(None));
    assert_eq!(subprotocol(&["a"], &[]), Ok(None));
    assert_eq!(subprotocol(&[], &["a"]), Ok(None));
}

#[test]
fn s4_2_2_subprotocols_differ_by_case() {
    assert_eq!(subprotocol(&["Chat"], &["chat"]), Ok(None));
}

#[test]
fn s4_1_subprotocols_that_are_no_tokens_are_400() {
    for value in ["a b", "a;b", "\"a\"", "", ",", "a/b", "a, b\u{e4}"] {
        let refusal = subprotocol(&[value], &[]).unwrap_err();
        assert_eq!(refusal.status(), 400, "{value}");
    }
}

#[test]
fn s4_1_repeated_subprotocol_is_400() {
    assert_eq!(subprotocol(&["a, b, a"], &["b"]), Err(Refusal::DuplicateSubprotocol));
    assert_eq!(subprotocol(&["a", "a"], &[]), Err(Refusal::DuplicateSubprotocol));
}

#[test]
fn too_many_subprotocols_are_400() {
    let offer = |count: usize| (0..count).map(|n| format!("p{n}")).collect::<Vec<_>>().join(",");
    assert_eq!(subprotocol(&[&offer(MAX_SUBPROTOCOLS)], &["p63"]), Ok(Some("p63".to_string())));
    assert_eq!(subprotocol(&[&offer(MAX_SUBPROTOCOLS + 1)], &["p0"]), Err(Refusal::TooManySubprotocols));
}

#[test]
fn s9_1_well_formed_extensions_are_declined() {
    let bytes = request(&valid_with("", &[("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")]));
    let accepted = serve(&bytes, &Options::default()).unwrap();
    assert!(accepted.headers().all(|(name, _)| name != "Sec-WebSocket-Extensions"));
}

#[test]
fn s9_1_malformed_extensions_are_400() {
    for value in ["", "a;", "a; b=", "a b", "a; b=\"c d\"", ";a"] {
        let refusal = refused("", &[("Sec-WebSocket-Extensions", value)]);
        assert_eq!((refusal, refusal.status()), (Refusal::BadExtensions, 400), "{value}");
    }
}

#[test]
fn s4_2_1_bytes_beyond_ascii_in_headers_that_matter_are_400() {
    for name in ["Host", "Origin", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Protocol"] {
        let headers = VALID.iter().filter(|(valid, _)| *valid != name).map(|(name, value)| (*name, value.as_bytes()));
        for value in [&b"a\xff"[..], b"a\x00", b"a\r\nb"] {
            let headers = headers.clone().chain([(name, value)]);
            let result = server::validate("GET", HttpVersion::HTTP_11, "/", headers, &Options::default());
            assert_eq!(result, Err(Refusal::BadHeader), "{name}");
        }
    }
}

#[test]
fn http_3_3_announced_body_is_400() {
    assert_eq!(refused("", &[("Content-Length", "5")]), Refusal::BodyNotAllowed);
    assert_eq!(refused("", &[("Transfer-Encoding", "chunked")]), Refusal::BodyNotAllowed);
    accepted("", &[("Content-Length", "0")]);
}

#[test]
fn s4_2_1_several_origins_are_400() {
    assert_eq!(refused("", &[("Origin", "null"), ("Origin", "null")]), Refusal::DuplicateOrigin);
}

#[test]
fn head_of_exactly_the_limit_is_read() {
    let bytes = request(&VALID);
    let limits = Limits::DEFAULT.with_max_head(bytes.len() + 1).unwrap();
    serve(&bytes, &Options { limits, ..Options::default() }).unwrap();
}

#[test]
fn larger_head_is_431_as_soon_as_the_limit_is_full() {
    let bytes = request(&VALID);
    let limits = Limits::DEFAULT.with_max_head(bytes.len() - 1).unwrap();
    assert_eq!(serve_bytewise(&bytes, &limits), (bytes.len() - 1, Some(Err(Refusal::HeadTooLarge))));
    assert_eq!(Refusal::HeadTooLarge.status(), 431);
}

#[test]
fn as_many_headers_as_allowed_are_read_and_one_more_is_431() {
    for max in [8, 16, 17, 64, 65, 128] {
        let limits = Limits::DEFAULT.with_max_headers(max).unwrap();
        let options = Options { limits, ..Options::default() };
        let filler = vec![("X", "y"); max - VALID.len()];
        serve(&request(&valid_with("", &filler)), &options).unwrap();
        let filler = vec![("X", "y"); max + 1 - VALID.len()];
        let refusal = serve(&request(&valid_with("", &filler)), &options).unwrap_err();
        assert_eq!((refusal, refusal.status()), (Refusal::TooManyHeaders, 431));
    }
}

#[test]
fn target_longer_than_the_limit_is_414_at_its_first_byte_too_many() {
    let limits = Limits::DEFAULT.with_max_target(10).unwrap();
    let options = Options { limits, ..Options::default() };
    serve(&head("GET /234567890 HTTP/1.1", &VALID), &options).unwrap();
    assert_eq!(serve_bytewise(b"GET /2345678901", &limits), (15, Some(Err(Refusal::TargetTooLong))));
    assert_eq!(Refusal::TargetTooLong.status(), 414);
}

#[test]
fn limits_hold_for_requests_that_a_library_parsed() {
    let validate = |target: &'static str, limits| {
        let headers = VALID.iter().map(|(name, value)| (*name, value.as_bytes()));
        let options = Options { limits, ..Options::default() };
        server::validate("GET", HttpVersion::HTTP_11, target, headers, &options).map(|_| ())
    };
    let limits = Limits::DEFAULT;
    assert_eq!(validate("/", limits), Ok(()));
    assert_eq!(validate("/234", limits.with_max_target(3).unwrap()), Err(Refusal::TargetTooLong));
    assert_eq!(validate("/", limits.with_max_head(128).unwrap()), Err(Refusal::HeadTooLarge));
}

#[test]
fn limits_outside_their_bounds_are_not_set() {
    assert!(Limits::DEFAULT.with_max_head(127).is_err());
    assert!(Limits::DEFAULT.with_max_head(1024 * 1024 + 1).is_err());
    assert!(Limits::DEFAULT.with_max_target(0).is_err());
    assert!(Limits::DEFAULT.with_max_headers(129).is_err());
    assert!(Limits::DEFAULT.with_opening_timeout(Duration::ZERO).is_err());
    assert_eq!(
        Limits::DEFAULT.with_max_headers(7).unwrap_err().to_string(),
        "max_headers must lie between 8 and 128 headers"
    );
}

#[test]
fn a_head_within_a_buffer_is_no_longer_than_it_and_the_limit() {
    assert_eq!(Limits::DEFAULT.within(1024).max_head(), 1024);
    assert_eq!(Limits::DEFAULT.within(usize::MAX).max_head(), Limits::DEFAULT.max_head());
    assert_eq!(Limits::DEFAULT.within(0).max_head(), 128);
}

#[test]
fn silence_is_408_at_the_deadline() {
    let mut handshake = server::Handshake::new(Instant::from_millis(5), &Limits::DEFAULT);
    let deadline = Instant::from_millis(10_005);
    assert_eq!(handshake.poll_timeout(), Some(deadline));
    assert_eq!(handshake.handle_timeout(Instant::from_millis(10_004)), None);
    assert_eq!(handshake.handle_timeout(deadline), Some(Refusal::TimedOut));
    assert_eq!(handshake.poll_timeout(), None);
    assert_eq!(Refusal::TimedOut.status(), 408);
}

#[test]
fn head_that_trickles_past_the_deadline_is_408() {
    let bytes = request(&VALID);
    let mut handshake = server::Handshake::new(Instant::ZERO, &Limits::DEFAULT);
    let progress = handshake.receive(Instant::from_millis(10_000), &bytes[..20]);
    assert!(matches!(progress, Progress::Refused(Refusal::TimedOut)));
    assert!(matches!(handshake.receive(Instant::ZERO, &bytes), Progress::Refused(Refusal::TimedOut)));
}

#[test]
fn complete_head_is_taken_even_when_the_caller_is_late() {
    let mut handshake = server::Handshake::new(Instant::ZERO, &Limits::DEFAULT);
    assert!(matches!(handshake.receive(Instant::from_millis(60_000), &request(&VALID)), Progress::Complete(_)));
    assert_eq!(handshake.handle_timeout(Instant::from_millis(60_000)), None);
}

#[test]
fn answer_is_repeated() {
    let bytes = request(&VALID);
    let mut handshake = server::Handshake::new(Instant::ZERO, &Limits::DEFAULT);
    assert!(matches!(handshake.receive(Instant::ZERO, &bytes), Progress::Complete(_)));
    assert!(matches!(handshake.receive(Instant::ZERO, &bytes), Progress::Complete(_)));
}

#[test]
fn bytes_behind_the_head_are_left_for_the_frames() {
    let head = request(&VALID);
    let bytes = [&head[..], b"\x81\x80\0\0\0\0"].concat();
    let progress = server::Handshake::new(Instant::ZERO, &Limits::DEFAULT).receive(Instant::ZERO, &bytes);
    assert!(matches!(progress, Progress::Complete(request) if request.head_len() == head.len()));
}

#[test]
fn shrunken_buffer_is_incomplete_and_no_panic() {
    let mut handshake = server::Handshake::new(Instant::ZERO, &Limits::DEFAULT);
    assert!(matches!(handshake.receive(Instant::ZERO, &request(&VALID)[..60]), Progress::Incomplete));
    assert!(matches!(handshake.receive(Instant::ZERO, b""), Progress::Incomplete));
}

#[test]
fn every_decision_is_the_same_however_the_bytes_are_cut() {
    let limits = Limits::DEFAULT.with_max_head(512).unwrap().with_max_target(64).unwrap();
    let valid = request(&VALID);
    let inputs = [
        [&valid[..], b"\x81\x00"].concat(),
        [b"\r\n", &valid[..]].concat(),
        head("GET / HTTP/2.0", &VALID),
        head(&format!("GET /{} HTTP/1.1", "a".repeat(64)), &VALID),
        request(&valid_with("", &[("X", &"y".repeat(600))])),
        b"GET / HTTP/1.1\r\nHost: \x00\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost\r\n\r\nrest".to_vec(),
        b"\x16\x03\x01".to_vec(),
    ];
    for bytes in inputs {
        let (decided_at, bytewise) = serve_bytewise(&bytes, &limits);
        for cut in 0..=bytes.len() {
            let mut handshake = server::Handshake::new(Instant::ZERO, &limits);
            let first = handshake.receive(Instant::ZERO, &bytes[..cut]);
            assert_eq!(matches!(first, Progress::Incomplete), cut < decided_at, "cut at {cut}");
            let whole = match handshake.receive(Instant::ZERO, &bytes) {
                Progress::Incomplete => None,
                Progress::Complete(request) => Some(Ok(request.head_len())),
                Progress::Refused(refusal) => Some(Err(refusal)),
            };
            assert_eq!(whole, bytewise, "cut at {cut}");
        }
    }
}

#[test]
fn refusals_name_the_option_that_would_permit_them() {
    assert_eq!(Refusal::OriginNotAllowed.option(), Some("origin"));
    assert_eq!(Refusal::HeadTooLarge.option(), Some("limits.max_head"));
    assert_eq!(Refusal::BadKey.option(), None);
}

#[test]
fn rejections_have_the_status_of_the_application() {
    assert_eq!(Refusal::from(Rejection::CONFLICT).status(), 409);
    assert_eq!(Refusal::from(Rejection::new(418)).status(), 418);
    assert_eq!(Refusal::from(Rejection::new(200)).status(), 500);
}
