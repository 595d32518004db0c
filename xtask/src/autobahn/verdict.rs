//! What Autobahn's reports say.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a report says, group by group.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// By the first number of the case.
    pub(crate) groups: BTreeMap<u32, Group>,
    /// The cases that are neither OK nor informational, with both of their behaviours.
    pub(crate) failures: Vec<String>,
}

/// The cases of one group.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) ok: usize,
    pub(crate) informational: usize,
    pub(crate) failed: usize,
}

impl Group {
    pub(crate) fn count(&self) -> usize {
        self.ok + self.informational + self.failed
    }

    /// `45 OK, 3 informational`.
    pub(crate) fn summary(&self) -> String {
        let parts = [(self.ok, "OK"), (self.informational, "informational"), (self.failed, "failed")];
        let parts: Vec<String> =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        parts.join(", ")
    }
}

impl Verdict {
    /// All groups in one.
    pub(crate) fn total(&self) -> Group {
        self.groups.values().fold(Group::default(), |sum, group| Group {
            ok: sum.ok + group.ok,
            informational: sum.informational + group.informational,
            failed: sum.failed + group.failed,
        })
    }

    /// One line per group, for a terminal.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.groups.iter().map(|(number, group)| format!("{number:>3}  {:<24} {}", title(*number), group.summary()))
    }
}

/// What Autobahn calls a group of cases.
pub(crate) fn title(group: u32) -> &'static str {
    match group {
        1 => "Framing",
        2 => "Pings and pongs",
        3 => "Reserved bits",
        4 => "Opcodes",
        5 => "Fragmentation",
        6 => "UTF-8 handling",
        7 => "Close handling",
        9 => "Limits and performance",
        10 => "Miscellaneous",
        12 => "Compression",
        13 => "Compression parameters",
        _ => "",
    }
}

/// Strict: both behaviours of a case must be OK or INFORMATIONAL.
pub(super) fn judge(cases: &Value) -> Verdict {
    let mut verdict = Verdict::default();
    let mut cases: Vec<(&String, &Value)> = cases.as_object().into_iter().flatten().collect();
    cases.sort_by_key(|(name, _)| numbers(name));
    for (name, case) in cases {
        let (behavior, close) = (text(&case["behavior"]), text(&case["behaviorClose"]));
        let group = verdict.groups.entry(numbers(name).first().copied().unwrap_or(0)).or_default();
        match (behavior, close) {
            ("OK", "OK") => group.ok += 1,
            ("OK" | "INFORMATIONAL", "OK" | "INFORMATIONAL") => group.informational += 1,
            _ => {
                group.failed += 1;
                verdict.failures.push(format!("{name} {behavior} (close: {close})"));
            }
        }
    }
    verdict
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("absent")
}

/// `6.4.1` as numbers, so that 6.10 comes after 6.9.
fn numbers(case: &str) -> Vec<u32> {
    case.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn case(behavior: &str, close: &str) -> Value {
        json!({"behavior": behavior, "behaviorClose": close, "duration": 1, "remoteCloseCode": 1000})
    }

    #[test]
    fn ok_and_informational_pass_and_are_told_apart() {
        let verdict = judge(&json!({
            "1.1.1": case("OK", "OK"),
            "1.1.2": case("OK", "INFORMATIONAL"),
            "7.1.6": case("INFORMATIONAL", "INFORMATIONAL"),
        }));
        assert_eq!(verdict.failures, Vec::<String>::new());
        assert_eq!(verdict.groups[&1], Group { ok: 1, informational: 1, failed: 0 });
        assert_eq!(verdict.total().summary(), "1 OK, 2 informational");
    }

    #[test]
    fn non_strict_unclean_and_wrong_codes_fail_in_the_order_of_the_cases() {
        let verdict = judge(&json!({
            "6.10.1": case("OK", "UNCLEAN"),
            "6.4.1": case("NON-STRICT", "OK"),
            "7.9.1": case("OK", "WRONG CODE"),
            "9.1.1": case("FAILED", "FAILED"),
            "10.1.1": json!({}),
        }));
        assert_eq!(
            verdict.failures,
            [
                "6.4.1 NON-STRICT (close: OK)",
                "6.10.1 OK (close: UNCLEAN)",
                "7.9.1 OK (close: WRONG CODE)",
                "9.1.1 FAILED (close: FAILED)",
                "10.1.1 absent (close: absent)",
            ]
        );
        assert_eq!(verdict.total(), Group { ok: 0, informational: 0, failed: 5 });
    }

    #[test]
    fn an_agent_that_is_not_there_has_no_cases() {
        assert_eq!(judge(&json!({"somebody": {"1.1.1": case("OK", "OK")}})["us"]).total().count(), 0);
    }
}
