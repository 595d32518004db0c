//! Showing devices that have keys.

use tautline_store::DeviceKey;

use super::open;
use crate::calendar::words as time;
use crate::config::Unlisted;
use crate::failure::Failure;
use crate::output::{harmless, say, table};

/// Show all devices that have keys, but not the keys
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    options: Unlisted,
}

const HEADINGS: [&str; 4] = ["NUMBER", "NAME", "ADDED", "STATE"];

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let keys = open(&args.options, false)?.reader()?.device_keys()?;
    let rows: Vec<_> = keys.iter().map(row).collect();
    table(&HEADINGS, &rows).iter().for_each(say);
    Ok(())
}

fn row(key: &DeviceKey) -> [String; 4] {
    let state = match (key.revoked_ms, key.previous) {
        (Some(at), _) => format!("revoked {}", time(at)),
        (None, Some(_)) => "good; its new key was not used yet".to_owned(),
        (None, None) => "good".to_owned(),
    };
    [key.number.to_string(), harmless(&key.name), time(key.created_ms), state]
}

#[cfg(test)]
mod tests {
    use tautline_store::Secret;

    use super::*;

    #[test]
    fn devices_are_shown_in_columns_without_their_keys() {
        let key = |number, name: &str, previous, revoked_ms| DeviceKey {
            number,
            name: name.into(),
            key: Secret([0xab; 32]),
            previous,
            created_ms: 0,
            revoked_ms,
        };
        let rows = [
            row(&key(1, "kitchen", None, None)),
            row(&key(20, "a\u{1b}", Some(Secret([1; 32])), None)),
            row(&key(21, "c", None, Some(60_000))),
        ];
        assert_eq!(
            table(&HEADINGS, &rows),
            [
                "NUMBER  NAME     ADDED                 STATE",
                "1       kitchen  1970-01-01 00:00 UTC  good",
                "20      a\\u{1b}  1970-01-01 00:00 UTC  good; its new key was not used yet",
                "21      c        1970-01-01 00:00 UTC  revoked 1970-01-01 00:01 UTC",
            ]
        );
    }
}
