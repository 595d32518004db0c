//! `tautline serve` and `tautline echo`.

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::{Tautline, command, run, text};

/// The head and body of a page.
pub(super) async fn get(address: &str, path: &str) -> String {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    answer
}

/// A client that has done its handshake and never says anything again.
async fn silent(address: &str) -> TcpStream {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    let request = "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tcp.read_u8().await.unwrap());
    }
    tcp
}

#[tokio::test]
async fn it_says_where_it_listens_and_serves() {
    let (mut server, address) = Tautline::serve(&["serve", "--port", "0"]).await;
    assert!(address.starts_with("127.0.0.1:") && !address.ends_with(":0"), "{address}");
    assert!(get(&address, "/healthz").await.ends_with("\r\n\r\nok"));
    let lines = [server.line().await, server.line().await, server.line().await].join("\n");
    assert!(lines.contains(&format!("http://{address}/")) && lines.contains(&format!("ws://{address}/counter")));
}

#[tokio::test]
async fn without_a_command_it_serves_too() {
    let (_server, address) = Tautline::serve(&["--port", "0"]).await;
    assert!(get(&address, "/").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn options_can_come_from_the_environment() {
    let mut command = command(&[]);
    let mut server = Tautline::spawn(command.env("TAUTLINE_PORT", "0").env("TAUTLINE_APP", "hello"));
    let first = server.line().await;
    let address = first.strip_prefix("listening on http://").unwrap().trim_end_matches('/').to_owned();
    assert!(server.line().await.contains("hello"));
    let greeted = run(&["connect", &address], b"Ada\n").await;
    assert_eq!(text(&greeted.stdout), "Hello Ada!\n");
}

#[tokio::test]
async fn a_taken_port_is_one_line_with_the_remedy() {
    let (_server, address) = Tautline::serve(&["serve", "--port", "0"]).await;
    let port = address.rsplit(':').next().unwrap();
    for arguments in [&["serve", "--port", port][..], &["--port", port], &["echo", "tcp", "--port", port]] {
        let second = run(arguments, b"").await;
        assert_eq!(second.status.code(), Some(1));
        let expected = format!("error: port {port} is taken: stop what holds it or choose another with --port\n");
        assert_eq!(text(&second.stderr), expected);
        assert_eq!(text(&second.stdout), "");
    }
}

#[tokio::test]
async fn a_wrong_command_line_is_explained() {
    for (arguments, word) in [
        (&["serve", "--port", "70000"][..], "--port"),
        (&["serve", "--app", "chat"], "counter"),
        (&["serve", "--ws-ping-timeout", "0"], "seconds"),
        (&["serve", "--max-message", "0"], "--max-message"),
        (&["serve", "--loops", "0"], "--loops"),
        (&["serve", "--origin", "example.com"], "https://example.com"),
        (&["dance"], "dance"),
    ] {
        let wrong = run(arguments, b"").await;
        assert_eq!(wrong.status.code(), Some(2), "{arguments:?}");
        assert_eq!(text(&wrong.stderr).lines().count(), 1, "{}", text(&wrong.stderr));
        assert!(text(&wrong.stderr).contains(word), "{}", text(&wrong.stderr));
    }
}

#[tokio::test]
async fn a_signal_ends_it_cleanly() {
    for signal in [Signal::TERM, Signal::INT] {
        let (server, address) = Tautline::serve(&["serve", "--port", "0"]).await;
        let mut client = Tautline::start(&["connect", &format!("ws://{address}/counter")]);
        assert_eq!(client.line().await, r#"{"type": "users", "count": 1}"#);
        server.signal(signal);
        let (status, errors) = server.end().await;
        assert_eq!(status, Some(0), "{errors}");
        let (status, errors) = client.end().await;
        assert_eq!(status, Some(1));
        assert!(errors.contains("1001 (going away)") && errors.contains("connects again"), "{errors}");
    }
}

#[tokio::test]
async fn it_goes_on_when_nobody_reads_its_log_any_more() {
    let (server, address) = Tautline::serve(&["serve", "--port", "0"]).await;
    let Tautline { mut child, stdin: _stdin, stdout, stderr } = server;
    drop((stdout, stderr));
    for _ in 0..2 {
        let echoed = run(&["connect", &format!("ws://{address}/me"), "--linger", "0"], b"hi\n").await;
        assert_eq!((echoed.status.code(), text(&echoed.stderr)), (Some(0), ""));
    }
    assert!(get(&address, "/healthz").await.ends_with("ok"));
    child.start_kill().unwrap();
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let (server, address) = Tautline::serve(&["serve", "--port", "0"]).await;
    let mut client = silent(&address).await;
    server.signal(Signal::TERM);
    // It waits for the client's answer to its close frame, which does not come.
    let mut close = [0; 4];
    client.read_exact(&mut close).await.unwrap();
    assert_eq!(close, [0x88, 2, 0x03, 0xe9]);
    server.signal(Signal::TERM);
    assert_eq!(server.end().await.0, Some(128 + 15));
}

#[tokio::test]
async fn a_silent_client_is_given_up() {
    let arguments = ["serve", "--port", "0", "--ws-ping-interval", "0.05", "--ws-ping-timeout", "0.05"];
    let (server, address) = Tautline::serve(&arguments).await;
    let mut client = silent(&address).await;
    let mut received = Vec::new();
    client.read_to_end(&mut received).await.unwrap();
    assert_eq!(received[0], 0x89, "a ping, and then the end");
    server.signal(Signal::TERM);
    let (status, errors) = server.end().await;
    assert_eq!(status, Some(0));
    assert!(errors.contains("peer silent"), "{errors}");
}

#[tokio::test]
async fn messages_over_the_limit_are_refused() {
    let (_server, address) = Tautline::serve(&["serve", "--port", "0", "--max-message", "10"]).await;
    let url = format!("ws://{address}/echo");
    assert_eq!(text(&run(&["connect", &url], b"0123456789\n").await.stdout), "0123456789\n");
    let refused = run(&["connect", &url], b"0123456789a\n").await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("1009 (message too big)"), "{}", text(&refused.stderr));
}

#[tokio::test]
async fn pages_from_elsewhere_need_permission() {
    let foreign = ["--origin", "https://example.com"];
    for (option, allowed) in [("same-host", false), ("any", true), ("https://example.com", true)] {
        let name = if option == "any" { "--origins" } else { "--origin" };
        let (_server, address) = Tautline::serve(&["serve", "--port", "0", name, option]).await;
        let url = format!("ws://{address}/echo");
        let client = run(&["connect", &url, foreign[0], foreign[1], "--linger", "0"], b"").await;
        assert_eq!(client.status.success(), allowed, "{option}: {}", text(&client.stderr));
    }
}

#[tokio::test]
async fn tcp_is_echoed_on_many_connections_at_once() {
    let (server, address) = Tautline::serve(&["echo", "tcp", "--port", "0"]).await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(TcpStream::connect(&address).await.unwrap());
    }
    for (number, client) in clients.iter_mut().enumerate() {
        client.write_all(format!("Hola, mundo {number:02}").as_bytes()).await.unwrap();
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let mut echo = [0; 14];
        client.read_exact(&mut echo).await.unwrap();
        assert_eq!(text(&echo), format!("Hola, mundo {number:02}"));
    }
    // More than all buffers hold: it reads no faster than it can write.
    let (mut reading, mut writing) = clients.pop().unwrap().into_split();
    let large = vec![7; 8 * 1024 * 1024];
    let sent = large.clone();
    let sending = tokio::spawn(async move {
        writing.write_all(&sent).await.unwrap();
        writing.shutdown().await.unwrap();
    });
    let mut received = Vec::new();
    reading.read_to_end(&mut received).await.unwrap();
    sending.await.unwrap();
    assert!(received == large);
    server.signal(Signal::TERM);
    assert_eq!(clients[0].read(&mut [0]).await.unwrap(), 0);
    assert_eq!(server.end().await.0, Some(0));
}

#[tokio::test]
async fn datagrams_are_echoed() {
    let (server, address) = Tautline::serve(&["echo", "udp", "--port", "0"]).await;
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(&address).await.unwrap();
    for datagram in [&b"Hola, mundo!"[..], &[], &[0; 9000]] {
        client.send(datagram).await.unwrap();
        let mut echo = vec![0; 10_000];
        let length = tokio::time::timeout(super::LIMIT, client.recv(&mut echo)).await.unwrap().unwrap();
        assert_eq!(&echo[..length], datagram);
    }
    server.signal(Signal::INT);
    assert_eq!(server.end().await.0, Some(0));
}
