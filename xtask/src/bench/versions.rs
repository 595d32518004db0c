//! Which version of each peer was measured: as its lock file says.

use std::process::Command;

use serde_json::{Map, Value};

use super::peers::{Peer, Version};
use crate::{process::quick_output, workspace::Workspace};

/// The versions by the peers' names.
pub(crate) fn of<'a>(workspace: &Workspace, peers: impl Iterator<Item = &'a Peer>) -> Map<String, Value> {
    let version = |peer: &Peer| match peer.version {
        Version::Commit => commit(workspace),
        Version::Crate(name) => {
            let lock = workspace.read("bench/Cargo.lock").ok()?;
            Some(format!("{name} {}", in_cargo_lock(&lock, name)?))
        }
        Version::Npm(name) => {
            let lock = workspace.read("bench/peers/node/package-lock.json").ok()?;
            let node = quick_output(Command::new("node").arg("--version")).unwrap_or_default();
            Some(format!("{name} {}, Node {}", in_package_lock(&lock, name)?, node.trim().trim_start_matches('v')))
        }
        Version::Python(names) => {
            let pins = workspace.read("bench/peers/python/requirements.txt").ok()?;
            let versions = names.iter().filter_map(|name| Some(format!("{name} {}", in_requirements(&pins, name)?)));
            Some(versions.collect::<Vec<_>>().join(", "))
        }
        Version::PkgConfig(name) => Some(format!(
            "{name} {}",
            quick_output(Command::new("pkg-config").args(["--modversion", name]))?.trim().trim_end_matches('-')
        )),
        Version::None => None,
    };
    peers.map(|peer| (peer.name.to_owned(), version(peer).map_or_else(|| "-".into(), Value::from))).collect()
}

/// The commit, and whether the crates differ from it.
fn commit(workspace: &Workspace) -> Option<String> {
    let git = |arguments: &[&str]| quick_output(Command::new("git").args(arguments).current_dir(&workspace.root));
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    let changed = !git(&["status", "--porcelain", "crates"])?.trim().is_empty();
    Some(format!("commit {}{}", commit.trim(), if changed { " with changes" } else { "" }))
}

fn in_cargo_lock(lock: &str, name: &str) -> Option<String> {
    let quoted = |line: &str| Some(line.split('"').nth(1)?.to_owned());
    let mut lines = lock.lines().skip_while(|line| *line != format!("name = \"{name}\""));
    lines.next()?;
    lines.next().filter(|line| line.starts_with("version = ")).and_then(quoted)
}

fn in_package_lock(lock: &str, name: &str) -> Option<String> {
    let lock: Value = serde_json::from_str(lock).ok()?;
    Some(lock["packages"][format!("node_modules/{name}")]["version"].as_str()?.to_owned())
}

fn in_requirements(pins: &str, name: &str) -> Option<String> {
    Some(pins.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("=="))?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_every_kind_of_lock_file() {
        let cargo =
            "[[package]]\nname = \"yawc-x\"\nversion = \"9\"\n\n[[package]]\nname = \"yawc\"\nversion = \"0.5.0\"\n";
        assert_eq!(in_cargo_lock(cargo, "yawc").as_deref(), Some("0.5.0"));
        assert_eq!(in_cargo_lock(cargo, "ws"), None);
        let npm = r#"{ "packages": { "node_modules/ws": { "version": "8.23.0" } } }"#;
        assert_eq!(in_package_lock(npm, "ws").as_deref(), Some("8.23.0"));
        let pins = "uvicorn==0.54.0\nuvloop==0.23.0\n";
        assert_eq!(in_requirements(pins, "uvloop").as_deref(), Some("0.23.0"));
        assert_eq!(in_requirements(pins, "uv"), None);
    }
}
