//! How deep JSON is nested that is passed on without being looked at: many programs fall over what is nested some thousand
//! times.

use serde_json::value::RawValue;

/// How deep JSON may be nested that others get.
pub(crate) const DEEPEST: usize = 100;

/// Whether JSON is nested too deep to be passed on.
pub(crate) fn is_too_deep(json: &RawValue) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json.get().bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > DEEPEST {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nested_is_counted_and_brackets_in_strings_are_not() {
        let nested = |depth: usize| format!("{}1{}", "[{\"a\":".repeat(depth), "}]".repeat(depth));
        for (json, too_deep) in [
            (nested(DEEPEST / 2), false),
            (nested(DEEPEST / 2 + 1), true),
            (format!("\"{}\"", "[".repeat(500)), false),
            (format!("[\"\\\"{}\\\\\"]", "{".repeat(500)), false),
            (format!("{{\"\\\\\":{}{}}}", "[".repeat(100), "]".repeat(100)), true),
            (format!("[{}0]", "[], {}, ".repeat(500)), false),
            ("1".to_owned(), false),
        ] {
            let raw = RawValue::from_string(json).unwrap();
            assert_eq!(is_too_deep(&raw), too_deep, "{:.40}", raw.get());
        }
    }
}
