//! Compilers, the browser, and the C peers.

use std::{path::PathBuf, process::Command};

use super::{Site, debian, stamp::stamped, which};
use crate::{outcome::Stop, process};

pub(super) fn cxx(site: &mut Site<'_>) -> Result<Vec<PathBuf>, Stop> {
    debian::ensure(site, &["g++"], || which(&["c++", "g++", "clang++"]).is_some())?;
    Ok(vec![])
}

pub(super) fn valgrind(site: &mut Site<'_>) -> Result<Vec<PathBuf>, Stop> {
    let find = || which(&["valgrind"]);
    debian::ensure(site, &["valgrind"], || find().is_some())?;
    Ok(find().into_iter().collect())
}

pub(super) fn chromium(site: &mut Site<'_>) -> Result<Vec<PathBuf>, Stop> {
    let find = || which(&["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]);
    debian::ensure(site, &["chromium"], || find().is_some())?;
    Ok(find().into_iter().collect())
}

pub(super) fn emulators(site: &mut Site<'_>) -> Result<Vec<PathBuf>, Stop> {
    let find = || (which(&["qemu-system-riscv32"]), which(&["qemu-system-arm"]));
    debian::ensure(site, &["qemu-system-misc", "qemu-system-arm"], || matches!(find(), (Some(_), Some(_))))?;
    let (riscv32, arm) = find();
    Ok(riscv32.into_iter().chain(arm).collect())
}

/// Compiles tests/peers/lws/{client,server}.c.
pub(super) fn lws(site: &mut Site<'_>) -> Result<Vec<PathBuf>, Stop> {
    debian::ensure(site, &["gcc", "libc6-dev"], || which(&["cc"]).is_some())?;
    debian::ensure(site, &["pkg-config"], || which(&["pkg-config"]).is_some())?;
    debian::ensure(site, &["libwebsockets-dev"], || pkg_config("--exists").is_some())?;

    let version = pkg_config("--modversion").unwrap_or_default();
    let flags = pkg_config("--cflags --libs")
        .ok_or_else(|| Stop::not_run("pkg-config does not know libwebsockets", "pkg-config --libs libwebsockets"))?;
    let programs = ["client", "server"];
    let dir = site.dir("lws");
    let mut recipe = format!("libwebsockets {version}{flags}");
    for program in programs {
        recipe += &site.workspace.read(&source(program))?;
    }
    // A compiler error is the tree's fault, so it stays a failure.
    stamped(&dir, &recipe, || {
        programs.iter().try_for_each(|program| {
            let mut cc = Command::new("cc");
            cc.args(["-O2", "-Wall", "-Wextra", "-o"]).arg(dir.join(program)).arg(source(program));
            site.run(cc.args(flags.split_whitespace()).current_dir(&site.workspace.root), 60)
        })
    })?;
    Ok(programs.iter().map(|program| dir.join(program)).collect())
}

fn source(program: &str) -> String {
    format!("tests/peers/lws/{program}.c")
}

fn pkg_config(question: &str) -> Option<String> {
    process::quick_output(Command::new("pkg-config").args(question.split(' ')).arg("libwebsockets"))
}
