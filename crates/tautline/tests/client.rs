//! The client against servers that are made of raw bytes.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tautline::{
    Backoff, CloseCode, Connect, ConnectError, Ended, HandshakeViolation, Interruption, Message, Phase, UriError,
    WebSocket, connect,
};
use tautline_proto::handshake::ClientKey;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

// ---- a server's side, by hand ----

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}", listener.local_addr().unwrap());
    (listener, uri)
}

/// Reads a request's head.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a whole request"));
    }
    String::from_utf8(head).unwrap()
}

fn header<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(found, _)| *found == name).map(|(_, value)| value).collect()
}

/// An answer that accepts, with further header lines.
fn accept(head: &str, more: &str) -> String {
    let key = ClientKey::parse(header(head, "Sec-WebSocket-Key")[0]).unwrap();
    let accept = key.accept();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{more}\r\n",
        accept.as_str()
    )
}

/// Opens a connection over a pipe whose other end accepts; answers the request's head.
async fn head_of(connect: Connect) -> (String, WebSocket) {
    let (ours, mut theirs) = duplex(64 * 1024);
    let server = tokio::spawn(async move {
        let head = read_head(&mut theirs).await;
        let offered = header(&head, "Sec-WebSocket-Protocol").first().copied().unwrap_or_default().to_owned();
        let selected = offered.split(", ").last().filter(|name| !name.is_empty());
        let line = selected.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n")).unwrap_or_default();
        theirs.write_all(accept(&head, &line).as_bytes()).await.unwrap();
        (head, theirs)
    });
    let ws = connect.over(ours).await.unwrap();
    (server.await.unwrap().0, ws)
}

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

/// The error of a connection that must not come about.
fn error(result: Result<WebSocket, ConnectError>) -> ConnectError {
    result.map(|_| ()).expect_err("no connection")
}

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
    assert!(matches!(error(connect(&uri).await), ConnectError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof));
    assert!(matches!(error(connect(&uri).await), ConnectError::Handshake(HandshakeViolation::Malformed)));
}

// ---- refusals ----

async fn refused(answer: &str) -> tautline::Refusal {
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
    assert_eq!(refused(&format!("{head}{}", "x".repeat(50_000))).await.body().len(), tautline::Refusal::MAX_BODY);
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
    assert!(matches!(wrong, ConnectError::Timeout { phase: Phase::Handshake, limit } if limit == 10 * SECOND), "{wrong}");
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
    assert_eq!(timeout(5 * SECOND, stream.read(&mut [0; 16])).await.unwrap().unwrap(), 0);
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

// ---- coming back ----

/// What a scripted server does with a connection.
#[derive(Clone)]
enum Step {
    /// Answers with these bytes, and closes.
    Answer(&'static str),
    /// Accepts, after a while.
    Slow(Duration),
    /// Accepts, sends these bytes after a while, and closes.
    Open(Duration, &'static [u8]),
}

/// A server that does one step for each connection, the last one for ever; answers how many there were.
async fn scripted(steps: Vec<Step>) -> (String, Arc<AtomicU32>) {
    let (listener, uri) = listen().await;
    let connections = Arc::new(AtomicU32::new(0));
    let counter = connections.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let index = counter.fetch_add(1, Ordering::Relaxed) as usize;
            tokio::spawn(play(stream, steps[index.min(steps.len() - 1)].clone()));
        }
    });
    (uri, connections)
}

async fn play(mut stream: TcpStream, step: Step) -> io::Result<()> {
    let head = read_head(&mut stream).await;
    match step {
        Step::Answer(answer) => stream.write_all(answer.as_bytes()).await?,
        Step::Slow(delay) => {
            sleep(delay).await;
            stream.write_all(accept(&head, "").as_bytes()).await?;
            stream.read_u8().await?;
        }
        Step::Open(delay, bytes) => {
            stream.write_all(accept(&head, "").as_bytes()).await?;
            sleep(delay).await;
            stream.write_all(bytes).await?;
            stream.shutdown().await?;
            while stream.read(&mut [0; 64]).await? > 0 {}
        }
    }
    Ok(())
}

