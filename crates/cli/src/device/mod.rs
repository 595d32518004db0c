//! `tautline device`: a device on this computer, and the keys that devices send sensor data with.

mod add;
mod change;
mod list;
mod pass;
mod run;

use std::process::ExitCode;

use clap::Subcommand;
use tautline_store::{Beside, DeviceKey};

use crate::config::Unlisted;
use crate::failure::Failure;
use crate::output::harmless;

pub(crate) use pass::Pass;

const EXAMPLES: &str = "\
Examples:
  tautline device --config config.json       what a board with this file does, on this computer
  tautline device --config config.json --server ws://127.0.0.1:8000/
  tautline device --config config.json --raw beside the labs' own server
  tautline device add kitchen                a number and a key for a device, and a QR code of both
  tautline device add sim-1 sim-2 > fleet    for `tautline simulate --key-file fleet`
  tautline device list
  tautline device rotate kitchen             a new key; the old one is good until the new one is used
  tautline device revoke kitchen             it is stolen

Exit status: 0 if all went well, also after Ctrl-C; 1 if not, or if the server does not want the device; 2 if the command line or a \
configuration is wrong; 130 after a second Ctrl-C.";

/// Be the device of the labs; or make, replace and revoke the keys that devices send sensor data with
///
/// With --config this computer is the device that firmware/ makes of a board: it blinks SOS, sends it in each cycle, prints what arrives, and
/// obeys the lamp's switch on the hub's page. On a terminal the last line shows light, lamp and link. Ctrl-C says goodbye to the server.
/// The commands are about other devices, those that send sensor data, and work while the hub runs or not.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    run: run::Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    Add(Box<add::Args>),
    List(Box<list::Args>),
    Rotate(Box<change::Rotate>),
    Revoke(Box<change::Revoke>),
}

pub(crate) async fn run(args: &Args) -> Result<ExitCode, Failure> {
    let done = match &args.command {
        None => return run::run(&args.run).await,
        Some(Command::Add(args)) => add::run(args),
        Some(Command::List(args)) => list::run(args),
        Some(Command::Rotate(args)) => change::rotate(args),
        Some(Command::Revoke(args)) => change::revoke(args),
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
