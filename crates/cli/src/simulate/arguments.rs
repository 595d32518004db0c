//! The command line of `tautline simulate`.

use std::path::PathBuf;
use std::time::Duration;

use super::crew::{self, Member};
use super::fleet::{Limits, Target};
use super::plan::Plan;
use super::tls::{self, Tls};
use super::wire::Faults;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  tautline simulate                                      ten devices for ten seconds, over UDP
  tautline simulate --transport tcp --devices 1000 --for 1m
  tautline simulate --loss 20% --duplicate 10% --reorder 10% --latency 50
  tautline simulate --key-file fleet --count 100 --json  the devices that `tautline device add` wrote to the file
  tautline simulate --transport tcp --ca tls/ca/ca.crt --hub 192.168.1.20
  tautline simulate --transport http --hub 192.168.1.20:8000

Each device has a temperature, a humidity, a battery, a door, a count of passages and a state. It takes commands: intervals, \
switch 0 (a heater), and the values `target` and `passages`. Ctrl-C ends the readings and waits for acknowledgements; a second \
one does not wait.

Exit status: 0 if everything that was sent was acknowledged; 1 if not; 2 if the command line is wrong.";

/// Simulate devices that send sensor data to a hub, over networks as bad as you like
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How many devices [default: 10, or those in the key file]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    devices: Option<u32>,

    /// How they reach the hub: udp or tcp (the telemetry protocol), http (JSON by POST), or ws
    /// (SenML by WebSocket)
    #[arg(long, value_name = "WHICH", default_value = "udp", value_parser = transport)]
    pub(super) transport: Transport,

    /// Address of the hub, HOST or HOST:PORT [default: 127.0.0.1, port 65433, or 8000 for http and ws]
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", hide_default_value = true)]
    hub: String,

    /// Milliseconds between two readings of a sensor; each is up to a tenth sooner or later
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=86_400_000))]
    interval: u64,

    /// Read each sensor so many times, and end
    #[arg(long, value_name = "N", conflicts_with = "time", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Read sensors for so long, such as 500ms, 30s, 10m or 1h [default: 10s]
    #[arg(long = "for", id = "time", value_name = "DURATION", value_parser = duration)]
    time: Option<Duration>,

    /// The part of the datagrams that gets lost, in both directions: 0.2 or 20%
    #[arg(long, value_name = "PART", default_value = "0", value_parser = part)]
    loss: f64,

    /// The part that arrives twice
    #[arg(long, value_name = "PART", default_value = "0", value_parser = part)]
    duplicate: f64,

    /// The part that others overtake, by up to 100 ms
    #[arg(long, value_name = "PART", default_value = "0", value_parser = part)]
    reorder: f64,

    /// Milliseconds that a datagram is on its way, in each direction
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=60_000))]
    latency: u64,

    /// Have all devices reconnect at the same moment, every 3 s or as often as it says
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "3s", value_parser = duration)]
    reconnect_storm: Option<Duration>,

    /// What chance depends on: with the same seed devices measure the same, and their networks do the same to the same datagrams
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,

    /// Numbers, names and keys of the devices, as `tautline device add` writes them; without it the devices have no keys
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,

    /// What devices without keys are called: NAME-1, NAME-2, and so on
    #[arg(long, value_name = "NAME", default_value = "sim", conflicts_with = "key_file", value_parser = name)]
    name: String,

    /// Encrypt, trusting the authorities that this system trusts
    #[arg(long)]
    tls: bool,

    /// Encrypt, trusting the authority of this file (PEM), such as tls/ca/ca.crt
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// How long to wait for acknowledgements at the end
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration)]
    drain: Duration,

    /// Write each acknowledged reading to this file, as a line of JSON
    #[arg(long, value_name = "FILE")]
    pub(super) dump: Option<PathBuf>,

    /// Print the summary as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// How devices reach the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    /// The telemetry protocol, a connection for each device.
    Tcp,
    /// The telemetry protocol, a few sockets for all devices.
    Udp,
    /// JSON by POST, a connection for each device.
    Http,
    Ws,
}

impl Args {
    /// Who is in the fleet.
    ///
    /// # Errors
    ///
    /// The key file is not good.
    pub(super) fn crew(&self) -> Result<Vec<Member>, Failure> {
        match &self.key_file {
            Some(file) => crew::from_file(file, self.devices),
            None => Ok(crew::keyless(self.devices.unwrap_or(10), &self.name)),
        }
    }

    /// What they do.
    pub(super) fn plan(&self) -> Plan {
        let Self { interval, count, seed, .. } = *self;
        Plan { interval, count, faults: self.faults(), seed }
    }

