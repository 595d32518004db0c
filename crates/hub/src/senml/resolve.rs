//! Base fields and relative times (RFC 8428 §4.5 and 4.6).

use super::{BadSenml, Number, Raw, Record, Value};

/// The highest version that is understood (RFC 8428 §4.4).
const VERSION: f64 = 10.0;

/// Times below this, in seconds, are relative to now (RFC 8428 §4.5.3).
const RELATIVE_BELOW: f64 = 268_435_456.0;

/// The longest name, in bytes.
const LONGEST: usize = 256;

/// The longest unit, in bytes. It is copied for each record.
const LONGEST_UNIT: usize = 32;

#[derive(Default)]
struct Base {
    name: String,
    time: Option<Number>,
    unit: String,
    value: Option<Number>,
    has_sum: bool,
}

/// The records that have a value, each on its own. A record that has only base fields is for those that follow.
///
/// # Errors
///
/// A value is missing or there are two, a name is not one, a time is not within 0 and 2^48 ms, a number is not finite, or it is
/// of a version that is not known. Sums are refused: a sum has no place to be kept.
pub(crate) fn resolve(pack: &[Raw], now_ms: i64) -> Result<Vec<Record>, BadSenml> {
    let mut base = Base::default();
    let mut records = Vec::with_capacity(pack.len());
    for raw in pack {
        base.take(raw)?;
        if let Some(record) = base.resolve(raw, now_ms)? {
            records.push(record);
        }
    }
    Ok(records)
}

impl Base {
    fn take(&mut self, raw: &Raw) -> Result<(), BadSenml> {
        if let Some(version) = raw.base_version
            && version.as_f64() > VERSION
        {
            return Err(BadSenml(format!("it is of version {}, and {VERSION} is understood", version.as_f64())));
        }
        if let Some(name) = &raw.base_name {
            self.name.clone_from(name);
        }
        for unit in [&raw.base_unit, &raw.unit].into_iter().flatten() {
            if unit.len() > LONGEST_UNIT {
                return Err(BadSenml(format!("a unit is longer than {LONGEST_UNIT} bytes")));
            }
        }
        if let Some(unit) = &raw.base_unit {
            self.unit.clone_from(unit);
        }
        self.time = raw.base_time.or(self.time);
        self.value = raw.base_value.or(self.value);
        self.has_sum |= raw.base_sum.is_some();
        Ok(())
    }

    fn resolve(&self, raw: &Raw, now_ms: i64) -> Result<Option<Record>, BadSenml> {
        let values = [raw.value.is_some(), raw.text.is_some(), raw.boolean.is_some(), raw.data.is_some()];
        match values.iter().filter(|there| **there).count() {
            0 if raw.sum.is_some() || self.has_sum => {
                return Err(BadSenml("sums (`s`, `bs`) are not taken: send values".into()));
            }
            // A base value alone is one, too.
            0 if raw.name.is_none() || self.value.is_none() => {
                let only_base = raw.name.is_none() && raw.unit.is_none() && raw.time.is_none();
                return if only_base { Ok(None) } else { Err(BadSenml("a record has no value".into())) };
            }
            0 | 1 => {}
            _ => return Err(BadSenml("a record has several values".into())),
        }
        let name = [&self.name, raw.name.as_deref().unwrap_or_default()].concat();
        check_name(&name)?;
        let unit = raw.unit.as_ref().unwrap_or(&self.unit).clone();
        let at_ms = self.time(raw, now_ms)?;
        let value = if let Some(text) = &raw.text {
            Value::Text(text.clone())
        } else if let Some(boolean) = raw.boolean {
            Value::Boolean(boolean)
        } else if let Some(data) = &raw.data {
            Value::Data(data.clone())
        } else {
            self.number(raw)?
        };
        Ok(Some(Record { name, unit, at_ms, value }))
    }

    fn number(&self, raw: &Raw) -> Result<Value, BadSenml> {
        let value = raw.value.unwrap_or(Number::Integer(0));
        let base = self.value.unwrap_or(Number::Integer(0));
        if let (Number::Integer(value), Number::Integer(base)) = (value, base)
            && let Some(sum) = value.checked_add(base)
        {
            return Ok(Value::Integer(sum));
        }
        // Adding nothing must not make -0 of 0.
        let sum = if self.value.is_none() { value.as_f64() } else { value.as_f64() + base.as_f64() };
        if sum.is_finite() { Ok(Value::Real(sum)) } else { Err(BadSenml("a number is not finite".into())) }
    }

    fn time(&self, raw: &Raw, now_ms: i64) -> Result<i64, BadSenml> {
        const END_MS: f64 = (1_u64 << 48) as f64;
        let part = |time: Option<Number>| time.map_or(0.0, Number::as_f64);
        let seconds = part(self.time) + part(raw.time);
        let ms = if seconds < RELATIVE_BELOW { now_ms as f64 + seconds * 1000.0 } else { seconds * 1000.0 };
        match ms.round() {
            ms if (0.0..END_MS).contains(&ms) => Ok(ms as i64),
            _ => Err(BadSenml(format!("the time {seconds} s is not one that can be kept"))),
        }
    }
}

