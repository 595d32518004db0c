//! `tautline device`: the keys that devices send sensor data with.

mod add;
mod change;
mod list;
mod pass;

use std::process::ExitCode;

use clap::Subcommand;
use tautline_store::{Beside, DeviceKey};

use crate::config::Unlisted;
use crate::failure::Failure;
use crate::output::harmless;

pub(crate) use pass::Pass;

const EXAMPLES: &str = "\
Examples:
  tautline device add kitchen                a number and a key for a device, and a QR code of both
  tautline device add sim-1 sim-2 > fleet    for `tautline simulate --key-file fleet`
  tautline device list
  tautline device rotate kitchen             a new key; the old one is good until the new one is used
  tautline device revoke kitchen             it is stolen

Exit status: 0 if all went well; 1 if not; 2 if the command line or the configuration is wrong.";

/// Make, replace and revoke the keys that devices send sensor data with, while the hub runs or not
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Add(Box<add::Args>),
    List(Box<list::Args>),
    Rotate(Box<change::Rotate>),
    Revoke(Box<change::Revoke>),
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let done = match &args.command {
        Command::Add(args) => add::run(args),
        Command::List(args) => list::run(args),
        Command::Rotate(args) => change::rotate(args),
        Command::Revoke(args) => change::revoke(args),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// Opens what the hub keeps.
fn open(options: &Unlisted, create: bool) -> Result<Beside, Failure> {
    crate::beside::open(options, create, "keys")
}

/// The device of this name.
fn find(keys: Vec<DeviceKey>, name: &str) -> Result<DeviceKey, Failure> {
    let unknown = || Failure::new(format!("there is no device {}: `tautline device list` shows all", harmless(name)));
    keys.into_iter().find(|key| &*key.name == name).ok_or_else(unknown)
}
