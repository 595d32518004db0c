//! Making CAs and certificates.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tautline_identity::{
    Description, Error, Folder, Founding, Host, Issued, KeyKind, Role, Validity, is_signed_by, random_name, utc,
};

use super::{Leaf, Place, failure, list, password};
use crate::failure::Failure;
use crate::output::{harmless, say};

/// How long a CA is valid, in days.
const CA_DAYS: u32 = 3650;

/// How long a server's certificate is valid, in days: the most that Apple's systems accept of a private CA.
const SERVER_DAYS: u32 = 825;

/// How long a client's certificate is valid, in days: nobody visits all devices every two years.
const CLIENT_DAYS: u32 = 3650;

const INIT_EXAMPLES: &str = "\
Examples:
  tautline cert init                          one CA for everybody
  tautline cert init --separate               one for servers in tls/ca, another for devices in tls/client-ca
  tautline cert init --name \"Lab 3\" --encrypt

With --separate a CA that is there stays, as that of the servers. Servers then trust tls/client-ca/ca.crt, and devices \
tls/ca/ca.der: what signs for devices cannot make a server that devices believe.";

/// Make a CA, which signs certificates
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = INIT_EXAMPLES)]
pub(super) struct Init {
    /// Name of the CA [default: one that no other has]
    #[arg(long)]
    name: Option<String>,

    /// Kind of key: ecdsa, rsa (3072 bits), rsa:2048 or rsa:4096
    #[arg(long, value_name = "KIND", default_value_t)]
    key: KeyKind,

    /// How many days it is valid
    #[arg(long, default_value_t = CA_DAYS, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,

    /// Make one CA for servers and another for devices
    #[arg(long)]
    separate: bool,

    /// Encrypt the CA's key with a password, which is asked for
    #[arg(long)]
    encrypt: bool,

    /// Replace the CA that is there; then everybody needs new certificates
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    place: Place,
}

/// Make a certificate for a server
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = "\
Examples:
  tautline cert server 192.168.1.20
  tautline cert server 192.168.1.20 hub.local localhost 127.0.0.1    several ways to the same server
  tautline cert server 192.168.1.20 --force                          a new one for it")]
pub(super) struct Server {
    /// Addresses and names that it is reached by; the files are called by the first
    #[arg(required = true, value_name = "HOST")]
    hosts: Vec<Host>,

    #[command(flatten)]
    leaf: Leaf,

    #[command(flatten)]
    place: Place,
}

/// Make a certificate for a device or another client
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = "\
Examples:
  tautline cert client \"ESP Client 1\"
  tautline cert client \"ESP Client 1\" --copy-to src    with ca.der, and the two files that config.json names
  tautline cert client                                 the name is a random UUID")]
pub(super) struct Client {
    /// Its name, by which servers know it [default: a random UUID]
    name: Option<String>,

    /// Copy what a controller needs to this folder: ca.der, NAME.crt and NAME.key, all in DER
    #[arg(long, value_name = "DIR")]
    copy_to: Option<PathBuf>,

    #[command(flatten)]
    leaf: Leaf,

    #[command(flatten)]
    place: Place,
}

pub(super) fn init(args: &Init) -> Result<(), Failure> {
    let password = password::to_encrypt(&args.place, args.encrypt)?;
    found(
        &args.place.folder(),
        &Founding {
            name: args.name.as_deref(),
            kind: args.key,
            validity: Validity::days(args.days),
            password: password.as_deref(),
            separate: args.separate,
            overwrite: args.force,
        },
    )
}

pub(super) fn server(args: &Server) -> Result<(), Failure> {
    make_server(&args.place, &args.hosts, &args.leaf).map(drop)
}

pub(super) fn client(args: &Client) -> Result<(), Failure> {
    let name = args.name.clone().unwrap_or_else(random_name);
    make_client(&args.place, &name, &args.leaf, None)?;
    copy(&args.place.folder(), &name, args.copy_to.as_deref(), args.leaf.force)
}

/// All that is not there yet: CA, server and client.
pub(super) fn all(args: &super::Args) -> Result<(), Failure> {
    let folder = args.place.folder();
    let name = args.cn.clone().unwrap_or_else(random_name);
    // What the names are refused for is told before anything is made.
    let server = args.srv.first().map(|host| folder.server_certificate(host)).transpose().map_err(failure)?;
    let client = folder.client_certificate(&name).map_err(failure)?;
    if folder.has_authority(Role::Servers) {
        say(format_args!("the CA is there: {}", folder.authority_file(Role::Servers, "ca.crt").display()));
    } else {
        let password = password::to_encrypt(&args.place, false)?;
        let (kind, validity) = (args.leaf.key, Validity::days(CA_DAYS));
        let password = password.as_deref();
        found(&folder, &Founding { name: None, kind, validity, password, separate: false, overwrite: false })?;
    }
    let mut opened = None;
    match server.filter(|path| path.exists() && !args.leaf.force) {
        Some(path) => keep(&folder, Role::Servers, &path)?,
        None => opened = make_server(&args.place, &args.srv, &args.leaf)?,
    }
    // With two CAs each has its own key.
    let same = folder.authority_file(Role::Servers, "ca.key") == folder.authority_file(Role::Devices, "ca.key");
    let opened = opened.filter(|_| same);
    match client.exists() && !args.leaf.force {
        true => keep(&folder, Role::Devices, &client)?,
        false => make_client(&args.place, &name, &args.leaf, opened)?,
    }
    let project = Path::new("src");
    let copy_to = args.copy_to.as_deref().or(Some(project).filter(|project| project.join("config.json").is_file()));
    copy(&folder, &name, copy_to, args.leaf.force)
}

