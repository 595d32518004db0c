//! Revoking certificates.

use std::path::Path;

use tautline_identity::{Description, Folder, Role};

use super::{Place, failure, password};
use crate::failure::Failure;
use crate::output::{harmless, say};

const EXAMPLES: &str = "\
Examples:
  tautline cert revoke \"ESP Client 1\"           the client's certificate that is in the folder
  tautline cert revoke path/to/stolen.crt       any certificate that a CA of the folder has signed
  tautline cert revoke --serial 4f06a1          one whose file is gone, by the number that was shown when it was made

The CA keeps a list in ca.crl beside it (tls/ca, or tls/client-ca with --separate). A server refuses who is on the list \
once it has read it again. A new certificate for the same name can be made afterwards.";

/// Put a certificate on the list of those that are not trusted any more
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Name of a client, or file of a certificate
    #[arg(value_name = "NAME_OR_FILE", required_unless_present = "serial", conflicts_with = "serial")]
    which: Option<String>,

    /// Serial number of a client's certificate, in hexadecimal
    #[arg(long, value_name = "HEX", value_parser = hexadecimal)]
    serial: Option<Serial>,

    /// The serial number is that of a server: with --separate its CA is another
    #[arg(long, requires = "serial")]
    server: bool,

    #[command(flatten)]
    place: Place,
}

/// A serial number.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Serial(Vec<u8>);

fn hexadecimal(text: &str) -> Result<Serial, String> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    let odd = digits.len() % 2 == 1;
    let padded = if odd { format!("0{digits}") } else { digits };
    let known = (1..=40).contains(&padded.len()) && padded.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes = known.then(|| {
        padded.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
    });
    bytes
        .flatten()
        .map(Serial)
        .ok_or_else(|| "a serial number in hexadecimal is needed, as `cert show` shows it".into())
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let folder = args.place.folder();
    let (role, serial, whose) = match (&args.serial, &args.which) {
        (Some(serial), _) => {
            let role = if args.server { Role::Servers } else { Role::Devices };
            (role, serial.0.clone(), "the certificate".to_owned())
        }
        (None, Some(which)) => find(&folder, which)?,
        (None, None) => {
            return Err(Failure::new("the name of a client, the file of a certificate or --serial is needed"));
        }
    };
    let password = password::to_open(&args.place, &folder, role)?;
    let (path, new) = folder.revoke(role, &serial, password.as_deref()).map_err(failure)?;
    let serial = serial.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (whose, path) = (harmless(&whose), path.display());
    if new {
        say(format_args!("revoked {whose}, serial number {serial}: {path}"));
        say("servers have to read that list again before they refuse it");
    } else {
        say(format_args!("{whose}, serial number {serial}, was revoked before: {path}"));
    }
    Ok(())
}

/// The CA of a certificate, its serial number, and whose it is.
fn find(folder: &Folder, which: &str) -> Result<(Role, Vec<u8>, String), Failure> {
    let of_client = folder.client_certificate(which).ok().filter(|path| path.exists());
    let path = of_client.unwrap_or_else(|| which.into());
    if !path.exists() {
        return Err(Failure::new(format!(
            "there is neither a client nor a file `{}`: its number, which was shown when it was made, does with --serial",
            harmless(which)
        )));
    }
    let (description, certificate) = Description::load(Path::new(&path)).map_err(failure)?;
    if description.is_authority {
        let problem =
            "a CA cannot be revoked: what trusts it has to be told otherwise; `tautline cert init --force` replaces it";
        return Err(Failure::new(problem));
    }
    let role = folder.signer(&certificate).ok_or_else(|| {
        Failure::new(format!(
            "{} is not signed by a CA of this folder: --dir chooses another",
            harmless(&path.display().to_string())
        ))
    })?;
    let serial = tautline_identity::serial(&certificate).unwrap_or_default();
    Ok((role, serial, description.subject))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_read_as_they_are_shown() {
        assert_eq!(hexadecimal("4f06a1"), Ok(Serial(vec![0x4f, 0x06, 0xa1])));
        assert_eq!(hexadecimal("4F:06:A1"), Ok(Serial(vec![0x4f, 0x06, 0xa1])));
        assert_eq!(hexadecimal("f"), Ok(Serial(vec![0x0f])));
        for bad in ["", "x", "é", "4f 06", &"a".repeat(41)] {
            assert!(hexadecimal(bad).is_err(), "{bad}");
        }
    }
}
