//! Tautline's task runner. `cargo xtask test` proves the tree; `cargo xtask conformance` runs Autobahn and can write its
//! results into the documentation; `cargo xtask bench` measures. `suites.rs` is the table to read first.

// This is a terminal program: printing is what it is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[cfg(not(unix))]
compile_error!("the task runner starts and stops Unix process groups; on Windows, run it under WSL");

mod autobahn;
mod bench;
mod checks;
mod conformance;
mod features;
mod firmware;
mod fuzz;
mod instructions;
mod interop;
mod job;
mod outcome;
mod process;
mod report;
mod runner;
mod suites;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tautline's task runner
#[derive(Parser)]
#[command(bin_name = "cargo xtask", arg_required_else_help = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every suite, fast ones first, installing what they need; ends with a table
    Test(TestArgs),
    /// Run the Autobahn suites, servers and clients, and print their results by group
    Conformance {
        /// All cases, also those with large compressed messages, with all our programs: an hour
        #[arg(long)]
        full: bool,
        /// Also write the results between the markers of docs/conformance.md
        #[arg(long)]
        write: bool,
    },
    /// Count the instructions of the core's work, and compare them with the baseline
    Instructions {
        /// Make what is counted now the baseline
        #[arg(long)]
        write: bool,
    },
    /// Build the firmware, compare its sizes with the committed ones, and run it in emulators against the hub
    Firmware(firmware::Options),
    /// Measure the benchmark's peers, one after the other, and write bench/RESULTS.md
    Bench(bench::Options),
}

#[derive(clap::Args)]
struct TestArgs {
    /// Run the long suites too, and the others at length
    #[arg(long)]
    full: bool,
    /// A suite that could not run fails the run (also when CI=true is in the environment)
    #[arg(long)]
    strict: bool,
    /// Run only these suites, in the table's order
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// List the suites and what they need, and run nothing
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let ran = match args.command {
        Command::Test(test) if test.list => {
            print!("{}", report::list(suites::ALL));
            return ExitCode::SUCCESS;
        }
        Command::Test(test) => {
            runner::test(&runner::Options { full: test.full, strict: test.strict || runner::in_ci(), only: test.only })
        }
        Command::Conformance { full, write } => conformance::run(full, write),
        Command::Instructions { write: false } => {
            let options = runner::Options { full: false, strict: true, only: vec!["instructions".into()] };
            runner::test(&options)
        }
        Command::Instructions { write: true } => runner::Runner::new(false)
            .map(|mut runner| runner::conclude(&runner.run_all(&[&suites::INSTRUCTIONS_BASELINE]), true)),
        Command::Firmware(options) => firmware::run(&options),
        Command::Bench(options) => bench::run(&options),
    };
    ran.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(2)
    })
}
