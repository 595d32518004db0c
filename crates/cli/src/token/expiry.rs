//! Until when a token is good.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    Never,
    In(Duration),
    At(SystemTime),
}

/// The longest time from now: a hundred years.
const LONGEST: Duration = Duration::from_secs(100 * 365 * DAY);

const DAY: u64 = 24 * 3600;

impl Expiry {
    /// The time at which it is over; `None` if there is none.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn at(self, now: SystemTime) -> Result<Option<SystemTime>, &'static str> {
        match self {
            Self::Never => Ok(None),
            Self::In(time) => Ok(Some(now + time)),
            Self::At(at) if at > now => Ok(Some(at)),
            Self::At(_) => Err("the token would have expired already: --expires is in the past"),
        }
    }
}

impl FromStr for Expiry {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "never" {
            return Ok(Self::Never);
        }
        if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
            return Ok(Self::At(at.into()));
        }
        let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
        let unit = match &text[digits.len()..] {
            "s" => Some(1),
            "m" => Some(60),
            "h" => Some(3600),
            "d" => Some(DAY),
            _ => None,
        };
        let number = digits.parse::<u64>().ok().filter(|number| *number > 0 && !digits.starts_with('+'));
        let time = number.zip(unit).and_then(|(number, unit)| number.checked_mul(unit)).map(Duration::from_secs);
        time.filter(|time| *time <= LONGEST).map(Self::In).ok_or(
            "it is never, a time from now such as 90m, 12h or 30d (100 years at most), or a time such as 2027-01-31T18:00:00Z",
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn a_time_is_from_now_or_one_of_the_clock() {
        let seconds = |seconds| Ok(Expiry::In(Duration::from_secs(seconds)));
        let at = |seconds| Ok(Expiry::At(UNIX_EPOCH + Duration::from_secs(seconds)));
        for (text, expiry) in [
            ("never", Ok(Expiry::Never)),
            ("45s", seconds(45)),
            ("90m", seconds(5400)),
            ("12h", seconds(43_200)),
            ("30d", seconds(30 * DAY)),
            ("36500d", Ok(Expiry::In(LONGEST))),
            ("1970-01-02T00:00:00Z", at(DAY)),
            ("1970-01-02T01:00:00.5+01:00", Ok(Expiry::At(UNIX_EPOCH + Duration::from_millis(DAY * 1000 + 500)))),
        ] {
            assert_eq!(text.parse(), expiry, "{text}");
        }
        for bad in ["", "30", "d", "0d", "-1d", "+1d", "1.5h", "1w", "30 d", "36501d", "99999999999999999999d", "ñ"] {
            assert!(bad.parse::<Expiry>().is_err(), "{bad}");
        }
        for bad in ["2027-01-31", "2027-01-31T18:00:00", "2027-13-31T18:00:00Z", "tomorrow"] {
            assert!(bad.parse::<Expiry>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_over_is_no_expiry() {
        let now = UNIX_EPOCH + Duration::from_secs(100);
        assert!(Expiry::At(now).at(now).is_err());
        assert_eq!(Expiry::At(now).at(UNIX_EPOCH), Ok(Some(now)));
        assert_eq!(Expiry::In(Duration::from_secs(1)).at(now), Ok(Some(now + Duration::from_secs(1))));
        assert_eq!(Expiry::Never.at(now), Ok(None));
    }
}
