//! Requests, answers, refusals, and what goes wrong on the way.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tautline::{Connect, ConnectError, HandshakeViolation, Message, Phase, UriError, WebSocket, connect};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, duplex};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};

use crate::{SECOND, accept, error, head_of, header, listen, read_head};

// ---- the request ----

#[tokio::test]
async fn s4_1_the_request_has_these_bytes() {
    let (head, _) = head_of(connect("ws://Example.com:8765/chat/r%20oom?x=1&y")).await;
    let key = header(&head, "Sec-WebSocket-Key")[0].to_owned();
    let expected = format!(
        "GET /chat/r%20oom?x=1&y HTTP/1.1\r\nHost: example.com:8765\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nUser-Agent: tautline/{}\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(head, expected);
}

#[tokio::test]
async fn s4_1_the_key_is_a_new_one_each_time() {
    let (one, _) = head_of(connect("ws://h/")).await;
    let (other, _) = head_of(connect("ws://h/")).await;
    assert_ne!(header(&one, "Sec-WebSocket-Key"), header(&other, "Sec-WebSocket-Key"));
}

#[tokio::test]
async fn every_option_shows_in_the_request() {
    let (head, ws) = head_of(
        connect("ws://h/")
            .subprotocol("v2")
            .subprotocol("v1")
            .header("X-Device", "42")
            .header("X-Device", "43")
            .header("Cookie", "a=b; c=d")
            .origin("https://example.com")
            .user_agent("probe/1")
            .bearer("t0ken"),
    )
    .await;
    for (name, values) in [
        ("Sec-WebSocket-Protocol", &["v2, v1"][..]),
        ("X-Device", &["42", "43"]),
        ("Cookie", &["a=b; c=d"]),
        ("Origin", &["https://example.com"]),
        ("User-Agent", &["probe/1"]),
        ("Authorization", &["Bearer t0ken"]),
    ] {
        assert_eq!(header(&head, name), values, "{name}");
    }
    assert_eq!(ws.info().subprotocol.as_deref(), Some("v1"));
}

#[tokio::test]
async fn rfc7617_credentials_come_from_the_uri_unless_others_are_given() {
    let authorization = async |connect| header(&head_of(connect).await.0, "Authorization").join("|");
    assert_eq!(authorization(connect("ws://Aladdin:open%20sesame@h/")).await, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert_eq!(authorization(connect("ws://a:b@h/").basic_auth("test", "123£")).await, "Basic dGVzdDoxMjPCow==");
    assert_eq!(authorization(connect("ws://a:b@h/").bearer("x")).await, "Bearer x");
    assert_eq!(authorization(connect("ws://a:b@h/").header("authorization", "Own y")).await, "Own y");
}

#[tokio::test]
async fn headers_with_an_option_of_their_own_replace_it() {
    let (head, _) = head_of(connect("ws://h/").header("user-agent", "me").header("ORIGIN", "null")).await;
    assert_eq!(header(&head, "User-Agent"), ["me"]);
    assert_eq!(header(&head, "Origin"), ["null"]);
    let (head, _) = head_of(connect("ws://h/").user_agent("")).await;
    assert!(!head.contains("User-Agent"));
}

#[tokio::test]
async fn rfc6874_host_has_brackets_but_no_zone_and_the_default_port_is_left_out() {
    let host = async |uri| header(&head_of(connect(uri)).await.0, "Host").join("|");
    assert_eq!(host("ws://[fe80::1%25eth0]/").await, "[fe80::1]");
    assert_eq!(host("ws://[::1]:81/").await, "[::1]:81");
    assert_eq!(host("ws://h:80/").await, "h");
    assert_eq!(host("ws://h:443/").await, "h:443");
}

/// A stream that notes how many bytes each write had.
struct Noting<S>(S, Arc<Mutex<Vec<usize>>>);

impl<S: AsyncRead + Unpin> AsyncRead for Noting<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noting<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.1.lock().unwrap().push(buf.len());
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn the_request_leaves_in_one_write() {
    let (ours, mut theirs) = duplex(64 * 1024);
    let writes = Arc::new(Mutex::new(Vec::new()));
    let long = "x".repeat(3000);
    let opening = tokio::spawn(connect("ws://h/").header("X-Long", long).over(Noting(ours, writes.clone())));
    let head = read_head(&mut theirs).await;
    assert_eq!(*writes.lock().unwrap(), [head.len()]);
    opening.abort();
}

#[tokio::test]
async fn mistakes_name_the_option_and_the_remedy() {
    let mistake = async |connect: Connect| match error(connect.await) {
        ConnectError::InvalidOption { option, problem } => format!("{option}: {problem}"),
        other => panic!("{other}"),
    };
    for (connect, expected) in [
        (connect("ws://h/").header("Bad Name", "x"), "header: Bad Name: a header name is not a token"),
        (connect("ws://h/").header("X", "a\r\nb"), "header: X: a header value contains a control character"),
        (connect("ws://h/").header("Host", "x"), "header: Host: "),
        (connect("ws://h/").header("sec-websocket-key", "x"), "header: sec-websocket-key: "),
        (connect("ws://h/").subprotocol("a b"), "subprotocol: "),
        (connect("ws://h/").subprotocol("a").subprotocol("a"), "subprotocol: "),
        (connect("ws://h/").origin("x\n"), "origin: "),
        (connect("ws://h/").user_agent("x\0"), "user_agent: "),
        (connect("ws://h/").bearer("x\r\ny"), "bearer: "),
        (connect("ws://h/").basic_auth("a:b", ""), "basic_auth: "),
        (connect("ws://h/").max_head(1), "max_head: "),
        (connect("ws://h/").max_head(1).origin("x\n"), "max_head: "),
    ] {
        let text = mistake(connect).await;
        assert!(text.starts_with(expected), "{text:?} instead of {expected:?}");
    }
    let wrong = error(connect("http://h/").await);
    assert!(matches!(wrong, ConnectError::InvalidUri(UriError::HttpScheme)) && wrong.to_string().contains("ws://"));
}

#[tokio::test]
async fn no_text_has_credentials_in_it() {
    let connect = connect("ws://user:secret@h/?token=secret").header("X-Key", "secret").bearer("secret");
    assert!(!format!("{connect:?} {:?}", connect.clone().reconnecting()).contains("secret"));
    let wrong = error(Connect::new("ws://user:secret@h/#x").await);
    assert!(!format!("{wrong} {wrong:?}").contains("secret"));
}

// ---- the answer ----

/// What a connection comes to if the server answers with these bytes and then keeps silent.
async fn answered(answer: impl Into<Vec<u8>>) -> Result<WebSocket, ConnectError> {
    let (ours, mut theirs) = duplex(64 * 1024);
    let answer = answer.into();
    let server = tokio::spawn(async move {
        read_head(&mut theirs).await;
        let _ = theirs.write_all(&answer).await;
        let mut rest = Vec::new();
        let _ = theirs.read_to_end(&mut rest).await;
    });
    let result = connect("ws://example.com/").over(ours).await;
    server.abort();
    result
}

#[tokio::test]
async fn frames_right_behind_the_answer_are_not_lost() {
    let (listener, uri) = listen().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = read_head(&mut stream).await;
        let mut bytes = accept(&head, "").into_bytes();
        bytes.extend_from_slice(b"\x81\x02hi\x82\x01");
        stream.write_all(&bytes).await.unwrap();
        sleep(Duration::from_millis(20)).await;
        stream.write_all(b"!").await.unwrap();
        stream
    });
    let mut ws = connect(&uri).await.unwrap();
    assert_eq!(ws.recv().await, Some(Message::text("hi")));
    assert_eq!(ws.recv().await, Some(Message::binary("!")));
    assert_eq!(ws.info().peer.map(|peer| format!("ws://{peer}")), Some(uri));
    drop(server.await.unwrap());
}

