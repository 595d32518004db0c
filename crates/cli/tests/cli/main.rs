//! The built program, as its users start it.

#![cfg(unix)]

mod backup;
mod cert;
mod config;
mod connect;
mod device;
mod labs;
mod serve;
mod simulate;
mod terminal;
mod token;

use std::process::{Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Longer than anything here takes, on a busy machine too.
const LIMIT: Duration = Duration::from_secs(30);

/// A running `tautline`, killed when it is dropped.
struct Tautline {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: ChildStderr,
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tautline"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // Of whoever runs the tests.
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("TAUTLINE_") {
            command.env_remove(variable);
        }
    }
    // Many of them run at once in the same directory.
    command.env("TAUTLINE_DATA", "memory");
    // And there is one port for sensor data.
    command.env("TAUTLINE_TELEMETRY", "false");
    command.env_remove("RUST_LOG");
    command
}

impl Tautline {
    fn start(arguments: &[&str]) -> Self {
        Self::spawn(&mut command(arguments))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the program starts");
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { stdin: child.stdin.take(), stdout, stderr: child.stderr.take().unwrap(), child }
    }

    /// Starts a server; answers the address that it says it listens on.
    async fn serve(arguments: &[&str]) -> (Self, String) {
        let mut server = Self::start(arguments);
        let line = server.line().await;
        let url = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}"));
        let address = url.split_once("://").unwrap().1.trim_end_matches('/').to_owned();
        (server, address)
    }

    /// The next line of its output.
    async fn line(&mut self) -> String {
        timeout(LIMIT, self.stdout.next_line()).await.expect("a line comes").unwrap().expect("it still runs")
    }

    /// Waits until its log has this.
    async fn logs(&mut self, expected: &str) {
        let mut log = Vec::new();
        let found = timeout(LIMIT, async {
            while !String::from_utf8_lossy(&log).contains(expected) {
                log.push(self.stderr.read_u8().await.expect("it still runs"));
            }
        });
        assert!(found.await.is_ok(), "no `{expected}` in {}", String::from_utf8_lossy(&log));
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id as i32)).expect("it still runs");
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end; answers its exit status and the rest of what it wrote to standard error.
    async fn end(mut self) -> (Option<i32>, String) {
        let mut errors = String::new();
        let status = timeout(LIMIT, async {
            self.stderr.read_to_string(&mut errors).await.unwrap();
            self.child.wait().await.unwrap()
        });
        (status.await.expect("it ends").code(), errors)
    }
}

/// Runs it to its end, with this input.
async fn run(arguments: &[&str], input: &[u8]) -> Output {
    use tokio::io::AsyncWriteExt;
    let mut child = command(arguments).spawn().expect("the program starts");
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_owned());
    // At the same time as its output is read: it does not take everything at once. Perhaps it does not want it at all.
    tokio::spawn(async move { stdin.write_all(&input).await });
    timeout(LIMIT, child.wait_with_output()).await.expect("it ends").unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
