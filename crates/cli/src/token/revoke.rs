//! Revoking tokens.

use tautline_identity::TokenText;
use tautline_store::Write;

use super::{failure, is_good, open, tokens};
use crate::calendar::now_ms;
use crate::config::Unlisted;
use crate::failure::Failure;
use crate::output::{harmless, say};

/// Have a token accepted no longer; a hub that runs closes its connections within two seconds
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// Its name or its id, as `tautline token list` shows them, or the token itself
    #[arg(value_name = "NAME_OR_ID")]
    which: String,

    #[command(flatten)]
    options: Unlisted,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let now = now_ms();
    let mut store = open(&args.options, false)?;
    let text = TokenText::parse(&args.which);
    let id = text.as_ref().map_or(&*args.which, TokenText::id);
    let tokens = tokens(&store)?;
    // An id is one token's; a name may also have been that of earlier ones.
    let of_name = || tokens.iter().rev().find(|token| token.name == args.which && is_good(token, now));
    let earlier = || tokens.iter().rev().find(|token| token.name == args.which);
    let found = tokens.iter().find(|token| &*token.id == id).or_else(of_name).or_else(earlier);
    let Some(token) = found else {
        let which = if text.is_some() { id.to_owned() } else { harmless(&args.which) };
        return Err(Failure::new(format!("there is no token {which}: `tautline token list` shows all")));
    };
    let (id, name) = (&token.id, harmless(&token.name));
    if token.revoked_ms.is_some() {
        say(format_args!("token {id} of {name} was revoked before"));
        return Ok(());
    }
    store.commit(&[Write::RevokeToken { id: id.clone(), at_ms: now }]).map_err(failure)?;
    say(format_args!("revoked token {id} of {name}"));
    Ok(())
}
