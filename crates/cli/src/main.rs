//! The `tautline` command.

mod backup;
mod beside;
mod calendar;
mod cert;
mod config;
mod connect;
mod device;
mod echo;
mod failure;
mod labs;
mod listen;
mod logging;
mod output;
mod serve;
mod shutdown;
mod simulate;
mod token;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

const EXAMPLES: &str = "\
Examples:
  tautline                                    the hub on http://127.0.0.1:8000/
  tautline serve --host 0.0.0.0               for the devices of your network too
  tautline serve --app counter --port 6789    one app on every path
  tautline labs                               all servers of the labs on their ports
  tautline connect ws://127.0.0.1:8000/me     talk to a WebSocket
  tautline cert --srv=192.168.1.20            certificates for a server and a device
  tautline token add page                     a token for a client without certificate
  tautline config > tautline.toml             everything that can be set, explained
  tautline backup copy.db                     a copy of what the hub keeps
  tautline device --config config.json        the labs' device on this computer
  tautline device add kitchen                 a key for a device that sends sensor data
  tautline simulate --devices 100             a fleet of such devices

`tautline COMMAND --help` explains a command.";

/// A real-time link between devices, servers and browsers: WebSocket hub, labs and client.
///
/// Without a command it starts the hub: `tautline --port 9000` is `tautline serve --port 9000`.
#[derive(Debug, Parser)]
#[command(name = "tautline", version, after_help = EXAMPLES, override_usage = "tautline [OPTIONS] [COMMAND]")]
struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    logging: logging::Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Labs(labs::Args),
    Connect(connect::Args),
    Echo(echo::Args),
    Cert(Box<cert::Args>),
    Token(Box<token::Args>),
    Config(Box<config::Args>),
    Backup(Box<backup::Args>),
    Device(Box<device::Args>),
    Simulate(Box<simulate::Args>),
}

fn main() -> ExitCode {
    let Cli { command, logging } = match Cli::try_parse_from(with_default_command(std::env::args_os())) {
        Ok(cli) => cli,
        // Help, or the version.
        Err(answer) if !answer.use_stderr() => answer.exit(),
        Err(error) => {
            output::complain(one_line(&error.to_string()));
            return ExitCode::from(2);
        }
    };
    match command {
        // How it logs is in its configuration.
        Command::Serve(_) => {}
        Command::Connect(_) | Command::Device(_) | Command::Simulate(_) => logging::init(&logging, "warn"),
        _ => logging::init(&logging, "info"),
    }
    match run(command) {
        Ok(code) => code,
        Err(failure) => {
            output::complain(format_args!("error: {failure}"));
            failure.code()
        }
    }
}

/// What is wrong with the command line, and what would be right, in one line.
fn one_line(error: &str) -> String {
    let mut text = String::new();
    for line in error.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with("Usage:") || line.starts_with("For more information") {
            break;
        }
        if !text.is_empty() {
            text += if line.starts_with("tip:") { "; " } else { " " };
        }
        text += line;
    }
    text + "; --help tells more"
}

/// Puts `serve` where the command would stand, if there is none.
fn with_default_command(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.collect();
    let mut at = 1;
    // The options that every command has may stand before it.
    while let Some(argument) = arguments.get(at) {
        at += match argument.to_str() {
            Some("--log-level") => 2,
            Some(argument) if argument.starts_with("--log-level=") => 1,
            _ => break,
        };
    }
    let no_command = match arguments.get(at).and_then(|argument| argument.to_str()) {
        // With one argument too few, what follows `--log-level` is missing.
        None => at == arguments.len(),
        Some("-h" | "--help" | "-V" | "--version") => false,
        Some(argument) => argument.starts_with('-'),
    };
    if no_command {
        arguments.insert(at, "serve".into());
    }
    arguments
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start the runtime: {error}")))?;
    let result = runtime.block_on(async {
        match command {
            Command::Serve(args) => serve::run(args).await,
            Command::Labs(args) => labs::run(args).await,
            Command::Connect(args) => connect::run(args).await,
            Command::Echo(args) => echo::run(args).await,
            Command::Cert(args) => cert::run(*args),
            Command::Token(args) => token::run(&args),
            Command::Config(args) => config::run(&args),
            Command::Backup(args) => backup::run(&args),
            Command::Device(args) => device::run(&args).await,
            Command::Simulate(args) => simulate::run(*args).await,
        }
    });
    // Whoever still reads from the terminal or looks up a name is not waited for.
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_wrong_command_line_is_told_in_one_line() {
        for (given, told) in [
            ("serve --prot 1", "error: unexpected argument '--prot' found; tip: a similar argument exists: '--port'"),
            ("connect", "error: the following required arguments were not provided: <URI>"),
            ("echo quic", "error: invalid value 'quic' for '<OVER>' [possible values: tcp, udp]"),
        ] {
            let arguments = ["tautline"].into_iter().chain(given.split(' '));
            let error = Cli::try_parse_from(arguments).unwrap_err().to_string();
            assert_eq!(one_line(&error), format!("{told}; --help tells more"));
        }
    }

    #[test]
    fn serve_is_the_command_if_there_is_none() {
        for (given, meant) in [
            ("", "serve"),
            ("--port 1", "serve --port 1"),
            ("--log-level debug", "--log-level debug serve"),
            ("--log-level=debug --port 1", "--log-level=debug serve --port 1"),
            ("--log-level debug labs", "--log-level debug labs"),
            ("labs --host x", "labs --host x"),
            ("--log-level", "--log-level"),
            ("--help", "--help"),
            ("-V", "-V"),
        ] {
            let words = |text: &str| text.split_whitespace().map(OsString::from).collect::<Vec<_>>();
            let arguments = std::iter::once("tautline".into()).chain(words(given));
            assert_eq!(with_default_command(arguments)[1..], words(meant), "{given}");
        }
    }
}
