//! What was measured, as a table.

use std::fmt;

use crate::FLEETS;

/// The part of the lower ceiling that is to be reached.
const GOAL: f64 = 0.8;
/// How much more a reading may cost, with however many devices.
const FLAT: f64 = 1.2;

/// The rounds.
#[derive(Default)]
pub(crate) struct Report {
    rates: Vec<[f64; 4]>,
    costs: Vec<[f64; FLEETS.len()]>,
}

impl Report {
    /// Readings per second over UDP and TCP, and those of recvmmsg and SQLite.
    pub(crate) fn add_rates(&mut self, rates: [f64; 4]) {
        self.rates.push(rates);
    }

    /// Microseconds for each reading, by the number of devices.
    pub(crate) fn add_costs(&mut self, costs: [f64; FLEETS.len()]) {
        self.costs.push(costs);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = |column: usize| median(self.rates.iter().map(|round| round[column]));
        // Within a round, since what disturbs one disturbs the other.
        let part = |column: usize| median(self.rates.iter().map(|round| round[column] / round[2].min(round[3])));
        writeln!(f, "| | readings per second | part of the lower ceiling | goal |\n|---|---:|---:|---|")?;
        for (column, name) in ["UDP, durable", "TCP, durable"].into_iter().enumerate() {
            let verdict = verdict(part(column) >= GOAL);
            writeln!(f, "| {name} | {:.0} | {:.2} | {verdict} (>= {GOAL}) |", rate(column), part(column))?;
        }
        for (column, name) in
            [(2, "ceiling: the same datagrams through recvmmsg"), (3, "ceiling: SQLite, the same table")]
        {
            writeln!(f, "| {name} | {:.0} | | |", rate(column))?;
        }
        writeln!(f, "\n| devices | us of the hub's processor time for each reading |\n|---:|---:|")?;
        for (column, devices) in FLEETS.into_iter().enumerate() {
            writeln!(f, "| {devices} | {:.2} |", median(self.costs.iter().map(|round| round[column])))?;
        }
        let most = median(self.costs.iter().map(|round| extreme(round, f64::max) / extreme(round, f64::min)));
        writeln!(f, "\nThe dearest is {most:.2} times the cheapest: {} (<= {FLAT}).", verdict(most <= FLAT))
    }
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "**not met**" }
}

fn extreme(values: &[f64], of: fn(f64, f64) -> f64) -> f64 {
    values.iter().copied().reduce(of).unwrap_or(f64::NAN)
}

/// The middle one; of an even number, the higher of the two.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_counts_against_the_lower_ceiling_of_its_own_round() {
        let mut report = Report::default();
        report.add_rates([90.0, 40.0, 100.0, 200.0]);
        report.add_costs([1.0, 1.1, 1.0, 1.3]);
        let text = report.to_string();
        assert!(text.contains("| UDP, durable | 90 | 0.90 | met (>= 0.8) |"), "{text}");
        assert!(text.contains("| TCP, durable | 40 | 0.40 | **not met** (>= 0.8) |"), "{text}");
        assert!(text.contains("The dearest is 1.30 times the cheapest: **not met** (<= 1.2)."), "{text}");
    }
}
