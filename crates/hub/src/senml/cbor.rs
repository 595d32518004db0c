//! SenML in CBOR (RFC 8428 §6).

use ciborium::Value as Cbor;

use super::pack::Pack;
use super::{BadSenml, LABELS, Raw, Record, Value};

/// How deep a value may be that is not looked at.
const DEPTH: usize = 16;

/// Reads a pack.
///
/// # Errors
///
/// It is not an array of SenML's records, or there is something behind it.
pub(crate) fn parse(mut bytes: &[u8]) -> Result<Vec<Raw>, BadSenml> {
    let read = ciborium::de::from_reader_with_recursion_limit::<Pack, _>(&mut bytes, DEPTH);
    let pack = read.map_err(|error| BadSenml(format!("not an array of records in CBOR: {error}")))?;
    if !bytes.is_empty() {
        return Err(BadSenml("there is something behind the array of records".into()));
    }
    Ok(pack.0)
}

/// Writes resolved records.
pub(crate) fn write(records: &[Record]) -> Vec<u8> {
    let label = |name: &str| {
        let number = LABELS.iter().find(|(label, _)| *label == name).map_or(0, |(_, number)| *number);
        Cbor::from(number)
    };
    let records = records.iter().map(|Record { name, unit, at_ms, value }| {
        let mut fields = vec![(label("n"), Cbor::from(name.as_str()))];
        if !unit.is_empty() {
            fields.push((label("u"), Cbor::from(unit.as_str())));
        }
        let time = if at_ms % 1000 == 0 { Cbor::from(at_ms / 1000) } else { Cbor::from(*at_ms as f64 / 1000.0) };
        fields.push((label("t"), time));
        fields.push(match value {
            Value::Integer(integer) => (label("v"), Cbor::from(*integer)),
            Value::Real(real) => (label("v"), Cbor::from(*real)),
            Value::Text(text) => (label("vs"), Cbor::from(text.as_str())),
            Value::Boolean(boolean) => (label("vb"), Cbor::from(*boolean)),
            Value::Data(data) => (label("vd"), Cbor::from(data.as_slice())),
        });
        Cbor::Map(fields)
    });
    let mut bytes = Vec::new();
    let written = ciborium::into_writer(&Cbor::Array(records.collect()), &mut bytes);
    debug_assert!(written.is_ok(), "a vector takes everything");
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::{parse_json, resolve, write_json};
    use super::*;

    const NOW: i64 = 1_790_000_000_000;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    #[test]
    fn labels_are_numbers_or_texts_and_numbers_that_are_not_known_are_ignored() {
        // [{-2: "a:", -3: 1276027372, "n": "v", 1: "V", 2: 120.1, 99: [null]}]
        let pack = "81 a6 21 62613a 22 1a4c0ea1ec 616e 6176 01 6156 02 fb405e066666666666 1863 81f6";
        let pack = parse(&bytes(pack)).unwrap();
        let value = Value::Real(120.1);
        let expected = Record { name: "a:v".into(), unit: "V".into(), at_ms: 1_276_027_372_000, value };
        assert_eq!(resolve(&pack, NOW).unwrap(), [expected]);
    }

    #[test]
    fn both_forms_come_back_as_they_were_written() {
        let record = |name: &str, at_ms, value| Record { name: name.into(), unit: "Cel".into(), at_ms, value };
        let mut records = vec![
            record("a", NOW, Value::Integer(i64::MIN)),
            record("b", NOW + 1, Value::Real(0.1)),
            record("c", 1 << 40, Value::Text("ü".into())),
            record("d", NOW, Value::Boolean(true)),
            record("e", NOW, Value::Data(vec![0, 255, 127])),
        ];
        records[0].unit.clear();
        assert_eq!(resolve(&parse(&write(&records)).unwrap(), 0).unwrap(), records);
        assert_eq!(resolve(&parse_json(&write_json(&records)).unwrap(), 0).unwrap(), records);
    }

    #[test]
    fn what_is_not_good_is_told_and_nothing_panics() {
        for (hex, told) in [
            ("", "in CBOR"),
            ("a0", "array"),
            ("8101", "record"),
            ("81a10061", "in CBOR"),
            ("81a2006161026131", "another type"),
            ("81a300616102010203", "twice"),
            ("81a1627a5f01", "must be understood"),
            ("81a1f501", "label"),
            ("8000", "behind"),
            ("9bffffffffffffffff", "in CBOR"),
        ] {
            let error = parse(&bytes(hex)).unwrap_err().to_string();
            assert!(error.contains(told), "{hex}: {error}");
        }
        let many = [&[0x9f][..], &[0xa0; 20_000], &[0xff]].concat();
        assert!(parse(&many).unwrap_err().to_string().contains("more than 10000"));
        let deep = [&bytes("81 a1 63 616263")[..], &[0x81; 1000]].concat();
        assert!(parse(&deep).is_err());
        let good = write(&[Record { name: "a".into(), unit: String::new(), at_ms: 0, value: Value::Integer(1) }]);
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let mut bad = good.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..bad.len());
                bad[at] = random.u8(..);
            }
            let _ = parse(&bad).and_then(|pack| resolve(&pack, NOW));
        }
    }
}
