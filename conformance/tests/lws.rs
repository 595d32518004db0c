//! libwebsockets: a client and a server in the shape of an SDK's documentation.

use std::process::Command;

use tautline::{CloseCode, Ended, Message, Server, connect};
use tautline_conformance::peers::{
    Certificates, End, Hub, LENGTHS, Ours, Process, binary, messages, request, scenarios, text, tool, within,
};

/// What the client sends by itself.
const GREETING: &str = "Hello, server!";
/// What is answered to a POST.
const POST_ANSWER: &str = r#"{"status": "success", "message": "Received your request."}"#;

/// The client, told to leave after `count` messages, or with 0 when the server closes.
fn client(port: u16, path: &str, protocol: &str, count: usize, tls: &str) -> Process {
    let host = if tls == "0" { "127.0.0.1" } else { "localhost" };
    let mut command = Command::new(tool("TAUTLINE_LWS_CLIENT"));
    command.args([host, &port.to_string(), path, protocol, &count.to_string(), tls]);
    Process::spawn(command)
}

async fn server(arguments: &[&str]) -> (Process, u16) {
    let mut command = Command::new(tool("TAUTLINE_LWS_SERVER"));
    command.arg("0").args(arguments);
    let mut process = Process::spawn(command);
    let port = process.listening().await;
    (process, port)
}

// ---- Their client, our server.

#[tokio::test]
async fn client_is_echoed_by_the_hub() {
    let hub = Hub::app("echo").await;
    let lines = client(hub.port, "/any/path", "", 1, "0").success().await;
    assert_eq!(lines, ["established", &format!("received {GREETING}"), "closed"]);
    let hub = Hub::start().await;
    let lines = client(hub.port, "/echo", "", 1, "0").success().await;
    assert_eq!(lines, ["established", &format!("received {GREETING}"), "closed"]);
}

/// The SDK's client always offers a subprotocol; a server that knows none answers without, which libwebsockets takes.
#[tokio::test]
async fn client_that_offers_an_unknown_subprotocol_is_served() {
    let hub = Hub::app("echo").await;
    let lines = client(hub.port, "/", "echo-protocol", 1, "0").success().await;
    assert_eq!(lines, ["established", &format!("received {GREETING}"), "closed"]);
}

#[tokio::test]
async fn client_gets_the_first_subprotocol_that_is_supported() {
    let mut ours = Ours::echo(Server::new().subprotocols(["other", "echo-protocol"])).await;
    let lines = client(ours.port, "/", "echo-protocol", 1, "0").success().await;
    assert_eq!(lines, ["protocol echo-protocol", "established", &format!("received {GREETING}"), "closed"]);
    assert_eq!(ours.end().await, End::by_peer(1000, ""));
    for offer in ["echo-protocol, other", "unknown, echo-protocol, other"] {
        let lines = client(ours.port, "/", offer, 1, "0").success().await;
        assert_eq!(lines[0], "protocol echo-protocol");
        assert_eq!(lines[2], format!("received {GREETING}"));
        assert_eq!(ours.end().await, End::by_peer(1000, ""));
    }
}

#[tokio::test]
async fn client_hears_what_our_server_closes_with() {
    let mut ours = Ours::start(Server::new(), |mut ws, _| async move {
        assert_eq!(ws.recv().await, Some(GREETING.into()));
        ws.close(CloseCode::new(4000).expect("a code"), "bye ñ").await;
        ws
    })
    .await;
    let lines = client(ours.port, "/", "", 0, "0").success().await;
    assert_eq!(lines, ["established", "close 4000 bye ñ", "closed"]);
    let code = CloseCode::new(4000).expect("a code");
    assert_eq!(ours.end().await.ended, Ended::ClosedByUs { code, clean: true });
}

#[tokio::test]
async fn client_receives_messages_of_every_length() {
    // Line by line, so without line ends; it reads in pieces of 1024 bytes.
    let sent: Vec<String> = LENGTHS.iter().map(|&length| text(length).replace('\n', " ")).collect();
    let ours = Ours::start(Server::new(), {
        let sent = sent.clone();
        move |mut ws, _| {
            let sent = sent.clone();
            async move {
                for text in sent {
                    let _ = ws.send(text).await;
                }
                while ws.recv().await.is_some() {}
                ws
            }
        }
    })
    .await;
    let lines = client(ours.port, "/", "", sent.len(), "0").success().await;
    assert_eq!(lines.len(), sent.len() + 2);
    for (line, sent) in lines[1..].iter().zip(&sent) {
        let received = line.strip_prefix("received").expect("a message");
        // The end of a line is trimmed.
        assert!(received.trim() == sent.trim(), "{} bytes instead of {}", received.len(), sent.len());
    }
}

