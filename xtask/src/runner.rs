//! Runs suites one after the other and says how it went.

use std::{
    collections::BTreeMap,
    env,
    process::ExitCode,
    time::{Duration, Instant},
};

use crate::{
    job::Job,
    outcome::{NotRun, Outcome, Stop},
    process::{self, Deadline, Log},
    report,
    suites::{self, Suite},
    tools::Toolbox,
    workspace::Workspace,
};

/// What `cargo xtask test` was asked to do.
pub(crate) struct Options {
    pub(crate) full: bool,
    pub(crate) strict: bool,
    pub(crate) only: Vec<String>,
}

/// How one suite ended.
pub(crate) struct SuiteResult {
    pub(crate) name: &'static str,
    pub(crate) outcome: Outcome,
    /// Of the suite itself, without its tools; nothing when it did not start.
    pub(crate) time: Option<Duration>,
}

/// `cargo xtask test`.
pub(crate) fn test(options: &Options) -> Result<ExitCode, Stop> {
    let chosen = choose(suites::ALL, &options.only)?;
    let start = Instant::now();
    let results = Runner::new(options.full)?.run_all(&chosen);
    println!("\n{} suites in {}\n", results.len(), report::time(start.elapsed()));
    Ok(conclude(&results, options.strict))
}

/// Whether this is a continuous integration run, where "not run" is not good enough.
pub(crate) fn in_ci() -> bool {
    env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// Prints the table and the closing line; the exit code says whether everything is well.
pub(crate) fn conclude(results: &[SuiteResult], strict: bool) -> ExitCode {
    print!("{}", report::table(results));
    let tally = report::Tally::of(results);
    if strict && tally.unexcused > 0 {
        println!("\nA strict run: {} suite(s) that did not run fail it.", tally.unexcused);
    }
    println!("\n{tally}");
    if results.iter().any(|result| result.outcome == Err(Stop::Interrupted)) {
        ExitCode::from(130)
    } else if tally.failed > 0 || strict && tally.unexcused > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Runs suites in one workspace, with one set of tools.
pub(crate) struct Runner {
    pub(crate) workspace: Workspace,
    tools: Toolbox,
    full: bool,
}

impl Runner {
    pub(crate) fn new(full: bool) -> Result<Self, Stop> {
        process::catch_interrupts()?;
        Ok(Self { workspace: Workspace::find()?, tools: Toolbox::new(), full })
    }

    /// Runs these suites in this order. After an interruption the rest are not started.
    pub(crate) fn run_all(&mut self, suites: &[&Suite]) -> Vec<SuiteResult> {
        let mut results = Vec::with_capacity(suites.len());
        for (index, suite) in suites.iter().enumerate() {
            let result = if process::interrupted() {
                let stop = Stop::not_run("the run was interrupted", rerun(suite));
                SuiteResult { name: suite.name, outcome: Err(stop), time: None }
            } else {
                println!("[{:>2}/{}] {}: {}", index + 1, suites.len(), suite.name, suite.what);
                let (result, log) = self.run(suite);
                announce(&result, log.as_ref());
                result
            };
            results.push(result);
        }
        results
    }

    fn run(&mut self, suite: &Suite) -> (SuiteResult, Option<Log>) {
        let not_started = |stop| (SuiteResult { name: suite.name, outcome: Err(stop), time: None }, None);
        if suite.full_only && !self.full {
            return not_started(Stop::NotRun(NotRun {
                reason: "it takes long".into(),
                remedy: format!("cargo xtask test --full --only {}", suite.name),
                excused: true,
            }));
        }
        let mut vars = BTreeMap::new();
        for tool in suite.needs {
            match self.tools.provide(&self.workspace, *tool) {
                Ok(provided) => vars.extend(provided),
                Err(stop) => return not_started(stop),
            }
        }
        let log = match Log::create(self.workspace.log(suite.name)) {
            Ok(log) => log,
            Err(error) => return not_started(error.into()),
        };
        let budget = suite.budget(self.full);
        let start = Instant::now();
        let job = Job { workspace: &self.workspace, log, deadline: Deadline::after(budget), full: self.full, vars };
        let outcome = (suite.run)(&job);
        (SuiteResult { name: suite.name, outcome, time: Some(start.elapsed()) }, Some(job.log))
    }
}

/// The line that ends a suite; when it failed, what it had printed.
fn announce(result: &SuiteResult, log: Option<&Log>) {
    if let (Err(Stop::Failed(_) | Stop::OverBudget(_)), Some(log)) = (&result.outcome, log) {
        report::print_end(log);
    }
    println!("        {}", report::sentence(result));
}

/// The suites of these names in the table's order; all when no name is given.
fn choose<'a>(all: &'a [Suite], only: &[String]) -> Result<Vec<&'a Suite>, Stop> {
    if let Some(unknown) = only.iter().find(|name| !all.iter().any(|suite| suite.name == **name)) {
        let names: Vec<&str> = all.iter().map(|suite| suite.name).collect();
        return Err(Stop::Failed(format!("there is no suite {unknown}; there are: {}", names.join(", "))));
    }
    Ok(all.iter().filter(|suite| only.is_empty() || only.iter().any(|name| name == suite.name)).collect())
}

fn rerun(suite: &Suite) -> String {
    format!("cargo xtask test --only {}", suite.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_suites_keep_the_order_of_the_table() {
        let chosen = choose(suites::ALL, &["docs".into(), "fmt".into()]).unwrap();
        assert_eq!(chosen.iter().map(|suite| suite.name).collect::<Vec<_>>(), ["fmt", "docs"]);
        assert_eq!(choose(suites::ALL, &[]).unwrap().len(), suites::ALL.len());
    }

    #[test]
    fn an_unknown_suite_is_an_error_that_names_the_known_ones() {
        let error = choose(suites::ALL, &["fnt".into()]).err().unwrap().to_string();
        assert!(error.starts_with("there is no suite fnt; there are: fmt, unit, "), "{error}");
    }
}
