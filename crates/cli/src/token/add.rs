//! Making tokens.

use std::time::SystemTime;

use tautline_hub::Permissions;
use tautline_identity::TokenText;
use tautline_store::{Token, Write};

use super::expiry::Expiry;
use super::{failure, is_good, open, tokens, words};
use crate::calendar::{millis, words as time};
use crate::config::Unlisted;
use crate::failure::Failure;
use crate::output::{complain, harmless, try_say};

const EXAMPLES: &str = "\
Examples:
  tautline token add page                              publish and subscribe in all rooms
  tautline token add meter --room lab --publish        a sensor of one room, which hears nothing
  tautline token add guest --expires 2027-01-31T18:00:00+01:00
  TOKEN=$(tautline token add script --data /var/lib/tautline/tautline-data)

Without --publish, --subscribe, --command and --admin a token permits to publish and to subscribe. With any of them it \
permits what they say and no more.

The token is all that is written to standard output. It is shown this once: only its hash is kept, in the data directory, \
which is made if there is none. A hub that runs knows the token within two seconds.

A client shows it as `Authorization: Bearer TOKEN`, as the subprotocol tautline.token.TOKEN beside the one that it speaks, or \
as ?token=TOKEN.";

/// Make a token
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What whoever has the token is called, in the log and as the sender of what it publishes by HTTP
    #[arg(value_parser = name)]
    name: String,

    /// Only for this room; can be repeated [default: all rooms, and what belongs to no room]
    #[arg(long, value_name = "ROOM", value_parser = room, conflicts_with_all = ["command", "admin"])]
    room: Vec<String>,

    /// Publish messages; with --subscribe also change documents and counters
    #[arg(long)]
    publish: bool,

    /// Get messages, and see who and what is there
    #[arg(long)]
    subscribe: bool,

    /// Give commands to devices, and say what they should be
    #[arg(long)]
    command: bool,

    /// Everything
    #[arg(long)]
    admin: bool,

    /// Until when it is good: never, a time from now such as 12h or 30d, or a time such as 2027-01-31T18:00:00Z
    #[arg(long, value_name = "WHEN", default_value = "never")]
    expires: Expiry,

    #[command(flatten)]
    options: Unlisted,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let now = SystemTime::now();
    let expires_ms = args.expires.at(now).map_err(Failure::usage)?.map(millis);
    let now = millis(now);
    let permissions = args.permissions();
    let mut store = open(&args.options, true)?;
    if tokens(&store)?.iter().any(|token| token.name == args.name && is_good(token, now)) {
        let name = harmless(&args.name);
        return Err(Failure::new(format!(
            "there is a token called {name} already: choose another name, or revoke that one"
        )));
    }
    let text = TokenText::random();
    let token = Token {
        id: text.id().into(),
        name: args.name.clone(),
        hash: text.hash(),
        permissions: permissions.to_json(),
        created_ms: now,
        expires_ms,
        revoked_ms: None,
    };
    store.commit(&[Write::AddToken(token)]).map_err(failure)?;
    if try_say(text.reveal()).is_err() {
        return Err(Failure::new(format!(
            "nobody reads the output, and the token is lost: revoke {} and make another",
            text.id()
        )));
    }
    let (rights, rooms) = words(&permissions);
    let until = expires_ms.map_or_else(|| "it does not expire".to_owned(), |at| format!("good until {}", time(at)));
    complain(format_args!("token {} of {}: {rights}; rooms: {}; {until}", text.id(), args.name, harmless(&rooms)));
    complain("it is not shown again, since only its hash is kept");
    Ok(())
}

impl Args {
    fn permissions(&self) -> Permissions {
        let Self { publish, subscribe, command, admin, .. } = *self;
        let rooms = (!self.room.is_empty()).then(|| self.room.iter().cloned().collect());
        // What most clients are there for.
        let usual = !(publish || subscribe || command || admin);
        Permissions { rooms, publish: publish || usual, subscribe: subscribe || usual, command, admin }
    }
}

/// The longest name of a token or a room, in bytes.
const LONGEST: usize = 128;

fn name(text: &str) -> Result<String, String> {
    if text == "api" {
        return Err("`api` is what those are called who have no token".into());
    }
    room(text)
}

fn room(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
        return Err("a name has 1 to 128 bytes and no control characters".into());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_such_as_clients_and_rooms_can_have() {
        for good in ["page", "Python at home", "ñ", &"x".repeat(LONGEST)] {
            assert_eq!(name(good).as_deref(), Ok(good));
        }
        for bad in ["", "api", "a\nb", "\u{1b}[2J", &"x".repeat(LONGEST + 1)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
        assert!(room("api").is_ok() && room("").is_err());
    }
}
