//! The benchmark of sensor data, which is about no peers but about the machine itself: bench/telemetry, a program of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{
    Options,
    build::Builder,
    machine::{self, Cores},
    utc_now,
};
use crate::{
    outcome::Stop,
    process::{self, Deadline, Log},
    workspace::Workspace,
};

/// How `--only` calls it.
pub(crate) const NAME: &str = "telemetry";
pub(crate) const WHAT: &str =
    "durable readings per second over UDP and TCP beside recvmmsg and SQLite; what a reading of many devices costs";

/// Runs it, and writes `TELEMETRY.md` into this folder.
///
/// # Errors
///
/// It cannot be built, or it fails.
pub(crate) fn run(workspace: &Workspace, options: &Options, out: &Path) -> Result<PathBuf, Stop> {
    let builder = Builder::new(workspace)?;
    let program = builder.telemetry()?;
    machine::raise_file_limit();
    Cores::choose()?.wait_until_quiet(Duration::from_secs(if options.quick { 3 } else { 60 }));
    fs::create_dir_all(out)?;
    let (written, log) = (out.join("TELEMETRY.md"), Log::create(workspace.log("bench-telemetry"))?);
    let table = builder.target.join("telemetry.md");
    let rounds = options.rounds.unwrap_or(if options.quick { 1 } else { 3 });
    let secs = if options.quick { "1" } else { "5" };
    let mut command = Command::new(program);
    command.args(["--rounds", &rounds.to_string(), "--secs", secs, "--table"]).arg(&table);
    // The disk of the repository, since temporary folders may be in memory.
    command.arg("--disk").arg(&builder.target);
    println!("{NAME}: {rounds} rounds; log: {}", log.path().display());
    process::run(&mut command, &log, Deadline::after(Duration::from_secs(120 + 200 * rounds)))?;
    let table = fs::read_to_string(&table)?;
    println!("\n{table}");
    let text = format!("# Sensor data\n\n{}, {} UTC.\n\n{table}", machine::description(), utc_now());
    fs::write(&written, text)?;
    Ok(written)
}
