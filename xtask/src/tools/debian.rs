//! Debian packages: installed when apt is here and we may, else named in the remedy.

use std::process::Command;

use super::{Site, which};
use crate::outcome::Stop;

/// Makes sure that `present` holds, by installing Debian packages if it does not.
///
/// # Errors
/// `NotRun` with the command that a person would type.
pub(super) fn ensure(site: &mut Site<'_>, packages: &[&str], present: impl Fn() -> bool) -> Result<(), Stop> {
    if present() {
        return Ok(());
    }
    let names = packages.join(" ");
    let remedy = format!("sudo apt-get install -y {names}");
    if which(&["apt-get"]).is_none() {
        let hint = format!("install what Debian calls {names}, with this system's package manager");
        return Err(Stop::not_run(format!("{names} is missing and there is no apt-get here"), hint));
    }
    if !rustix::process::geteuid().is_root() {
        return Err(Stop::not_run(format!("{names} is missing and only root may install it"), remedy));
    }
    site.say(&format!("installing {names}"));
    install(site, packages).map_err(|stop| stop.unavailable(&format!("installing {names}"), &remedy))?;
    if present() {
        Ok(())
    } else {
        Err(Stop::not_run(format!("{names} is installed and still does not provide what is needed"), remedy))
    }
}

fn install(site: &mut Site<'_>, packages: &[&str]) -> Result<(), Stop> {
    if !*site.apt_updated {
        site.fetch(apt_get().arg("update"), 180)?;
        *site.apt_updated = true;
    }
    site.fetch(apt_get().args(["install", "-y", "--no-install-recommends"]).args(packages), 600)
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    // Another apt may be at work, on a freshly booted machine for instance.
    command.args(["-q", "-o", "DPkg::Lock::Timeout=120"]).env("DEBIAN_FRONTEND", "noninteractive");
    command
}
