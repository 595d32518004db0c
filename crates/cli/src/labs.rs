//! `tautline labs`: all servers of the labs at once.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use tautline_hub::labs::{tcp_echo, udp_echo, udp_receive};
use tautline_hub::{AppName, Hub};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::listen::{self, Unusable};
use crate::output::{harmless, hex, say};
use crate::shutdown::Shutdown;

const EXAMPLES: &str = "\
Examples:
  tautline labs                        all of them, for this machine
  tautline labs --host 0.0.0.0         for the devices of your network too
  tautline labs --skip clock           all but one
  tautline labs --port hello=9765      one of them on another port

The pages and clients of the labs work with them as they are.";

/// Start all servers of the labs at once, each on its own port
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Address or name to listen on; 0.0.0.0 is every IPv4 address of this machine
    #[arg(long, default_value = "localhost")]
    host: String,

    /// Leave a server out (can be repeated)
    #[arg(long, value_name = "NAME", value_parser = names())]
    skip: Vec<&'static Lab>,

    /// Start a server on another port, 0 for any free one (can be repeated)
    #[arg(long, value_name = "NAME=PORT", value_parser = named_port)]
    port: Vec<(&'static Lab, u16)>,
}

/// A server of the labs.
#[derive(Debug)]
struct Lab {
    name: &'static str,
    port: u16,
    /// The program of the labs in whose place it stands.
    replaces: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    App(AppName),
    TcpEcho,
    UdpEcho,
    UdpReceive,
}

static LABS: [Lab; 6] = [
    Lab { name: "hello", port: 8765, replaces: "server1.py", kind: Kind::App(AppName::Hello) },
    Lab { name: "clock", port: 5678, replaces: "server_for_web.py", kind: Kind::App(AppName::Clock) },
    Lab { name: "counter", port: 6789, replaces: "server2.py", kind: Kind::App(AppName::Counter) },
    Lab { name: "tcp-echo", port: 65432, replaces: "servidor_echo.py", kind: Kind::TcpEcho },
    Lab { name: "udp-echo", port: 65432, replaces: "servidor_echo.py, over UDP", kind: Kind::UdpEcho },
    Lab { name: "udp-receiver", port: 5005, replaces: "the receiver of datagrams", kind: Kind::UdpReceive },
];

fn find(name: &str) -> Option<&'static Lab> {
    LABS.iter().find(|lab| lab.name == name)
}

fn names() -> impl TypedValueParser<Value = &'static Lab> {
    PossibleValuesParser::new(LABS.each_ref().map(|lab| lab.name)).try_map(|name| find(&name).ok_or("unknown"))
}

fn named_port(text: &str) -> Result<(&'static Lab, u16), String> {
    let known = || LABS.each_ref().map(|lab| lab.name).join(", ");
    let (name, port) = text.split_once('=').ok_or("NAME=PORT is needed, such as hello=9765")?;
    let lab = find(name).ok_or_else(|| format!("there is no `{name}`: there are {}", known()))?;
    Ok((lab, port.parse().map_err(|_| format!("`{port}` is not a port"))?))
}

/// A server whose port is taken, not yet running.
struct Bound {
    lab: &'static Lab,
    sockets: Sockets,
}

enum Sockets {
    Tcp(Vec<TcpListener>),
    Udp(Vec<UdpSocket>),
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    listen::raise_file_limit();
    let shutdown = Shutdown::on_signal().map_err(|error| Failure::new(format!("cannot handle signals: {error}")))?;
    let mut bound = Vec::new();
    for lab in LABS.iter().filter(|lab| !args.skip.iter().any(|skipped| skipped.name == lab.name)) {
        let chosen = args.port.iter().rev().find(|(chosen, _)| chosen.name == lab.name);
        let port = chosen.map_or(lab.port, |(_, port)| *port);
        let sockets = lab.bind(&args.host, port).await.map_err(|error| lab.failure(&error))?;
        bound.push(Bound { lab, sockets });
    }
    say(format_args!("{:<13} {:<32} REPLACES", "NAME", "ADDRESS"));
    for bound in &bound {
        bound.announce();
    }
    let mut servers = JoinSet::<io::Result<()>>::new();
    for bound in bound {
        bound.start(&mut servers, &shutdown);
    }
    while let Some(ended) = servers.join_next().await {
        ended.map_err(io::Error::other).flatten().map_err(|error| Failure::new(error.to_string()))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Lab {
    async fn bind(&self, host: &str, port: u16) -> Result<Sockets, Unusable> {
        Ok(match self.kind {
            Kind::App(_) | Kind::TcpEcho => Sockets::Tcp(listen::tcp(host, port).await?),
            Kind::UdpEcho | Kind::UdpReceive => Sockets::Udp(listen::udp(host, port).await?),
        })
    }

    fn failure(&self, error: &Unusable) -> Failure {
        let name = self.name;
        let other = format!("choose another for {name} with --port {name}=PORT, or leave it out with --skip {name}");
        error.with_remedies(&format!("stop what holds it, {other}"), &other)
    }

    fn scheme(&self) -> &'static str {
        match self.kind {
            Kind::App(_) => "ws",
            Kind::TcpEcho => "tcp",
            Kind::UdpEcho | Kind::UdpReceive => "udp",
        }
    }
}

impl Bound {
    fn announce(&self) {
        let addresses: Vec<SocketAddr> = match &self.sockets {
            Sockets::Tcp(listeners) => listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect(),
            Sockets::Udp(sockets) => sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect(),
        };
        for address in addresses.into_iter().flat_map(listen::reachable) {
            let url = format!("{}://{address}", self.lab.scheme());
            say(format_args!("{:<13} {url:<32} {}", self.lab.name, self.lab.replaces));
        }
    }

    fn start(self, servers: &mut JoinSet<io::Result<()>>, shutdown: &Shutdown) {
        match (self.lab.kind, self.sockets) {
            (Kind::App(app), Sockets::Tcp(listeners)) => {
                let shutdown = shutdown.clone();
                servers.spawn(async move { Hub::new().only(app).loops(1).run_all(listeners, shutdown.wait()).await });
            }
            (_, Sockets::Tcp(listeners)) => {
                for listener in listeners {
                    servers.spawn(tcp_echo(listener, shutdown.clone().wait()));
                }
            }
            (Kind::UdpReceive, Sockets::Udp(sockets)) => {
                for socket in sockets {
                    servers.spawn(udp_receive(socket, received, shutdown.clone().wait()));
                }
            }
            (_, Sockets::Udp(sockets)) => {
                for socket in sockets {
                    servers.spawn(udp_echo(socket, shutdown.clone().wait()));
                }
            }
        }
    }
}

/// Shows a datagram.
fn received(peer: SocketAddr, payload: &[u8]) {
    match std::str::from_utf8(payload) {
        Ok(text) => say(format_args!("udp-receiver: {peer}: {}", harmless(text.trim_end_matches('\n')))),
        Err(_) => say(format_args!("udp-receiver: {peer}: {} (hex)", hex(payload))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_given_by_name() {
        let (lab, port) = named_port("counter=0").unwrap();
        assert_eq!((lab.name, port), ("counter", 0));
        assert!(named_port("counter").is_err());
        assert!(named_port("counter=x").is_err());
        assert!(named_port("post=1").unwrap_err().contains("udp-receiver"));
    }

    #[test]
    fn a_taken_port_names_the_lab_and_the_way_out() {
        let failure = LABS[0].failure(&Unusable::Taken(8765)).to_string();
        assert!(failure.starts_with("port 8765 is taken: ") && failure.ends_with("--skip hello"), "{failure}");
    }
}