fn found(folder: &Folder, founding: &Founding<'_>) -> Result<(), Failure> {
    let written = folder.found(founding).map_err(failure)?;
    say(if founding.separate { "CAs for servers and for devices:" } else { "CA:" });
    list(&written);
    Ok(())
}

/// Answers the password that opened the CA's key, so that it is asked for once.
fn make_server(place: &Place, hosts: &[Host], leaf: &Leaf) -> Result<Option<String>, Failure> {
    let folder = place.folder();
    let Some(first) = hosts.first() else { return Err(Failure::new("a server needs a name or an address")) };
    let before = previous(&folder.server_certificate(first).map_err(failure)?, leaf)?;
    let password = password::to_open(place, &folder, Role::Servers)?;
    let authority = folder.authority(Role::Servers, password.as_deref()).map_err(failure)?;
    let issued = authority.server(hosts, leaf.key, leaf.validity(SERVER_DAYS)).map_err(failure)?;
    let written = folder.write_server(first, &issued, &leaf.extras()).map_err(failure)?;
    let hosts = hosts.iter().map(Host::to_string).collect::<Vec<_>>().join(", ");
    announce(&format!("server {hosts}"), &issued)?;
    list(&written);
    still_valid(&folder, Role::Servers, before)?;
    Ok(password)
}

fn make_client(place: &Place, name: &str, leaf: &Leaf, opened: Option<String>) -> Result<(), Failure> {
    let folder = place.folder();
    let before = previous(&folder.client_certificate(name).map_err(failure)?, leaf)?;
    let password = match opened {
        Some(password) => Some(password),
        None => password::to_open(place, &folder, Role::Devices)?,
    };
    let authority = folder.authority(Role::Devices, password.as_deref()).map_err(failure)?;
    let issued = authority.client(name, leaf.key, leaf.validity(CLIENT_DAYS)).map_err(failure)?;
    let written = folder.write_client(name, &issued, &leaf.extras()).map_err(failure)?;
    announce(&format!("client {name}"), &issued)?;
    list(&written);
    still_valid(&folder, Role::Devices, before)
}

fn copy(folder: &Folder, name: &str, to: Option<&Path>, force: bool) -> Result<(), Failure> {
    let Some(to) = to else { return Ok(()) };
    let written = folder.copy_to_controller(name, to, force).map_err(failure)?;
    say("for the controller:");
    list(&written);
    Ok(())
}

fn announce(whose: &str, issued: &Issued) -> Result<(), Failure> {
    let made = Description::of(issued.certificate()).map_err(failure)?;
    say(format_args!("{}, valid until {}, serial number {}:", harmless(whose), utc(made.until), made.serial));
    Ok(())
}

/// Leaves a certificate as it is, if it is of any use.
fn keep(folder: &Folder, role: Role, path: &Path) -> Result<(), Failure> {
    let (description, der) = Description::load(path).map_err(failure)?;
    let list = folder.revocation_list(role).map_err(failure)?;
    let (_, authority) = Description::load(&folder.authority_file(role, "ca.crt")).map_err(failure)?;
    let shown = harmless(&path.display().to_string());
    let problem = if description.until < SystemTime::now() {
        "has expired"
    } else if !is_signed_by(&der, &authority) {
        "is not signed by the CA that is there now"
    } else if list.is_some_and(|list| list.revokes(&der)) {
        "is revoked"
    } else {
        say(format_args!("is there, and stays (--force makes a new one): {shown}"));
        return Ok(());
    };
    Err(Failure::new(format!("{shown} {problem}: --force makes a new one")))
}

/// The certificate that stands where a new one is to be written, and whether that is in order.
fn previous(path: &Path, leaf: &Leaf) -> Result<Option<(Description, Vec<u8>)>, Failure> {
    if path.exists() && !leaf.force {
        // Said before a password is asked for.
        return Err(failure(Error::Exists { path: path.to_owned() }));
    }
    Ok(Description::load(path).ok())
}

/// A new certificate does not end the one before it.
fn still_valid(folder: &Folder, role: Role, before: Option<(Description, Vec<u8>)>) -> Result<(), Failure> {
    let Some((description, der)) = before else { return Ok(()) };
    let revoked = folder.revocation_list(role).map_err(failure)?.is_some_and(|list| list.revokes(&der));
    if !revoked && folder.signer(&der).is_some() && description.until > SystemTime::now() {
        let (until, serial) = (utc(description.until), description.serial);
        let of_server = if role == Role::Servers { " --server" } else { "" };
        let command = format!("tautline cert revoke --serial {serial}{of_server}");
        say(format_args!("the one before it stays valid until {until}, unless `{command}` ends that"));
    }
    Ok(())
}
