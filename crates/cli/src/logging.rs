//! What goes to standard error.

use std::io::IsTerminal;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use tracing_subscriber::EnvFilter;

use crate::config::{Choice, Log, LogFormat};

/// How much is logged.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// How much is logged to standard error [default: info; connect, device, simulate: warn]
    ///
    /// Without it the variable RUST_LOG counts, which can tell parts of the program apart
    /// (RUST_LOG=info,tautline=debug).
    // Among the options of a command, after its own.
    #[arg(
        long,
        global = true,
        env = "TAUTLINE_LOG_LEVEL",
        value_name = "LEVEL",
        hide_env_values = true,
        display_order = 100
    )]
    log_level: Option<Level>,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Choice for Level {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("off", Self::Off),
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
    // As uvicorn calls them.
    const ALIASES: &'static [(&'static str, Self)] = &[("critical", Self::Error), ("warning", Self::Warn)];
}

impl Level {
    fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(_, level)| *level == self).map_or("info", |(name, _)| name)
    }
}

impl ValueEnum for Level {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Off, Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let aliases = Self::ALIASES.iter().filter(|(_, level)| level == self);
        Some(PossibleValue::new(self.as_str()).aliases(aliases.map(|(alias, _)| *alias)))
    }
}

/// Begins to log for people. `default` is the level where nobody asked for another one.
pub(crate) fn init(args: &Args, default: &str) {
    start(args.log_level, default, false);
}

/// Begins to log as the hub's configuration says. `explicit`: whoever started it has asked for the level.
pub(crate) fn init_hub(log: &Log, explicit: bool) {
    let json = match log.format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Human => false,
        LogFormat::Json => true,
    };
    start(explicit.then_some(log.level), log.level.as_str(), json);
}

fn start(level: Option<Level>, default: &str, json: bool) {
    let filter = match level {
        Some(level) => EnvFilter::new(level.as_str()),
        None => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default)),
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(!json && std::io::stderr().is_terminal())
        // Who reads the log may be gone. That would be told with `eprintln!`, which panics then.
        .log_internal_errors(false);
    if json { log.json().flatten_event(true).init() } else { log.with_target(false).init() }
}
