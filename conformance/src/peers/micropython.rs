//! The device project's client in its VM, with what lies on a controller.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{Process, peer, tool};

/// How long a run may take: the VM is slow, and waits some milliseconds for every piece that it reads.
const RUN: Duration = Duration::from_secs(60);

/// A controller: a configuration of `tests/peers/seeds`, and a folder with its certificates.
#[derive(Clone, Copy, Debug)]
pub struct Controller<'a> {
    /// The name of its configuration.
    pub config: &'a str,
    /// What was copied to it.
    pub files: &'a Path,
}

impl Controller<'_> {
    /// Starts a run; see `tests/peers/micropython/run.mjs`.
    pub fn start(self, mode: &str, uri: &str, more: &[&str]) -> Process {
        let mut node = Command::new(std::env::var_os("TAUTLINE_NODE").unwrap_or_else(|| "node".into()));
        node.env("NODE_PATH", tool("TAUTLINE_NODE_MODULES"));
        node.arg(peer("micropython/run.mjs")).arg(tool("TAUTLINE_MICROPYTHON_CLIENT")).args([mode, uri]).args(more);
        node.arg("--config").arg(peer("seeds").join(self.config)).arg("--files").arg(self.files);
        Process::spawn(node)
    }

    /// The names of the checks of a run, all of which pass.
    ///
    /// # Panics
    ///
    /// If one does not, or the run does not end in time.
    pub async fn checks(self, mode: &str, uri: &str, more: &[&str]) -> Vec<String> {
        let lines = self.start(mode, uri, more).success_within(RUN).await;
        let checks = lines.iter().filter_map(|line| {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let name = line["check"].as_str()?.to_owned();
            assert_eq!(line["ok"], true, "{line}");
            Some(name)
        });
        checks.collect()
    }
}
