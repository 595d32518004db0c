//! What is to be reached, and whether it is.

use super::{
    catalogue::Test,
    measure::significant,
    peers::{self, CEILING, FASTEST, Side},
    runs::Runs,
    stats::Spread,
};

/// One thing to reach.
pub(crate) struct Goal {
    pub(crate) what: &'static str,
    pub(crate) test: &'static str,
    pub(crate) quantity: Quantity,
    engine: Option<Bound>,
    tokio: Option<Bound>,
    rooms: Option<Bound>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Quantity {
    /// The test's value as a multiple of this peer's.
    Against(&'static str),
    /// The test's value.
    Value,
    /// Microseconds of user time per operation.
    UserTime,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

use Bound::*;

/// Every goal there is.
#[rustfmt::skip] // one column per field
pub(crate) fn all() -> Vec<Goal> {
    let each = |engine, tokio| (Some(engine), Some(tokio), None);
    let all = |engine, tokio, rooms| (Some(engine), Some(tokio), Some(rooms));
    let engine = |bound| (Some(bound), None, None);
    vec![
        goal("echo of 64 B, 1 in flight, against raw TCP", "echo-64-1", Quantity::Against(CEILING), each(AtLeast(1.00), AtLeast(0.96))),
        goal("user time per message, in us", "echo-64-1", Quantity::UserTime, engine(AtMost(0.20))),
        goal("echo of 64 B, 16 in flight, against raw TCP", "echo-64-16", Quantity::Against(CEILING), each(AtLeast(0.95), AtLeast(0.80))),
        goal("echo of 16 KiB, against raw TCP", "echo-16k", Quantity::Against(CEILING), each(AtLeast(0.99), AtLeast(0.95))),
        goal("echo of 1 MiB, against raw TCP", "echo-1m", Quantity::Against(CEILING), each(AtLeast(1.10), AtLeast(1.07))),
        goal("fan-out to 1,000, 16 in flight, against uWebSockets", "fanout-16", Quantity::Against(FASTEST), all(AtLeast(1.10), AtLeast(0.90), AtLeast(1.00))),
        goal("fan-out to 1,000, 1 in flight, against one send per subscriber", "fanout-1", Quantity::Against(CEILING), each(AtLeast(0.99), AtLeast(0.92))),
        goal("bytes per idle connection", "idle", Quantity::Value, all(AtMost(200.0), AtMost(1536.0), AtMost(512.0))),
        goal("bytes per idle connection, TLS", "idle-tls", Quantity::Value, engine(AtMost(8192.0))),
        goal("bytes per idle connection, TLS with client certificates", "idle-mtls", Quantity::Value, engine(AtMost(10240.0))),
        goal("processor time per handshake, in us", "handshake", Quantity::Value, each(AtMost(36.0), AtMost(30.0))),
        goal("processor time per message beside idle neighbours", "neighbours", Quantity::Value, each(AtMost(1.10), AtMost(1.10))),
        goal("processor time per message with two loops instead of one", "two-loops", Quantity::Value, engine(AtMost(1.15))),
        goal("p99 latency at half load, against uWebSockets", "half-load", Quantity::Against(FASTEST), engine(AtMost(1.00))),
    ]
}

fn goal(
    what: &'static str,
    test: &'static str,
    quantity: Quantity,
    (engine, tokio, rooms): (Option<Bound>, Option<Bound>, Option<Bound>),
) -> Goal {
    Goal { what, test, quantity, engine, tokio, rooms }
}

impl Goal {
    pub(crate) fn bound(&self, side: Side) -> Option<Bound> {
        match side {
            Side::Engine => self.engine,
            Side::Tokio => self.tokio,
            Side::Rooms => self.rooms,
            Side::Others => None,
        }
    }

    /// What a peer has reached.
    pub(crate) fn reached(&self, runs: &Runs, peer: &str) -> Option<Spread> {
        let series = runs.series(Test::named(self.test)?, peer)?;
        match self.quantity {
            Quantity::Against(reference) => runs.ratio(&series, reference),
            Quantity::Value => series.spread(),
            Quantity::UserTime => series.field("", "server_user_us_per_op"),
        }
    }

    /// The number as it is written.
    pub(crate) fn show(&self, value: f64) -> String {
        match self.quantity {
            Quantity::Against(_) => format!("{value:.2}"),
            Quantity::Value | Quantity::UserTime if value < 10.0 => format!("{value:.2}"),
            Quantity::Value | Quantity::UserTime => significant(value),
        }
    }
}

impl Bound {
    /// Judged by the number as it is written, so that nobody wonders how 0.96 can be less than 0.96.
    pub(crate) fn is_met(self, shown: &str) -> bool {
        let value: f64 = shown.replace(',', "").parse().unwrap_or(f64::NAN);
        match self {
            AtLeast(bound) => value >= bound,
            AtMost(bound) => value <= bound,
        }
    }

    /// How far beyond the bound a value is: 1 is just met, 2 twice as good, 0.5 half as good.
    pub(crate) fn score(self, value: f64) -> f64 {
        match self {
            AtLeast(bound) => value / bound,
            AtMost(bound) => bound / value,
        }
    }

    pub(crate) fn show(self, goal: &Goal) -> String {
        match self {
            AtLeast(bound) => format!(">= {}", goal.show(bound)),
            AtMost(bound) => format!("<= {}", goal.show(bound)),
        }
    }
}

/// The peer of ours on this side.
pub(crate) fn ours(side: Side) -> Option<&'static str> {
    Some(peers::ALL.iter().find(|peer| peer.side == side)?.name)
}

/// Every goal, and whether it is met.
pub(crate) fn table(runs: &Runs) -> String {
    let mut text = String::from("| goal | test | engine | tokio library | rooms |\n|---|---|---|---|---|\n");
    for goal in all() {
        let cell = |side| cell(&goal, runs, side);
        let [engine, tokio, rooms] = [Side::Engine, Side::Tokio, Side::Rooms].map(cell);
        text += &format!("| {} | {} | {engine} | {tokio} | {rooms} |\n", goal.what, goal.test);
    }
    text
}

fn cell(goal: &Goal, runs: &Runs, side: Side) -> String {
    let Some(bound) = goal.bound(side) else { return String::new() };
    let wanted = bound.show(goal);
    match ours(side).and_then(|peer| goal.reached(runs, peer)) {
        None => format!("not measured ({wanted})"),
        Some(reached) => {
            let shown = goal.show(reached.median);
            let verdict = match bound.is_met(&shown) {
                _ if reached.disturbed => "disturbed",
                true => "met",
                false => "**not met**",
            };
            format!("{verdict}: {shown} ({wanted})")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::runs::Run, *};

    #[test]
    fn every_goal_is_about_a_test_that_there_is() {
        assert!(all().iter().all(|goal| Test::named(goal.test).is_some()));
    }

    #[test]
    fn a_goal_says_whether_it_is_met_and_with_which_number() {
        let run = |peer, rate: f64| Run::sample("echo-64-1", peer, 0, json!({ "ops_per_s": rate }));
        let runs =
            Runs { sessions: vec![], runs: vec![run("raw", 1000.0), run("tautline", 957.0), run("engine", 994.0)] };
        let table = table(&runs);
        let line = table.lines().find(|line| line.contains("1 in flight, against raw TCP")).unwrap();
        assert!(line.ends_with("| **not met**: 0.99 (>= 1.00) | met: 0.96 (>= 0.96) |  |"), "{line}");
        let disturbed = Run { disturbed: true, ..run("tautline", 957.0) };
        let runs = Runs { sessions: vec![], runs: vec![run("raw", 1000.0), disturbed] };
        assert!(super::table(&runs).contains("| disturbed: 0.96 (>= 0.96) |"), "no verdict without a quiet machine");
        assert!(
            table.contains("| idle | not measured (<= 200) | not measured (<= 1,536) | not measured (<= 512) |"),
            "{table}"
        );
    }

    #[test]
    fn a_score_above_one_is_better_than_the_goal_either_way() {
        assert_eq!(AtLeast(2.0).score(3.0), 1.5);
        assert_eq!(AtMost(3.0).score(2.0), 1.5);
    }
}
