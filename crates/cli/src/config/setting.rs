//! How values are written, read and shown: numbers, times, sizes, text.

use std::path::PathBuf;
use std::time::Duration;

use super::define::Key;
use super::raw::{Raw, quoted};

/// A type that a key can have.
pub(crate) trait Setting: Sized {
    /// What can be written, so that "is needed" makes it a sentence.
    fn form(key: &Key) -> String;

    /// What was written. `None` if that cannot be.
    fn read(raw: &Raw, key: &Key) -> Option<Self>;

    /// The value as it stands in a file; `None` if it is not set.
    fn toml(&self) -> Option<String>;

    /// The value where nobody has set one, and the key has no default.
    fn unset() -> Option<Self> {
        None
    }
}

/// A type of few values, each with a name.
pub(crate) trait Choice: Copy + PartialEq + 'static {
    /// The names.
    const NAMES: &'static [(&'static str, Self)];
    /// Further names, which others have for them.
    const ALIASES: &'static [(&'static str, Self)] = &[];
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) u64);

impl<T: Choice> Setting for T {
    fn form(_: &Key) -> String {
        let or = |names: &[(&str, T)]| match names.iter().map(|(name, _)| *name).collect::<Vec<_>>().split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => String::new(),
        };
        match T::ALIASES {
            [] => or(T::NAMES),
            aliases => format!("{} (or {})", or(T::NAMES), or(aliases)),
        }
    }

    fn read(raw: &Raw, _: &Key) -> Option<Self> {
        let text = match raw {
            Raw::Text(text) | Raw::Word(text) => text.clone(),
            Raw::Whole(number) => number.to_string(),
            _ => return None,
        };
        T::NAMES.iter().chain(T::ALIASES).find(|(name, _)| *name == text).map(|(_, value)| *value)
    }

    fn toml(&self) -> Option<String> {
        T::NAMES.iter().find(|(_, value)| value == self).map(|(name, _)| quoted(name))
    }
}

impl<T: Setting> Setting for Option<T> {
    fn form(key: &Key) -> String {
        T::form(key)
    }

    fn read(raw: &Raw, key: &Key) -> Option<Self> {
        match raw {
            // A file, and more so the environment, can take back in this way what is set elsewhere.
            Raw::Text(text) | Raw::Word(text) if text.is_empty() => Some(None),
            _ => T::read(raw, key).map(Some),
        }
    }

    fn toml(&self) -> Option<String> {
        self.as_ref().and_then(T::toml)
    }

    fn unset() -> Option<Self> {
        Some(None)
    }
}

impl Setting for String {
    fn form(_: &Key) -> String {
        "text".into()
    }

    fn read(raw: &Raw, _: &Key) -> Option<Self> {
        match raw {
            Raw::Text(text) | Raw::Word(text) => Some(text.clone()),
            _ => None,
        }
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(self))
    }
}

impl Setting for PathBuf {
    fn form(_: &Key) -> String {
        "a path".into()
    }

    fn read(raw: &Raw, key: &Key) -> Option<Self> {
        String::read(raw, key).filter(|path| !path.is_empty()).map(Self::from)
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(&self.to_string_lossy()))
    }
}

impl Setting for bool {
    fn form(_: &Key) -> String {
        "true or false".into()
    }

    fn read(raw: &Raw, _: &Key) -> Option<Self> {
        match raw {
            Raw::Truth(truth) => Some(*truth),
            Raw::Word(word) => word.parse().ok(),
            _ => None,
        }
    }

    fn toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

/// Whole numbers, of whatever size.
macro_rules! whole_numbers {
    ($($number:ty),+) => {
        $(impl Setting for $number {
            fn form(key: &Key) -> String {
                format!("a whole number {}", bounds(key, |number| number.to_string()))
            }

            fn read(raw: &Raw, key: &Key) -> Option<Self> {
                raw.whole().filter(|number| fits(*number, key)).and_then(|number| number.try_into().ok())
            }

            fn toml(&self) -> Option<String> {
                Some(self.to_string())
            }
        })+
    };
}

whole_numbers!(u8, u16, u32, usize);

impl Setting for Bytes {
    fn form(key: &Key) -> String {
        let size = |bytes| Self(bytes).toml().unwrap_or_default();
        format!("a number of bytes {}, or text such as \"64 KiB\"", bounds(key, size))
    }

