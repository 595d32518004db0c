//! Medians and spreads.

/// One round's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) round: u64,
    pub(crate) value: f64,
    /// Whether others used the cores meanwhile.
    pub(crate) disturbed: bool,
}

/// The median of some values, and their extremes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Whether there were none but disturbed values.
    pub(crate) disturbed: bool,
}

impl Spread {
    /// Of the undisturbed values if there are any, else of all. Nothing for no values.
    pub(crate) fn of(samples: &[Sample]) -> Option<Self> {
        let finite = || samples.iter().filter(|sample| sample.value.is_finite());
        let disturbed = finite().all(|sample| sample.disturbed);
        let mut values: Vec<f64> =
            finite().filter(|sample| disturbed || !sample.disturbed).map(|sample| sample.value).collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len().is_multiple_of(2) { (values[middle - 1] + values[middle]) / 2.0 } else { values[middle] };
        Some(Self { median, low, high, disturbed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(values: &[f64]) -> Option<Spread> {
        let samples: Vec<Sample> =
            (0..).zip(values).map(|(round, value)| Sample { round, value: *value, disturbed: false }).collect();
        Spread::of(&samples)
    }

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        let expected = Spread { median: 3.0, low: 1.0, high: 100.0, disturbed: false };
        assert_eq!(spread(&[3.0, 1.0, 100.0]), Some(expected));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]).unwrap().median, 2.5);
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn what_is_no_number_does_not_count() {
        assert_eq!(spread(&[1.0 / 0.0, 2.0, f64::NAN]).unwrap().median, 2.0);
    }

    #[test]
    fn disturbed_values_count_only_where_there_are_no_others() {
        let sample = |value, disturbed| Sample { round: 0, value, disturbed };
        let mixed = Spread::of(&[sample(1.0, true), sample(5.0, false)]).unwrap();
        assert_eq!((mixed.median, mixed.low, mixed.disturbed), (5.0, 5.0, false));
        let bad = Spread::of(&[sample(1.0, true), sample(3.0, true)]).unwrap();
        assert_eq!((bad.median, bad.disturbed), (2.0, true));
    }
}
