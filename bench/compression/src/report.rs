//! What was measured, as tables.

use std::fmt;

use crate::cases::CASES;
use crate::messages::Kind;

/// What a way to compress costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Bytes of the heap for each connection.
    pub(crate) connection: i64,
    /// Bytes of the heap for the loop, however many connections it has.
    pub(crate) once: i64,
    /// Bytes for each message that the server sends, with its header.
    pub(crate) wire: f64,
    /// Microseconds of the loop's processor time for each message that it receives and sends back.
    pub(crate) micros: f64,
}

/// The rounds.
#[derive(Default)]
pub(crate) struct Report {
    cases: [Vec<Measured>; CASES.len()],
}

impl Report {
    /// Another round of a case.
    pub(crate) fn add(&mut self, case: usize, measured: Measured) {
        self.cases[case].push(measured);
    }

    fn table(&self, f: &mut fmt::Formatter<'_>, kind: Kind) -> fmt::Result {
        writeln!(f, "| | heap of a connection, bytes | heap of a loop, once, KiB | bytes sent | us | times |")?;
        writeln!(f, "|---|---:|---:|---:|---:|---:|")?;
        let mut of_kind = (0..CASES.len()).filter(|&case| CASES[case].kind == kind).peekable();
        let Some(&off) = of_kind.peek() else { return Ok(()) };
        for case in of_kind {
            let rounds = &self.cases[case];
            let times = rounds.iter().zip(&self.cases[off]).map(|(round, off)| round.micros / off.micros);
            writeln!(
                f,
                "| {} | {:.0} | {:.0} | {:.1} | {:.1} | {:.1} |",
                CASES[case].name,
                median(rounds.iter().map(|round| round.connection as f64)),
                // Not "-0".
                median(rounds.iter().map(|round| (round.once as f64 / 1024.0).round())) + 0.0,
                median(rounds.iter().map(|round| round.wire)),
                median(rounds.iter().map(|round| round.micros)),
                median(times),
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## Readings of some 92 bytes\n")?;
        self.table(f, Kind::Reading)?;
        writeln!(f, "\n## Text of 16 KiB\n")?;
        self.table(f, Kind::Text)
    }
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
    fn a_way_is_compared_with_none_of_the_same_round_and_kind() {
        let mut report = Report::default();
        for (case, micros) in [(0, 2.0), (1, 6.0), (0, 4.0), (1, 12.0), (5, 10.0), (6, 15.0)] {
            report.add(case, Measured { connection: 200, once: 2048, wire: 20.0, micros });
        }
        let text = report.to_string();
        assert!(text.contains("| no-context-takeover, 12 bits | 200 | 2 | 20.0 | 12.0 | 3.0 |"), "{text}");
        assert!(text.contains("| no-context-takeover, 12 bits | 200 | 2 | 20.0 | 15.0 | 1.5 |"), "{text}");
    }
}