#[tokio::test]
async fn client_over_tls() {
    let certificates = Certificates::new();
    let mut ours = Ours::echo(Server::new().tls(certificates.server_config())).await;
    for tls in ["1", certificates.ca.to_str().expect("a path of UTF-8")] {
        let lines = client(ours.port, "/", "", 1, tls).success().await;
        assert_eq!(lines, ["established", &format!("received {GREETING}"), "closed"]);
        assert_eq!(ours.end().await, End::by_peer(1000, ""));
    }
    let other = Certificates::new();
    let mut refused = client(ours.port, "/", "", 1, other.ca.to_str().expect("a path of UTF-8"));
    assert!(refused.line().await.starts_with("error "));
    assert_eq!(refused.exit().await.code(), Some(1));
}

#[tokio::test]
async fn client_is_told_that_a_path_is_not_there() {
    let hub = Hub::start().await;
    let mut process = client(hub.port, "/not/an/app", "", 1, "0");
    let line = process.line().await;
    assert!(line.starts_with("error "), "{line}");
    assert_eq!(process.exit().await.code(), Some(1));
}

// ---- Our client, their server.

#[tokio::test]
async fn server_echoes_every_length() {
    let (_process, port) = server(&[]).await;
    let mut ws = scenarios::ours_to(port).await;
    scenarios::exchange(&mut ws).await;
    scenarios::close(ws).await;
}

#[tokio::test]
async fn server_echoes_in_order() {
    let (_process, port) = server(&[]).await;
    let mut ws = scenarios::ours_to(port).await;
    let small = || messages().into_iter().filter(|message| message.len() <= 4096);
    for message in small() {
        ws.feed(message).await.expect("an open connection");
    }
    ws.flush().await.expect("an open connection");
    for message in small() {
        assert_eq!(within("an echo", ws.recv()).await, Some(message));
    }
}

#[tokio::test]
async fn server_takes_fragments_and_answers_pings() {
    let (_process, port) = server(&[]).await;
    let mut ws = scenarios::ours_to(port).await;
    for message in [Message::from(text(10_000)), Message::from(binary(10_000))] {
        let mut writer = within("a writer", ws.begin(message.kind())).await.expect("an open connection");
        for piece in message.as_bytes().chunks(777) {
            within("a piece", writer.write(piece.to_vec())).await.expect("an open connection");
            within("a pong", ws.ping()).await.expect("an open connection");
        }
        within("the last piece", writer.finish(Vec::new())).await.expect("an open connection");
        assert!(within("an echo", ws.recv()).await == Some(message));
    }
    scenarios::close(ws).await;
}

#[tokio::test]
async fn server_selects_its_subprotocol() {
    let (_process, port) = server(&[]).await;
    let offer = |names: &[&str]| {
        names.iter().fold(connect(format!("ws://127.0.0.1:{port}/")), |offer, name| offer.subprotocol(*name))
    };
    for names in [&["echo_server"][..], &["unknown", "echo_server"], &["echo_server", "unknown"]] {
        let mut ws = within("a connection", offer(names).into_future()).await.expect("a connection");
        assert_eq!(ws.info().subprotocol.as_deref(), Some("echo_server"));
        ws.send("x").await.expect("an open connection");
        assert_eq!(within("an echo", ws.recv()).await, Some("x".into()));
        scenarios::close(ws).await;
    }
    // Who offers only what it does not know is not served.
    assert!(within("an answer", offer(&["unknown"]).into_future()).await.is_err());
}

#[tokio::test]
async fn server_over_tls() {
    let certificates = Certificates::new();
    let path = |path: &std::path::Path| path.display().to_string();
    let (_process, port) = server(&[&path(&certificates.cert), &path(&certificates.key)]).await;
    let ca = std::fs::read(&certificates.ca).expect("the authority's certificate");
    let opening = connect(format!("wss://localhost:{port}/")).ca(ca).into_future();
    let mut ws = within("a connection", opening).await.expect("a connection");
    scenarios::exchange(&mut ws).await;
    scenarios::close(ws).await;
}

// ---- HTTP on the same port.

#[tokio::test]
async fn both_answer_a_post_alike() {
    let (_process, theirs) = server(&[]).await;
    let (hub, post) = (Hub::start().await, Hub::app("post").await);
    for port in [theirs, hub.port, post.port] {
        for (path, body) in [("/", "{\"id\": 1}"), ("/any/path", "hello"), ("/x", &text(10_000))] {
            let answer = request(port, "POST", path, body).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.header("content-length"), Some(&*POST_ANSWER.len().to_string()));
            assert_eq!(answer.header("connection").map(str::to_ascii_lowercase).as_deref(), Some("close"));
            assert_eq!(answer.body, POST_ANSWER);
        }
    }
}
