//! Bringing what the suites need. A tool is looked for first and installed only when it is missing; what is installed is
//! stamped, so that it is done once. A tool that cannot be brought makes exactly the suites that need it "not run".

mod debian;
mod native;
mod node;
mod python;
mod rust;
mod stamp;

use std::{
    collections::{BTreeMap, HashMap},
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{
    checks,
    outcome::Stop,
    process::{self, Deadline, Log},
    report,
    workspace::Workspace,
};

/// Something that suites need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Tool {
    /// `cargo fmt`.
    Rustfmt,
    /// `cargo clippy`.
    Clippy,
    /// The compiler's libraries for the bare-metal targets.
    BareTargets,
    /// The compiler's libraries for other systems than this one.
    OtherSystems,
    /// cargo-deny, of a version that understands deny.toml.
    CargoDeny,
    /// A C++ compiler, for libFuzzer.
    Cxx,
    /// valgrind, for its callgrind.
    Valgrind,
    /// What the interop and Autobahn suites run: the binary, the labs, Autobahn's client.
    Binaries,
    /// The interop suites themselves, compiled outside of their budgets.
    InteropTests,
    /// A Python environment with today's peers.
    Python,
    /// A Python environment in which the labs' original servers run.
    PythonSeeds,
    /// Node and the packages of tests/peers/node.
    Node,
    /// A Chromium that runs without a screen.
    Chromium,
    /// The client and server of tests/peers/lws.
    Lws,
    /// The source of the labs' MicroPython client.
    MicroPython,
    /// Autobahn's `wstest`.
    Autobahn,
    /// QEMU for the emulated boards.
    Emulators,
    /// The images that run there.
    Firmware,
    /// Espressif's program for images.
    Esptool,
}

/// The `tautline` binary.
pub(crate) const BIN: &str = "TAUTLINE_BIN";
/// The folder with the compiled labs.
pub(crate) const EXAMPLES: &str = "TAUTLINE_EXAMPLES";
/// The program that takes our client through Autobahn's cases.
pub(crate) const AUTOBAHN_CLIENT: &str = "TAUTLINE_AUTOBAHN_CLIENT";
pub(crate) const AUTOBAHN_DEVICE_CLIENT: &str = "TAUTLINE_AUTOBAHN_DEVICE_CLIENT";
pub(crate) const AUTOBAHN_EMULATED: &str = "TAUTLINE_AUTOBAHN_EMULATED";
pub(crate) const AUTOBAHN_SERVER: &str = "TAUTLINE_AUTOBAHN_SERVER";
/// Autobahn's program.
pub(crate) const WSTEST: &str = "TAUTLINE_WSTEST";
/// The program that is an emulated board's way to the hub.
pub(crate) const RELAY: &str = "TAUTLINE_RELAY";
/// QEMU for RISC-V.
pub(crate) const QEMU_RISCV32: &str = "TAUTLINE_QEMU_RISCV32";
/// QEMU for ARM.
pub(crate) const QEMU_ARM: &str = "TAUTLINE_QEMU_ARM";
/// The Python of the environment with Espressif's program.
pub(crate) const ESPTOOL: &str = "TAUTLINE_ESPTOOL";
/// The image for the RISC-V board.
pub(crate) const SIM_RISCV: &str = "TAUTLINE_SIM_RISCV";
/// The image for the ARM board.
pub(crate) const SIM_ARM: &str = "TAUTLINE_SIM_ARM";
/// What tests try on the RISC-V board.
pub(crate) const TRIAL_RISCV: &str = "TAUTLINE_TRIAL_RISCV";
/// What tests try on the ARM board.
pub(crate) const TRIAL_ARM: &str = "TAUTLINE_TRIAL_ARM";
/// cargo-deny.
pub(crate) const CARGO_DENY: &str = "TAUTLINE_CARGO_DENY";
/// valgrind.
pub(crate) const VALGRIND: &str = "TAUTLINE_VALGRIND";
/// The Python of the environment with today's peers.
pub(crate) const PYTHON: &str = "TAUTLINE_PYTHON";
/// The Python of the environment for the labs' original servers.
pub(crate) const PYTHON_SEEDS: &str = "TAUTLINE_PYTHON_SEEDS";
/// The program `node`.
pub(crate) const NODE: &str = "TAUTLINE_NODE";
/// The folder `node_modules` with the packages of tests/peers/node.
pub(crate) const NODE_MODULES: &str = "TAUTLINE_NODE_MODULES";
/// The browser.
pub(crate) const CHROMIUM: &str = "TAUTLINE_CHROMIUM";
/// The compiled libwebsockets client.
pub(crate) const LWS_CLIENT: &str = "TAUTLINE_LWS_CLIENT";
/// The compiled libwebsockets server.
pub(crate) const LWS_SERVER: &str = "TAUTLINE_LWS_SERVER";
/// The unpacked source of the labs' MicroPython client.
pub(crate) const MICROPYTHON_CLIENT: &str = "TAUTLINE_MICROPYTHON_CLIENT";
/// The folder for screenshots and the like; always there.
pub(crate) const ARTIFACTS: &str = "TAUTLINE_ARTIFACTS";

