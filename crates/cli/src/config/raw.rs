//! Values as they are written, before anybody knows what they are for.

use std::fmt;

use toml::de::DeValue;

/// A value as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Raw {
    /// Text in a file.
    Text(String),
    /// A whole number in a file, not negative.
    Whole(u64),
    /// A number with a fraction in a file.
    Fraction(f64),
    /// `true` or `false` in a file.
    Truth(bool),
    /// A list of texts in a file.
    List(Vec<String>),
    /// Anything else in a file, which no key can be.
    Other(String),
    /// What a variable or an option says, whatever it means.
    Word(String),
}

impl Raw {
    /// The value in a file.
    pub(crate) fn of(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.to_string()),
            DeValue::Integer(number) => match u64::from_str_radix(number.as_str(), number.radix()) {
                Ok(whole) => Self::Whole(whole),
                Err(_) => Self::Other(number.to_string()),
            },
            DeValue::Float(number) => match number.as_str().parse() {
                Ok(number) => Self::Fraction(number),
                Err(_) => Self::Other(number.to_string()),
            },
            DeValue::Boolean(truth) => Self::Truth(*truth),
            DeValue::Datetime(time) => Self::Other(time.to_string()),
            DeValue::Array(items) => {
                let texts = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
                texts.collect::<Option<_>>().map_or_else(|| Self::Other("this list".into()), Self::List)
            }
            DeValue::Table(_) => Self::Other("a section".into()),
        }
    }

    /// The whole number that it is.
    pub(crate) fn whole(&self) -> Option<u64> {
        match self {
            Self::Whole(number) => Some(*number),
            Self::Word(word) => word.parse().ok(),
            _ => None,
        }
    }

    /// The number that it is.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Whole(number) => Some(*number as f64),
            Self::Fraction(number) => Some(*number),
            Self::Word(word) => word.parse().ok(),
            _ => None,
        }
    }
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Word(text) => write!(f, "\"{}\"", short(text)),
            Self::Whole(number) => number.fmt(f),
            Self::Fraction(number) => number.fmt(f),
            Self::Truth(truth) => truth.fmt(f),
            Self::List(_) => f.write_str("this list"),
            Self::Other(what) => f.write_str(&short(what)),
        }
    }
}

/// Text as it stands in a file.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out += &format!("\\u{:04X}", u32::from(c)),
            c => out.push(c),
        }
    }
    out + "\""
}

/// As much of a text as helps to find it, without what could move the cursor.
pub(crate) fn short(text: &str) -> String {
    const LONGEST: usize = 60;
    let cut = if text.chars().nth(LONGEST).is_some() { "..." } else { "" };
    let begin: String = text.chars().take(LONGEST).collect();
    begin.escape_debug().to_string() + cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_is_read_back() {
        for text in ["", "plain", "a \"b\" \\c", "tab\tline\nescape\u{1b}\u{7f}\u{9b}", "ñ 🦀"] {
            let quoted = quoted(text);
            let read = DeValue::parse(&quoted).unwrap();
            assert_eq!(Raw::of(read.get_ref()), Raw::Text(text.into()));
        }
    }

    #[test]
    fn what_no_key_can_be_is_kept_for_the_error() {
        for (text, shown) in [("-1", "-1"), ("99999999999999999999", "99999999999999999999"), ("[1]", "this list")] {
            let raw = Raw::of(DeValue::parse(text).unwrap().get_ref());
            assert!(matches!(raw, Raw::Other(_)), "{raw:?}");
            assert_eq!(raw.to_string(), shown);
        }
        assert_eq!(Raw::of(DeValue::parse("0x1_0").unwrap().get_ref()), Raw::Whole(16));
    }

    #[test]
    fn long_and_strange_text_is_shown_shortened() {
        let shown = Raw::Word(format!("\u{1b}[2J{}", "x".repeat(100))).to_string();
        assert!(shown.starts_with("\"\\u{1b}[2Jxxx") && shown.ends_with("x...\"") && shown.len() < 80, "{shown}");
    }
}
