//! `tautline backup`: a copy of what the hub keeps.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::{Config, Place, Problems, Unlisted};
use crate::failure::Failure;
use crate::output::say;

const EXAMPLES: &str = "\
Examples:
  tautline backup tautline-2026-11-21.db      of the store that `tautline serve` uses here
  tautline backup --data /var/lib/tautline copy.db

The hub may run meanwhile. To go back, stop it, and put the copy in the place of tautline.db in its data directory.

Exit status: 0 if there is a copy; 1 if not; 2 if the command line or the configuration is wrong.";

/// Copy what the hub keeps to a file, while it runs or not
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The new file, an SQLite database; one that exists is not overwritten
    #[arg(value_name = "FILE")]
    to: PathBuf,

    #[command(flatten)]
    options: Unlisted,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let config = Config::load(&args.options.0, &|name| std::env::var_os(name)).map_err(Problems::into_failure)?;
    let Place::Directory(directory) = config.store.path else {
        return Err(Failure::usage("the store is in memory: there is nothing to copy"));
    };
    tautline_store::backup(&directory, &args.to).map_err(|error| Failure::new(error.to_string()))?;
    let bytes = std::fs::metadata(&args.to).map_or(0, |copy| copy.len());
    say(format_args!("{} has {bytes} bytes", args.to.display()));
    Ok(ExitCode::SUCCESS)
}
