//! `cargo xtask conformance`: both Autobahn suites by themselves, and their results for the documentation.

use std::{fs, process::ExitCode};

use crate::{
    autobahn::{Report, Verdict, title},
    outcome::Stop,
    runner::{self, Runner},
    suites,
    workspace::Workspace,
};

/// The page that shows the results.
const PAGE: &str = "docs/conformance.md";
const BEGIN: &str = "<!-- autobahn: begin (written by `cargo xtask conformance --write`) -->";
const END: &str = "<!-- autobahn: end -->";

/// Runs Autobahn against server and clients, prints the groups, and writes them into the page if told to.
pub(crate) fn run(write: bool) -> Result<ExitCode, Stop> {
    let mut runner = Runner::new(false)?;
    let suites = suites::ALL.iter().filter(|suite| suite.name.starts_with("autobahn-")).collect::<Vec<_>>();
    let results = runner.run_all(&suites);
    let passed = results.iter().all(|result| result.outcome.is_ok());

    let reports = [Report::SERVER, Report::CLIENT, Report::DEVICE].map(|report| report.judge(&runner.workspace));
    for ((suite, result), report) in suites.iter().zip(&results).zip(&reports) {
        // A report of an earlier run must not pass for this one's.
        if matches!(result.outcome, Ok(_) | Err(Stop::Failed(_)))
            && let Ok(verdict) = report
        {
            println!("\n{}: {}", suite.name, verdict.total().summary());
            verdict.lines().for_each(|line| println!("{line}"));
            verdict.failures.iter().for_each(|failure| println!("     {failure}"));
        }
    }
    println!();
    let code = runner::conclude(&results, true);
    if write && passed {
        let [server, client, device] = reports;
        write_page(&runner.workspace, &table(&server?, [&client?, &device?]))?;
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

/// The results as a Markdown table.
fn table(server: &Verdict, clients: [&Verdict; 2]) -> String {
    let mut lines = String::from("| group | cases | server | client | device's client |\n|---|---|---|---|---|\n");
    for (number, group) in &server.groups {
        let [client, device] =
            clients.map(|client| client.groups.get(number).map(|group| group.summary()).unwrap_or_default());
        let (title, count, server) = (title(*number), group.count(), group.summary());
        lines += &format!("| {number} {title} | {count} | {server} | {client} | {device} |\n");
    }
    let (server, [client, device]) = (server.total(), clients.map(|client| client.total().summary()));
    lines + &format!("| **all** | **{}** | {} | {client} | {device} |\n", server.count(), server.summary())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autobahn::Group;

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
        let table = table(&verdict(), [&verdict(), &verdict()]);
        assert!(table.contains("| 1 Framing | 16 | 16 OK | 16 OK | 16 OK |\n"), "{table}");
        let total = "50 OK, 3 informational";
        assert!(table.ends_with(&format!("| **all** | **53** | {total} | {total} | {total} |\n")), "{table}");
    }
}
