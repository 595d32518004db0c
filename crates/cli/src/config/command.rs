//! `tautline config`: shows and checks the configuration.

use std::path::PathBuf;
use std::process::ExitCode;

use super::options::{Options, Unlisted};
use super::{Config, print};
use crate::failure::Failure;
use crate::output::{complain, try_say};

const EXAMPLES: &str = "\
Examples:
  tautline config > tautline.toml             a file with all keys, explained, at their defaults
  tautline config --check tautline.toml       says what is wrong with a file
  tautline config --effective                 what counts here and now, and where it comes from
  tautline config --effective --port 9000     the same with options of `tautline serve`

Exit status: 0 if all is well; 2 if the file, a variable or an option is not good.";

/// Show the configuration of the hub, explained: the defaults, or what counts; check a file
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Say whether this file is good, and where it is not
    #[arg(long, value_name = "FILE", conflicts_with_all = ["effective", "config"])]
    check: Option<PathBuf>,

    /// Show what counts now, and where each value comes from
    #[arg(long)]
    effective: bool,

    /// Show the tables of the reference
    #[arg(long, hide = true, conflicts_with_all = ["effective", "check"])]
    markdown: bool,

    #[command(flatten)]
    options: Unlisted,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let text = match &args.check {
        Some(file) => return check(file.clone()),
        None if args.markdown => print::markdown(),
        None if args.effective => {
            let config = Config::load(&args.options.0, &|name| std::env::var_os(name));
            print::effective(&config.map_err(super::Problems::into_failure)?)
        }
        None => print::annotated(),
    };
    // Whoever has seen enough of it closes the pipe.
    let _ = try_say(text.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// A file is good or not whatever the environment says.
fn check(file: PathBuf) -> Result<ExitCode, Failure> {
    let name = file.display().to_string();
    match Config::load(&Options { file: Some(file), ..Options::default() }, &|_| None) {
        Ok(_) => {
            let _ = try_say(format_args!("{name} is good"));
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            problems.lines().for_each(|problem| complain(format_args!("error: {problem}")));
            Ok(ExitCode::from(2))
        }
    }
}
