//! `tautline serve`: the hub.

mod addresses;
mod certificates;
mod reload;
mod telemetry;

use std::process::ExitCode;

use tautline::deflate::WindowBits;
use tautline::{AddressLimits, Server};
use tautline_hub::{AppName, Hub, Keep, Sessions};
use tautline_store::Store;

use crate::config::{Config, Options, Place, Problems, Storage, WebSocket};
use crate::failure::Failure;
use crate::shutdown::Shutdown;
use crate::{listen, logging};
use certificates::Certificates;
use reload::{Hangups, follow};

const EXAMPLES: &str = "\
Examples:
  tautline serve                              for this machine, on port 8000
  tautline serve --host 0.0.0.0 --port 80     for the whole network
  tautline serve --app relay --port 9000      one app on every path
  tautline serve --origin https://example.com,https://www.example.com
  tautline serve --ssl --port 8443            wss and https, with certificates from `tautline cert`
  tautline serve --tls-port 8443              ws and http on port 8000, wss and https on this one

An option goes before its variable, and both before the file. `tautline config` shows everything that can be set.

SIGINT (Ctrl-C) or SIGTERM closes all connections with 1001 and ends; a second one ends at once. SIGHUP reads the \
certificates again.

Exit status: 0 after a signal; 1 if a port, a certificate or the store cannot be had; 2 if the command line or the \
configuration is wrong; 130 or 143 after a second signal (SIGINT, SIGTERM).";

/// Start the hub: rooms, counter, clock, hello and echo by WebSocket, a page and POST by HTTP
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    options: Options,

    /// Has no effect; command lines of uvicorn have it
    #[arg(long)]
    reload: bool,

    /// Has no effect, see --loops; command lines of uvicorn have it
    #[arg(long, value_name = "NUMBER")]
    workers: Option<u32>,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let config = Config::load(&args.options, &|name| std::env::var_os(name)).map_err(Problems::into_failure)?;
    logging::init_hub(&config.log, config.level_is_explicit());
    note(&args, &config);
    listen::raise_file_limit();
    let no_signals = |error| Failure::new(format!("cannot handle signals: {error}"));
    let shutdown = Shutdown::on_signal().map_err(no_signals)?;
    let hangups = Hangups::new().map_err(no_signals)?;

    let host = &config.listen.host;
    let certificates = config.tls.as_ref().map(|tls| Certificates::load(tls, host)).transpose()?;
    let bound = addresses::bind(&config).await?;
    let store = open_store(&config).await?;
    let ingest = match &store {
        Some(_) => telemetry::bind(&config, certificates.as_ref()).await?,
        None => None,
    };
    note_tokens(&config, store.as_ref());
    addresses::announce(&bound, &config);
    let listeners = bound.into_iter().map(|bound| bound.into_listen(certificates.as_ref()));
    let sessions = Sessions::new();
    let mut hub = hub(&config, store.clone()).sessions(&sessions);
    if let Some(ingest) = ingest {
        hub = hub.ingest(ingest);
    }
    let until = async {
        tokio::select! {
            () = shutdown.wait() => {}
            () = follow(certificates.clone(), sessions, hangups) => {}
        }
    };
    let ended = hub.run_all(listeners, until).await;
    if let Some(store) = store {
        close(store).await;
    }
    ended.map_err(|error| Failure::new(error.to_string()))?;
    Ok(ExitCode::SUCCESS)
}

/// Logs what whoever started it could wonder about.
fn note(args: &Args, config: &Config) {
    if let Some(file) = &config.file {
        let why = if file.found { " (it is here, and no other was named)" } else { "" };
        tracing::info!(file = %file.path.display(), "configuration read{why}");
    }
    if args.reload {
        tracing::info!("--reload has no effect: only certificates are read again, when they change");
    }
    if args.workers.is_some() {
        tracing::info!("--workers has no effect: --loops says how many threads carry connections");
    }
}

