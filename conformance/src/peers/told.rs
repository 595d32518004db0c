//! Clients and echo servers of two languages, which take the same commands and arguments.

use std::process::Command;

use serde_json::{Value, json};
use tautline::Message;

use super::messages::{assert_same, shown};
use super::{Driver, Process, hex, peer, tool, unhex};

/// Seconds that a peer waits for anything, a little less than we wait for the peer.
const PATIENCE: u32 = 25;

/// The language of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Python's websockets.
    Python,
    /// Node's ws.
    Node,
}

impl Language {
    /// The command that runs one of `tests/peers`, without the ending of its name.
    pub fn program(self, name: &str) -> Command {
        let (mut command, path) = match self {
            Self::Python => (Command::new(tool("TAUTLINE_PYTHON")), format!("python/{name}.py")),
            Self::Node => {
                let mut node = Command::new(std::env::var_os("TAUTLINE_NODE").unwrap_or_else(|| "node".into()));
                node.env("NODE_PATH", tool("TAUTLINE_NODE_MODULES"));
                (node, format!("node/{name}.mjs"))
            }
        };
        // Nothing is to be left in the source tree.
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(peer(&path));
        command
    }

    /// Starts a client, which connects when it is told to.
    pub fn client(self) -> Client {
        Client(Driver::start(self.program("client")))
    }

    /// Starts an echo server: the process and its port.
    pub async fn echo_server(self, args: &[&str]) -> (Process, u16) {
        let mut command = self.program("echo_server");
        command.args(args);
        let mut process = Process::spawn(command);
        let port = process.listening().await;
        (process, port)
    }
}

/// What a client received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A message.
    Message(Message),
    /// The connection has ended: code and reason of the peer's close frame, 1005 or 1006 without one.
    Closed(u16, String),
}

/// A client that does what it is told.
#[derive(Debug)]
pub struct Client(Driver);

impl Client {
    /// Starts a client and connects it.
    ///
    /// # Panics
    ///
    /// If it does not connect.
    pub async fn connected(language: Language, uri: &str) -> Self {
        let mut client = language.client();
        client.open(json!(uri)).await;
        client
    }

    /// The answer to `connect`, also if that is an error.
    ///
    /// # Panics
    ///
    /// If it does not come.
    pub async fn connect(&mut self, options: Value) -> Value {
        self.0.ask("connect", options, &[]).await
    }

    /// The answer to a `connect` that has to succeed.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub async fn open(&mut self, options: Value) -> Value {
        let answer = self.0.tell("connect", options, &[]).await;
        assert_eq!(answer["status"], 101, "{answer}");
        answer
    }

    /// Sends a message.
    ///
    /// # Panics
    ///
    /// If that fails.
    pub async fn send(&mut self, message: impl Into<Message>) {
        let answer = self.send_anyway(message).await;
        if answer.get("ok").is_none() {
            self.0.fail(&format!("cannot send: {answer}"));
        }
    }

    /// Sends a message; the answer, which may be that the connection has ended.
    ///
    /// # Panics
    ///
    /// If that is an error.
    pub async fn send_anyway(&mut self, message: impl Into<Message>) -> Value {
        match message.into() {
            Message::Text(text) => self.0.tell("send_text", json!(&*text), &[]).await,
            Message::Binary(bytes) => self.0.tell("send_binary", json!(hex(&bytes)), &[]).await,
        }
    }

    /// Sends a message in several frames, text if it is text.
    ///
    /// # Panics
    ///
    /// If that fails.
    pub async fn send_fragments(&mut self, parts: &[Message]) {
        let is_text = parts.iter().all(|part| part.as_text().is_some());
        let part = |part: &Message| part.as_text().map_or_else(|| json!(hex(part.as_bytes())), |text| json!(text));
        let parts: Vec<Value> = parts.iter().map(part).collect();
        self.0.tell("send_fragments", json!(parts), &[("binary", json!(!is_text))]).await;
    }

    /// What it receives next.
    ///
    /// # Panics
    ///
    /// If nothing comes in time.
    pub async fn receive(&mut self) -> Received {
        let answer = self.0.tell("recv", json!(PATIENCE), &[]).await;
        if let Some(text) = answer["text"].as_str() {
            Received::Message(text.into())
        } else if let Some(bytes) = answer["binary"].as_str().and_then(unhex) {
            Received::Message(bytes.into())
        } else if let Some((code, reason)) = closed(&answer) {
            Received::Closed(code, reason)
        } else {
            self.0.fail(&format!("received {answer}"))
        }
    }

    /// The message that it receives next.
    ///
    /// # Panics
    ///
    /// If nothing comes in time, or the connection has ended.
    pub async fn recv(&mut self) -> Message {
        match self.receive().await {
            Received::Message(message) => message,
            closed => self.0.fail(&format!("no message but {closed:?}")),
        }
    }

    /// Receives exactly this message.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub async fn expect(&mut self, message: impl Into<Message>) {
        let message = message.into();
        match self.receive().await {
            Received::Message(received) => assert_same(&received, &message),
            closed => self.0.fail(&format!("expected {}; got {closed:?}", shown(&message))),
        }
    }

    /// Seconds until a ping with this payload is answered.
    ///
    /// # Panics
    ///
    /// If it is not.
    pub async fn ping(&mut self, payload: &[u8]) -> f64 {
        let answer = self.0.tell("ping", json!(hex(payload)), &[]).await;
        answer["pong"].as_f64().unwrap_or_else(|| self.0.fail(&format!("no pong but {answer}")))
    }

    /// Closes; code and reason of the answer.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub async fn close(&mut self, code: u16, reason: &str) -> (u16, String) {
        self.close_with(json!([code, reason])).await
    }

    /// Closes without saying how.
    ///
    /// # Panics
    ///
    /// If there is no answer.
    pub async fn just_close(&mut self) -> (u16, String) {
        self.close_with(json!([])).await
    }

    async fn close_with(&mut self, arguments: Value) -> (u16, String) {
        let answer = self.0.tell("close", arguments, &[]).await;
        closed(&answer).unwrap_or_else(|| self.0.fail(&format!("not closed but {answer}")))
    }

    /// Code and reason of the server's close frame.
    ///
    /// # Panics
    ///
    /// If the connection does not end in time.
    pub async fn wait_closed(&mut self) -> (u16, String) {
        let answer = self.0.tell("wait_closed", json!(PATIENCE), &[]).await;
        closed(&answer).unwrap_or_else(|| self.0.fail(&format!("not closed but {answer}")))
    }

    /// Drops the TCP connection.
    ///
    /// # Panics
    ///
    /// If that fails.
    pub async fn abort(&mut self) {
        self.0.tell("abort", json!(true), &[]).await;
    }

    /// Has the client end, which closes its connection.
    ///
    /// # Panics
    ///
    /// If it does not end, or fails.
    pub async fn finish(self) {
        self.0.finish().await;
    }
}

fn closed(answer: &Value) -> Option<(u16, String)> {
    let [code, reason] = answer["closed"].as_array()?.as_slice() else { return None };
    Some((u16::try_from(code.as_u64()?).ok()?, reason.as_str()?.to_owned()))
}
