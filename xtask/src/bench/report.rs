//! bench/RESULTS.md.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    catalogue::{self, Test},
    goals,
    measure::{Measure, grouped, significant},
    peers::{self, CEILING, FASTEST, Peer, Side},
    plots,
    runs::{Runs, Series},
    stats::Spread,
};
use crate::outcome::Stop;

/// Writes the report and its plots into this folder; returns the report's path.
pub(crate) fn write(runs: &Runs, dir: &Path) -> Result<PathBuf, Stop> {
    let plots = plots::all(runs);
    fs::create_dir_all(dir.join("plots"))?;
    for plot in &plots {
        fs::write(dir.join("plots").join(plot.file), &plot.svg)?;
    }
    let path = dir.join("RESULTS.md");
    fs::write(&path, text(runs, &plots))?;
    Ok(path)
}

fn text(runs: &Runs, plots: &[plots::Plot]) -> String {
    let mut text = format!("{HEAD}\n## Goals\n\n{}\n", goals::table(runs));
    for plot in plots {
        text += &format!("![{}](plots/{})\n\n", plot.title, plot.file);
    }
    text += METHOD;
    for test in catalogue::ALL {
        if let Some(table) = table(runs, test) {
            text += &format!("\n## {}\n\n{}.\n\n{table}", test.name, capitalised(test.what));
        }
    }
    text += &sessions(runs);
    text
}

const HEAD: &str = "\
# Benchmark results

Written by `cargo xtask bench`; do not edit. Ratios count: absolute numbers change with the machine and the day. **Ours are
in bold type.** `raw` is no WebSocket server but TCP without a protocol above it.
";

const METHOD: &str = "\
## How it is measured

A server runs on one core and the load generator (`bench/loadgen`: raw epoll, no WebSocket library) on another; every byte
of every reply is checked, and a wrong one fails the run. In every round each peer is run once, with a fresh server, one peer
after the other, so that what changes with time changes for all. Tables show the median of the rounds, and in brackets the
lowest and highest; a ratio is taken round by round. A run during which others used more than 5 % of a core is repeated at
most twice. Rounds that stayed disturbed do not count; where there were no others, they do, marked with `~`, and no goal is
judged by them.

- Processor time is the server's, from the scheduler's own account (`/proc/PID/task/*/schedstat`, nanoseconds). Its division
  into user and system time is sampled by the kernel's timer tick (`/proc/PID/stat`), so the user time is good to some 20 %.
- Memory is the growth of the server's resident set (`smaps_rollup`) divided by the connections, after 16 others have come
  and gone.
- Latency at half load counts from the moment at which a message was due, not from when it was sent; messages are due at
  random moments, at the same rate for every peer.
- Peers answer message by message, the way their documentation shows. Those called *batched* were written to answer all messages at
  hand at once, which only makes a difference with several in flight.
";

