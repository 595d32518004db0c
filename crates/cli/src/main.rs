//! The `tautline` command.

mod connect;
mod echo;
mod failure;
mod labs;
mod listen;
mod logging;
mod output;
mod serve;
mod shutdown;

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

`tautline COMMAND --help` explains a command.";

/// A real-time link between devices, servers and browsers: WebSocket hub, labs and client.
///
/// Without a command it starts the hub, as `tautline serve` does.
#[derive(Debug, Parser)]
#[command(name = "tautline", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    serve: serve::Args,

    #[command(flatten)]
    logging: logging::Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Labs(labs::Args),
    Connect(connect::Args),
    Echo(echo::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let command = cli.command.unwrap_or(Command::Serve(cli.serve));
    logging::init(
        &cli.logging,
        match command {
            Command::Connect(_) => "warn",
            _ => "info",
        },
    );
    match run(command) {
        Ok(code) => code,
        Err(failure) => {
            output::complain(format_args!("error: {failure}"));
            ExitCode::FAILURE
        }
    }
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
        }
    });
    // Whoever still reads from the terminal or looks up a name is not waited for.
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
