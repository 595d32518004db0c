//! What goes through the cases.

use std::process::Command;

use super::{free_port, url};
use crate::{
    job::Job,
    outcome::Stop,
    process::{Background, Log},
    tools,
};

/// How many cases the suites select, and how many there are. A report with fewer means that a role gave up on the way.
const CASE_COUNT: (usize, usize) = (337, 517);
/// How many of them have nothing to do with compression.
const CORE_COUNT: usize = 301;
/// How many cases run on the emulated boards.
const EMULATED_COUNT: usize = 239;

/// One of our programs, and how it compresses.
pub(super) struct Subject {
    /// Its name in the reports.
    pub(super) agent: &'static str,
    program: Program,
    /// How far back its messages may refer, as the power of two; `None`: it does not compress.
    pub(super) window: Option<&'static str>,
    /// Runs only with `--full`.
    pub(super) full_only: bool,
}

enum Program {
    /// `tautline serve`, on the engine.
    Hub,
    /// A server made with the library.
    Server,
    /// The small server for chips, by its example.
    SmallServer,
    /// A client made with the library.
    Client,
    /// The device's client.
    Device,
    /// The device's client, or the small server, on this emulated board.
    Emulated(&'static str),
}

pub(super) const SERVERS: &[Subject] = &[
    Subject { agent: "engine", program: Program::Hub, window: Some("15"), full_only: false },
    Subject { agent: "engine-9", program: Program::Hub, window: Some("9"), full_only: true },
    Subject { agent: "library", program: Program::Server, window: Some("15"), full_only: true },
    Subject { agent: "library-9", program: Program::Server, window: Some("9"), full_only: true },
    Subject { agent: "small-server", program: Program::SmallServer, window: None, full_only: false },
];

pub(super) const CLIENTS: &[Subject] = &[
    Subject { agent: "client", program: Program::Client, window: Some("15"), full_only: false },
    Subject { agent: "client-9", program: Program::Client, window: Some("9"), full_only: true },
    Subject { agent: "device", program: Program::Device, window: Some("9"), full_only: false },
];

pub(super) const EMULATED_SERVERS: &[Subject] = &[
    Subject { agent: "small-server-riscv", program: Program::Emulated("riscv"), window: None, full_only: false },
    Subject { agent: "small-server-arm", program: Program::Emulated("arm"), window: None, full_only: false },
];

pub(super) const EMULATED_CLIENTS: &[Subject] = &[
    Subject { agent: "device-riscv", program: Program::Emulated("riscv"), window: None, full_only: false },
    Subject { agent: "device-arm", program: Program::Emulated("arm"), window: None, full_only: false },
];

impl Subject {
    /// Starts it as a server; its port.
    pub(super) fn serve(&self, job: &Job<'_>, log: &Log) -> Result<(Background, u16), Stop> {
        let mut command = self.command(job)?;
        if let Program::Emulated(_) = self.program {
            let mut ours = Background::start(command.arg("server"), log)?;
            let line = ours.wait_for_line(log, "listening ", job.deadline)?;
            let port = line.trim().parse().map_err(|_| Stop::Failed(format!("{}: no port: {line}", self.agent)))?;
            return Ok((ours, port));
        }
        if !matches!(self.program, Program::SmallServer) {
            command.arg("--port");
        }
        let port = free_port()?;
        let mut ours = Background::start(command.arg(port.to_string()), log)?;
        ours.wait_for_port(port, job.deadline)?;
        Ok((ours, port))
    }

    /// The same as a client of the server at this port.
    pub(super) fn client(&self, job: &Job<'_>, port: u16) -> Result<Command, Stop> {
        let mut command = self.command(job)?;
        match self.program {
            Program::Emulated(_) => command.args(["client", self.agent, &port.to_string()]),
            // It has its name from birth.
            Program::Device => command.arg(url(port)),
            _ => command.args(["--agent", self.agent]).arg(url(port)),
        };
        Ok(command)
    }

    /// How many cases its report has to have.
    pub(super) fn cases(&self, full: bool) -> usize {
        match (&self.program, self.window) {
            (Program::Emulated(_), _) => EMULATED_COUNT,
            (_, None) => CORE_COUNT,
            (_, Some(_)) if full => CASE_COUNT.1,
            (_, Some(_)) => CASE_COUNT.0,
        }
    }

    fn command(&self, job: &Job<'_>) -> Result<Command, Stop> {
        let program = match self.program {
            Program::Hub => job.var(tools::BIN)?,
            Program::Server => job.var(tools::AUTOBAHN_SERVER)?,
            Program::SmallServer => job.var(tools::EXAMPLES)?.join("small_server"),
            Program::Client => job.var(tools::AUTOBAHN_CLIENT)?,
            Program::Device => job.var(tools::AUTOBAHN_DEVICE_CLIENT)?,
            Program::Emulated(_) => job.var(tools::AUTOBAHN_EMULATED)?,
        };
        let mut command = Command::new(program);
        match self.program {
            Program::Hub => {
                command.args(["serve", "--app", "echo", "--host", "127.0.0.1", "--compression", "context-takeover"]);
                command.args(self.window.iter().flat_map(|window| ["--compression-window", window]));
            }
            Program::Server | Program::SmallServer | Program::Client | Program::Device => {
                command.args(self.window.iter().flat_map(|window| ["--window", window]));
            }
            // Where the emulator and the images are.
            Program::Emulated(board) => {
                command.arg(board).envs(&job.vars);
            }
        }
        Ok(command)
    }
}
