//! `tautline connect`: a WebSocket client for people and for pipes.

mod command;
mod explain;
mod interactive;
mod piped;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use tautline::deflate::Offer;
use tautline::{CloseCode, Config, Connect, Ended, WebSocket};

use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  tautline connect ws://127.0.0.1:8000/me
  tautline connect wss://192.168.1.10:8443/me --ca ca.crt --cert me.crt --key me.key
  tautline connect ws://127.0.0.1:8000/me -H 'Authorization: Bearer TOKEN' --subprotocol v1
  echo '{\"action\": \"plus\"}' | tautline connect ws://127.0.0.1:8000/counter

At a terminal each line that is entered is sent as text; /help tells the rest. Ctrl-D or Ctrl-C closes the connection.

With the standard input or output redirected each line of the input is sent as a text message (as binary if it is not UTF-8), and each message \
that arrives is written to the output as a line, binary ones in hexadecimal. At the end of the input the \
connection is closed once the peer has been quiet for the time of --linger.

Exit status: 0 if the connection was closed normally, by either side; 1 if it could not be opened, was lost, or was \
closed for another reason; 2 if the command line is wrong; 130 after Ctrl-C where input or output is redirected.";

/// Connect to a WebSocket, and talk to it
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// ws://HOST[:PORT]/PATH or wss://..., with user:password@ before the host if needed
    #[arg(value_name = "URI")]
    uri: String,

    /// Send this header with the request (can be repeated)
    #[arg(short = 'H', long = "header", value_name = "'NAME: VALUE'", value_parser = header)]
    headers: Vec<(String, String)>,

    /// Offer this subprotocol, the preferred one first (can be repeated)
    #[arg(long = "subprotocol", value_name = "NAME")]
    subprotocols: Vec<String>,

    /// Offer to compress messages (permessage-deflate)
    #[arg(long)]
    compress: bool,

    /// Send this Origin, as a page of that site would
    #[arg(long)]
    origin: Option<String>,

    /// Trust the CA certificates in this file (PEM or DER) instead of the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// Show this client certificate (PEM or DER)
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,

    /// The private key of the client certificate (PEM or DER)
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,

    /// Accept any certificate: whoever controls the network can read and change everything
    #[arg(long, conflicts_with = "ca")]
    insecure: bool,

    /// Connect to this address instead of looking up the host of the URI (can be repeated, to fall back)
    #[arg(long = "address", value_name = "IP:PORT")]
    addresses: Vec<SocketAddr>,

    /// How long opening the connection may take
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    open_timeout: Duration,

    /// How long the peer has to be quiet after the end of redirected input before the connection is closed
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    linger: Duration,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header has the form 'NAME: VALUE'")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let duration = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.filter(|d| *d <= Config::MAX_DURATION).ok_or_else(|| "a number of seconds is needed".to_owned())
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let linger = args.linger;
    let ws = open(args)?.await.map_err(|error| Failure::new(explain::refused(&error)))?;
    let interrupted;
    let watch = ws.end_watch();
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        interactive::run(ws).await;
        interrupted = false;
    } else {
        interrupted = piped::run(ws, linger).await;
    }
    // The running commands end with the connection.
    let ended = watch.ended().unwrap_or(Ended::TransportFailed);
    Ok(match ended {
        _ if interrupted => ExitCode::from(130),
        ended if is_normal(ended) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// The connection that is asked for, not yet opened.
fn open(args: Args) -> Result<Connect, Failure> {
    let uri = if args.uri.contains("://") { args.uri } else { format!("ws://{}", args.uri) };
    let mut connect = tautline::connect(uri).open_timeout(args.open_timeout);
    for (name, value) in args.headers {
        connect = connect.header(name, value);
    }
    for name in args.subprotocols {
        connect = connect.subprotocol(name);
    }
    if args.compress {
        connect = connect.deflate(Offer::default());
    }
    if let Some(origin) = args.origin {
        connect = connect.origin(origin);
    }
    for address in args.addresses {
        connect = connect.address(address);
    }
    if let Some(ca) = args.ca {
        connect = connect.ca(read(&ca)?);
    }
    if let (Some(cert), Some(key)) = (args.cert, args.key) {
        connect = connect.client_certificate(read(&cert)?, read(&key)?);
    }
    if args.insecure {
        connect = connect.dangerous_no_verify();
    }
    Ok(connect)
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| Failure::new(format!("cannot read {}: {error}", file.display())))
}

/// Whether a connection ended as one that has served its purpose does: with 1000 or no code, or as we wanted.
fn is_normal(ended: Ended) -> bool {
    match ended {
        Ended::ClosedByPeer { code, clean } => clean && (code == CloseCode::NORMAL || code == CloseCode::NO_STATUS),
        Ended::ClosedByUs { clean, .. } => clean,
        _ => false,
    }
}

/// How the connection ended, in words.
fn ending(ws: &tautline::Sender) -> String {
    let ended = ws.ended().unwrap_or(Ended::TransportFailed);
    explain::ended(ended, &ws.close_reason().unwrap_or_default())
}

/// What was agreed with the server.
fn greeting(ws: &WebSocket) -> String {
    let info = ws.info();
    let mut text = "connected".to_owned();
    if let Some(peer) = info.peer {
        text += &format!(" to {peer}");
    }
    if let Some(subprotocol) = &info.subprotocol {
        text += &format!(", subprotocol {subprotocol}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_a_name_and_a_value() {
        assert_eq!(header("X-Id: a:b"), Ok(("X-Id".into(), "a:b".into())));
        assert!(header("X-Id").is_err());
    }

    #[test]
    fn normal_is_a_complete_closing_handshake_as_wanted_or_with_1000() {
        let by_peer = |code, clean| Ended::ClosedByPeer { code, clean };
        assert!(is_normal(by_peer(CloseCode::NORMAL, true)));
        assert!(is_normal(by_peer(CloseCode::NO_STATUS, true)));
        assert!(is_normal(Ended::ClosedByUs { code: CloseCode::NORMAL, clean: true }));
        assert!(!is_normal(by_peer(CloseCode::NORMAL, false)));
        assert!(!is_normal(by_peer(CloseCode::GOING_AWAY, true)));
        assert!(!is_normal(Ended::PeerSilent));
    }
}
