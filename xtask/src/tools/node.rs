//! Node and the packages of the peers.

use std::{fs, path::PathBuf, process::Command};

use super::{Site, debian, stamp::stamped, which};
use crate::{outcome::Stop, process};

/// What the peers' scripts are written for.
const OLDEST_NODE: u32 = 18;
const MANIFESTS: &str = "tests/peers/node";

/// Installs exactly what the committed lock file says, outside the source tree.
pub(super) fn packages(site: &mut Site<'_>) -> Result<Vec<PathBuf>, Stop> {
    let programs = || Some((which(&["node", "nodejs"])?, which(&["npm"])?));
    debian::ensure(site, &["nodejs", "npm"], || programs().is_some())?;
    let (node, npm) = programs().ok_or_else(|| Stop::Failed("node has just been there".into()))?;
    let version = process::quick_output(Command::new(&node).arg("--version")).unwrap_or_default();
    if major(&version).is_none_or(|major| major < OLDEST_NODE) {
        let reason = format!("node {} is too old (or does not start)", version.trim());
        return Err(Stop::not_run(reason, format!("install Node {OLDEST_NODE} or newer")));
    }

    let files = ["package.json", "package-lock.json"];
    let dir = site.dir("node");
    let texts: Vec<String> =
        files.iter().map(|file| site.workspace.read(&format!("{MANIFESTS}/{file}"))).collect::<Result<_, _>>()?;
    let recipe = format!("node {version}{}", texts.concat());
    stamped(&dir, &recipe, || {
        site.say("installing Node packages");
        for (file, text) in files.iter().zip(&texts) {
            fs::write(dir.join(file), text)?;
        }
        let mut install = Command::new(&npm);
        // None of the packages needs its install script to run.
        install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&dir);
        site.fetch(&mut install, 300).map_err(|stop| stop.unavailable("npm ci", "cargo xtask test --only node"))
    })?;
    Ok(vec![node, dir.join("node_modules")])
}

fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_node_prints() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major(""), None);
    }
}