    fn read(raw: &Raw, key: &Key) -> Option<Self> {
        let bytes = match raw {
            Raw::Text(text) | Raw::Word(text) => size(text),
            _ => raw.whole(),
        };
        bytes.filter(|bytes| fits(*bytes, key)).map(Self)
    }

    fn toml(&self) -> Option<String> {
        let unit = UNITS.iter().find(|(_, unit)| self.0 >= *unit && self.0.is_multiple_of(*unit));
        Some(match unit {
            Some((name, unit)) => quoted(&format!("{} {name}", self.0 / unit)),
            None => self.0.to_string(),
        })
    }
}

impl Setting for Duration {
    fn form(key: &Key) -> String {
        format!("a number of seconds {}", bounds(key, |millis| (millis as f64 / 1000.0).to_string()))
    }

    fn read(raw: &Raw, key: &Key) -> Option<Self> {
        let duration = Self::try_from_secs_f64(raw.number()?).ok()?;
        let fits = (Self::from_millis(key.least)..=Self::from_millis(key.most)).contains(&duration);
        (fits || key.or_zero && duration.is_zero()).then_some(duration)
    }

    fn toml(&self) -> Option<String> {
        Some(self.as_secs_f64().to_string())
    }
}

/// Units of bytes, the largest first.
const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Bytes as people write them: `65536` or `64 KiB`.
fn size(text: &str) -> Option<u64> {
    let digits = text.trim().trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.trim()[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        name => UNITS.iter().find(|(unit, _)| unit.eq_ignore_ascii_case(name))?.1,
    };
    digits.trim_end().parse::<u64>().ok()?.checked_mul(unit)
}

fn fits(number: u64, key: &Key) -> bool {
    (key.least..=key.most).contains(&number) || key.or_zero && number == 0
}

/// The bounds of a key in words.
fn bounds(key: &Key, show: impl Fn(u64) -> String) -> String {
    let bounds = match key.most {
        u64::MAX => format!("from {} on", show(key.least)),
        most => format!("from {} to {}", show(key.least), show(most)),
    };
    if key.or_zero { bounds + ", or 0" } else { bounds }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key::new("0", "").bounds(1, 3_600_000);

    fn word<T: Setting>(text: &str) -> Option<T> {
        T::read(&Raw::Word(text.into()), &KEY)
    }

    #[test]
    fn sizes_are_numbers_or_text_with_a_unit() {
        for (text, bytes) in [("1", 1), ("64KiB", 65536), ("64 kib", 65536), (" 3 MiB ", 3 << 20), ("7 B", 7)] {
            assert_eq!(word(text), Some(Bytes(bytes)), "{text}");
        }
        for bad in ["", "0", "KiB", "1 KB", "1.5 KiB", "-1", "3600001", "99999999999 GiB", "1 KiB x", "µ"] {
            assert_eq!(word::<Bytes>(bad), None, "{bad}");
        }
        assert_eq!(Bytes::read(&Raw::Text("2 KiB".into()), &KEY), Some(Bytes(2048)));
        assert_eq!(Bytes::read(&Raw::Whole(2), &KEY), Some(Bytes(2)));
        assert_eq!(Bytes::read(&Raw::Fraction(2.5), &KEY), None);
    }

    #[test]
    fn seconds_can_have_fractions_and_have_bounds() {
        assert_eq!(word("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(Duration::read(&Raw::Whole(10), &KEY), Some(Duration::from_secs(10)));
        for bad in ["", "-1", "x", "NaN", "inf", "1e300", "0.0001", "3601", "0"] {
            assert_eq!(word::<Duration>(bad), None, "{bad}");
        }
        assert_eq!(Duration::read(&Raw::Whole(0), &KEY.or_zero()), Some(Duration::ZERO));
        assert_eq!(Duration::read(&Raw::Text("1".into()), &KEY), None);
    }

    #[test]
    fn numbers_in_files_have_no_quotes() {
        assert_eq!(word("7"), Some(7_u16));
        assert_eq!(u16::read(&Raw::Text("7".into()), &KEY), None);
        assert_eq!(u16::read(&Raw::Whole(70_000), &KEY), None);
        assert_eq!(u16::read(&Raw::Whole(0), &KEY), None);
        assert_eq!(u16::form(&KEY), "a whole number from 1 to 3600000");
        assert_eq!(usize::form(&KEY.bounds(2, u64::MAX)), "a whole number from 2 on");
    }
}