/// Whether this can be a name (RFC 8428 §4.5.1).
pub(crate) fn is_name(name: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-:./_".contains(&byte);
    name.bytes().all(fine) && name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
}

fn check_name(name: &str) -> Result<(), BadSenml> {
    if name.is_empty() {
        return Err(BadSenml("a record has no name".into()));
    }
    if name.len() > LONGEST {
        return Err(BadSenml(format!("a name is longer than {LONGEST} bytes")));
    }
    if !is_name(name) {
        return Err(BadSenml(format!(
            "{name:?} is not a name: letters, digits and - : . / _ are, beginning with a letter or a digit"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::parse_json;
    use super::*;

    const NOW: i64 = 1_790_000_000_000;

    fn resolved(pack: &str) -> Result<Vec<Record>, BadSenml> {
        resolve(&parse_json(pack.as_bytes())?, NOW)
    }

    fn record(name: &str, unit: &str, at_ms: i64, value: Value) -> Record {
        Record { name: name.into(), unit: unit.into(), at_ms, value }
    }

    #[test]
    fn the_examples_of_rfc_8428_section_5_1() {
        let pack = r#"[{"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1}]"#;
        assert_eq!(resolved(pack).unwrap(), [record("urn:dev:ow:10e2073a01080063", "Cel", NOW, Value::Real(23.1))]);
        let pack = r#"[{"bn":"urn:dev:ow:10e2073a0108006:","bt":1.276020076001e+09,"bu":"A","bver":5,
            "n":"voltage","u":"V","v":120.1},{"n":"current","t":-5,"v":1.2},{"n":"current","t":0,"v":1.7}]"#;
        let name = |name: &str| format!("urn:dev:ow:10e2073a0108006:{name}");
        let expected = [
            record(&name("voltage"), "V", 1_276_020_076_001, Value::Real(120.1)),
            record(&name("current"), "A", 1_276_020_071_001, Value::Real(1.2)),
            record(&name("current"), "A", 1_276_020_076_001, Value::Real(1.7)),
        ];
        assert_eq!(resolved(pack).unwrap(), expected);
    }

    #[test]
    fn times_that_are_small_are_relative_to_now() {
        let pack = r#"[{"bn":"a","bt":-10,"t":-0.5,"v":1},{"t":2,"v":2},{"bt":0,"v":3}]"#;
        let times: Vec<_> = resolved(pack).unwrap().iter().map(|record| record.at_ms - NOW).collect();
        assert_eq!(times, [-10_500, -8_000, 0]);
    }

    #[test]
    fn base_values_are_added_and_stay_exact() {
        let pack = r#"[{"bn":"x","bv":9007199254740993,"v":1},{"v":0.5},{"bv":-0.5,"v":1},{"n":"y"}]"#;
        let values: Vec<_> = resolved(pack).unwrap().into_iter().map(|record| record.value).collect();
        assert_eq!(
            values,
            [
                Value::Integer(9_007_199_254_740_994),
                Value::Real(9_007_199_254_740_992.0),
                Value::Real(0.5),
                Value::Real(-0.5)
            ]
        );
    }

    #[test]
    fn every_kind_of_value_and_a_record_of_base_fields_alone() {
        let pack = r#"[{"bn":"d/","bu":"lx"},{"n":"a","vs":"on"},{"n":"b","vb":false},{"n":"c","vd":"_-8"}]"#;
        let values: Vec<_> = resolved(pack).unwrap().into_iter().map(|record| record.value).collect();
        assert_eq!(values, [Value::Text("on".into()), Value::Boolean(false), Value::Data(vec![0xff, 0xef])]);
    }

    #[test]
    fn what_is_not_good_is_told() {
        for (pack, told) in [
            (r#"[{"v":1}]"#, "no name"),
            (r#"[{"n":"ä","v":1}]"#, "is not a name"),
            (r#"[{"n":"/a","v":1}]"#, "is not a name"),
            (r#"[{"n":"a"}]"#, "no value"),
            (r#"[{"n":"a","v":1,"vb":true}]"#, "several values"),
            (r#"[{"n":"a","s":1}]"#, "sums"),
            (r#"[{"n":"a","v":1,"bver":11}]"#, "version 11"),
            (r#"[{"n":"a","v":1,"t":1e20}]"#, "the time"),
            (r#"[{"n":"a","v":1,"t":-1e12}]"#, "the time"),
            (r#"[{"n":"a","v":1,"x_":1}]"#, "must be understood"),
            (r#"[{"n":"a","v":"1"}]"#, "another type"),
            (r#"[{"n":"a","v":1,"v":2}]"#, "twice"),
            (r#"[{"bn":"a","bv":1e308,"v":1e308}]"#, "not finite"),
            (r#"{"n":"a"}"#, "array"),
            (r#"[{"n":"a","vd":"="}]"#, "base64url"),
        ] {
            let error = resolved(pack).unwrap_err().to_string();
            assert!(error.contains(told), "{pack}: {error}");
        }
        assert!(resolved(r#"[{"n":"a","v":1,"other":{"deep":[1]}}]"#).is_ok(), "what is not known is ignored");
    }
}
