//! Benchmarks that are about no peers but about the machine and ourselves: each a program of its own in bench/.

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

/// One of them.
pub(crate) struct Alone {
    /// How `--only` calls it; its folder and its package, too.
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    title: &'static str,
    /// Where its table goes.
    file: &'static str,
    /// Seconds of each measurement, and in a quick run.
    secs: (&'static str, &'static str),
    /// Whether it needs a folder on the disk of the repository, since temporary ones may be in memory.
    disk: bool,
}

/// All of them, in the order in which they run.
pub(crate) const ALL: &[Alone] = &[
    Alone {
        name: "telemetry",
        what: "durable readings per second over UDP and TCP beside recvmmsg and SQLite; what a reading of many devices costs",
        title: "Sensor data",
        file: "TELEMETRY.md",
        secs: ("5", "1"),
        disk: true,
    },
    Alone {
        name: "compression",
        what: "what compression costs the engine: memory for each connection, processor time for each message",
        title: "Compression",
        file: "COMPRESSION.md",
        secs: ("2", "0.3"),
        disk: false,
    },
];

impl Alone {
    /// Runs it, and writes its file into this folder.
    ///
    /// # Errors
    ///
    /// It cannot be built, or it fails.
    pub(crate) fn run(&self, workspace: &Workspace, options: &Options, out: &Path) -> Result<PathBuf, Stop> {
        let builder = Builder::new(workspace)?;
        let program = builder.alone(self.name)?;
        machine::raise_file_limit();
        Cores::choose()?.wait_until_quiet(Duration::from_secs(if options.quick { 3 } else { 60 }));
        fs::create_dir_all(out)?;
        let (written, log) = (out.join(self.file), Log::create(workspace.log(&format!("bench-{}", self.name)))?);
        let table = builder.target.join(self.file);
        let rounds = options.rounds.unwrap_or(if options.quick { 1 } else { 3 });
        let secs = if options.quick { self.secs.1 } else { self.secs.0 };
        let mut command = Command::new(program);
        command.args(["--rounds", &rounds.to_string(), "--secs", secs, "--table"]).arg(&table);
        if self.disk {
            command.arg("--disk").arg(&builder.target);
        }
        println!("{}: {rounds} rounds; log: {}", self.name, log.path().display());
        process::run(&mut command, &log, Deadline::after(Duration::from_secs(120 + 200 * rounds)))?;
        let table = fs::read_to_string(&table)?;
        println!("\n{table}");
        let text = format!("# {}\n\n{}, {} UTC.\n\n{table}", self.title, machine::description(), utc_now());
        fs::write(&written, text)?;
        Ok(written)
    }
}