#[tokio::test]
async fn an_answer_may_come_byte_by_byte() {
    let (ours, mut theirs) = duplex(1);
    let server = tokio::spawn(async move {
        let head = read_head(&mut theirs).await;
        for byte in accept(&head, "").into_bytes() {
            theirs.write_all(&[byte]).await.unwrap();
        }
        theirs.write_all(b"\x81\x02hi").await.unwrap();
        theirs
    });
    let mut ws = connect("ws://h/").over(ours).await.unwrap();
    assert_eq!(ws.recv().await, Some(Message::text("hi")));
    drop(server.await.unwrap());
}

#[tokio::test]
async fn s4_1_an_answer_to_something_else_is_not_taken() {
    const UPGRADE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    for (answer, violation) in [
        (format!("{UPGRADE}Sec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"), HandshakeViolation::Accept),
        (format!("{UPGRADE}\r\n"), HandshakeViolation::Accept),
        ("SSH-2.0-OpenSSH_9\r\n".into(), HandshakeViolation::NotHttp),
        ("\x15\x03\x01\x00\x02\x02\x0a".into(), HandshakeViolation::NotHttp),
        (format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(20_000)), HandshakeViolation::HeadTooLarge),
        (format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(65)), HandshakeViolation::TooManyHeaders),
        ("HTTP/1.1 200\u{1} OK\r\n\r\n".into(), HandshakeViolation::Malformed),
    ] {
        match error(answered(answer.clone()).await) {
            ConnectError::Handshake(found) => assert_eq!(found, violation, "{answer:.60}"),
            other => panic!("{answer:.60}: {other}"),
        }
    }
}

