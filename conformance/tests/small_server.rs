//! The small server, which runs on chips, as it runs on this machine: other people's clients, and a browser.
//!
//! It takes the place of an SDK's libwebsockets server: what lws.rs asks of that one is asked here, too.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};
use tautline::{Message, connect};
use tautline_conformance::peers::{
    Browser, Certificates, Client, LENGTHS, Language, Process, binary, messages, request, scenarios, text, tool, within,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LANGUAGES: [Language; 2] = [Language::Python, Language::Node];

/// How many clients it takes.
const PLACES: usize = 3;

/// What is answered to a POST.
const POST_ANSWER: &str = r#"{"status": "success", "message": "Received your request."}"#;

/// The example on this address (port 0 takes a free one) with these arguments.
async fn server_at(address: &str, arguments: &[&str]) -> (Process, u16) {
    let mut command = Command::new(Path::new(&tool("TAUTLINE_EXAMPLES")).join("small_server"));
    command.arg(address).args(arguments);
    let mut process = Process::spawn(command);
    let port = process.listening().await;
    (process, port)
}

async fn server() -> (Process, u16) {
    server_at("0", &[]).await
}

async fn server_over_tls(certificates: &Certificates) -> (Process, u16) {
    let path = |path: &Path| path.display().to_string();
    server_at("0", &[&path(&certificates.cert), &path(&certificates.key)]).await
}

/// The libwebsockets client, told to leave after one message.
fn lws(port: u16, path: &str, protocol: &str, tls: &str) -> Process {
    let host = if tls == "0" { "127.0.0.1" } else { "localhost" };
    let mut command = Command::new(tool("TAUTLINE_LWS_CLIENT"));
    command.args([host, &port.to_string(), path, protocol, "1", tls]);
    Process::spawn(command)
}

#[tokio::test]
async fn python_and_node_are_echoed_whatever_they_send() {
    for language in LANGUAGES {
        let (_process, port) = server().await;
        let mut client = Client::connected(language, &format!("ws://127.0.0.1:{port}/any/path?with=query")).await;
        for message in messages() {
            client.send(message.clone()).await;
            client.expect(message).await;
        }
        // Some hundred times as much as it has memory for a client.
        let large = binary(1 << 20);
        client.send(large.clone()).await;
        client.expect(large).await;
        let parts: Vec<Message> = LENGTHS.iter().map(|&length| text(length).into()).collect();
        client.send_fragments(&parts).await;
        client.expect(LENGTHS.iter().map(|&length| text(length)).collect::<String>()).await;
        for length in [0, 1, 125] {
            assert!(client.ping(&binary(length)).await >= 0.0);
        }
        for n in 0..300 {
            client.send(text(n)).await;
        }
        for n in 0..300 {
            client.expect(text(n)).await;
        }
        assert_eq!(client.close(4321, "bye ñ").await.0, 4321);
    }
}

#[tokio::test]
async fn python_and_node_agree_on_a_subprotocol_and_on_no_compression() {
    for language in LANGUAGES {
        let (_process, port) = server().await;
        let uri = format!("ws://127.0.0.1:{port}/");
        let mut client = language.client();
        let offer = json!({"uri": uri, "subprotocols": ["unknown", "echo_server"], "compression": true});
        let answer = client.open(offer).await;
        assert_eq!((&answer["subprotocol"], &answer["extensions"]), (&json!("echo_server"), &json!("")), "{answer}");
        client.send(text(1000)).await;
        client.expect(text(1000)).await;
        client.close(1000, "").await;
        let answer = client.connect(json!({"uri": uri, "origin": "http://example.com"})).await;
        assert_eq!(answer["status"], 403, "{answer}");
    }
}

#[tokio::test]
async fn python_and_node_over_tls() {
    let certificates = Certificates::new();
    let (_process, port) = server_over_tls(&certificates).await;
    for language in LANGUAGES {
        let mut client = language.client();
        let uri = format!("wss://localhost:{port}/");
        client.open(json!({"uri": uri, "ca": certificates.ca})).await;
        for length in LENGTHS {
            client.send(binary(length)).await;
            client.expect(binary(length)).await;
        }
        client.close(1000, "").await;
        let answer = client.connect(json!(uri)).await;
        assert!(answer["error"].is_string() && answer.get("status").is_none(), "{answer}");
    }
}

#[tokio::test]
async fn a_client_too_many_is_told_when_to_come_back_and_served_when_there_is_a_place() {
    let (_process, port) = server().await;
    let uri = format!("ws://127.0.0.1:{port}/");
    let mut clients = Vec::new();
    for _ in 0..PLACES {
        clients.push(Client::connected(Language::Python, &uri).await);
    }
    for language in LANGUAGES {
        let answer = language.client().connect(json!(uri)).await;
        assert_eq!(answer["status"], 503, "{answer}");
    }
    let answer = request(port, "GET", "/", "").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    // The others have not noticed.
    for client in &mut clients {
        client.send("here").await;
        client.expect("here").await;
    }
    clients.pop().expect("a client").close(1000, "").await;
    let mut client = Client::connected(Language::Node, &uri).await;
    client.send("at last").await;
    client.expect("at last").await;
}

#[tokio::test]
async fn sigint_closes_with_1001() {
    let (mut process, port) = server().await;
    let mut client = Client::connected(Language::Python, &format!("ws://127.0.0.1:{port}/")).await;
    process.signal(Signal::INT);
    assert_eq!(client.wait_closed().await.0, 1001);
    assert!(process.exit().await.success());
}

// ---- As libwebsockets does.

#[tokio::test]
async fn the_libwebsockets_client_is_echoed() {
    let (_process, port) = server().await;
    for (protocol, selected) in [("", None), ("echo-protocol", None), ("echo_server", Some("protocol echo_server"))] {
        let lines = lws(port, "/", protocol, "0").success().await;
        let expected: Vec<&str> =
            selected.into_iter().chain(["established", "received Hello, server!", "closed"]).collect();
        assert_eq!(lines, expected, "{protocol}");
    }
}

#[tokio::test]
async fn the_libwebsockets_client_is_echoed_over_tls() {
    let certificates = Certificates::new();
    let (_process, port) = server_over_tls(&certificates).await;
    for tls in ["1", certificates.ca.to_str().expect("a path of UTF-8")] {
        let lines = lws(port, "/", "echo_server", tls).success().await;
        assert_eq!(lines, ["protocol echo_server", "established", "received Hello, server!", "closed"]);
    }
}

#[tokio::test]
async fn a_post_is_answered_as_libwebsockets_does() {
    let mut theirs = Command::new(tool("TAUTLINE_LWS_SERVER"));
    theirs.arg("0");
    let mut theirs = Process::spawn(theirs);
    let (_process, ours) = server().await;
    for port in [theirs.listening().await, ours] {
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

// ---- Our client.

#[tokio::test]
async fn our_client_is_echoed_with_and_without_tls() {
    let (_process, port) = server().await;
    let mut ws = scenarios::ours_to(port).await;
    scenarios::exchange(&mut ws).await;
    scenarios::close(ws).await;
    let certificates = Certificates::new();
    let (_process, port) = server_over_tls(&certificates).await;
    let ca = std::fs::read(&certificates.ca).expect("the authority's certificate");
    let opening = connect(format!("wss://localhost:{port}/")).ca(ca).into_future();
    let mut ws = within("a connection", opening).await.expect("a connection");
    scenarios::exchange(&mut ws).await;
    scenarios::close(ws).await;
}

/// An IPv6 address takes IPv4 as well: here the one that means 127.0.0.1, so that nobody else is listened to.
#[tokio::test]
async fn ipv4_and_ipv6_are_spoken() {
    for (address, host) in [("[::1]:0", "[::1]"), ("[::ffff:127.0.0.1]:0", "127.0.0.1")] {
        let (_process, port) = server_at(address, &[]).await;
        let opening = connect(format!("ws://{host}:{port}/")).into_future();
        let ws = within("a connection", opening).await.expect("a connection");
        scenarios::close(ws).await;
    }
}

// ---- Raw requests.

#[tokio::test]
async fn a_connection_serves_several_requests_and_errors_end_it() {
    let (_process, port) = server().await;
    let exchange = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let head = "Host: a\r\n";
        let requests = format!(
            "GET /lamp HTTP/1.1\r\n{head}\r\nHEAD / HTTP/1.1\r\n{head}\r\n\
             POST /lamp HTTP/1.1\r\n{head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
             4\r\ntrue\r\n0\r\n\r\nGET /nothing HTTP/1.1\r\n{head}\r\nBREW / HTTP/1.1\r\n{head}\r\nGET / HTTP/1.1\r\n"
        );
        stream.write_all(requests.as_bytes()).await?;
        let mut answers = String::new();
        stream.read_to_string(&mut answers).await.map(|_| answers)
    };
    let answers = within("answers", exchange).await.expect("a connection");
    let statuses: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "200", "200", "404", "501"], "{answers}");
    let bodies: Vec<&str> =
        answers.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.split("\r\n\r\n").nth(1)).collect();
    assert_eq!(bodies, ["false", "", "true", "Not Found", "Not Implemented"], "{answers}");
}

// ---- A browser.

#[tokio::test]
async fn two_tabs_and_a_post_switch_the_lamp() {
    let (_process, port) = server().await;
    let page = format!("http://127.0.0.1:{port}/");
    let mut browser = Browser::start();
    for tab in ["a", "b"] {
        browser.open(&page, tab).await;
        browser.shows(tab, "#link", "connected").await;
        browser.shows(tab, "#state", "off").await;
    }
    browser.click("a", "#on").await;
    for tab in ["a", "b"] {
        browser.shows(tab, "#state", "on").await;
    }
    browser.click("b", "#off").await;
    browser.shows("a", "#state", "off").await;
    browser.click("b", "#post").await;
    for tab in ["a", "b"] {
        browser.shows(tab, "#state", "on").await;
        browser.has_no_errors(tab).await;
    }
    assert_eq!(request(port, "GET", "/lamp", "").await.body, "true");
    assert_eq!(browser.frames("a", "received").await, [json!("off"), json!("on"), json!("off"), Value::from("on")]);
    browser.finish().await;
}
