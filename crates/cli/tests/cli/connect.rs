//! `tautline connect` between pipes.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Tautline, run, text};

#[tokio::test]
async fn lines_go_out_and_messages_come_in() {
    let (_server, address) = Tautline::serve(&["serve", "--app", "echo", "--port", "0"]).await;
    let url = format!("ws://{address}/");
    let echoed = run(&["connect", &url], b"one\n\ntwo\xc3\xb1\r\n\xff\x00\nlast").await;
    assert_eq!(text(&echoed.stdout), "one\n\ntwoñ\nff 00\nlast\n");
    assert_eq!((echoed.status.code(), text(&echoed.stderr)), (Some(0), ""));
}

#[tokio::test]
async fn nothing_is_lost_of_much() {
    let (_server, address) = Tautline::serve(&["serve", "--app", "echo", "--port", "0"]).await;
    let input: String = (0..20_000).map(|n| format!("{n:0>100}\n")).collect();
    let echoed = run(&["connect", &format!("ws://{address}/")], input.as_bytes()).await;
    assert!(text(&echoed.stdout) == input);
    assert_eq!(echoed.status.code(), Some(0));
}

#[tokio::test]
async fn it_stays_while_the_input_is_open_and_messages_come_at_once() {
    let (_server, address) = Tautline::serve(&["serve", "--port", "0"]).await;
    let url = |id: &str| format!("ws://{address}/{id}");
    let mut listener = Tautline::start(&["connect", &url("listener")]);
    // Something that only a connected client gets, whenever it is connected.
    let heard = loop {
        run(&["connect", &url("sender"), "--linger", "0"], b"hi\n").await;
        let line = listener.stdout.next_line();
        if let Ok(line) = tokio::time::timeout(std::time::Duration::from_millis(500), line).await {
            break line.unwrap();
        }
    };
    assert_eq!(heard.as_deref(), Some("hi"));
    drop(listener.stdin.take());
    assert_eq!(listener.end().await.0, Some(0));
}

#[tokio::test]
async fn the_exit_status_tells_how_it_ended() {
    let (_server, address) = Tautline::serve(&["serve", "--port", "0"]).await;
    let refused = run(&["connect", &format!("ws://{address}/a/b")], b"").await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).starts_with("error: the server refused with HTTP status 404"));
    assert_eq!(text(&refused.stderr).lines().count(), 1);

    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let unreachable = run(&["connect", &nobody.to_string()], b"").await;
    assert_eq!(unreachable.status.code(), Some(1));
    assert!(text(&unreachable.stderr).contains("is the server running"));

    let closed = run(&["connect", &format!("ws://{address}/hello")], b"Ada\nEve\n").await;
    assert_eq!((closed.status.code(), text(&closed.stdout)), (Some(0), "Hello Ada!\n"));

    for wrong in [&["connect"][..], &["connect", "ws://h", "--cert", "x"], &["connect", "ws://h", "-H", "x"]] {
        assert_eq!(run(wrong, b"").await.status.code(), Some(2), "{wrong:?}");
    }
}

#[tokio::test]
async fn a_lost_connection_is_explained() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = async {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tcp.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let header = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{name} in {head}")).to_owned()
        };
        assert_eq!(header("X-Id: "), "7");
        assert_eq!(header("Origin: "), "http://o");
        assert_eq!(header("Sec-WebSocket-Protocol: "), "v2, v1");
        let key = header("Sec-WebSocket-Key: ");
        let key = tautline_proto::handshake::ClientKey::parse(&key).unwrap();
        let accept = key.accept();
        let accept = accept.as_str();
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: v1\r\n\r\n"
        );
        tcp.write_all(answer.as_bytes()).await.unwrap();
    };
    let url = format!("ws://{address}/");
    let arguments =
        ["connect", &url, "-H", "X-Id: 7", "--origin", "http://o", "--subprotocol", "v2", "--subprotocol", "v1"];
    let mut client = super::command(&arguments);
    let client = Tautline::spawn(&mut client);
    serving.await;
    let (status, errors) = client.end().await;
    assert_eq!(status, Some(1));
    assert!(errors.contains("without a word (1006)") && errors.contains("connects again"), "{errors}");
}

#[tokio::test]
async fn whoever_closes_its_output_ends_it() {
    let (_server, address) = Tautline::serve(&["serve", "--app", "clock", "--port", "0"]).await;
    let mut client = Tautline::start(&["connect", &format!("ws://{address}/")]);
    client.line().await;
    let Tautline { mut child, stdin, stdout, stderr } = client;
    drop(stdout);
    let status = tokio::time::timeout(super::LIMIT, child.wait()).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(0));
    drop((stdin, stderr));
}