/// One test's table; nothing when it was not run.
fn table(runs: &Runs, test: &'static Test) -> Option<String> {
    let mut rows: Vec<(&Peer, Series<'_>)> =
        peers::ALL.iter().filter_map(|peer| Some((peer, runs.series(test, peer.name)?))).collect();
    if rows.is_empty() {
        return None;
    }
    let value = |series: &Series<'_>| series.spread().map(|spread| spread.median);
    rows.sort_by(|(_, a), (_, b)| {
        let best_first = |a: f64, b: f64| if test.measure.more_is_better() { b.total_cmp(&a) } else { a.total_cmp(&b) };
        match (value(a), value(b)) {
            (Some(a), Some(b)) => best_first(a, b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        }
    });
    let columns = columns(test.measure);
    let mut text = String::from("| peer |");
    columns.iter().for_each(|column| text += &format!(" {} |", column.title));
    text += &format!("\n|---|{}\n", "---:|".repeat(columns.len()));
    for (peer, series) in &rows {
        let name = if peer.side == Side::Others { peer.name.to_owned() } else { format!("**{}**", peer.name) };
        text += &format!("| {name} |");
        match (series.spread(), series.error()) {
            (None, error) => {
                text += &format!(" failed: {} |", error.unwrap_or("no result").replace('|', "/"));
                text += &" |".repeat(columns.len() - 1);
            }
            (Some(_), _) => columns.iter().for_each(|column| text += &format!(" {} |", (column.cell)(runs, series))),
        }
        text.push('\n');
    }
    Some(text)
}

struct Column {
    title: &'static str,
    cell: fn(&Runs, &Series<'_>) -> String,
}

fn columns(measure: Measure) -> Vec<Column> {
    let column = |title, cell| Column { title, cell };
    let own: fn(&Runs, &Series<'_>) -> String = |_, series| with_range(series.spread(), |v| series.measure().show(v));
    let ceiling = column("against raw", |runs, series| ratio(runs, series, CEILING));
    let fastest = column("against uWebSockets", |runs, series| ratio(runs, series, FASTEST));
    let user = column("user us", |_, series| field(series, "server_user_us_per_op", significant));
    let system = column("system us", |_, series| field(series, "server_system_us_per_op", significant));
    let p50 = column("p50 us", |_, series| field(series, "p50_us", significant));
    let p99 = column("p99 us", |_, series| field(series, "p99_us", significant));
    let memory = column("memory MiB", |_, series| field(series, "server_rss", |v| format!("{:.1}", v / 1_048_576.0)));
    match measure {
        Measure::Rate => vec![column("per second", own), ceiling, fastest, user, system, p50, p99, memory],
        Measure::CpuPerOp => {
            let rate = column("per second", |_, series| field(series, "ops_per_s", grouped));
            vec![column("us of processor time", own), ceiling, fastest, user, system, rate, p99]
        }
        Measure::Memory => vec![
            column("bytes per connection", own),
            column("connections", |_, series| field(series, "conns", grouped)),
            column("without any, MiB", |_, series| field(series, "rss_before", |v| format!("{:.1}", v / 1_048_576.0))),
        ],
        Measure::CpuRatio => vec![
            column("ratio", own),
            column("us in the first case", |_, series| case_time(series, 0)),
            column("us in the second case", |_, series| case_time(series, 1)),
            column("neighbours", |_, series| {
                let case = series.test.cases[1].name;
                series.field(case, "neighbours").map_or_else(|| "-".into(), |spread| grouped(spread.median))
            }),
        ],
        Measure::TailLatency => vec![
            column("p99 us", own),
            fastest,
            p50,
            column("p99.9 us", |_, series| field(series, "p999_us", significant)),
            column("answered per second", |_, series| field(series, "ops_per_s", grouped)),
            column("wanted", |_, series| field(series, "rate", grouped)),
            column("us of processor time", |_, series| field(series, "server_us_per_op", significant)),
        ],
    }
}

fn case_time(series: &Series<'_>, case: usize) -> String {
    let time = series.field(series.test.cases[case].name, "server_us_per_op");
    time.map_or_else(|| "-".into(), |spread| significant(spread.median))
}

fn ratio(runs: &Runs, series: &Series<'_>, reference: &str) -> String {
    with_range(runs.ratio(series, reference), |value| format!("{value:.2}"))
}

fn field(series: &Series<'_>, name: &str, show: fn(f64) -> String) -> String {
    series.field("", name).map_or_else(|| "-".into(), |spread| show(spread.median))
}

/// `12 (11-14)`, or just the number where there is but one; marked if there was nothing undisturbed.
fn with_range(spread: Option<Spread>, show: impl Fn(f64) -> String) -> String {
    let Some(spread) = spread else { return "-".into() };
    let (median, low, high) = (show(spread.median), show(spread.low), show(spread.high));
    let mark = if spread.disturbed { " ~" } else { "" };
    if low == high { format!("{median}{mark}") } else { format!("{median} ({low}-{high}){mark}") }
}

/// Where and with what the runs were made.
fn sessions(runs: &Runs) -> String {
    let mut text = String::from("\n## Sessions\n");
    for session in &runs.sessions {
        // Of a session that was repeated nothing is left above.
        let in_use = |test: &'static Test| {
            peers::ALL.iter().filter_map(|peer| runs.series(test, peer.name)).any(|series| series.session == session.id)
        };
        let tests: Vec<&str> = catalogue::ALL.iter().filter(|test| in_use(test)).map(|test| test.name).collect();
        if tests.is_empty() {
            continue;
        }
        text += &format!(
            "\n### {} UTC\n\n`{}` on {}: {}.\n\n",
            session.id,
            session.command,
            session.machine,
            tests.join(", ")
        );
        text += "| peer | version |\n|---|---|\n";
        for (peer, version) in &session.versions {
            text += &format!("| {peer} | {} |\n", version.as_str().unwrap_or("-"));
        }
    }
    text
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod unit {
    use serde_json::json;

    use super::{super::runs::Run, *};

    fn sample() -> Runs {
        let rate = |peer, round, rate: f64| {
            let result = json!({ "ops_per_s": rate, "p50_us": 200.0, "p99_us": 400.0, "server_user_us_per_op": 0.21 });
            Run::sample("echo-64-1", peer, round, result)
        };
        let mut runs = vec![
            rate("raw", 0, 200_000.0),
            rate("raw", 1, 220_000.0),
            rate("tautline", 0, 190_000.0),
            rate("tautline", 1, 209_000.0),
            Run { result: Err("wrong | byte".into()), ..rate("yawc", 0, 0.0) },
        ];
        runs[2].disturbed = true;
        Runs { sessions: vec![], runs }
    }

    #[test]
    fn a_table_has_the_best_first_and_failures_last() {
        let table = table(&sample(), Test::named("echo-64-1").unwrap()).unwrap();
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert!(
            rows[0].starts_with("| raw | 210,000 (200,000-220,000) | 1.00 | - | 0.210 | - | 200 | 400 |"),
            "{}",
            rows[0]
        );
        assert!(rows[1].starts_with("| **tautline** | 209,000 | 0.95 | - |"), "{}", rows[1]);
        assert!(rows[2].starts_with("| yawc | failed: wrong / byte |"), "{}", rows[2]);
        let cells = |row: &str| row.matches('|').count();
        assert!(rows.iter().all(|row| cells(row) == cells(rows[0])));
    }

    #[test]
    fn a_test_that_was_not_run_has_no_table() {
        assert!(table(&sample(), Test::named("idle").unwrap()).is_none());
        assert!(!text(&sample(), &[]).contains("## idle\n"));
    }
}
