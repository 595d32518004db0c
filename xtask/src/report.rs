//! The words and the table that a run ends with.

use std::{fmt, time::Duration};

use crate::{outcome::Stop, process::Log, runner::SuiteResult, suites::Suite};

/// How many suites ended how. Shown, it is the closing line that CI tools read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    /// Of the skipped, those that fail a strict run.
    pub(crate) unexcused: usize,
}

impl Tally {
    pub(crate) fn of(results: &[SuiteResult]) -> Self {
        let mut tally = Self::default();
        for result in results {
            match &result.outcome {
                Ok(_) => tally.passed += 1,
                Err(Stop::NotRun(not_run)) => {
                    tally.skipped += 1;
                    tally.unexcused += usize::from(!not_run.excused);
                }
                Err(_) => tally.failed += 1,
            }
        }
        tally
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// The final table: a row per suite, and below a suite that did not run how to make it run.
pub(crate) fn table(results: &[SuiteResult]) -> String {
    let width = results.iter().map(|result| result.name.len()).max().unwrap_or(0).max("suite".len());
    let mut text = row(width, "suite", "result", "time", "");
    for result in results {
        let time = result.time.map_or_else(|| "-".into(), time);
        text += &row(width, result.name, word(result), &time, &note(result));
        if let Err(Stop::NotRun(not_run)) = &result.outcome {
            text += &row(width, "", "", "", &format!("run: {}", not_run.remedy));
        }
    }
    text
}

/// `passed in 1.2 s: 12 tests`, for the line that ends a suite.
pub(crate) fn sentence(result: &SuiteResult) -> String {
    let mut text = word(result).to_owned();
    if let Some(spent) = result.time {
        text += &format!(" in {}", time(spent));
    }
    match note(result).as_str() {
        "" => text,
        note => format!("{text}: {note}"),
    }
}

/// What `--list` prints.
pub(crate) fn list(suites: &[Suite]) -> String {
    let width = suites.iter().map(|suite| suite.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for suite in suites {
        let needs: Vec<String> = suite.needs.iter().map(|tool| format!("{tool:?}")).collect();
        let needs = if needs.is_empty() { String::new() } else { format!("; needs {}", needs.join(", ")) };
        let full = if suite.full_only { "; only with --full" } else { "" };
        text += &format!("{:<width$}  {} ({} s at most{needs}{full})\n", suite.name, suite.what, suite.budget.0);
    }
    text
}

/// Prints the end of the log of something that failed.
pub(crate) fn print_end(log: &Log) {
    const LINES: usize = 200;
    let text = log.text();
    let lines: Vec<&str> = text.lines().collect();
    println!("--- {} (its last {LINES} lines at most)", log.path().display());
    lines[lines.len().saturating_sub(LINES)..].iter().for_each(|line| println!("{line}"));
    println!("---");
}

/// `1.2 s`, or `3 min 05 s`.
pub(crate) fn time(time: Duration) -> String {
    match time.as_secs() {
        0..=59 => format!("{:.1} s", time.as_secs_f64()),
        seconds => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

fn word(result: &SuiteResult) -> &'static str {
    match &result.outcome {
        Ok(_) => "passed",
        Err(Stop::NotRun(_)) => "not run",
        Err(_) => "FAILED",
    }
}

fn note(result: &SuiteResult) -> String {
    match &result.outcome {
        Ok(note) => note.clone(),
        Err(Stop::NotRun(not_run)) if not_run.excused => format!("{}; allowed", not_run.reason),
        Err(stop) => stop.to_string(),
    }
}

fn row(width: usize, name: &str, result: &str, time: &str, note: &str) -> String {
    let line = format!("{name:<width$}  {result:<7}  {time:>12}  {note}");
    format!("{}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{NotRun, Outcome};

    fn result(name: &'static str, outcome: Outcome, seconds: Option<u64>) -> SuiteResult {
        SuiteResult { name, outcome, time: seconds.map(Duration::from_secs) }
    }

    fn results() -> Vec<SuiteResult> {
        let excused = NotRun { reason: "no network".into(), remedy: "cargo xtask test".into(), excused: true };
        vec![
            result("fmt", Ok(String::new()), Some(1)),
            result("unit", Ok("312 tests".into()), Some(65)),
            result("clippy", Err(Stop::Failed("cargo failed: error: x".into())), Some(9)),
            result("fuzz", Err(Stop::OverBudget(Duration::from_secs(600))), Some(600)),
            result("lws", Err(Stop::not_run("no cc", "sudo apt-get install -y gcc")), None),
            result("advisories", Err(Stop::NotRun(excused)), Some(0)),
        ]
    }

    #[test]
    fn the_table_says_why_and_how() {
        let expected = "\
suite       result           time
fmt         passed          1.0 s
unit        passed     1 min 05 s  312 tests
clippy      FAILED          9.0 s  cargo failed: error: x
fuzz        FAILED    10 min 00 s  over its budget of 600 s
lws         not run             -  no cc
                                   run: sudo apt-get install -y gcc
advisories  not run         0.0 s  no network; allowed
                                   run: cargo xtask test
";
        assert_eq!(table(&results()), expected);
    }

    #[test]
    fn the_closing_line_counts_suites() {
        let tally = Tally::of(&results());
        assert_eq!(tally, Tally { passed: 2, failed: 2, skipped: 2, unexcused: 1 });
        assert_eq!(tally.to_string(), "2 passed, 2 failed, 2 skipped");
    }

    #[test]
    fn the_line_that_ends_a_suite_has_its_time_and_its_note() {
        let sentences: Vec<String> = results().iter().map(sentence).collect();
        assert_eq!(sentences[0], "passed in 1.0 s");
        assert_eq!(sentences[1], "passed in 1 min 05 s: 312 tests");
        assert_eq!(sentences[4], "not run: no cc");
    }
}
