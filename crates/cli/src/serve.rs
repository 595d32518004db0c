//! `tautline serve`: the hub.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use tautline::{Config, Origins, Server};
use tautline_hub::{AppName, Hub};

use crate::failure::Failure;
use crate::listen;
use crate::output::say;
use crate::shutdown::Shutdown;

const EXAMPLES: &str = "\
Examples:
  tautline serve                              for this machine, on port 8000
  tautline serve --host 0.0.0.0 --port 80     for the whole network
  tautline serve --app relay --port 9000      one app on every path
  tautline serve --origin https://example.com,https://www.example.com

SIGINT (Ctrl-C) or SIGTERM closes all connections with 1001 and ends; a second one ends at once.

Exit status: 0 after a signal; 1 if the port cannot be had; 2 if the command line is wrong; 130 or 143 after a second \
signal (SIGINT, SIGTERM).";

/// Start the hub: relay, counter, clock, hello and echo by WebSocket, a page and POST by HTTP
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Address or name to listen on; 0.0.0.0 is every IPv4 address of this machine
    #[arg(long, env = "TAUTLINE_HOST", hide_env_values = true, default_value = "127.0.0.1")]
    host: String,

    /// Port to listen on; 0 is any free one
    #[arg(long, env = "TAUTLINE_PORT", hide_env_values = true, default_value_t = 8000)]
    port: u16,

    /// Serve only this app, on every path
    #[arg(long, env = "TAUTLINE_APP", hide_env_values = true, value_name = "NAME", value_parser = app_names())]
    app: Option<AppName>,

    /// How often a silent client is pinged; 0 is never
    #[arg(
        long,
        env = "TAUTLINE_WS_PING_INTERVAL",
        hide_env_values = true,
        value_name = "SECONDS",
        default_value = "20",
        value_parser = interval
    )]
    ws_ping_interval: Duration,

    /// How long a pinged client may stay silent before its connection is given up
    #[arg(
        long,
        env = "TAUTLINE_WS_PING_TIMEOUT",
        hide_env_values = true,
        value_name = "SECONDS",
        default_value = "20",
        value_parser = timeout
    )]
    ws_ping_timeout: Duration,

    /// The largest message that a client may send; a larger one ends its connection with 1009
    #[arg(
        long,
        alias = "ws-max-size",
        env = "TAUTLINE_MAX_MESSAGE",
        hide_env_values = true,
        value_name = "BYTES",
        default_value_t = 16 * 1024 * 1024,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    max_message: u64,

    /// How many event loops carry the connections, each in a thread [default: one for each processor]
    #[arg(
        long,
        env = "TAUTLINE_LOOPS",
        hide_env_values = true,
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u16).range(1..=256)
    )]
    loops: Option<u16>,

    /// Which web pages may connect: any, same-host (and loopback and files), or a list of origins with commas
    #[arg(
        long,
        // As the library's option, which the log names when a page is refused.
        alias = "origins",
        env = "TAUTLINE_ORIGIN",
        hide_env_values = true,
        value_name = "WHICH",
        default_value = "same-host",
        value_parser = origins
    )]
    origin: Origins,
}

fn app_names() -> impl TypedValueParser<Value = AppName> {
    PossibleValuesParser::new(AppName::ALL.map(AppName::as_str)).try_map(|name| name.parse::<AppName>())
}

fn interval(seconds: &str) -> Result<Duration, String> {
    if seconds.parse() == Ok(0.0) { Ok(Duration::ZERO) } else { timeout(seconds) }
}

fn timeout(seconds: &str) -> Result<Duration, String> {
    let duration = seconds.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration
        .filter(|duration| (Config::MIN_DURATION..=Config::MAX_DURATION).contains(duration))
        .ok_or_else(|| "a number of seconds from 0.001 to 31536000 is needed".to_owned())
}

