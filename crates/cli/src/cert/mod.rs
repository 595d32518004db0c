//! `tautline cert`: certificates for servers and devices.

mod make;
mod password;
mod revoke;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use tautline_identity::{Error, Extras, Folder, Host, KeyKind, Validity};

use crate::failure::Failure;
use crate::output::{harmless, say};

const EXAMPLES: &str = "\
Examples:
  tautline cert --srv=192.168.1.20 --cn=\"ESP Client 1\"    CA, server and device in one go
  tautline cert --srv=192.168.1.20 --cn=\"ESP Client 2\"    one device more: what is there stays
  tautline cert init --separate --encrypt                 two CAs, whose keys have a password
  tautline cert server 192.168.1.20 hub.local             a server with an address and a name
  tautline cert client \"ESP Client 1\" --copy-to src       a device, and its files for the controller
  tautline cert revoke \"ESP Client 1\"                     it is stolen
  tautline cert show tls/192.168.1.20/192.168.1.20.crt

Everything is in the folder tls:
  tls/ca/ca.crt                    the CA, which others trust; ca.der for controllers
  tls/ca/ca.key                    its key, which signs
  tls/SERVER/SERVER.crt, .key      for the server
  tls/clients/NAME/NAME.crt, .key  for a device or a program
  .crt.der and .key.der beside it  for a controller

Exit status: 0 if all went well; 1 if something was not made; 2 if the command line is wrong.";

/// Make, revoke and explain certificates, for TLS on servers and devices
///
/// Without a command it makes all that is needed: a CA unless there is one, a certificate for the server unless there is
/// one, and one for a client. In the project of a MicroPython controller (where there is src/config.json) the client's
/// files are copied to src, too.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    /// Address or name that the server is reached by; can be repeated, for one that has several
    #[arg(long, value_name = "HOST", required = true)]
    srv: Vec<Host>,

    /// Name of the client [default: a random UUID]
    #[arg(long, value_name = "NAME")]
    cn: Option<String>,

    /// Copy what a controller needs to this folder [default: src, if src/config.json is there]
    #[arg(long, value_name = "DIR")]
    copy_to: Option<PathBuf>,

    #[command(flatten)]
    leaf: Leaf,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(make::Init),
    Server(make::Server),
    Client(make::Client),
    Revoke(revoke::Args),
    Show(show::Args),
}

/// Where the certificates are.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Place {
    /// Folder of the certificates
    #[arg(long, value_name = "DIR", default_value = "tls")]
    dir: PathBuf,

    /// Password of the CA's key; others on this machine see it in the list of processes, so better enter it when asked,
    /// or use the variable
    #[arg(long, env = "TAUTLINE_CA_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    ca_password: Option<String>,
}

impl Place {
    fn folder(&self) -> Folder {
        Folder::new(&self.dir)
    }

    /// A variable that is empty is none.
    fn given_password(&self) -> Option<&str> {
        self.ca_password.as_deref().filter(|password| !password.is_empty())
    }
}

/// What a certificate for a server or a client is like.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Leaf {
    /// Kind of key: ecdsa, rsa (3072 bits), rsa:2048 or rsa:4096
    #[arg(long, value_name = "KIND", default_value_t)]
    key: KeyKind,

    /// How many days it is valid, no longer than the CA [default: server 825, client 3650]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: Option<u32>,

    /// Write certificate and key into one file, too (.pem)
    #[arg(long)]
    bundle: bool,

    /// Overwrite the files of one that is there
    #[arg(long)]
    force: bool,
}

impl Leaf {
    fn extras(&self) -> Extras {
        Extras { bundle: self.bundle, overwrite: self.force }
    }

    fn validity(&self, default: u32) -> Validity {
        Validity::days(self.days.unwrap_or(default))
    }
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let done = match args.command {
        Some(Command::Init(args)) => make::init(&args),
        Some(Command::Server(args)) => make::server(&args),
        Some(Command::Client(args)) => make::client(&args),
        Some(Command::Revoke(args)) => revoke::run(&args),
        Some(Command::Show(args)) => show::run(&args),
        None => make::all(&args),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// A library's error as that of the command, with the option that helps.
fn failure(error: Error) -> Failure {
    let remedy = match error {
        Error::PasswordNeeded { .. } | Error::PasswordWrong { .. } => {
            " (TAUTLINE_CA_PASSWORD or --ca-password; at a terminal you are asked)"
        }
        _ => "",
    };
    Failure::new(format!("{}{remedy}", harmless(&error.to_string())))
}

/// Says what was written, a line each.
fn list(written: &[tautline_identity::Written]) {
    let width = written.iter().map(|file| file.path.display().to_string().chars().count()).max().unwrap_or(0);
    for file in written {
        say(format_args!("  {:<width$}  {}", harmless(&file.path.display().to_string()), file.what));
    }
}
