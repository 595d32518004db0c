//! JSON Merge Patch (RFC 7396), applied and made.

use serde_json::{Map, Value};

/// Changes `target` as a merge patch says (RFC 7396 §2). Goes as deep as the patch.
pub fn merge_patch(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    let mut members = match target.take() {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (name, value) in patch {
        if value.is_null() {
            members.remove(&name);
        } else {
            merge_patch(members.entry(name).or_insert(Value::Null), value);
        }
    }
    *target = Value::Object(members);
}

/// The patch that makes `new` of `old`. There is none if a member becomes null: in a patch that means its removal.
pub(crate) fn difference(old: &Map<String, Value>, new: &Map<String, Value>) -> Option<Map<String, Value>> {
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    let mut patch: Map<String, Value> = gone.map(|name| (name.clone(), Value::Null)).collect();
    for (name, value) in new {
        let member = match (old.get(name), value) {
            (Some(before), now) if before == now => continue,
            (Some(Value::Object(before)), Value::Object(now)) => Value::Object(difference(before, now)?),
            (_, now) if says_null(now) => return None,
            (_, now) => now.clone(),
        };
        patch.insert(name.clone(), member);
    }
    Some(patch)
}

/// Whether arrays and objects lie in each other deeper than `limit`. `1` is 0 deep, `[]` 1 and `{"a": []}` 2.
pub(crate) fn is_deeper(value: &Value, limit: usize) -> bool {
    match value {
        Value::Array(items) => limit == 0 || items.iter().any(|item| is_deeper(item, limit - 1)),
        Value::Object(members) => limit == 0 || members.values().any(|member| is_deeper(member, limit - 1)),
        _ => false,
    }
}

/// Whether, in a patch, some of the value would be lost. What is in an array is taken as it is.
fn says_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.values().any(says_null),
        _ => false,
    }
}
