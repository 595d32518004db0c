//! What a suite gets to work with.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, process::Command};

use crate::{
    outcome::Stop,
    process::{self, Deadline, Log},
    workspace::Workspace,
};

/// One run of one suite.
pub(crate) struct Job<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) log: Log,
    pub(crate) deadline: Deadline,
    /// `--full`: take the time that thoroughness needs.
    pub(crate) full: bool,
    /// `TAUTLINE_*`: where the tools that this suite asked for are.
    pub(crate) vars: BTreeMap<&'static str, OsString>,
}

impl Job<'_> {
    /// Runs a command to its end within the suite's budget.
    pub(crate) fn run(&self, command: &mut Command) -> Result<(), Stop> {
        process::run(command, &self.log, self.deadline)
    }

    /// `cargo ARGS` in the workspace's root.
    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        self.workspace.cargo(args)
    }

    /// What a tool of this suite's `needs` said about its place.
    ///
    /// # Errors
    /// When the suite does not list the tool that gives this variable: a mistake in the table.
    pub(crate) fn var(&self, name: &str) -> Result<PathBuf, Stop> {
        self.vars
            .get(name)
            .map(PathBuf::from)
            .ok_or_else(|| Stop::Failed(format!("no tool of this suite provides {name} (suites.rs)")))
    }
}
