//! The device project's client from PyPI, unmodified, in a real MicroPython VM.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tautline::connect;
use tautline_conformance::peers::{Hub, Process, peer, tool, within};

/// How long a run may take: the VM is slow, and waits some milliseconds for every piece that it reads.
const RUN: Duration = Duration::from_secs(60);

/// Starts a run; see `tests/peers/micropython/run.mjs`.
fn run(mode: &str, uri: &str, more: &[&str]) -> Process {
    let mut node = Command::new(std::env::var_os("TAUTLINE_NODE").unwrap_or_else(|| "node".into()));
    node.env("NODE_PATH", tool("TAUTLINE_NODE_MODULES"));
    node.arg(peer("micropython/run.mjs")).arg(tool("TAUTLINE_MICROPYTHON_CLIENT")).args([mode, uri]).args(more);
    Process::spawn(node)
}

/// The names of the checks, all of which passed, that a successful run has made.
async fn checks(process: Process) -> Vec<String> {
    let lines = process.success_within(RUN).await;
    let checks = lines.iter().filter_map(|line| {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let name = line["check"].as_str()?.to_owned();
        assert_eq!(line["ok"], true, "{line}");
        Some(name)
    });
    checks.collect()
}

#[tokio::test]
async fn echo() {
    let hub = Hub::app("echo").await;
    // A second run finds the server as the first one did.
    for _ in 0..2 {
        let made = checks(run("echo", &hub.uri("/device/7"), &[])).await;
        assert_eq!(made, ["handshake", "text", "text", "text", "binary", "big", "close"]);
    }
}

#[tokio::test]
async fn relay() {
    for hub in [Hub::patient(&["--app", "relay"]).await, Hub::patient(&[]).await] {
        let made = checks(run("relay", &hub.uri("/"), &[])).await;
        assert_eq!(made, ["handshake", "relayed", "relayed", "relayed", "duplicate refused"]);
    }
}

/// The device's own program, beside a second client in the VM and one of ours: it sends SOS each cycle, drops the channel
/// every tenth and comes back, and hears what we say.
#[tokio::test]
async fn main_program() {
    for hub in [Hub::app("relay").await, Hub::start().await] {
        let opened = within("our client's connection", connect(hub.uri("/ours")).into_future());
        let mut ws = opened.await.expect("a connection");
        let device = run("main", &hub.uri("/"), &["28"]);
        let listening = tokio::spawn(async move {
            let (mut distress, mut answers) = (0, 0);
            while let Some(message) = ws.recv().await {
                match message.as_text() {
                    Some("SOS") => distress += 1,
                    Some(text) if text.starts_with("answer ") => answers += 1,
                    _ => panic!("{message:?}"),
                }
                if distress == 12 && answers == 12 {
                    return;
                }
            }
            panic!("the connection ended: {:?}", ws.ended());
        });
        let made = checks(device).await;
        assert_eq!(made, ["cycles", "handshakes", "ids differ", "SOS only", "SOS each cycle"]);
        within("what the device has sent", listening).await.expect("distress and answers");
    }
}
