//! Cases as tests: the command line and the output of Rust's own test harness, as far as `cargo test` uses them.

use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::time::Instant;

/// Runs the tests that the command line selects, one after the other, and prints a line for each.
///
/// Understood are any number of names (parts of names, whole ones with `--exact`), `--skip NAME`, `--list` and
/// `--ignored`, which selects nothing; other options of the standard harness are accepted and make no difference.
pub fn main<T>(tests: &[T], name: impl Fn(&T) -> &str, run: impl Fn(&T) -> Result<(), String>) -> ExitCode {
    let selection = Selection::from_args(std::env::args().skip(1));
    let selected: Vec<&T> = tests.iter().filter(|test| selection.contains(name(test))).collect();
    report(&selected, tests.len(), &selection, name, run).unwrap_or(ExitCode::FAILURE)
}

fn report<T>(
    selected: &[&T],
    all: usize,
    selection: &Selection,
    name: impl Fn(&T) -> &str,
    run: impl Fn(&T) -> Result<(), String>,
) -> io::Result<ExitCode> {
    let mut out = io::stdout().lock();
    if selection.list {
        for test in selected {
            writeln!(out, "{}: test", name(test))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let plural = if selected.len() == 1 { "" } else { "s" };
    writeln!(out, "\nrunning {} test{plural}", selected.len())?;
    let start = Instant::now();
    let mut failures = Vec::new();
    for test in selected {
        write!(out, "test {} ... ", name(test))?;
        out.flush()?;
        match panic::catch_unwind(AssertUnwindSafe(|| run(test))).unwrap_or_else(|_| Err("it panicked".into())) {
            Ok(()) => writeln!(out, "ok")?,
            Err(why) => {
                writeln!(out, "FAILED")?;
                failures.push((name(test), why));
            }
        }
    }
    if !failures.is_empty() {
        writeln!(out, "\nfailures:\n")?;
        for (name, why) in &failures {
            writeln!(out, "---- {name} ----\n{why}\n")?;
        }
    }
    writeln!(
        out,
        "\ntest result: {}. {} passed; {} failed; 0 ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        if failures.is_empty() { "ok" } else { "FAILED" },
        selected.len() - failures.len(),
        failures.len(),
        all - selected.len(),
        start.elapsed().as_secs_f64(),
    )?;
    // 101 is what the standard harness answers.
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(101) })
}

/// Which tests to run.
#[derive(Debug, Default)]
struct Selection {
    names: Vec<String>,
    skipped: Vec<String>,
    exact: bool,
    list: bool,
    ignored: bool,
}

impl Selection {
    fn from_args(args: impl Iterator<Item = String>) -> Self {
        let mut selection = Self::default();
        let mut args = args;
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--exact" => selection.exact = true,
                "--list" => selection.list = true,
                "--ignored" => selection.ignored = true,
                "--skip" => selection.skipped.extend(args.next()),
                "--test-threads" | "--format" | "--color" | "--logfile" | "-Z" | "--shuffle-seed" => drop(args.next()),
                option if option.starts_with('-') => {}
                _ => selection.names.push(arg),
            }
        }
        selection
    }

    fn contains(&self, name: &str) -> bool {
        let is = |pattern: &String| if self.exact { name == pattern } else { name.contains(pattern.as_str()) };
        !self.ignored && (self.names.is_empty() || self.names.iter().any(is)) && !self.skipped.iter().any(is)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(args: &[&str], name: &str) -> bool {
        Selection::from_args(args.iter().map(|arg| arg.to_string())).contains(name)
    }

    #[test]
    fn names_select_as_with_the_standard_harness() {
        assert!(selects(&[], "s5_4_a"));
        assert!(selects(&["s5_4", "s7"], "s5_4_a"));
        assert!(!selects(&["s7"], "s5_4_a"));
        assert!(!selects(&["s5_4", "--exact"], "s5_4_a"));
        assert!(selects(&["s5_4_a", "--exact", "--nocapture", "--test-threads", "1"], "s5_4_a"));
        assert!(!selects(&["--skip", "5_4"], "s5_4_a"));
        assert!(!selects(&["--ignored"], "s5_4_a"));
    }
}
