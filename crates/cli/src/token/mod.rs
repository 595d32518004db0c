//! `tautline token`: access tokens for clients without certificates.

mod add;
mod expiry;
mod list;
mod revoke;

use std::process::ExitCode;

use clap::Subcommand;
use tautline_hub::Permissions;
use tautline_store::{Beside, StoreError, Token};

use crate::config::Unlisted;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  tautline token add page                            publish and subscribe in all rooms
  tautline token add meter --room lab --publish      a sensor of one room, which hears nothing
  tautline token add screen --subscribe --expires 30d
  tautline token add ops --admin                     everything, on the dashboard too
  tautline token list
  tautline token revoke meter

Exit status: 0 if all went well; 1 if not; 2 if the command line or the configuration is wrong.";

/// Make, list and revoke access tokens, for clients without certificates, while the hub runs or not
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Add(Box<add::Args>),
    List(Box<list::Args>),
    Revoke(Box<revoke::Args>),
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let done = match &args.command {
        Command::Add(args) => add::run(args),
        Command::List(args) => list::run(args),
        Command::Revoke(args) => revoke::run(args),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// Opens what the hub keeps.
fn open(options: &Unlisted, create: bool) -> Result<Beside, Failure> {
    crate::beside::open(options, create, "tokens")
}

/// All tokens, oldest first.
fn tokens(store: &Beside) -> Result<Vec<Token>, Failure> {
    let mut tokens = store.reader().and_then(|mut reader| reader.tokens()).map_err(failure)?;
    tokens.sort_by_key(|token| token.created_ms);
    Ok(tokens)
}

fn failure(error: StoreError) -> Failure {
    Failure::new(error.to_string())
}

/// Whether it can be used.
fn is_good(token: &Token, now: i64) -> bool {
    token.revoked_ms.is_none() && token.expires_ms.is_none_or(|expires| expires > now)
}

/// What is permitted, and where, in words.
fn words(permissions: &Permissions) -> (String, String) {
    let Permissions { rooms, publish, subscribe, command, admin } = permissions;
    let each = [(*publish, "publish"), (*subscribe, "subscribe"), (*command, "command")];
    let rights: Vec<_> = each.into_iter().filter_map(|(is, word)| is.then_some(word)).collect();
    let rights = if *admin { "admin".to_owned() } else { rights.join(", ") };
    let rooms = rooms.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ");
    (rights, if permissions.rooms.is_none() { "all".to_owned() } else { rooms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_told_in_words() {
        let told = |permissions: Permissions| {
            let (rights, rooms) = words(&permissions);
            format!("{rights}: {rooms}")
        };
        let rooms = Some(["lab".to_owned(), "hall".to_owned()].into());
        let both = Permissions { publish: true, subscribe: true, ..Permissions::default() };
        assert_eq!(told(both.clone()), "publish, subscribe: all");
        assert_eq!(told(Permissions { rooms, ..both.clone() }), "publish, subscribe: hall, lab");
        assert_eq!(told(Permissions { admin: true, ..both }), "admin: all");
    }
}
