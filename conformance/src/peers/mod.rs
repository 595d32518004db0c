//! Other people's programs: starting them, telling them what to do, and what they need.
//!
//! The programs are those of `tests/peers`. Where interpreters and compiled programs are, the `TAUTLINE_*` variables say
//! that `cargo xtask test --only SUITE` sets; [`tool`] reads them. Everything here is for tests: what goes wrong panics,
//! with the output of the program that it went wrong with. Every wait has a deadline, and nothing that was started
//! outlives its handle or the test's process.

mod browser;
mod cable;
mod certificates;
mod driver;
mod emulator;
mod http;
mod hub;
mod messages;
mod micropython;
mod neighbour;
mod ours;
mod ports;
mod process;
mod project;
mod scratch;
mod told;

/// What is tested with every client that can be told what to do, and every echo server.
pub mod scenarios;

/// Clients that speak TLS, which show certificates and check them.
pub mod secure;

use std::env;
use std::ffi::OsString;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use browser::{Browser, regex};
pub use cable::Cable;
pub use certificates::Certificates;
pub use driver::{Driver, hex, unhex};
pub use emulator::{Board, Emulator, Image};
pub use http::{Answer, request};
pub use hub::{Hub, bin, patient};
pub use messages::{LENGTHS, binary, messages, text};
pub use micropython::Controller;
pub use ours::{End, Ours};
pub use ports::{Port, lasting_port, udp};
pub use process::Process;
pub use project::{Project, on_path};
pub use scratch::Scratch;
pub use told::{Client, Language, Received};

/// How long anything may take that does not say otherwise: what is measured is whether it happens, on however busy a machine.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The value of one of the variables that say where the tools are.
///
/// # Panics
///
/// If it is not set.
#[track_caller]
pub fn tool(variable: &str) -> OsString {
    env::var_os(variable).unwrap_or_else(|| {
        panic!("{variable} is not set; `cargo xtask test --only SUITE` installs what is needed and sets it")
    })
}

/// A file below `tests/peers`.
pub fn peer(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("tests/peers").join(path)
}

/// Where a screenshot or the like is kept.
///
/// # Panics
///
/// If the folder is not there and cannot be made.
pub fn artifact(name: &str) -> PathBuf {
    let folder = env::var_os("TAUTLINE_ARTIFACTS").map_or_else(env::temp_dir, PathBuf::from);
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    folder.join(name)
}

/// What the future gives, which has to come within [`DEADLINE`].
///
/// # Panics
///
/// If it does not.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    within_time(DEADLINE, what, future).await
}

/// What the future gives, which has to come within this time.
///
/// # Panics
///
/// If it does not.
pub async fn within_time<T>(time: Duration, what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(time, future).await {
        Ok(value) => value,
        Err(_) => panic!("not within {time:?}: {what}"),
    }
}
