//! Clients that speak TLS. What they are to trust and to show is JSON as `connect` of the clients that can be told takes it.

use serde_json::Value;
use tautline::{WebSocket, connect};

use super::{Client, Language, Process, bin, binary, text, within};

/// The options of a client with its address.
pub fn at(uri: String, mut options: Value) -> Value {
    options["uri"] = uri.into();
    options
}

/// A client that connects with these options.
///
/// # Panics
///
/// If it does not.
pub async fn opened(language: Language, uri: String, options: Value) -> Client {
    let mut client = language.client();
    client.open(at(uri, options)).await;
    client
}

/// The error of a client that does not connect, because of TLS.
///
/// # Panics
///
/// If it does, or is refused by HTTP.
pub async fn refused(language: Language, uri: String, options: Value) -> String {
    let answer = language.client().connect(at(uri, options)).await;
    assert!(answer.get("status").is_none(), "TLS should have failed: {answer}");
    answer["error"].as_str().unwrap_or_else(|| panic!("no error: {answer}")).to_owned()
}

/// A client of ours.
///
/// # Panics
///
/// If it does not connect.
pub async fn ours(uri: String, options: &Value) -> WebSocket {
    let file = |name: &str| options[name].as_str().map(|file| std::fs::read(file).expect("a file"));
    let mut opening = connect(&uri).ca(file("ca").expect("a CA"));
    if let (Some(certificate), Some(key)) = (file("cert"), file("key")) {
        opening = opening.client_certificate(certificate, key);
    }
    within("our client's connection", opening.into_future()).await.unwrap_or_else(|error| panic!("{uri}: {error}"))
}

/// `tautline connect` with these options of a client.
pub fn command(uri: String, options: &Value) -> Process {
    // The input ends when the answers are there.
    let mut command = bin(&["connect", "--linger", "0.1"]);
    for name in ["ca", "cert", "key"] {
        if let Some(file) = options[name].as_str() {
            command.arg(format!("--{name}")).arg(file);
        }
    }
    if options["insecure"] == true {
        command.arg("--insecure");
    }
    command.arg(uri);
    Process::spawn(command)
}

/// `tautline connect` speaks through a relay with a client of ours that has the options `friend`.
///
/// # Panics
///
/// If it does not, or fails in the end.
pub async fn command_relays(base: &str, friend: &Value, options: &Value) {
    let mut friend = ours(format!("{base}/1"), friend).await;
    let mut process = command(format!("{base}/2"), options);
    process.write_line("SOS").await;
    let message = within("a message", friend.recv()).await;
    assert_eq!(message, Some("SOS".into()), "{options}");
    friend.send("answer").await.expect("an open connection");
    assert_eq!(process.line().await, "answer", "{options}");
    process.success().await;
}

/// `tautline connect` gives up.
///
/// # Panics
///
/// If it does not.
pub async fn command_is_refused(uri: String, options: &Value) {
    let status = command(uri, options).exit().await;
    assert_eq!(status.code(), Some(1), "{options}");
}

/// Everybody hears everybody else through a relay.
///
/// # Panics
///
/// If somebody does not.
pub async fn relay(clients: &mut [Client]) {
    for sender in 0..clients.len() {
        for length in [0, 1, 125, 126, 65_535, 65_536, 100_000] {
            clients[sender].send(text(length)).await;
            clients[sender].send(binary(length)).await;
            for (_, receiver) in clients.iter_mut().enumerate().filter(|(index, _)| *index != sender) {
                receiver.expect(text(length)).await;
                receiver.expect(binary(length)).await;
            }
        }
    }
}
