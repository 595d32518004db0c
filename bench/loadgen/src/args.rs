//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Loads a WebSocket server on 127.0.0.1, checks every reply and prints one JSON object
///
/// Latencies are in microseconds. A connection that breaks or a wrong byte ends the run with exit code 1.
#[derive(Parser)]
#[command(name = "loadgen", arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) mode: Mode,
}

#[derive(Subcommand)]
pub(crate) enum Mode {
    /// Connections that keep messages in flight, or (--rate) send at a given rate
    Echo(Echo),
    /// One publisher, many subscribers
    Fanout(Fanout),
    /// The server's memory per idle connection
    Idle(Idle),
    /// Connect, upgrade, close frame, end of the stream, as fast as possible
    Handshake(Handshake),
    /// Write test certificates into a folder: ca.pem, {server,client}.pem, {server,client}.key
    Certificates { dir: PathBuf },
}

#[derive(clap::Args)]
pub(crate) struct Target {
    /// The server's port on 127.0.0.1
    #[arg(long)]
    pub(crate) port: u16,
    /// The server's process: its CPU time and memory, and those of its children, are reported
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    /// The cores that server and load generator are pinned to: what others use of them is reported
    #[arg(long, value_delimiter = ',')]
    pub(crate) cores: Vec<usize>,
    /// Seconds after which the run ends with exit code 3, whatever it is doing
    #[arg(long, default_value_t = 120.0)]
    pub(crate) limit: f64,
}

#[derive(clap::Args)]
pub(crate) struct Span {
    /// Seconds that are measured
    #[arg(long, default_value_t = 3.0)]
    pub(crate) secs: f64,
    /// Seconds before that
    #[arg(long, default_value_t = 0.5)]
    pub(crate) warmup: f64,
}

#[derive(clap::Args)]
pub(crate) struct Echo {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) span: Span,
    #[arg(long, default_value_t = 50)]
    pub(crate) conns: usize,
    /// Payload bytes of a message
    #[arg(long, default_value_t = 64)]
    pub(crate) size: usize,
    /// Messages that each connection keeps in flight
    #[arg(long, default_value_t = 1, conflicts_with = "rate")]
    pub(crate) pipeline: usize,
    /// Open loop: messages per second over all connections, at random times; latency counts from when each was due
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Idle connections that are opened first
    #[arg(long, default_value_t = 0)]
    pub(crate) neighbours: usize,
    /// Text messages instead of binary ones
    #[arg(long)]
    pub(crate) text: bool,
    /// No handshake: the server is a TCP echo, which returns the masked frames as they are
    #[arg(long)]
    pub(crate) raw: bool,
    #[arg(long, default_value = "/")]
    pub(crate) path: String,
}

#[derive(clap::Args)]
pub(crate) struct Fanout {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) span: Span,
    /// Subscribers
    #[arg(long, default_value_t = 1000)]
    pub(crate) conns: usize,
    /// Payload bytes of a message, at least 16
    #[arg(long, default_value_t = 128)]
    pub(crate) size: usize,
    /// Publishes in flight: one is done when every subscriber has got it or a later one
    #[arg(long, default_value_t = 16, conflicts_with = "rate")]
    pub(crate) window: u64,
    /// Open loop: publishes per second
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Where subscribers connect
    #[arg(long, default_value = "/sub")]
    pub(crate) subscribe: String,
    /// Where the publisher connects
    #[arg(long, default_value = "/pub")]
    pub(crate) publish: String,
}

#[derive(clap::Args)]
pub(crate) struct Idle {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Seconds that the connections are held while the server's CPU time is measured
    #[arg(long, default_value_t = 1.0)]
    pub(crate) secs: f64,
    #[arg(long, default_value_t = 10_000)]
    pub(crate) conns: usize,
    /// No handshake: the server is a TCP echo
    #[arg(long)]
    pub(crate) raw: bool,
    /// Over TLS, full handshakes, trusting DIR/ca.pem
    #[arg(long, value_name = "DIR", conflicts_with = "raw")]
    pub(crate) tls: Option<PathBuf>,
    /// Show DIR/client.pem to the server
    #[arg(long, requires = "tls")]
    pub(crate) client_cert: bool,
}

#[derive(clap::Args)]
pub(crate) struct Handshake {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) span: Span,
    /// Connections at a time
    #[arg(long, default_value_t = 32)]
    pub(crate) conns: usize,
}
