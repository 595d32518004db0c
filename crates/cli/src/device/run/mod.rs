//! `tautline device --config FILE`: the device of the labs on this computer.

mod host;
mod screen;
mod setup;
mod tls;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use tautline_device::host::{HostClock, Tcp};
use tautline_device::{Clock, Stopped};
use tautline_device_app::{Buffers, Device, OUTBOX, TEXTS};

use crate::failure::Failure;
use crate::output::complain;
use crate::shutdown::Shutdown;

use host::Host;
use setup::Setup;

/// The way from the control loop to the client.
type Link = tautline_device::Link<'static, CriticalSectionRawMutex>;

/// What is received at once, and the longest message that is printed in one piece.
const RECEIVE: usize = 64 * 1024;
/// What is sent at once.
const TRANSMIT: usize = 4 * 1024;
/// How long what was not yet sent may take, after Ctrl-C.
const DRAIN: Duration = Duration::from_secs(10);

/// What the device is to do.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// Be a device, as this config.json says; certificates that it names, and the plan, lie beside it
    #[arg(long, value_name = "FILE", required = true)]
    config: Option<PathBuf>,

    /// Connect to this server instead of the one in config.json
    #[arg(long, value_name = "URL")]
    server: Option<String>,

    /// Have this client id, whatever config.json and the certificate say
    #[arg(long, value_name = "ID", value_parser = setup::client_id)]
    client_id: Option<String>,

    /// Say bare SOS, for the labs' own servers, instead of the hub's envelopes: `speaks raw` of the plan
    #[arg(long)]
    raw: bool,

    /// What is not as in the labs, a line each [default: the file plan beside config.json, if there is one]
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
}

/// Is a device until its plan is done, somebody ends it, or the server does not want it.
pub(super) async fn run(args: &Args) -> Result<ExitCode, Failure> {
    let Setup { config, plan, folder } = setup::read(args)?;
    let tls = match &config.tls {
        Some(tls) => Some(tls::open(&config.server, tls, &folder).await?),
        None => None,
    };
    let name: Option<&'static str> = tls.as_ref().and_then(|tls| tls.name.clone()).map(|name| &*name.leak());
    let shutdown = Shutdown::on_signal().map_err(|error| Failure::new(format!("cannot handle signals: {error}")))?;
    complain(format_args!("wifi {}: not joined, since a computer has its network already", config.wifi.ssid));

    // For as long as the process lives, as on a chip.
    let link: &'static Link = Box::leak(Box::new(Link::new(vec![0; OUTBOX].leak())));
    let host: &'static Host = Box::leak(Box::new(Host::new(link)));
    let texts = Box::leak(Box::new([0; TEXTS]));
    let device: &'static _ = Box::leak(Box::new(Device::new(host, &config, name, &plan, link, texts)));
    host.blink().map_err(|error| Failure::new(format!("cannot start a thread: {error}")))?;

    let clock = HostClock::new();
    // Tasks of their own: a handshake that computes for long delays neither of them.
    let control = tokio::spawn(async move { device.control(&clock).await });
    tokio::spawn(async move {
        shutdown.wait().await;
        control.abort();
        if link.is_open() {
            link.flush(&clock, clock.now() + DRAIN).await;
        }
        link.stop();
    });
    let (mut receive, mut transmit, mut message) = (vec![0; RECEIVE], vec![0; TRANSMIT], vec![0; RECEIVE]);
    let buffers = Buffers { receive: &mut receive, transmit: &mut transmit, message: &mut message };
    let stopped = match tls {
        Some(mut tls) => device.talk(&mut tls.connector, &clock, buffers).await,
        None => device.talk(&mut Tcp::new(config.server.host, config.server.port), &clock, buffers).await,
    };
    // Whoever reads the output may be slow.
    let _ = tokio::task::spawn_blocking(|| host.finish()).await;
    match stopped {
        Stopped::Asked => Ok(ExitCode::SUCCESS),
        stopped => Err(Failure::new(stopped.to_string())),
    }
}