    /// When it ends.
    pub(super) fn limits(&self) -> Limits {
        let time = self.time.or(self.count.is_none().then_some(Duration::from_secs(10)));
        Limits { time, drain: self.drain, storm: self.reconnect_storm }
    }

    /// Where the hub is.
    ///
    /// # Errors
    ///
    /// It cannot be looked up, or this transport does not do what else was asked for.
    pub(super) async fn target(&self) -> Result<Target, Failure> {
        if self.transport != Transport::Udp && self.faults() != Faults::default() {
            let text = "--loss, --duplicate, --reorder and --latency are about datagrams: they need --transport udp";
            return Err(Failure::usage(text));
        }
        let trust = tls::trust(self.tls, self.ca.as_ref());
        if self.transport != Transport::Tcp && trust.is_some() {
            return Err(Failure::usage("--tls and --ca need --transport tcp"));
        }
        let port = if matches!(self.transport, Transport::Http | Transport::Ws) { 8000 } else { 65433 };
        let hub = self.hub.trim_start_matches("http://").trim_start_matches("ws://").trim_end_matches('/');
        let host = if has_port(hub) { hub.to_owned() } else { format!("{hub}:{port}") };
        let unknown =
            |error| Failure::new(format!("the hub {host} cannot be looked up ({error}): choose another with --hub"));
        let found = tokio::net::lookup_host(&host).await.map(|mut found| found.next());
        let found = found.map_err(|error| unknown(error.to_string()))?;
        let address = found.ok_or_else(|| unknown("it has no address".into()))?;
        let name = host.rsplit_once(':').map_or(&*host, |(name, _)| name);
        let tls = trust.map(|trust| Tls::new(trust, name)).transpose()?;
        Ok(Target { transport: self.transport, address, host, tls })
    }

    fn faults(&self) -> Faults {
        let Self { loss, duplicate, reorder, latency, .. } = *self;
        Faults { loss, duplicate, reorder, latency }
    }
}

impl Transport {
    /// As in the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Http => "http",
            Self::Ws => "ws",
        }
    }
}

/// Whether an address ends in a port; `::1` does not.
fn has_port(address: &str) -> bool {
    match address.rsplit_once(':') {
        Some((host, _)) => host.ends_with(']') || !host.contains(':'),
        None => false,
    }
}

fn transport(text: &str) -> Result<Transport, &'static str> {
    match text {
        "tcp" => Ok(Transport::Tcp),
        "udp" => Ok(Transport::Udp),
        "http" => Ok(Transport::Http),
        "ws" => Ok(Transport::Ws),
        _ => Err("there are tcp, udp, http and ws"),
    }
}

fn part(text: &str) -> Result<f64, String> {
    let (digits, whole) = match text.strip_suffix('%') {
        Some(digits) => (digits, 100.0),
        None => (text, 1.0),
    };
    let part = digits.trim().parse::<f64>().map(|number| number / whole).ok();
    part.filter(|part| (0.0..=1.0).contains(part)).ok_or_else(|| "a part is 0 to 1, or 0% to 100%".into())
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => f64::NAN,
    };
    let seconds = digits.parse::<f64>().map(|number| number * unit).ok();
    let seconds = seconds.filter(|seconds| (0.001..=31_536_000.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "a duration is a number with ms, s, m or h behind it".into())
}

fn name(text: &str) -> Result<String, String> {
    // With a number of six digits behind it, it has to fit into a hello.
    if text.is_empty() || text.len() > 57 || text.chars().any(char::is_control) {
        return Err("a name has 1 to 57 bytes and no control characters".into());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_numbers_or_per_cent() {
        for (text, expected) in [("0", Some(0.0)), ("0.2", Some(0.2)), ("20%", Some(0.2)), ("100%", Some(1.0))] {
            assert_eq!(part(text).ok(), expected, "{text}");
        }
        for wrong in ["", "%", "20", "-1%", "nan", "x"] {
            assert!(part(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_have_units() {
        for (text, ms) in [("500ms", 500), ("30", 30_000), ("1.5s", 1_500), ("10m", 600_000), ("1h", 3_600_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for wrong in ["", "s", "0", "-1s", "1d", "inf", "1 s", "1é", "1e99h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_may_have_a_port() {
        for (address, has) in [("hub", false), ("hub:1", true), ("::1", false), ("[::1]", false), ("[::1]:7", true)] {
            assert_eq!(has_port(address), has, "{address}");
        }
    }
}