const REFUSE: Step = Step::Answer("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
const STAY: Step = Step::Open(Duration::from_secs(1_000_000), b"");

fn close_with(frame: &'static [u8; 4]) -> Step {
    Step::Open(Duration::ZERO, frame)
}

/// Notes for each retry its number, its delay, and when it was announced.
type Log = Arc<Mutex<Vec<(u32, Duration, Instant)>>>;

fn logged(link: tautline::Reconnecting) -> (tautline::Reconnecting, Log) {
    let log = Log::default();
    let notes = log.clone();
    (link.on_retry(move |retry| notes.lock().unwrap().push((retry.attempt, retry.delay, Instant::now()))), log)
}

#[tokio::test(start_paused = true)]
async fn waits_are_random_within_a_doubling_bound() {
    let (uri, connections) = scripted(vec![REFUSE]).await;
    let (mut link, log) = logged(connect(&uri).reconnecting());
    let start = Instant::now();
    assert!(timeout(1200 * SECOND, link.next()).await.is_err());
    let log = log.lock().unwrap();
    assert!(log.len() > 20, "{log:?}");
    assert!(connections.load(Ordering::Relaxed).abs_diff(log.len() as u32) <= 1);
    for (index, &(attempt, delay, at)) in log.iter().enumerate() {
        assert_eq!(attempt as usize, index + 1);
        assert!(delay <= SECOND * (1 << index.min(10)).min(60), "{attempt}: {delay:?}");
        let due = if index == 0 { start } else { log[index - 1].2 + log[index - 1].1 };
        assert!(at >= due && at - due < Duration::from_millis(100), "{attempt} came {:?} late", at - due);
    }
    let spread = log.iter().filter(|(attempt, delay, _)| *attempt > 7 && *delay < 30 * SECOND).count();
    assert!(spread > 0 && spread + 7 < log.len(), "jitter has to cover both halves of the range: {log:?}");
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for() {
    let full = Step::Answer("HTTP/1.1 503 Full\r\nRetry-After: 90\r\nContent-Length: 0\r\n\r\n");
    let (uri, _) = scripted(vec![full, STAY]).await;
    let (mut link, log) = logged(connect(&uri).reconnecting());
    let start = Instant::now();
    assert!(link.next().await.is_some());
    assert!((90..=91).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(log.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn close_codes_decide_whether_to_come_back() {
    for (frame, comes_back) in [
        (b"\x88\x02\x03\xe8", false), // 1000
        (b"\x88\x02\x03\xe9", true),  // 1001
        (b"\x88\x02\x03\xf0", false), // 1008
        (b"\x88\x02\x03\xf1", false), // 1009
        (b"\x88\x02\x03\xf3", true),  // 1011
        (b"\x88\x02\x03\xf4", true),  // 1012
        (b"\x88\x02\x03\xf5", true),  // 1013
        (b"\x88\x02\x0f\xa1", false), // 4001
        (b"\x88\x02\x0f\xa2", true),  // 4002
    ] {
        let (uri, _) = scripted(vec![close_with(frame), STAY]).await;
        let mut link = connect(&uri).reconnecting();
        let mut ws = link.next().await.unwrap();
        assert_eq!(ws.recv().await, None);
        let code = CloseCode::new(u16::from_be_bytes([frame[2], frame[3]])).unwrap();
        assert_eq!(link.next().await.is_some(), comes_back, "{code}");
        assert_eq!(link.stopped().is_some(), !comes_back, "{code}");
        if let Some(cause) = link.stopped() {
            assert!(matches!(cause, Interruption::Ended(Ended::ClosedByPeer { code: found, .. }) if *found == code));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_opened_again() {
    let (uri, connections) = scripted(vec![Step::Open(SECOND, b""), STAY]).await;
    let mut link = connect(&uri).reconnecting();
    while link.next().await.unwrap().recv().await.is_some() {}
    assert!(link.next().await.is_some());
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn what_the_program_ended_is_opened_again() {
    let (uri, connections) = scripted(vec![STAY]).await;
    let mut link = connect(&uri).reconnecting();
    drop(link.next().await.unwrap());
    let mut ws = link.next().await.unwrap();
    ws.close(CloseCode::NORMAL, "").await;
    assert!(link.next().await.is_some());
    assert_eq!(connections.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_stops_and_retry_now_starts_again() {
    let denied = Step::Answer("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    let (uri, connections) = scripted(vec![denied, STAY]).await;
    let mut link = connect(&uri).reconnecting();
    assert!(link.next().await.is_none());
    assert!(link.next().await.is_none());
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    let Some(Interruption::NotOpened(ConnectError::Refused(refusal))) = link.stopped() else { panic!("{link:?}") };
    assert_eq!(refusal.status().as_u16(), 401);
    link.retry_now();
    assert!(link.stopped().is_none());
    assert!(link.next().await.is_some());
}

#[tokio::test]
async fn an_invalid_uri_is_not_tried_for_ever() {
    let mut link = connect("wss:/h").reconnecting();
    assert!(link.next().await.is_none());
    assert!(matches!(link.stopped(), Some(Interruption::NotOpened(ConnectError::InvalidUri(UriError::NoScheme)))));
}

#[tokio::test(start_paused = true)]
async fn a_stable_connection_resets_the_growth() {
    let held = Step::Open(31 * SECOND, b"");
    let (uri, _) = scripted(vec![REFUSE, REFUSE, REFUSE, REFUSE, REFUSE, REFUSE, held, STAY]).await;
    let (mut link, log) = logged(connect(&uri).reconnecting());
    assert_eq!(link.next().await.unwrap().recv().await, None);
    assert!(link.next().await.is_some());
    let log = log.lock().unwrap();
    assert_eq!(log.iter().map(|(attempt, ..)| *attempt).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 1]);
    assert!(log[6].1 <= SECOND, "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn an_unstable_connection_does_not_reset_the_growth() {
    let flapping = Step::Open(Duration::ZERO, b"");
    let (uri, _) = scripted(vec![flapping]).await;
    let bounds = Backoff::new(SECOND, 1000 * SECOND, 30 * SECOND);
    let (mut link, log) = logged(connect(&uri).reconnecting().backoff(bounds));
    for _ in 0..12 {
        assert_eq!(link.next().await.unwrap().recv().await, None);
    }
    let longest = log.lock().unwrap().iter().map(|(_, delay, _)| *delay).max().unwrap();
    assert!(longest > 10 * SECOND, "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_was_cancelled_goes_on() {
    let full = Step::Answer("HTTP/1.1 429 Slow down\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n");
    let (uri, connections) = scripted(vec![full, STAY]).await;
    let mut link = connect(&uri).reconnecting();
    let start = Instant::now();
    let mut cancelled = 0;
    while timeout(7 * SECOND, link.next()).await.is_err() {
        cancelled += 1;
        sleep(SECOND).await;
    }
    assert!(cancelled >= 7, "{cancelled}");
    assert!((60..=62).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_was_cancelled_goes_on() {
    let (uri, connections) = scripted(vec![Step::Slow(5 * SECOND)]).await;
    let mut link = connect(&uri).reconnecting();
    let mut cancelled = 0;
    while timeout(SECOND, link.next()).await.is_err() {
        cancelled += 1;
    }
    assert!((4..=5).contains(&cancelled), "{cancelled}");
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn retry_now_ends_a_wait() {
    let full = Step::Answer("HTTP/1.1 503 Full\r\nRetry-After: 86400\r\nContent-Length: 0\r\n\r\n");
    let (uri, _) = scripted(vec![full, STAY]).await;
    let mut link = connect(&uri).reconnecting();
    let start = Instant::now();
    assert!(timeout(SECOND, link.next()).await.is_err());
    link.retry_now();
    assert!(link.next().await.is_some());
    assert!(start.elapsed() < 3 * SECOND);
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

// ---- TLS ----

#[cfg(feature = "tls")]
mod tls {
    use rcgen::{CertificateParams, CertifiedIssuer, IsCa, BasicConstraints, KeyPair};
    use rustls::crypto::ring;
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use rustls::server::{NoClientAuth, WebPkiClientVerifier, danger::ClientCertVerifier};
    use rustls::{RootCertStore, ServerConfig};
    use tokio_rustls::TlsAcceptor;

    use super::*;

    struct Ca(CertifiedIssuer<'static, KeyPair>);

    impl Ca {
        fn new() -> Self {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
        }

        /// A certificate and its key, in DER.
        fn issue(&self, name: &str) -> (Vec<u8>, Vec<u8>) {
            let key = KeyPair::generate().unwrap();
            let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
            (certificate.der().to_vec(), key.serialize_der())
        }

        fn roots(&self) -> RootCertStore {
            let mut roots = RootCertStore::empty();
            roots.add(self.0.der().clone()).unwrap();
            roots
        }
    }

    /// What a server saw of a client.
    #[derive(Debug)]
    struct Seen {
        name: Option<String>,
        protocol: Option<String>,
        certificate: Option<Vec<u8>>,
        head: String,
    }

    struct Server {
        address: std::net::SocketAddr,
        seen: tokio::task::JoinHandle<Option<Seen>>,
    }

    /// A server with a certificate for `name` that takes one connection.
    async fn serve(ca: &Ca, name: &str, clients: Arc<dyn ClientCertVerifier>) -> Server {
        let (certificate, key) = ca.issue(name);
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![certificate.into()], PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key)))
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.ok()?;
            let mut stream = TlsAcceptor::from(Arc::new(config)).accept(tcp).await.ok()?;
            let session = stream.get_ref().1;
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let (name, protocol) = (session.server_name().map(str::to_owned), session.alpn_protocol().map(text));
            let certificate = session.peer_certificates().map(|chain| chain[0].to_vec());
            let head = read_head(&mut stream).await;
            let mut answer = accept(&head, "").into_bytes();
            answer.extend_from_slice(b"\x81\x02hi");
            stream.write_all(&answer).await.ok()?;
            stream.flush().await.ok()?;
            let _ = stream.read_u8().await;
            Some(Seen { name, protocol, certificate, head })
        });
        Server { address, seen }
    }

    impl Server {
        fn connect(&self) -> Connect {
            connect("wss://device.test/x").address(self.address)
        }

        async fn seen(self) -> Seen {
            self.seen.await.unwrap().expect("a client")
        }
    }

    async fn greeted(connect: Connect) {
        let mut ws = connect.await.unwrap();
        assert_eq!(ws.recv().await, Some(Message::text("hi")));
    }

    #[tokio::test]
    async fn a_private_ca_is_trusted_when_it_is_given_as_pem_or_der() {
        let ca = Ca::new();
        for bytes in [ca.0.pem().into_bytes(), ca.0.der().to_vec()] {
            let server = serve(&ca, "device.test", Arc::new(NoClientAuth)).await;
            greeted(server.connect().ca(bytes)).await;
            let seen = server.seen().await;
            assert_eq!(seen.name.as_deref(), Some("device.test"));
            assert_eq!(seen.protocol.as_deref(), Some("http/1.1"));
            assert_eq!(header(&seen.head, "Host"), ["device.test"]);
            assert_eq!(seen.certificate, None);
        }
    }

    #[tokio::test]
    async fn an_unknown_ca_is_refused_and_the_remedy_named() {
        let (ca, other) = (Ca::new(), Ca::new());
        let server = serve(&ca, "device.test", Arc::new(NoClientAuth)).await;
        let wrong = error(server.connect().ca(other.0.pem()).await);
        assert!(matches!(&wrong, ConnectError::Tls { host, .. } if host == "device.test"), "{wrong}");
        assert!(wrong.to_string().contains("pass its certificate to `ca`"), "{wrong}");
        // The same with the system's roots, or without any.
        let server = serve(&ca, "device.test", Arc::new(NoClientAuth)).await;
        let wrong = error(server.connect().await);
        assert!(matches!(wrong, ConnectError::Tls { .. }) && wrong.to_string().contains("to `ca`"), "{wrong}");
    }

    #[tokio::test]
    async fn a_certificate_for_another_name_is_refused() {
        let ca = Ca::new();
        let server = serve(&ca, "other.test", Arc::new(NoClientAuth)).await;
        let wrong = error(server.connect().ca(ca.0.pem()).await);
        assert!(wrong.to_string().contains("connect by a name in the certificate"), "{wrong}");
    }

    #[tokio::test]
    async fn several_cas_add_up() {
        let (ca, other) = (Ca::new(), Ca::new());
        let server = serve(&ca, "device.test", Arc::new(NoClientAuth)).await;
        greeted(server.connect().ca(other.0.pem()).ca(ca.0.pem())).await;
        let server = serve(&ca, "device.test", Arc::new(NoClientAuth)).await;
        greeted(server.connect().ca(format!("{}{}", other.0.pem(), ca.0.pem()))).await;
    }

    #[tokio::test]
    async fn an_address_can_stand_in_the_certificate() {
        let ca = Ca::new();
        let server = serve(&ca, "127.0.0.1", Arc::new(NoClientAuth)).await;
        greeted(connect(format!("wss://{}", server.address)).ca(ca.0.pem())).await;
    }

    #[tokio::test]
    async fn no_verify_takes_any_certificate() {
        let server = serve(&Ca::new(), "other.test", Arc::new(NoClientAuth)).await;
        greeted(server.connect().dangerous_no_verify()).await;
    }

    #[tokio::test]
    async fn a_client_certificate_is_shown() {
        let ca = Ca::new();
        let verifier = || WebPkiClientVerifier::builder_with_provider(ca.roots().into(), ring::default_provider().into());
        let (certificate, key) = ca.issue("client.test");
        let server = serve(&ca, "device.test", verifier().build().unwrap()).await;
        greeted(server.connect().ca(ca.0.pem()).client_certificate(&certificate, &key)).await;
        assert_eq!(server.seen().await.certificate, Some(certificate));
        // And without one the error says what is missing.
        let server = serve(&ca, "device.test", verifier().build().unwrap()).await;
        let wrong = error(server.connect().ca(ca.0.pem()).await);
        assert!(matches!(wrong, ConnectError::Tls { .. }), "{wrong:?}");
        assert!(wrong.to_string().contains("`client_certificate`"), "{wrong}");
    }

    #[tokio::test]
    async fn a_configuration_of_ones_own_is_used_alone() {
        let ca = Ca::new();
        let config = || {
            let builder = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
            let builder = builder.with_protocol_versions(&[&rustls::version::TLS12]).unwrap();
            Arc::new(builder.with_root_certificates(ca.roots()).with_no_client_auth())
        };
        let server = serve(&ca, "device.test", Arc::new(NoClientAuth)).await;
        greeted(server.connect().tls_config(config())).await;
        assert_eq!(server.seen().await.protocol, None);
        let wrong = error(connect("wss://h/").tls_config(config()).ca(ca.0.pem()).await);
        assert!(matches!(wrong, ConnectError::InvalidOption { option: "tls_config", .. }), "{wrong}");
    }

    #[tokio::test]
    async fn tls_goes_over_any_stream() {
        let ca = Ca::new();
        let server = serve(&ca, "device.test", Arc::new(NoClientAuth)).await;
        let stream = TcpStream::connect(server.address).await.unwrap();
        let mut ws = connect("wss://device.test").ca(ca.0.pem()).over(stream).await.unwrap();
        assert_eq!(ws.recv().await, Some(Message::text("hi")));
        assert_eq!(ws.info().peer, None);
    }

    #[tokio::test]
    async fn a_server_without_tls_is_recognised() {
        let (listener, uri) = listen().await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
        let wrong = error(connect(uri.replace("ws:", "wss:")).dangerous_no_verify().await);
        assert!(wrong.to_string().contains("ws:// instead of wss://"), "{wrong}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_meets_the_deadline() {
        let (_listener, uri) = listen().await;
        let wrong = error(connect(uri.replace("ws:", "wss:")).dangerous_no_verify().await);
        assert!(matches!(wrong, ConnectError::Timeout { phase: Phase::Tls, .. }), "{wrong}");
    }

    #[tokio::test]
    async fn unusable_bytes_name_the_option() {
        for (connect, option) in [
            (connect("wss://h/").ca("x"), "ca"),
            (connect("wss://h/").client_certificate("x", "y"), "client_certificate"),
        ] {
            let wrong = error(connect.await);
            assert!(matches!(&wrong, ConnectError::InvalidOption { option: found, .. } if *found == option), "{wrong}");
        }
    }
}

#[cfg(not(feature = "tls"))]
#[tokio::test]
async fn without_the_feature_wss_names_it() {
    let wrong = error(connect("wss://h/").await);
    assert!(matches!(wrong, ConnectError::TlsFeatureMissing) && wrong.to_string().contains("feature `tls`"), "{wrong}");
    assert!(matches!(error(connect("wss://h/").over(duplex(1).0).await), ConnectError::TlsFeatureMissing));
}
