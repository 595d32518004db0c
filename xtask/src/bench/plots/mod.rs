//! The plots of the results.

mod bars;
mod goals;
mod svg;

use super::{
    catalogue::Test,
    measure::{Measure, significant},
    peers::{self, CEILING, Peer},
    runs::Runs,
};
use bars::{Bar, Panel};

/// One picture.
pub(crate) struct Plot {
    pub(crate) file: &'static str,
    pub(crate) title: &'static str,
    pub(crate) svg: String,
}

/// All for which there is something to show.
pub(crate) fn all(runs: &Runs) -> Vec<Plot> {
    let bars = |file, title: &'static str, panels: Vec<Option<Panel>>| {
        let panels: Vec<Panel> = panels.into_iter().flatten().collect();
        (!panels.is_empty()).then(|| Plot { file, title, svg: bars::draw(title, &panels) })
    };
    let panel = |test, title| panel(runs, test, title);
    let plots = [
        goals::draw(runs).map(|svg| Plot { file: "goals.svg", title: goals::TITLE, svg }),
        bars(
            "echo.svg",
            "Echo: messages per second, one server core",
            vec![
                panel("echo-64-1", "64 B, 1 in flight"),
                panel("echo-64-16", "64 B, 16 in flight"),
                panel("echo-16k", "16 KiB"),
                panel("echo-1m", "1 MiB"),
            ],
        ),
        bars(
            "fan-out.svg",
            "Fan-out of 128 B to 1,000 subscribers: deliveries per second, one server core",
            vec![panel("fanout-16", "16 publishes in flight"), panel("fanout-1", "1 publish in flight")],
        ),
        bars(
            "memory.svg",
            "Memory per idle connection, in bytes (less is better)",
            vec![panel("idle", "Plain"), panel("idle-tls", "TLS"), panel("idle-mtls", "TLS with client certificates")],
        ),
        bars(
            "processor-time.svg",
            "The server's processor time (less is better)",
            vec![
                panel("handshake", "Microseconds per handshake"),
                user_time(runs),
                panel("neighbours", "Per message beside idle connections, against none"),
                panel("two-loops", "Per message with two loops, against one"),
            ],
        ),
        bars(
            "latency.svg",
            "Latency at half load: 99 % of the replies come within so many microseconds (less is better)",
            vec![panel("half-load", "Echo of 64 B, messages due at random moments")],
        ),
    ];
    plots.into_iter().flatten().collect()
}

/// A test as a panel; nothing when it was not run.
fn panel(runs: &Runs, test: &str, title: &str) -> Option<Panel> {
    let test = Test::named(test)?;
    // Where more is better, a bar is short because of what its peer lacks: say how much that is.
    let reference = matches!(test.measure, Measure::Rate).then_some(CEILING);
    let bar = |peer: &'static Peer| {
        let series = runs.series(test, peer.name)?;
        let spread = series.spread()?;
        let mut shown = test.measure.show(spread.median);
        let others = reference.filter(|reference| *reference != peer.name);
        if let Some(ratio) = others.and_then(|reference| runs.ratio(&series, reference)) {
            shown += &format!("  ({:.2}x)", ratio.median);
        }
        Some(Bar { peer, spread, shown })
    };
    let bars = peers::ALL.iter().filter_map(bar).collect();
    let wide = matches!(test.measure, Measure::Memory | Measure::TailLatency | Measure::CpuPerOp);
    Panel::new(title, bars, test.measure.more_is_better(), wide, reference)
}

/// User time is beside the point of its test, but what a library's own code costs.
fn user_time(runs: &Runs) -> Option<Panel> {
    let test = Test::named("echo-64-1")?;
    let bar = |peer: &'static Peer| {
        let spread = runs.series(test, peer.name)?.field("", "server_user_us_per_op")?;
        Some(Bar { peer, spread, shown: significant(spread.median) })
    };
    let bars = peers::ALL.iter().filter_map(bar).collect();
    Panel::new("User time per echo of 64 B, microseconds", bars, false, true, None)
}
