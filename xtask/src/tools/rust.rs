//! Parts of the toolchain, cargo-deny, and the workspace's own binaries.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Site, which};
use crate::{firmware, outcome::Stop, process};

/// Its configuration format changes between minor versions: deny.toml is written for this one.
const DENY_VERSION: &str = "0.20.2";

/// A component that cargo knows as a subcommand.
pub(super) fn component(site: &mut Site<'_>, component: &str, subcommand: &str) -> Result<Vec<PathBuf>, Stop> {
    if !process::succeeds(&mut site.workspace.cargo(&[subcommand, "--version"])) {
        rustup(site, &["component", "add", component])?;
    }
    Ok(vec![])
}

/// The compiled core library of the bare-metal targets.
pub(super) fn targets(site: &mut Site<'_>, wanted: &[&'static str]) -> Result<Vec<PathBuf>, Stop> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "sysroot"]).current_dir(&site.workspace.root);
    let sysroot = PathBuf::from(process::quick_output(&mut rustc).unwrap_or_default().trim());
    // Asked of the file system, so that a toolchain that did not come from rustup counts too.
    let missing = |target: &&&str| !sysroot.join("lib/rustlib").join(target).join("lib").is_dir();
    let missing: Vec<&str> = wanted.iter().filter(missing).copied().collect();
    if !missing.is_empty() {
        rustup(site, &[&["target", "add"], &missing[..]].concat())?;
    }
    Ok(vec![])
}

/// cargo-deny from the PATH if it is the right one, else compiled once and kept in the user's cache, where a new clone or
/// a `cargo clean` finds it again.
pub(super) fn cargo_deny(site: &mut Site<'_>) -> Result<Vec<PathBuf>, Stop> {
    let program = Path::new("bin").join("cargo-deny");
    let folder = format!("cargo-deny-{DENY_VERSION}");
    let cached = user_cache().map(|cache| cache.join("tautline-tools").join(&folder));
    let local = site.workspace.target.join("tools").join(&folder);
    let places = [which(&["cargo-deny"]), cached.as_ref().map(|dir| dir.join(&program)), Some(local.join(&program))];
    if let Some(found) = places.into_iter().flatten().find(|place| is_our_deny(place)) {
        return Ok(vec![found]);
    }

    site.say("compiling cargo-deny (minutes, the first time on this machine)");
    let root = cached.filter(|dir| fs::create_dir_all(dir).is_ok()).unwrap_or(local);
    let mut install = site.workspace.cargo(&["install", "--quiet", "--locked", "--force", "--version", DENY_VERSION]);
    install
        .arg("cargo-deny")
        .arg("--root")
        .arg(&root)
        .arg("--target-dir")
        .arg(site.workspace.target.join("tools/build"));
    // It runs for a second and compiles for minutes: compile it fast instead of making it fast.
    install.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1").env("CARGO_PROFILE_RELEASE_LTO", "false");
    install.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16").env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    let remedy = format!("cargo install --locked cargo-deny@{DENY_VERSION}");
    site.fetch(&mut install, 900).map_err(|stop| stop.unavailable("installing cargo-deny", remedy))?;
    Ok(vec![root.join(program)])
}

/// Builds what the interop and Autobahn suites run. What does not build is the tree's fault.
pub(super) fn binaries(site: &mut Site<'_>) -> Result<Vec<PathBuf>, Stop> {
    site.say("building the binaries");
    let mut build = site.workspace.cargo(&["build", "--locked", "--profile", "interop", "--workspace"]);
    build.args(["--exclude", "xtask", "--features", "tautline-conformance/peers", "--bins", "--examples"]);
    site.run(&mut build, 1800)?;
    let built = site.workspace.target.join("interop");
    let programs = [
        "tautline",
        "examples",
        "autobahn-client",
        "autobahn-server",
        "autobahn-device-client",
        "autobahn-emulated",
        "relay",
    ];
    Ok(programs.iter().map(|name| built.join(name)).collect())
}

/// Compiles the tests that the interop suites run.
pub(super) fn interop_tests(site: &mut Site<'_>) -> Result<Vec<PathBuf>, Stop> {
    site.say("compiling the interop tests");
    let mut tests = site.workspace.cargo(&["test", "--no-run", "--locked", "--package", "tautline-conformance"]);
    site.run(tests.args(["--features", "peers", "--tests"]), 1200)?;
    Ok(vec![])
}

/// Builds the images that the emulated boards run.
pub(super) fn firmware(site: &mut Site<'_>) -> Result<Vec<PathBuf>, Stop> {
    site.say("building the firmware");
    firmware::build_emulated(site.workspace, |build| site.run(build, 480))
}

fn rustup(site: &Site<'_>, args: &[&str]) -> Result<(), Stop> {
    let remedy = format!("rustup {}", args.join(" "));
    if which(&["rustup"]).is_none() {
        return Err(Stop::not_run(
            format!("the toolchain lacks {} and there is no rustup here", args[2..].join(", ")),
            remedy,
        ));
    }
    site.say(&remedy);
    let mut command = Command::new("rustup");
    command.args(args).current_dir(&site.workspace.root);
    site.fetch(&mut command, 300).map_err(|stop| stop.unavailable(&remedy, &remedy))
}

fn is_our_deny(program: &Path) -> bool {
    let version = process::quick_output(Command::new(program).arg("--version")).unwrap_or_default();
    version.trim() == format!("cargo-deny {DENY_VERSION}")
}

/// Where programs may keep what they can make again.
fn user_cache() -> Option<PathBuf> {
    let given = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    given.or_else(|| env::home_dir().map(|home| home.join(".cache")))
}
