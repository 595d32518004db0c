//! The device's files: `config.json` and the plan.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tautline_device_app::plan::{self, Plan};
use tautline_device_config::{Address, Config, MAX_CLIENT_ID, Notice, Server, Warning};

use super::Args;
use crate::failure::Failure;
use crate::output::{complain, harmless};

/// What the files say, and the command line instead of them.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) config: Config<'static>,
    pub(super) plan: Plan,
    /// Where everything lies that `config.json` names.
    pub(super) folder: PathBuf,
}

/// Reads the files, whose texts stay for as long as the process lives. What is odd about them is told.
///
/// # Errors
///
/// What is wrong, with its file, line and key.
pub(super) fn read(args: &Args) -> Result<Setup, Failure> {
    let path = args.config.as_deref().ok_or_else(|| Failure::usage("--config is missing"))?;
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut config = config(path, args.server.is_some())?;
    if let Some(url) = &args.server {
        config.server =
            Server::parse(url.clone().leak()).map_err(|problem| Failure::usage(format!("--server: {problem}")))?;
        match (config.server.secure, config.tls) {
            (true, None) => return Err(Failure::usage(format!("--server: wss:// needs ssl in {}", shown(path)))),
            (false, Some(_)) => config.tls = None,
            _ => {}
        }
    }
    if config.server.address() == Address::Placeholder {
        return Err(wrong(path, "server: still has to be filled in, here or with --server"));
    }
    if let Some(id) = &args.client_id {
        config.client_id = Some(id.clone().leak());
    }
    let plan = plan(args.plan.as_deref(), &folder)?;
    Ok(Setup { config, plan: Plan { envelopes: plan.envelopes && !args.raw, ..plan }, folder })
}

/// What can be a client id.
pub(super) fn client_id(text: &str) -> Result<String, String> {
    let good = (1..=MAX_CLIENT_ID).contains(&text.len()) && !text.contains(char::is_control);
    if good {
        Ok(text.to_owned())
    } else {
        Err(format!("a client id has 1 to {MAX_CLIENT_ID} bytes and no control characters"))
    }
}

/// What is wrong with a file.
pub(super) fn wrong(path: &Path, problem: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("{}: {}", shown(path), harmless(&problem.to_string())))
}

fn config(path: &Path, has_server: bool) -> Result<Config<'static>, Failure> {
    let file = fs::read(path).map_err(|error| wrong(path, format_args!("cannot be read: {error}")))?.leak();
    let memory = vec![0; file.len()].leak();
    let warn = |warning: Warning<'_>| {
        // This computer joins no Wi-Fi, and a server that is not filled in is an error, or does not matter.
        let matters = warning.notice != Notice::Placeholder && !(has_server && warning.notice == Notice::Unused);
        if matters {
            complain(format_args!("warning: {}: {}", shown(path), harmless(&warning.to_string())));
        }
    };
    Config::read(file, memory, warn).map_err(|error| wrong(path, error))
}

/// The plan of this file; else the one that lies beside the configuration, if there is one.
fn plan(given: Option<&Path>, folder: &Path) -> Result<Plan, Failure> {
    let path = given.map_or_else(|| folder.join(plan::FILE), Path::to_owned);
    let text = match fs::read_to_string(&path) {
        Err(error) if given.is_none() && error.kind() == ErrorKind::NotFound => return Ok(Plan::DEFAULT),
        read => read.map_err(|error| wrong(&path, format_args!("cannot be read: {error}")))?,
    };
    Plan::parse(&text).map_err(|error| wrong(&path, error))
}

fn shown(path: &Path) -> String {
    harmless(&path.display().to_string())
}
