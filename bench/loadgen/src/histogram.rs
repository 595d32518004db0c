//! Latencies, counted in buckets.

use std::time::Duration;

use serde_json::{Value, json};

/// Buckets per power of two: a value is known to 1.6 %.
const STEPS: u64 = 64;
/// What is below is not told apart.
const LOWEST: u64 = STEPS;

/// A histogram of durations, from 64 ns to centuries.
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { buckets: vec![0; (STEPS * 58) as usize], count: 0, max: 0 }
    }

    pub(crate) fn add(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(nanos)] += 1;
        self.count += 1;
        self.max = self.max.max(nanos);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The latency that the fraction `q` of all values does not exceed, in microseconds.
    pub(crate) fn quantile_us(&self, q: f64) -> f64 {
        let target = ((self.count as f64 * q).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= target {
                return floor_of(index) as f64 / 1e3;
            }
        }
        0.0
    }

    pub(crate) fn json(&self) -> [(&'static str, Value); 4] {
        [
            ("p50_us", json!(self.quantile_us(0.50))),
            ("p99_us", json!(self.quantile_us(0.99))),
            ("p999_us", json!(self.quantile_us(0.999))),
            ("max_us", json!(self.max as f64 / 1e3)),
        ]
    }
}

fn bucket(nanos: u64) -> usize {
    let nanos = nanos.max(LOWEST);
    let octave = nanos.ilog2() - LOWEST.ilog2();
    (u64::from(octave) * STEPS + (nanos >> octave) - LOWEST) as usize
}

/// The lowest value in a bucket.
fn floor_of(index: usize) -> u64 {
    let (octave, step) = (index as u64 / STEPS, index as u64 % STEPS);
    (LOWEST + step) << octave
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_is_at_most_a_64th_above_its_floor() {
        for nanos in [64, 65, 127, 128, 1_000, 123_456, 7_000_000_000, u64::MAX] {
            let floor = floor_of(bucket(nanos));
            assert!(floor <= nanos && nanos - floor <= floor / 64, "{nanos} in the bucket of {floor}");
        }
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(u64::MAX), Histogram::new().buckets.len() - 1);
    }

    #[test]
    fn quantiles_count_values_not_buckets() {
        let mut histogram = Histogram::new();
        for micros in 1..=1000 {
            histogram.add(Duration::from_micros(micros));
        }
        for (q, micros) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0)] {
            let found = histogram.quantile_us(q);
            assert!((found / micros - 1.0_f64).abs() < 0.016, "{q}: {found}");
        }
        assert_eq!(Histogram::new().quantile_us(0.5), 0.0);
    }
}
