//! What goes to standard error.

use std::io::IsTerminal;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use tracing_subscriber::EnvFilter;

/// How much is logged.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// How much is logged to standard error [default: info; connect: warn]
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

#[derive(Clone, Copy, Debug)]
enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl ValueEnum for Level {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Off, Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let value = PossibleValue::new(self.as_str());
        Some(match self {
            // As uvicorn calls them.
            Self::Error => value.alias("critical"),
            Self::Warn => value.alias("warning"),
            _ => value,
        })
    }
}

/// Begins to log. `default` is the level where nobody asked for another one.
pub(crate) fn init(args: &Args, default: &str) {
    let filter = match args.log_level {
        Some(level) => EnvFilter::new(level.as_str()),
        None => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default)),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // Who reads the log may be gone. That would be told with `eprintln!`, which panics then.
        .log_internal_errors(false)
        .init();
}