fn origins(which: &str) -> Result<Origins, String> {
    match which {
        "any" => Ok(Origins::Any),
        "same-host" => Ok(Origins::SameHost),
        list => list
            .split(',')
            .map(|origin| match origin.trim() {
                "null" => Ok("null".to_owned()),
                origin if origin.contains("://") => Ok(origin.trim_end_matches('/').to_owned()),
                other => Err(format!("`{other}` is not an origin such as https://example.com")),
            })
            .collect::<Result<_, _>>()
            .map(Origins::List),
    }
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    listen::raise_file_limit();
    let shutdown = Shutdown::on_signal().map_err(|error| Failure::new(format!("cannot handle signals: {error}")))?;
    let listeners = listen::tcp(&args.host, args.port).await.map_err(|error| error.with_usual_remedy())?;
    let addresses: Vec<SocketAddr> = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
    announce(&addresses, args.app);

    let config = Config::new()
        .max_frame(args.max_message)
        .max_message(args.max_message)
        .ping_interval(Some(args.ws_ping_interval).filter(|interval| !interval.is_zero()))
        .pong_timeout(args.ws_ping_timeout);
    let mut hub = Hub::new().server(Server::new().config(config).origins(args.origin));
    if let Some(app) = args.app {
        hub = hub.only(app);
    }
    if let Some(loops) = args.loops {
        hub = hub.loops(loops.into());
    }
    hub.run_all(listeners, shutdown.wait()).await.map_err(|error| Failure::new(error.to_string()))?;
    Ok(ExitCode::SUCCESS)
}

/// Says where what is found, one address a line.
fn announce(addresses: &[SocketAddr], only: Option<AppName>) {
    for address in addresses {
        say(format_args!("listening on http://{address}/"));
    }
    let exposed = addresses.iter().find(|address| !address.ip().is_loopback());
    if let Some(address) = exposed {
        tracing::warn!(%address, "anybody who reaches this address can connect: there is no authentication");
    }
    for address in addresses.iter().copied().flat_map(listen::reachable) {
        for (name, url, what) in urls(address, only) {
            say(format_args!("  {name:<8} {url:<40} {what}"));
        }
    }
}

fn urls(address: SocketAddr, only: Option<AppName>) -> Vec<(&'static str, String, &'static str)> {
    let of = |app: AppName, path: &str| {
        let scheme = if app.is_websocket() { "ws" } else { "http" };
        (app.as_str(), format!("{scheme}://{address}{path}"), app.summary())
    };
    match only {
        Some(app @ AppName::Relay) => vec![of(app, app.path())],
        Some(app) => vec![of(app, "/")],
        None => std::iter::once(("page", format!("http://{address}/"), "open this in a browser"))
            .chain(AppName::ALL.map(|app| of(app, app.path())))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_checked() {
        assert_eq!(interval("0"), Ok(Duration::ZERO));
        assert_eq!(interval("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(timeout("10"), Ok(Duration::from_secs(10)));
        for bad in ["", "-1", "x", "NaN", "inf", "1e300", "0.0001", "31536001"] {
            assert!(interval(bad).is_err() && timeout(bad).is_err(), "{bad}");
        }
        assert!(timeout("0").is_err());
    }

    #[test]
    fn origins_are_any_same_host_or_a_list() {
        assert_eq!(origins("any"), Ok(Origins::Any));
        assert_eq!(origins("same-host"), Ok(Origins::SameHost));
        let list = Origins::List(vec!["https://a.example".into(), "null".into()]);
        assert_eq!(origins("https://a.example/, null"), Ok(list));
        assert!(origins("a.example").is_err());
    }

    #[test]
    fn every_app_has_a_line() {
        let lines = urls("127.0.0.1:8000".parse().unwrap(), None);
        assert_eq!(lines.len(), 7);
        assert!(lines.iter().any(|(name, url, _)| *name == "counter" && url == "ws://127.0.0.1:8000/counter"));
        let one = urls("[::1]:1".parse().unwrap(), Some(AppName::Counter));
        assert_eq!(one[0].1, "ws://[::1]:1/");
    }
}