#[tokio::test]
async fn s4_1_a_subprotocol_that_was_not_offered_is_not_taken() {
    let (ours, mut theirs) = duplex(4096);
    tokio::spawn(async move {
        let head = read_head(&mut theirs).await;
        theirs.write_all(accept(&head, "Sec-WebSocket-Protocol: v3\r\n").as_bytes()).await.unwrap();
        theirs.read_u8().await
    });
    let wrong = error(connect("ws://h/").subprotocol("v1").over(ours).await);
    assert!(matches!(wrong, ConnectError::Handshake(HandshakeViolation::SubprotocolNotOffered)), "{wrong}");
}

#[tokio::test]
async fn the_limit_on_the_head_can_be_set() {
    let answer = format!("HTTP/1.1 403 Forbidden\r\nX: {}\r\n\r\n", "x".repeat(500));
    let open = async |limit| {
        let (ours, mut theirs) = duplex(4096);
        theirs.write_all(answer.as_bytes()).await.unwrap();
        theirs.shutdown().await.unwrap();
        error(connect("ws://h/").max_head(limit).over(ours).await)
    };
    assert!(matches!(open(256).await, ConnectError::Handshake(HandshakeViolation::HeadTooLarge)));
    assert!(matches!(open(1024).await, ConnectError::Refused(_)));
}

