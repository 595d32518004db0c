//! Our own binary.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use super::{Process, tool};

/// `tautline ARGS`.
///
/// # Panics
///
/// If `TAUTLINE_BIN` does not say where it is.
pub fn bin(args: &[&str]) -> Command {
    let mut command = Command::new(tool("TAUTLINE_BIN"));
    // Several hubs may run at once, and nothing is to be left behind.
    command.args(args).env("TAUTLINE_DATA", "memory").env("TAUTLINE_TELEMETRY", "false");
    command
}

/// The command of a hub, in which a client has a minute to say that it is still there before another gets its id: two seconds may
/// not be enough on a busy machine.
pub fn patient(mut command: Command) -> Command {
    command.env("TAUTLINE_ROOM_PROBE_TIMEOUT", "60");
    command
}

/// A running `tautline serve`.
#[derive(Debug)]
pub struct Hub {
    /// The process.
    pub process: Process,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// Whether TLS is spoken there.
    tls: bool,
}

impl Hub {
    /// Everything on one port, as `tautline serve` does by default.
    pub async fn start() -> Self {
        Self::start_on(0, &[]).await
    }

    /// One app on every path: `tautline serve --app NAME`.
    pub async fn app(name: &str) -> Self {
        Self::start_on(0, &["--app", name]).await
    }

    /// `tautline serve` with further arguments on this port, 0 for a free one.
    ///
    /// # Panics
    ///
    /// If it does not say in time that it listens.
    pub async fn start_on(port: u16, args: &[&str]) -> Self {
        let mut command = bin(&["serve", "--host", "127.0.0.1", "--port", &port.to_string()]);
        command.args(args);
        Self::started(command).await
    }

    /// `tautline serve` with further arguments, where an id is taken for as long as its client [may still be
    /// there](patient).
    ///
    /// # Panics
    ///
    /// As [`start_on`](Self::start_on).
    pub async fn patient(args: &[&str]) -> Self {
        let mut command = patient(bin(&["serve", "--host", "127.0.0.1", "--port", "0"]));
        command.args(args);
        Self::started(command).await
    }

    /// A [patient](patient) `tautline serve` with exactly these arguments in this folder, where its certificates are.
    ///
    /// # Panics
    ///
    /// As [`start_on`](Self::start_on).
    pub async fn start_in(folder: &Path, args: &[&str]) -> Self {
        let mut command = patient(bin(&["serve"]));
        command.args(args).current_dir(folder);
        Self::started(command).await
    }

    /// A hub of this command, which listens on 127.0.0.1.
    ///
    /// # Panics
    ///
    /// As [`start_on`](Self::start_on).
    pub async fn started(command: Command) -> Self {
        let mut process = Process::spawn(command);
        let (tls, port) = process
            .find(|line| {
                let (scheme, address) = line.strip_prefix("listening on ")?.split_once("://127.0.0.1:")?;
                Some((scheme == "https", address.split('/').next()?.parse().ok()?))
            })
            .await;
        Self { process, port, tls }
    }

    /// `ws://127.0.0.1:PORT` (`wss`, where TLS is spoken) and this path.
    pub fn uri(&self, path: &str) -> String {
        let scheme = if self.tls { "wss" } else { "ws" };
        format!("{scheme}://127.0.0.1:{}{path}", self.port)
    }

    /// Asks it to end by SIGTERM, and waits until it has.
    ///
    /// # Panics
    ///
    /// If it does not end in time and well.
    pub async fn stop(mut self) {
        self.process.signal(Signal::TERM);
        let status = self.process.exit().await;
        if !status.success() {
            self.process.fail(&format!("after SIGTERM: {status}"));
        }
    }
}
