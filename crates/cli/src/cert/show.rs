//! Explaining certificates.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tautline_identity::{Description, Folder, RevocationList, Role, is_signed_by, utc};

use super::failure;
use crate::failure::Failure;
use crate::output::{harmless, try_say};

const EXAMPLES: &str = "\
Examples:
  tautline cert show tls/192.168.1.20/192.168.1.20.crt
  tautline cert show src/*.crt
  tautline cert show from-elsewhere.crt --ca their-ca.crt --crl their-ca.crl

Without --ca and --crl it looks at the CAs of the folder and their lists.";

/// Explain what stands in a certificate: whose it is, what for, until when, and who signed it
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Certificates, PEM or DER
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Say whether this CA has signed it
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// Say whether it is on this list of revoked certificates
    #[arg(long, value_name = "FILE")]
    crl: Option<PathBuf>,

    /// Folder of the certificates
    #[arg(long, value_name = "DIR", default_value = "tls")]
    dir: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    for path in &args.files {
        let (description, der) = Description::load(path).map_err(failure)?;
        let mut lines = vec![path.display().to_string()];
        let mut add = |name: &str, text: String| lines.push(format!("  {name:<12} {text}"));
        add("whose", description.subject.clone());
        add("what for", purpose(&description).to_owned());
        if !description.names.is_empty() {
            add("reached by", description.names.join(", "));
        }
        add("valid", validity(&description));
        add("key", description.key.clone());
        add("number", description.serial.clone());
        add("SHA-256", description.fingerprint.clone());
        add("signed by", signer(args, &description, &der)?);
        if let Some(text) = revocation(args, &description, &der)? {
            add("revoked", text);
        }
        for line in lines {
            // Whoever reads it may have enough.
            if try_say(harmless(&line.replace('\n', " "))).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn purpose(description: &Description) -> &'static str {
    match (description.is_authority, description.for_servers, description.for_clients) {
        (true, _, _) => "a CA: it signs other certificates, and others trust it",
        (_, true, true) => "servers and clients",
        (_, true, false) => "a server",
        (_, false, true) => "a client: a device or a program shows it to servers",
        (_, false, false) => "neither servers nor clients",
    }
}

fn validity(description: &Description) -> String {
    let now = SystemTime::now();
    let span = format!("from {} until {}", utc(description.from), utc(description.until));
    let days = |from: SystemTime, to: SystemTime| to.duration_since(from).map_or(0, |time| time.as_secs() / 86_400);
    if now < description.from {
        format!("{span}: NOT YET, or this machine's clock is wrong")
    } else if now > description.until {
        format!("{span}: EXPIRED {} days ago", days(description.until, now))
    } else {
        format!("{span}: {} days more", days(now, description.until))
    }
}

fn signer(args: &Args, description: &Description, der: &[u8]) -> Result<String, Failure> {
    let itself = description.is_authority && is_signed_by(der, der);
    let issuer = if itself { "itself".to_owned() } else { description.issuer.clone() };
    if let Some(path) = &args.ca {
        let (_, authority) = Description::load(path).map_err(failure)?;
        let told = if is_signed_by(der, &authority) { "it is" } else { "it is NOT" };
        return Ok(format!("{issuer}; {told} signed by {}", path.display()));
    }
    let folder = Folder::new(&args.dir);
    Ok(match folder.signer(der) {
        Some(_) if itself => issuer,
        Some(role) => format!("{issuer}, which is {}", folder.authority_file(role, "ca.crt").display()),
        None if itself => format!("{issuer}; it is not a CA in {}", args.dir.display()),
        None => format!("{issuer}; none of the CAs in {}", args.dir.display()),
    })
}

/// Nothing, if there is no list that could tell.
fn revocation(args: &Args, description: &Description, der: &[u8]) -> Result<Option<String>, Failure> {
    // A CA that signed itself cannot be on its own list.
    if description.is_authority && args.crl.is_none() {
        return Ok(None);
    }
    let folder = Folder::new(&args.dir);
    let (path, lists) = match &args.crl {
        Some(path) => (path.clone(), RevocationList::load(path).map_err(failure)?),
        None => match folder.signer(der) {
            Some(role) => own_list(&folder, role)?,
            None => return Ok(None),
        },
    };
    Ok((!lists.is_empty()).then(|| told(&path, &lists, der)))
}

fn own_list(folder: &Folder, role: Role) -> Result<(PathBuf, Vec<RevocationList>), Failure> {
    let list = folder.revocation_list(role).map_err(failure)?;
    Ok((folder.authority_file(role, "ca.crl"), list.into_iter().collect()))
}

fn told(path: &Path, lists: &[RevocationList], der: &[u8]) -> String {
    match lists.iter().find_map(|list| list.revoked_at(der)) {
        Some(at) => format!("YES, on {} (by {})", utc(at), path.display()),
        None => format!("no (by {})", path.display()),
    }
}
