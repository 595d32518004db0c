//! Every case of the table against the core.

use std::process::ExitCode;

use tautline_conformance::{Case, harness, sans_io, table};

fn main() -> ExitCode {
    harness::main(&table::cases(), Case::name, |case| sans_io::run(&case.script()))
}
