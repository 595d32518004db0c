//! `tautline echo`: echo servers without WebSocket.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::ValueEnum;
use tautline_hub::labs::{tcp_echo, udp_echo};
use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::listen;
use crate::output::say;
use crate::shutdown::Shutdown;

const EXAMPLES: &str = "\
Examples:
  tautline echo tcp                    127.0.0.1:65432, as in the lab
  tautline echo udp --host 0.0.0.0 --port 7000";

/// Start an echo server over TCP or UDP
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What it echoes
    #[arg(value_enum)]
    over: Over,

    /// Address or name to listen on
    #[arg(long, default_value = "127.0.0.1")]
    host: String,

    /// Port to listen on; 0 is any free one
    #[arg(long, default_value_t = 65432)]
    port: u16,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Over {
    /// Streams, any number at once
    Tcp,
    /// Datagrams
    Udp,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    listen::raise_file_limit();
    let shutdown = Shutdown::on_signal().map_err(|error| Failure::new(format!("cannot handle signals: {error}")))?;
    let mut servers = JoinSet::<io::Result<()>>::new();
    match args.over {
        Over::Tcp => {
            for listener in listen::tcp(&args.host, args.port).await.map_err(|error| error.with_usual_remedy())? {
                announce("tcp", listener.local_addr());
                servers.spawn(tcp_echo(listener, shutdown.clone().wait()));
            }
        }
        Over::Udp => {
            for socket in listen::udp(&args.host, args.port).await.map_err(|error| error.with_usual_remedy())? {
                announce("udp", socket.local_addr());
                servers.spawn(udp_echo(socket, shutdown.clone().wait()));
            }
        }
    }
    let results = servers.join_all().await;
    results.into_iter().collect::<Result<(), _>>().map_err(|error| Failure::new(error.to_string()))?;
    Ok(ExitCode::SUCCESS)
}

fn announce(scheme: &str, address: io::Result<SocketAddr>) {
    if let Ok(address) = address {
        say(format_args!("listening on {scheme}://{address}"));
    }
}
