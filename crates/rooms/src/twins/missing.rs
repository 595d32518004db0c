//! What a device is to change.

use serde_json::{Map, Value};

/// What of `desired` differs from `reported`, members of objects one by one, everything else as a whole. A member that is
/// null is not desired. Reported as a merge patch, the outcome leaves nothing missing.
pub(super) fn missing(desired: &Map<String, Value>, reported: &Map<String, Value>) -> Map<String, Value> {
    let mut all = Map::new();
    for (name, wanted) in desired {
        let member = match (wanted, reported.get(name)) {
            (Value::Null, _) => continue,
            (wanted, Some(is)) if wanted == is => continue,
            (Value::Object(wanted), Some(Value::Object(is))) => match missing(wanted, is) {
                nothing if nothing.is_empty() => continue,
                some => Value::Object(some),
            },
            (Value::Object(wanted), _) => Value::Object(missing(wanted, &Map::new())),
            (wanted, _) => wanted.clone(),
        };
        all.insert(name.clone(), member);
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::missing;
    use crate::merge_patch;

    #[test]
    fn objects_are_compared_member_by_member_and_everything_else_as_a_whole() {
        for (desired, reported, expected) in [
            (json!({}), json!({"a": 1}), json!({})),
            (json!({"a": 1}), json!({}), json!({"a": 1})),
            (json!({"a": 1, "b": 2}), json!({"a": 1, "b": 3}), json!({"b": 2})),
            (json!({"a": {"b": 1, "c": 2}}), json!({"a": {"b": 1}}), json!({"a": {"c": 2}})),
            (json!({"a": {"b": 1}}), json!({"a": {"b": 1, "more": 2}}), json!({})),
            (json!({"a": [1, 2]}), json!({"a": [1, 3]}), json!({"a": [1, 2]})),
            (json!({"a": [null]}), json!({"a": []}), json!({"a": [null]})),
            (json!({"a": null, "b": {"c": null}}), json!({"a": 1, "b": {"c": 1}}), json!({})),
            (json!({"a": {}}), json!({}), json!({"a": {}})),
            (json!({"a": {"b": null}}), json!({"a": 5}), json!({"a": {}})),
            (json!({"a": 5}), json!({"a": {"b": 1}}), json!({"a": 5})),
        ] {
            let (Value::Object(wanted), Value::Object(is)) = (&desired, &reported) else { panic!() };
            let delta = Value::Object(missing(wanted, is));
            assert_eq!(delta, expected, "{desired} of {reported}");
            let mut after = reported.clone();
            merge_patch(&mut after, delta);
            assert!(missing(wanted, after.as_object().unwrap()).is_empty(), "{desired} of {reported}");
        }
    }
}
