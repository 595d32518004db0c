//! Showing tokens.

use tautline_hub::Permissions;
use tautline_store::Token;

use super::{is_good, open, tokens, words};
use crate::calendar::{now_ms, words as time};
use crate::config::Unlisted;
use crate::failure::Failure;
use crate::output::{harmless, say, table};

/// Show all tokens, but not the secrets, which nobody knows
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    options: Unlisted,
}

const HEADINGS: [&str; 5] = ["ID", "NAME", "PERMITS", "ROOMS", "STATE"];

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let now = now_ms();
    let tokens = tokens(&open(&args.options, false)?)?;
    let rows: Vec<[String; 5]> = tokens.iter().map(|token| row(token, now)).collect();
    for line in table(&HEADINGS, &rows) {
        say(line);
    }
    Ok(())
}

fn row(token: &Token, now: i64) -> [String; 5] {
    let (rights, rooms) = match Permissions::from_json(&token.permissions) {
        Some(permissions) => words(&permissions),
        None => ("what is not known here".to_owned(), "?".to_owned()),
    };
    let state = match (token.revoked_ms, token.expires_ms) {
        (Some(at), _) => format!("revoked {}", time(at)),
        (None, Some(at)) if is_good(token, now) => format!("good until {}", time(at)),
        (None, Some(at)) => format!("expired {}", time(at)),
        (None, None) => "good".to_owned(),
    };
    [token.id.to_string(), harmless(&token.name), rights, harmless(&rooms), state]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_shown_in_columns_with_what_has_become_of_them() {
        let token = |name: &str, expires_ms, revoked_ms| Token {
            id: "0123456789ab".into(),
            name: name.into(),
            hash: [0; 32],
            permissions: r#"{"publish":true,"rooms":["lab"]}"#.into(),
            created_ms: 0,
            expires_ms,
            revoked_ms,
        };
        let rows = [
            row(&token("page", None, None), 1000),
            row(&token("guest", Some(1000), None), 1000),
            row(&token("a\u{1b}", Some(2000), Some(60_000)), 1000),
        ];
        assert_eq!(
            table(&HEADINGS, &rows),
            [
                "ID            NAME     PERMITS  ROOMS  STATE",
                "0123456789ab  page     publish  lab    good",
                "0123456789ab  guest    publish  lab    expired 1970-01-01 00:00 UTC",
                "0123456789ab  a\\u{1b}  publish  lab    revoked 1970-01-01 00:01 UTC",
            ]
        );
    }
}
