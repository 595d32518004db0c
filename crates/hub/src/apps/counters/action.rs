//! What can be done with a counter.

use serde_json::Value;

/// The longest action that is looked at, in bytes. The usual ones have 20.
pub(super) const LONGEST: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Add(i64),
    Subtract(i64),
    Set(i64),
}

impl Action {
    /// What a message asks for, or what is wrong with it, fit to stand in a JSON string.
    pub(super) fn parse(message: &[u8]) -> Result<Self, &'static str> {
        if message.len() > LONGEST {
            return Err("the message is too long for an action");
        }
        let json: Value = serde_json::from_slice(message).map_err(|_| "the message is not JSON")?;
        let whole = |member: &str, default: Option<i64>| match json.get(member) {
            None => default,
            Some(number) => number.as_i64(),
        };
        let by = || whole("by", Some(1)).ok_or("`by` is not a whole number of 64 bits");
        match json.get("action").and_then(Value::as_str) {
            Some("plus") => by().map(Self::Add),
            Some("minus") => by().map(Self::Subtract),
            Some("set") => whole("value", None).map(Self::Set).ok_or("`value` is not a whole number of 64 bits"),
            Some(_) => Err("unknown action: there are plus, minus and set"),
            None => Err("the message is not an object with an action"),
        }
    }

    /// What becomes of a value. It stays where it is at the ends of the range.
    pub(super) fn apply(self, value: i64) -> i64 {
        match self {
            Self::Add(by) => value.saturating_add(by),
            Self::Subtract(by) => value.saturating_sub(by),
            Self::Set(to) => to,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_plus_minus_and_set() {
        for (json, action) in [
            (r#"{"action":"plus"}"#, Action::Add(1)),
            (r#"{"more": [1], "action": "minus"}"#, Action::Subtract(1)),
            (r#"{"action":"plus","by":-5}"#, Action::Add(-5)),
            (r#"{"action":"minus","by":9223372036854775807}"#, Action::Subtract(i64::MAX)),
            (r#"{"action":"set","value":-3}"#, Action::Set(-3)),
        ] {
            assert_eq!(Action::parse(json.as_bytes()), Ok(action), "{json}");
        }
    }

    #[test]
    fn everything_else_is_none() {
        let long = format!(r#"{{"action":"plus","x":"{}"}}"#, "x".repeat(LONGEST));
        let deep = "[".repeat(4000);
        for bad in [
            "",
            "plus",
            "{}",
            "[]",
            "17",
            r#"{"action":1}"#,
            r#"{"action":"reset"}"#,
            r#"{"action":"plus","by":0.5}"#,
            r#"{"action":"plus","by":null}"#,
            r#"{"action":"minus","by":9223372036854775808}"#,
            r#"{"action":"set"}"#,
            r#"{"action":"set","value":"1"}"#,
            &long,
            &deep,
        ] {
            assert!(Action::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn values_saturate() {
        assert_eq!(Action::Add(1).apply(i64::MAX), i64::MAX);
        assert_eq!(Action::Subtract(1).apply(i64::MIN), i64::MIN);
        assert_eq!(Action::Subtract(i64::MIN).apply(0), i64::MAX);
    }
}