fn hub(config: &Config, store: Option<Store>) -> Hub {
    let WebSocket {
        ping_interval,
        ping_timeout,
        max_message,
        origins,
        send_queue,
        compression,
        compression_window,
        compression_backend,
        max_connections,
        max_connections_per_address,
        connection_rate_per_address,
        request_rate_per_address,
        loops,
    } = &config.websocket;
    let protocol = tautline::Config::new()
        .max_frame(max_message.0)
        .max_message(max_message.0)
        .ping_interval(Some(*ping_interval).filter(|interval| !interval.is_zero()))
        .pong_timeout(*ping_timeout);
    let server = Server::new()
        .config(protocol)
        .send_queue(usize::try_from(send_queue.0).unwrap_or(usize::MAX))
        .origins(origins.clone())
        .deflate_backend(*compression_backend)
        .max_connections(*max_connections)
        .address_limits(
            AddressLimits::new().connections(*max_connections_per_address).rate(*connection_rate_per_address),
        );
    let requests = AddressLimits::new().rate(*request_rate_per_address);
    let mut hub = Hub::new().server(server).rooms(config.rooms.clone()).request_limits(requests);
    // The key has just these bounds.
    hub = hub.compression(*compression, WindowBits::new(*compression_window).unwrap_or(WindowBits::MAX));
    hub = hub.insecure(config.access.insecure).require_authentication(config.access.require_authentication);
    if let Some(names) = &config.access.hosts {
        hub = hub.hosts(&names.0);
    }
    if let Some(app) = config.listen.app {
        hub = hub.only(app);
    }
    if let Some(names) = config.tls.as_ref().and_then(|tls| tls.allowed_clients.as_ref()) {
        hub = hub.allowed_clients(&names.0);
    }
    if let Some(loops) = *loops {
        hub = hub.loops(loops);
    }
    if let Some(store) = store {
        let Storage { keep_log, keep_devices, keep_readings, max_bytes, .. } = &config.store;
        let max_bytes = max_bytes.as_ref().map(|bytes| bytes.0);
        let keep = Keep { log: *keep_log, devices: *keep_devices, readings: *keep_readings, max_bytes };
        hub = hub.store(store).keep(keep);
    }
    hub
}

/// Says so where nobody can have a token.
fn note_tokens(config: &Config, store: Option<&Store>) {
    let kept = store.is_some() && config.store.path != Place::Memory;
    if config.access.require_authentication && !kept {
        tracing::warn!(
            "authentication is required, and no tokens are kept here: only clients with certificates come in"
        );
    }
}

/// Opens what the hub keeps things in.
async fn open_store(config: &Config) -> Result<Option<Store>, Failure> {
    // The other apps keep nothing: several of them can be started in the same directory.
    if !matches!(config.listen.app, None | Some(AppName::Relay | AppName::Counter)) {
        return Ok(None);
    }
    let bytes = usize::try_from(config.store.waiting_bytes.0).unwrap_or(usize::MAX);
    let settings = tautline_store::Settings::new().waiting_bytes(bytes);
    let rooms = &config.rooms;
    if config.store.path == Place::Memory && (rooms.default.durable || rooms.named.values().any(|room| room.durable)) {
        tracing::warn!("there are durable rooms, but the store is in memory: a restart forgets them");
    }
    let place = config.store.path.clone();
    let opening = tokio::task::spawn_blocking(move || match place {
        Place::Directory(directory) => {
            let store = Store::open(&directory, settings)?;
            tracing::info!(directory = %directory.display(), "store open");
            Ok(store)
        }
        Place::Memory => Store::in_memory(settings),
    });
    let opened = opening.await.map_err(|error| Failure::new(format!("cannot open the store: {error}")))?;
    let refused = |error: tautline_store::StoreError| {
        Failure::new(format!("{error} (--data names another directory, --no-store keeps nothing)"))
    };
    opened.map(Some).map_err(refused)
}

/// Waits until everything is on the disk, and closes the store: tasks that have been told to end may still have handles.
async fn close(store: Store) {
    if let Err(error) = tokio::task::spawn_blocking(move || store.close()).await {
        tracing::error!(%error, "the store was not closed well");
    }
}
