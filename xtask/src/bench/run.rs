//! One run: a fresh server on one core, the load generator on another.

use std::{
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use serde_json::Value;

use super::{
    build::Launch,
    catalogue::{Case, Test},
    machine::{Cores, QUIET},
    measure::Measure,
    peers::{CEILING, Peer},
    runs::Run,
};
use crate::{
    outcome::Stop,
    process::{self, Background, Deadline, Log, interrupted},
};

/// How often a disturbed run is repeated.
const REPEATS: u64 = 2;
/// Files that a process needs besides its connections.
const SPARE_FILES: u64 = 150;
/// Time for a server to become idle after it has begun to listen.
const SETTLE: Duration = Duration::from_millis(200);

/// What runs have in common.
pub(crate) struct Bench {
    pub(crate) load_generator: PathBuf,
    pub(crate) cores: Cores,
    /// The test certificates.
    pub(crate) certificates: PathBuf,
    /// Where the programs' output goes.
    pub(crate) logs: PathBuf,
    pub(crate) session: String,
    pub(crate) quick: bool,
    /// How many files a process may have.
    pub(crate) file_limit: u64,
    /// Messages per second of the test at half load.
    pub(crate) rate: Option<f64>,
}

impl Bench {
    /// Runs it, and again while others disturb it; answers the least disturbed run.
    ///
    /// # Errors
    /// `Interrupted` only: what goes wrong with a peer is a result.
    pub(crate) fn run(&self, test: &Test, case: &Case, peer: &Peer, launch: &Launch, round: u64) -> Result<Run, Stop> {
        let mut best: Option<(f64, Result<Value, String>)> = None;
        let mut tries = 0;
        let repeats = if self.quick { 0 } else { REPEATS };
        while tries <= repeats {
            tries += 1;
            // What others do takes time from a server, not memory.
            let sensitive = test.measure != Measure::Memory;
            if sensitive {
                self.cores.wait_until_quiet(Duration::from_secs(if self.quick { 3 } else { 60 }));
            }
            let result = match self.run_once(test, case, peer, launch) {
                Err(Stop::Interrupted) => return Err(Stop::Interrupted),
                result => result.map_err(|stop| stop.to_string()),
            };
            let foreign = result.as_ref().ok().and_then(|result| result["foreign_cpu"].as_f64());
            // A failure is not repeated: it says something about the peer, and should not be lucky.
            let foreign = foreign.filter(|_| sensitive).unwrap_or(0.0);
            if best.as_ref().is_none_or(|(least, _)| foreign < *least) {
                best = Some((foreign, result));
            }
            if foreign < QUIET {
                break;
            }
        }
        let (foreign, result) = best.unwrap_or((0.0, Err("it was not run".into())));
        Ok(Run {
            session: self.session.clone(),
            test: test.name.into(),
            case: case.name.into(),
            peer: peer.name.into(),
            round,
            tries,
            disturbed: foreign >= QUIET,
            result,
        })
    }

    fn run_once(&self, test: &Test, case: &Case, peer: &Peer, launch: &Launch) -> Result<Value, Stop> {
        if interrupted() {
            return Err(Stop::Interrupted);
        }
        let port = free_port()?;
        let server_log = Log::create(self.logs.join("bench-server.log"))?;
        let mut server = self.pinned(&self.cores.of_server(case.two_cores), &launch.words);
        server.arg(port.to_string());
        server.envs(launch.env.iter().cloned());
        server.envs(case.env.iter().map(|(name, value)| (name, self.filled(value))));
        let mut server = Background::start(&mut server, &server_log)?;
        server.wait_for_port(port, Deadline::after(Duration::from_secs(30)))?;
        thread::sleep(SETTLE);

        let log = Log::create(self.logs.join("bench-load.log"))?;
        let secs = if self.quick { test.secs.1 } else { test.secs.0 };
        let mut words = vec![self.load_generator.to_string_lossy().into_owned()];
        words.extend(self.filled(&format!("{} {}", test.load, case.load)).split_whitespace().map(str::to_owned));
        words.extend(["--port".into(), port.to_string(), "--pid".into(), pid_in(&server_log)?]);
        words.extend(["--cores".into(), self.cores.all(case.two_cores), "--secs".into(), secs.to_string()]);
        if test.load.starts_with("fanout") {
            words.extend(peer.fanout.split_whitespace().map(str::to_owned));
        }
        if peer.name == CEILING && test.can_be_raw() {
            words.push("--raw".into());
        }
        let mut load = self.pinned(&self.cores.of_load(), &words);
        process::run(&mut load, &log, Deadline::after(Duration::from_secs(150)))?;
        server.still_running()?;
        let output = log.text();
        let report = output.lines().rev().find_map(|line| serde_json::from_str(line).ok());
        report.filter(Value::is_object).ok_or_else(|| Stop::Failed("the load generator reported nothing".into()))
    }

    /// A command on these cores that begins by printing its process id.
    fn pinned(&self, cores: &str, words: &[String]) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$; exec taskset --cpu-list \"$0\" \"$@\"", cores]).args(words);
        command
    }

    /// A template with what is known now.
    fn filled(&self, template: &str) -> String {
        let idle = if self.quick { 2_000 } else { 10_000 };
        template
            .replace("{certs}", &self.certificates.to_string_lossy())
            .replace("{idle}", &idle.to_string())
            .replace("{neighbours}", &self.neighbours().to_string())
            .replace("{rate}", &self.rate.unwrap_or_default().to_string())
    }

    /// As many as the test wants, or as one process may have.
    fn neighbours(&self) -> u64 {
        let wanted = if self.quick { 5_000 } else { 20_000 };
        wanted.min(self.file_limit.saturating_sub(SPARE_FILES))
    }
}

/// The first line of what [`Bench::pinned`] starts.
fn pid_in(log: &Log) -> Result<String, Stop> {
    let text = log.text();
    // The log begins with the command itself.
    let pid = text.lines().find(|line| !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit()));
    pid.map(str::to_owned).ok_or_else(|| Stop::Failed("the server did not start".into()))
}

/// Makes new test certificates.
pub(crate) fn make_certificates(load_generator: &Path, dir: &Path, log: &Log) -> Result<(), Stop> {
    let mut command = Command::new(load_generator);
    process::run(command.arg("certificates").arg(dir), log, Deadline::after(Duration::from_secs(30)))
}

fn free_port() -> Result<u16, Stop> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