impl Tool {
    /// The variables that tell a suite where the tool is. When whoever started this program has set all of them, nothing
    /// is looked for or installed.
    fn variables(self) -> &'static [&'static str] {
        match self {
            Tool::Rustfmt | Tool::Clippy | Tool::BareTargets | Tool::OtherSystems | Tool::Cxx | Tool::InteropTests => {
                &[]
            }
            Tool::CargoDeny => &[CARGO_DENY],
            Tool::Valgrind => &[VALGRIND],
            Tool::Binaries => {
                &[BIN, EXAMPLES, AUTOBAHN_CLIENT, AUTOBAHN_SERVER, AUTOBAHN_DEVICE_CLIENT, AUTOBAHN_EMULATED, RELAY]
            }
            Tool::Python => &[PYTHON],
            Tool::PythonSeeds => &[PYTHON_SEEDS],
            Tool::Node => &[NODE, NODE_MODULES],
            Tool::Chromium => &[CHROMIUM],
            Tool::Lws => &[LWS_CLIENT, LWS_SERVER],
            Tool::MicroPython => &[MICROPYTHON_CLIENT],
            Tool::Autobahn => &[WSTEST],
            Tool::Emulators => &[QEMU_RISCV32, QEMU_ARM],
            Tool::Firmware => &[SIM_RISCV, SIM_ARM, TRIAL_RISCV, TRIAL_ARM],
            Tool::Esptool => &[ESPTOOL],
        }
    }

    fn bring(self, site: &mut Site<'_>) -> Result<Vec<PathBuf>, Stop> {
        match self {
            Tool::Rustfmt => rust::component(site, "rustfmt", "fmt"),
            Tool::Clippy => rust::component(site, "clippy", "clippy"),
            Tool::BareTargets => rust::targets(site, checks::BARE_TARGETS),
            Tool::OtherSystems => rust::targets(site, checks::OTHER_SYSTEMS),
            Tool::CargoDeny => rust::cargo_deny(site),
            Tool::Cxx => native::cxx(site),
            Tool::Valgrind => native::valgrind(site),
            Tool::Binaries => rust::binaries(site),
            Tool::InteropTests => rust::interop_tests(site),
            Tool::Python => python::peers(site),
            Tool::PythonSeeds => python::seeds(site),
            Tool::Node => node::packages(site),
            Tool::Chromium => native::chromium(site),
            Tool::Lws => native::lws(site),
            Tool::MicroPython => python::micropython_client(site),
            Tool::Autobahn => python::autobahn(site),
            Tool::Emulators => native::emulators(site),
            Tool::Firmware => rust::firmware(site),
            Tool::Esptool => python::esptool(site),
        }
    }
}

/// The names and values of a tool's variables.
type Provided = BTreeMap<&'static str, OsString>;

/// The tools that were asked for so far, and what became of them.
#[derive(Default)]
pub(crate) struct Toolbox {
    known: HashMap<Tool, Result<Provided, Stop>>,
    apt_updated: bool,
}

impl Toolbox {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Makes sure that a tool is there, once, and tells where.
    ///
    /// # Errors
    /// `NotRun` when it is not there and could not be brought; `Failed` when the tree is at fault.
    pub(crate) fn provide(&mut self, workspace: &Workspace, tool: Tool) -> Result<Provided, Stop> {
        if let Some(known) = self.known.get(&tool) {
            return known.clone();
        }
        let provided = self.bring(workspace, tool);
        // An interruption says nothing about the tool, but nothing will ask again either.
        self.known.insert(tool, provided.clone());
        provided
    }

    fn bring(&mut self, workspace: &Workspace, tool: Tool) -> Result<Provided, Stop> {
        let names = tool.variables();
        let given: Provided = names.iter().filter_map(|name| Some((*name, env::var_os(name)?))).collect();
        if !names.is_empty() && given.len() == names.len() {
            return Ok(given);
        }
        let name = format!("{tool:?}").to_lowercase();
        let log = Log::create(workspace.log(&format!("tool-{name}")))?;
        let start = Instant::now();
        let mut site = Site { workspace, log, name, apt_updated: &mut self.apt_updated };
        let places = match tool.bring(&mut site) {
            Err(stop @ (Stop::Failed(_) | Stop::OverBudget(_))) => {
                report::print_end(&site.log);
                return Err(stop);
            }
            brought => brought?,
        };
        if start.elapsed() > Duration::from_secs(1) {
            println!("        {} is ready after {}", site.name, report::time(start.elapsed()));
        }
        let found = names.iter().copied().zip(places.into_iter().map(PathBuf::into_os_string));
        Ok(found.chain(given).collect())
    }
}

/// Where one tool is being brought.
struct Site<'a> {
    workspace: &'a Workspace,
    log: Log,
    name: String,
    apt_updated: &'a mut bool,
}

impl Site<'_> {
    /// Says what is about to take a while.
    fn say(&self, what: &str) {
        self.log.note(what);
        println!("        {}: {what}", self.name);
    }

    /// Where this tool may keep its things below the target directory.
    fn dir(&self, name: &str) -> PathBuf {
        self.workspace.state().join("tools").join(name)
    }

    /// Runs one step that stays on this machine.
    fn run(&self, command: &mut Command, seconds: u64) -> Result<(), Stop> {
        process::run(command, &self.log, Deadline::after(Duration::from_secs(seconds)))
    }

    /// Runs one step that fetches something, and once more when that fails: registries have their moments.
    fn fetch(&self, command: &mut Command, seconds: u64) -> Result<(), Stop> {
        match self.run(command, seconds) {
            Err(Stop::Failed(_)) => {
                self.log.note("once more, in case it was the network");
                thread::sleep(Duration::from_secs(3));
                self.run(command, seconds)
            }
            done => done,
        }
    }
}

/// The first program of these names on the PATH.
fn which(names: &[&str]) -> Option<PathBuf> {
    names.iter().find_map(|name| all_on_path(name).next())
}

/// Every program of this name on the PATH, in its order.
fn all_on_path(name: &str) -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let candidates: Vec<PathBuf> = env::split_paths(&path).map(|dir| dir.join(name)).collect();
    candidates.into_iter().filter(|candidate| is_program(candidate))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
