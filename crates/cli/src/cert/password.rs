//! The password of a CA's key.

use std::io::{self, IsTerminal};

use tautline_identity::{Folder, Role};

use super::Place;
use crate::failure::Failure;

/// What opens the key of the CA for these; nothing if it is not encrypted. Asked for at a terminal, unless given.
pub(super) fn to_open(place: &Place, folder: &Folder, role: Role) -> Result<Option<String>, Failure> {
    if let Some(password) = place.given_password() {
        return Ok(Some(password.to_owned()));
    }
    // Elsewhere the library says that one is needed.
    if !io::stdin().is_terminal() || !folder.is_encrypted(role) {
        return Ok(None);
    }
    let key = folder.authority_file(role, "ca.key");
    ask(&format!("Password of {}: ", key.display())).map(Some)
}

/// What is to encrypt the key of a new CA: what is given, or what is entered twice if `wanted`.
pub(super) fn to_encrypt(place: &Place, wanted: bool) -> Result<Option<String>, Failure> {
    if let Some(password) = place.given_password() {
        return Ok(Some(password.to_owned()));
    }
    if !wanted {
        return Ok(None);
    }
    if !io::stdin().is_terminal() {
        let problem = "--encrypt needs a password: TAUTLINE_CA_PASSWORD or --ca-password; at a terminal you are asked";
        return Err(Failure::new(problem));
    }
    let password = ask("Password for the CA's key: ")?;
    if password.is_empty() {
        return Err(Failure::new("an empty password protects nothing: leave --encrypt out, or enter one"));
    }
    match ask("The same again: ")? == password {
        true => Ok(Some(password)),
        false => Err(Failure::new("the passwords are not the same: nothing was made")),
    }
}

fn ask(prompt: &str) -> Result<String, Failure> {
    rpassword::prompt_password(prompt).map_err(|error| Failure::new(format!("no password could be read: {error}")))
}
