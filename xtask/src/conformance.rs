//! `cargo xtask conformance`: both Autobahn suites by themselves, and their results for the documentation.

use std::{fs, process::ExitCode};

use crate::{
    autobahn::{Group, Report, Verdict, title},
    outcome::Stop,
    runner::{self, Runner},
    suites,
    workspace::Workspace,
};

/// The page that shows the results.
const PAGE: &str = "docs/conformance.md";
const BEGIN: &str = "<!-- autobahn: begin (written by `cargo xtask conformance --write`) -->";
const END: &str = "<!-- autobahn: end -->";

/// Runs Autobahn against servers and clients, prints the groups, and writes them into the page if told to. `full`: all cases,
/// and all our programs.
pub(crate) fn run(full: bool, write: bool) -> Result<ExitCode, Stop> {
    let mut runner = Runner::new(full)?;
    let suites = suites::ALL.iter().filter(|suite| suite.name.starts_with("autobahn-")).collect::<Vec<_>>();
    let results = runner.run_all(&suites);
    let passed = results.iter().all(|result| result.outcome.is_ok());

    let reports = [Report::SERVER, Report::CLIENT].map(|report| report.judge(&runner.workspace, full));
    for ((suite, result), report) in suites.iter().zip(&results).zip(&reports) {
        // A report of an earlier run must not pass for this one's.
        if matches!(result.outcome, Ok(_) | Err(Stop::Failed(_)))
            && let Ok(verdicts) = report
        {
            for (agent, verdict) in verdicts {
                println!("\n{}: {agent}: {}", suite.name, verdict.total().summary());
                verdict.lines().for_each(|line| println!("{line}"));
                verdict.failures.iter().for_each(|failure| println!("     {failure}"));
            }
        }
    }
    println!();
    let code = runner::conclude(&results, true);
    if write && passed {
        let [servers, clients] = reports;
        let verdicts: Vec<_> = servers?.into_iter().chain(clients?).collect();
        let which = if full { "all cases (`--full`)" } else { "the cases of `cargo xtask test`" };
        write_page(
            &runner.workspace,
            &format!("The last run that was written down: {which}.\n\n{}", table(&verdicts)),
        )?;
    } else if write {
        println!("{PAGE} is unchanged: only a full pass is written down");
    }
    Ok(code)
}

fn write_page(workspace: &Workspace, table: &str) -> Result<(), Stop> {
    let path = workspace.root.join(PAGE);
    let old = match fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => format!("# Conformance\n\n{BEGIN}\n{END}\n"),
        read => read?,
    };
    let new = replace_between(&old, table)
        .ok_or_else(|| Stop::Failed(format!("{PAGE} lacks the lines `{BEGIN}` and `{END}`")))?;
    fs::write(&path, new)?;
    println!("{PAGE} is up to date");
    Ok(())
}

/// The page with everything between the two markers replaced.
fn replace_between(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}{END}{after}"))
}

/// The results as a Markdown table, with a column for each of our programs.
fn table(verdicts: &[(&str, Verdict)]) -> String {
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let each = |of: &dyn Fn(&Verdict) -> String| verdicts.iter().map(|(_, verdict)| of(verdict)).collect::<Vec<_>>();
    let agents = verdicts.iter().map(|(agent, _)| (*agent).to_owned());
    let mut lines = row(["group".to_owned(), "cases".to_owned()].into_iter().chain(agents).collect());
    lines += &format!("|---|---:|{}\n", "---|".repeat(verdicts.len()));
    for (number, group) in verdicts.first().into_iter().flat_map(|(_, verdict)| &verdict.groups) {
        let cells = each(&|verdict| verdict.groups.get(number).map_or("not offered".to_owned(), Group::summary));
        let head = [format!("{number} {}", title(*number)), group.count().to_string()];
        lines += &row(head.into_iter().chain(cells).collect());
    }
    let count = verdicts.first().map_or(0, |(_, verdict)| verdict.total().count());
    let cells = each(&|verdict| verdict.total().summary());
    lines + &row(["**all**".to_owned(), format!("**{count}**")].into_iter().chain(cells).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_between_the_markers_is_replaced() {
        let page = format!("# Title\n\n{BEGIN}\nold\n{END}\n\nafter\n");
        let new = replace_between(&page, "new\n").unwrap();
        assert_eq!(new, format!("# Title\n\n{BEGIN}\nnew\n{END}\n\nafter\n"));
        assert_eq!(replace_between("no markers", "new\n"), None);
    }

    #[test]
    fn the_table_has_a_row_per_group_and_a_sum() {
        let verdict = || Verdict {
            groups: [(1, Group { ok: 16, ..Group::default() }), (7, Group { ok: 34, informational: 3, failed: 0 })]
                .into(),
            failures: vec![],
        };
        let table = table(&[("server", verdict()), ("client", verdict())]);
        assert!(table.starts_with("| group | cases | server | client |\n|---|---:|---|---|\n"), "{table}");
        assert!(table.contains("| 1 Framing | 16 | 16 OK | 16 OK |\n"), "{table}");
        assert!(table.ends_with("| **all** | **53** | 50 OK, 3 informational | 50 OK, 3 informational |\n"), "{table}");
    }
}
