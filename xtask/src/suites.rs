//! The table of suites: what `cargo xtask test` runs, in this order, the fast ones first.

use std::time::Duration;

use crate::{
    autobahn, checks, features, firmware, fuzz, instructions, interop,
    job::Job,
    outcome::Outcome,
    tools::Tool::{self, *},
};

/// One row of the final table.
pub(crate) struct Suite {
    /// How `--only` and the table call it.
    pub(crate) name: &'static str,
    /// What it proves, for `--list`.
    pub(crate) what: &'static str,
    /// Seconds that it may take, without the provisioning of its tools: usually, and with `--full`.
    pub(crate) budget: (u64, u64),
    /// What must be on the machine, or be brought there, before it starts.
    pub(crate) needs: &'static [Tool],
    /// Runs only with `--full`.
    pub(crate) full_only: bool,
    /// The suite itself. What it returns goes into the table.
    pub(crate) run: fn(&Job<'_>) -> Outcome,
}

impl Suite {
    pub(crate) fn budget(&self, full: bool) -> Duration {
        Duration::from_secs(if full { self.budget.1 } else { self.budget.0 })
    }
}

/// Every suite there is.
#[rustfmt::skip] // one column per field
pub(crate) const ALL: &[Suite] = &[
    suite("fmt", "rustfmt has nothing to change", 60, &[Rustfmt], checks::fmt),
    suite("unit", "every unit, integration and documentation test of the workspace", 1500, &[], checks::unit),
    suite("clippy", "no lint anywhere, all targets and features", 1200, &[Clippy], checks::clippy),
    suite("docs", "the documentation builds without a warning", 900, &[], checks::docs),
    suite("instructions", "the core's work takes no more instructions than its baseline (+5 %)", 300, &[Valgrind], instructions::suite),
    suite("no-std", "the core, and what devices are made of, build for riscv32imc and thumbv7m", 500, &[BareTargets], checks::no_std),
    suite("other-systems", "the engine compiles for Windows and macOS", 180, &[OtherSystems], checks::other_systems),
    suite("features", "the libraries build with every set of features", 900, &[Clippy], features::suite),
    suite("deny", "licences, sources and duplicates of the dependencies", 120, &[CargoDeny], checks::deny),
    suite("advisories", "no dependency has a known vulnerability", 180, &[CargoDeny], checks::advisories),
    Suite { name: "crash", what: "the hub is killed 30 times (--full: 200) under load, and 10 times (67) under a fleet on a bad network: nothing acknowledged is lost, no reading is there twice", budget: (600, 3000), needs: &[Binaries, InteropTests], full_only: false, run: interop::crash },
    suite("python", "Python websockets, today's, both directions", 180, &[Binaries, InteropTests, Python], interop::python),
    suite("seeds", "the labs' original programs, both directions", 180, &[Binaries, InteropTests, Python, PythonSeeds], interop::seeds),
    suite("node", "Node's ws, both directions", 120, &[Binaries, InteropTests, Node], interop::node),
    suite("lws", "libwebsockets, both directions", 120, &[Binaries, InteropTests, Lws], interop::lws),
    suite("small-server", "the small server for chips, on this machine: libwebsockets, Python, Node, a browser", 180, &[Binaries, InteropTests, Python, Node, Lws, Chromium], interop::small_server),
    suite("fastapi", "FastAPI on uvicorn, both directions", 120, &[Binaries, InteropTests, Python], interop::fastapi),
    suite("browser", "the real pages in headless Chromium", 240, &[Binaries, InteropTests, Python, PythonSeeds, Node, Chromium], interop::browser),
    suite("dashboard", "the hub's page in two headless Chromiums, with devices", 240, &[Binaries, InteropTests, Python, Node, Chromium], interop::dashboard),
    suite("micropython", "the labs' MicroPython client in a MicroPython VM", 120, &[Binaries, InteropTests, Node, MicroPython], interop::micropython),
    suite("device", "the device's client against Python websockets, FastAPI and the hub, also with sensor data", 240, &[Binaries, InteropTests, Python], interop::device),
    suite("device-command", "the device's application on this machine, with the labs' config.json, against the hub and the labs' server", 180, &[Binaries, InteropTests, Python], interop::device_command),
    suite("tls", "wss and https with the labs' command lines, certificates of both sides, other people's clients", 240, &[Binaries, InteropTests, Python, Node, MicroPython], interop::tls),
    Suite { name: "autobahn-server", what: "337 of Autobahn's cases (--full: all 517) against our servers, with compression, and the 301 core ones against the small server", budget: (600, 6000), needs: &[Binaries, Autobahn], full_only: false, run: autobahn::server },
    Suite { name: "autobahn-client", what: "337 of Autobahn's cases (--full: all 517) against our clients, the device's too, with compression", budget: (600, 4000), needs: &[Binaries, Autobahn], full_only: false, run: autobahn::client },
    suite("firmware-clippy", "no lint in the firmware", 900, &[Clippy, BareTargets], firmware::clippy),
    suite("firmware-sizes", "every firmware image builds, can be flashed, and is not larger than its budget and the committed sizes (+3 %)", 900, &[BareTargets, Esptool], firmware::sizes),
    suite("firmware-riscv", "the device on an emulated RISC-V board against the hub, and its small server", 480, &[Binaries, InteropTests, BareTargets, Emulators, Firmware, Python], firmware::riscv),
    suite("firmware-arm", "the same on an emulated Cortex-M3 with 64 KB of RAM", 480, &[Binaries, InteropTests, BareTargets, Emulators, Firmware, Python], firmware::arm),
    suite("firmware-autobahn", "239 of Autobahn's cases against the device's client and the small server on both emulated boards", 480, &[Binaries, BareTargets, Emulators, Firmware, Autobahn], autobahn::emulated),
    Suite { name: "fuzz", what: "every fuzz target for 20 s (--full: 5 min) from its seeds", budget: (600, 5400), needs: &[Cxx], full_only: false, run: fuzz::suite },
];

/// What `cargo xtask instructions --write` runs.
pub(crate) const INSTRUCTIONS_BASELINE: Suite = suite(
    "instructions-baseline",
    "writes the baseline of the instruction counts",
    300,
    &[Valgrind],
    instructions::write,
);

/// What `cargo xtask firmware --bless` runs first.
pub(crate) const FIRMWARE_BLESS: Suite =
    suite("firmware-bless", "commits the sizes of the firmware's images", 900, &[BareTargets], firmware::bless);

/// A suite that takes as long with `--full` as without.
const fn suite(
    name: &'static str,
    what: &'static str,
    seconds: u64,
    needs: &'static [Tool],
    run: fn(&Job<'_>) -> Outcome,
) -> Suite {
    Suite { name, what, budget: (seconds, seconds), needs, full_only: false, run }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_make_file_names() {
        let mut seen = HashSet::new();
        for suite in ALL {
            assert!(seen.insert(suite.name), "{} is there twice", suite.name);
            assert!(suite.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", suite.name);
        }
    }
}