#[tokio::test]
async fn a_server_that_hangs_up_is_told_from_one_that_answers_badly() {
    let (listener, uri) = listen().await;
    tokio::spawn(async move {
        for answer in ["", "HTTP/1.1 101 Swit"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_head(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    assert!(
        matches!(error(connect(&uri).await), ConnectError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof)
    );
    assert!(matches!(error(connect(&uri).await), ConnectError::Handshake(HandshakeViolation::Malformed)));
}

// ---- refusals ----

async fn refused(answer: &str) -> tautline::Refused {
    match error(answered(answer).await) {
        ConnectError::Refused(refusal) => *refusal,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_refusal_keeps_status_headers_and_body() {
    let refusal = refused(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nX-Reason: full\r\nContent-Length: 12\r\n\r\nsorry, full!ignored",
    )
    .await;
    assert_eq!(refusal.status().as_u16(), 503);
    assert_eq!(refusal.retry_after(), Some(7 * SECOND));
    assert_eq!(refusal.headers()["x-reason"], "full");
    assert_eq!(refusal.body(), "sorry, full!");
    assert_eq!(
        refusal.to_string(),
        "the server refused with HTTP status 503 Service Unavailable: sorry, full!; try again in 7 s"
    );
}

#[tokio::test]
async fn a_redirection_names_its_target() {
    let refusal = refused("HTTP/1.1 307 Moved\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(refusal.location(), Some("/new"));
    assert!(refusal.to_string().ends_with("it points to /new"), "{refusal}");
}

#[tokio::test]
async fn a_body_may_be_chunked() {
    let head = "HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(refused(&format!("{head}3\r\nwho\r\n5\r\n are \r\n3\r\nyou\r\n0\r\n\r\n")).await.body(), "who are you");
}

#[tokio::test]
async fn no_more_of_a_body_is_read_than_is_kept() {
    let head = "HTTP/1.1 404 Not Found\r\nContent-Length: 1000000\r\n\r\n";
    assert_eq!(refused(&format!("{head}{}", "x".repeat(50_000))).await.body().len(), tautline::Refused::MAX_BODY);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_holds_the_refusal_back_by_a_second_at_most() {
    let start = Instant::now();
    let refusal = refused("HTTP/1.1 403 Forbidden\r\n\r\nno entry").await;
    assert_eq!(refusal.body(), "no entry");
    assert_eq!(start.elapsed().as_secs(), 1);
}

// ---- the network ----

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_meets_the_deadline() {
    let (listener, uri) = listen().await;
    let start = Instant::now();
    let wrong = error(connect(&uri).await);
    assert!(
        matches!(wrong, ConnectError::Timeout { phase: Phase::Handshake, limit } if limit == 10 * SECOND),
        "{wrong}"
    );
    assert_eq!(start.elapsed().as_secs(), 10);
    let wrong = error(connect(&uri).open_timeout(3 * SECOND).await);
    assert!(wrong.to_string().starts_with("no connection within 3s"), "{wrong}");
    assert_eq!(start.elapsed().as_secs(), 13);
    drop(listener);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_trickles_in_meets_the_same_deadline() {
    let (ours, mut theirs) = duplex(4096);
    tokio::spawn(async move {
        theirs.write_all(b"HTTP/1.1 101 Switching Protocols\r\n").await?;
        loop {
            theirs.write_all(b"X: y\r\n").await?;
            sleep(SECOND).await;
        }
        #[expect(unreachable_code, reason = "gives the block its type")]
        io::Result::Ok(())
    });
    let start = Instant::now();
    assert!(matches!(error(connect("ws://h/").over(ours).await), ConnectError::Timeout { .. }));
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn dropping_the_future_closes_the_connection() {
    let (listener, uri) = listen().await;
    let opening = tokio::spawn(async move { connect(&uri).await.map(drop) });
    let (mut stream, _) = listener.accept().await.unwrap();
    read_head(&mut stream).await;
    opening.abort();
    assert_eq!(timeout(60 * SECOND, stream.read(&mut [0; 16])).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn rfc8305_a_dead_address_gives_way_to_the_next_one() {
    let (listener, _) = listen().await;
    let live = listener.local_addr().unwrap();
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = read_head(&mut stream).await;
        stream.write_all(accept(&head, "").as_bytes()).await.unwrap();
        (head, stream)
    });
    let ws = connect("ws://device.invalid/").address(dead).address(live).await.unwrap();
    assert_eq!(ws.info().peer, Some(live));
    assert_eq!(header(&server.await.unwrap().0, "Host"), ["device.invalid"]);
}

#[tokio::test]
async fn when_no_address_works_each_is_named() {
    let mut dead = Vec::new();
    for _ in 0..2 {
        dead.push(TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap());
    }
    let wrong = error(connect("ws://device.invalid/").address(dead[0]).address(dead[1]).await);
    let text = wrong.to_string();
    assert!(dead.iter().all(|address| text.contains(&address.to_string())), "{text}");
    assert!(matches!(wrong, ConnectError::Connect { failures, .. } if failures.len() == 2));
}

#[tokio::test]
async fn a_host_without_address_is_an_error_of_its_own() {
    let wrong = error(connect("ws://no-such-host.invalid/").await);
    assert!(matches!(&wrong, ConnectError::Resolve { host, .. } if host == "no-such-host.invalid"), "{wrong}");
}

#[test]
fn futures_and_handles_can_move_between_threads() {
    fn send<T: Send>(value: T) -> T {
        value
    }
    let connect = || connect("ws://h/");
    drop(send(std::future::IntoFuture::into_future(connect())));
    drop(send(connect().over(duplex(1).0)));
    drop(send(send(connect().reconnecting()).next()));
}

#[cfg(not(feature = "tls"))]
#[tokio::test]
async fn without_the_feature_wss_names_it() {
    let wrong = error(connect("wss://h/").await);
    assert!(matches!(wrong, ConnectError::TlsFeatureMissing) && wrong.to_string().contains("feature `tls`"), "{wrong}");
    assert!(matches!(error(connect("wss://h/").over(duplex(1).0).await), ConnectError::TlsFeatureMissing));
}
