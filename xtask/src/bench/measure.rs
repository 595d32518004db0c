//! What a test compares, and how a number of that kind is written.

use super::runs::Run;

/// The quantity that a test is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Messages or deliveries per second.
    Rate,
    /// Microseconds of the server's processor time per operation.
    CpuPerOp,
    /// Bytes of memory per connection.
    Memory,
    /// Processor time per operation in the second case, as a multiple of the first.
    CpuRatio,
    /// Microseconds that 99 % of the replies do not exceed.
    TailLatency,
}

impl Measure {
    /// The value of one peer's runs in one round, one run per case.
    pub(crate) fn value(self, runs: &[&Run]) -> Option<f64> {
        match (self, runs) {
            (Measure::Rate, [run]) => run.number("ops_per_s"),
            (Measure::CpuPerOp, [run]) => run.number("server_us_per_op"),
            (Measure::Memory, [run]) => run.number("bytes_per_conn"),
            (Measure::TailLatency, [run]) => run.number("p99_us"),
            (Measure::CpuRatio, [first, second]) => {
                Some(second.number("server_us_per_op")? / first.number("server_us_per_op")?)
            }
            _ => None,
        }
    }

    pub(crate) fn more_is_better(self) -> bool {
        self == Measure::Rate
    }

    /// A value, without its unit.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Measure::Rate | Measure::Memory => grouped(value),
            Measure::CpuRatio => format!("{value:.2}"),
            Measure::CpuPerOp | Measure::TailLatency => significant(value),
        }
    }
}

/// `1234567.8` as `1,234,568`.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value <= -0.5 { format!("-{text}") } else { text }
}

/// Three significant digits, thousands grouped.
pub(crate) fn significant(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if size >= 100.0 => grouped(value),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_as_long_as_they_need_to_be() {
        assert_eq!(
            ["0", "999", "1,000", "1,234,568"],
            [0.2, 999.0, 999.6, 1_234_567.8].map(grouped).each_ref().map(|s| s.as_str())
        );
        assert_eq!(
            ["0.211", "4.54", "35.9", "12,346"],
            [0.2111, 4.5351, 35.877, 12345.6].map(significant).each_ref().map(|s| s.as_str())
        );
        assert_eq!(grouped(-1234.0), "-1,234");
    }

    #[test]
    fn a_ratio_of_cases_needs_both() {
        let run = |us: f64| Run::sample("neighbours", "x", 0, json!({ "server_us_per_op": us }));
        let (first, second) = (run(4.0), run(5.0));
        assert_eq!(Measure::CpuRatio.value(&[&first, &second]), Some(1.25));
        assert_eq!(Measure::CpuRatio.value(&[&first]), None);
        assert_eq!(Measure::Rate.value(&[&first]), None);
    }
}
