//! Making the peers and the load generator. A peer that cannot be made is left out, loudly.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;

use super::peers::{Peer, Program};
use crate::{
    outcome::Stop,
    process::{self, Deadline, Log},
    tools::{NODE, PYTHON, Tool, Toolbox},
    workspace::{Workspace, fresh_dir},
};

const MANIFEST: &str = "bench/Cargo.toml";
const PEERS: &str = "bench/peers";

/// A program and its first arguments; the port follows.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) words: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
}

/// Makes things once.
pub(crate) struct Builder<'a> {
    workspace: &'a Workspace,
    tools: Toolbox,
    log: Log,
    /// The target directory of the benchmarks' workspace.
    pub(crate) target: PathBuf,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(workspace: &'a Workspace) -> Result<Self, Stop> {
        let metadata = workspace.metadata(&workspace.root.join(MANIFEST))?;
        let target = metadata["target_directory"].as_str().unwrap_or("bench/target").into();
        Ok(Self { workspace, tools: Toolbox::new(), log: Log::create(workspace.log("bench-build"))?, target })
    }

    /// The load generator.
    pub(crate) fn load_generator(&mut self) -> Result<PathBuf, Stop> {
        println!("building the load generator and the peers; log: {}", self.log.path().display());
        self.cargo_build(&["loadgen"])?;
        Ok(self.built("loadgen"))
    }

    /// A benchmark that is about no peers.
    pub(crate) fn alone(&self, package: &str) -> Result<PathBuf, Stop> {
        self.cargo_build(&[package])?;
        Ok(self.built(package))
    }

    /// Makes what cargo builds, at once; what fails here fails again, alone, when it is launched.
    pub(crate) fn build_together(&mut self, peers: &[&Peer]) -> Result<(), Stop> {
        let mut packages: Vec<&str> = peers
            .iter()
            .filter_map(|peer| match peer.program {
                Program::Cargo(package) if self.has(package) => Some(package),
                _ => None,
            })
            .collect();
        packages.dedup();
        match self.cargo_build(&packages) {
            Err(Stop::Interrupted) => Err(Stop::Interrupted),
            _ => Ok(()),
        }
    }

    /// Makes a peer, unless that is done, and tells how to start it.
    pub(crate) fn launch(&mut self, peer: &Peer) -> Result<Launch, Stop> {
        let program = |path: PathBuf| Ok(Launch { words: vec![word(&path)], env: vec![] });
        let mut launch = match peer.program {
            Program::Cargo(package) if !self.has(package) => {
                let folder = folder_of(package).display().to_string();
                return Err(Stop::not_run(format!("there is no {folder} yet"), format!("write {folder}")));
            }
            Program::Cargo(package) => self.cargo_build(&[package]).and_then(|()| program(self.built(package))),
            Program::Uwebsockets => self.uwebsockets().and_then(program),
            Program::Libwebsockets => self.libwebsockets().and_then(program),
            Program::Node => self.node(),
            Program::Python(script) => self.python(script),
        }?;
        launch.env.extend(peer.env.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        Ok(launch)
    }

    fn has(&self, package: &str) -> bool {
        self.workspace.root.join(folder_of(package)).join("Cargo.toml").is_file()
    }

    fn built(&self, package: &str) -> PathBuf {
        self.target.join("release").join(package)
    }

    fn cargo_build(&self, packages: &[&str]) -> Result<(), Stop> {
        let mut build = self.workspace.cargo(&["build", "--release", "--locked", "--manifest-path", MANIFEST]);
        for package in packages {
            build.args(["--package", package]);
        }
        self.run(&mut build, 1800)
    }

    /// Compiles uWebSockets, whose source a crate carries, with the options of its own makefile.
    fn uwebsockets(&mut self) -> Result<PathBuf, Stop> {
        self.tools.provide(self.workspace, Tool::Cxx)?;
        let source = self.source_of("libuwebsockets-sys")?.join("uWebSockets");
        let server = format!("{PEERS}/uwebsockets/server.cpp");
        let recipe = format!("{}\n{}", source.display(), self.workspace.read(&server)?);
        let dir = self.target.join("peers/uwebsockets");
        made_from(&dir, &recipe, || {
            let usockets = source.join("uSockets/src");
            let mut c = Command::new("cc");
            c.args(["-std=c11", "-O3", "-flto", "-march=native", "-DLIBUS_NO_SSL", "-c", "-I"]).arg(&usockets);
            for file in ["bsd.c", "context.c", "loop.c", "socket.c", "udp.c", "eventing/epoll_kqueue.c"] {
                c.arg(usockets.join(file));
            }
            self.run(c.current_dir(&dir), 120)?;
            let mut cxx = Command::new("c++");
            cxx.args(["-std=c++20", "-O3", "-flto", "-march=native", "-DLIBUS_NO_SSL", "-DUWS_NO_ZLIB", "-pthread"]);
            cxx.arg("-I").arg(source.join("src")).arg("-I").arg(&usockets).args(["-o", "server"]);
            cxx.arg(self.workspace.root.join(&server));
            cxx.args(["bsd.o", "context.o", "loop.o", "socket.o", "udp.o", "epoll_kqueue.o"]);
            self.run(cxx.current_dir(&dir), 300)
        })?;
        Ok(dir.join("server"))
    }

    /// Where cargo keeps the source of a crate of the lock file.
    fn source_of(&self, name: &str) -> Result<PathBuf, Stop> {
        self.run(&mut self.workspace.cargo(&["fetch", "--locked", "--manifest-path", MANIFEST]), 600)?;
        let arguments = ["metadata", "--format-version=1", "--locked", "--offline", "--manifest-path", MANIFEST];
        let text = process::quick_output(&mut self.workspace.cargo(&arguments)).unwrap_or_default();
        let metadata: Value = serde_json::from_str(&text).unwrap_or_default();
        let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
        let manifest =
            packages.iter().find(|package| package["name"] == name).and_then(|p| p["manifest_path"].as_str());
        let folder = manifest.and_then(|manifest| Path::new(manifest).parent());
        folder.map(Path::to_path_buf).ok_or_else(|| Stop::Failed(format!("cargo metadata does not know {name}")))
    }

    fn libwebsockets(&mut self) -> Result<PathBuf, Stop> {
        // It brings the library; its own programs are not needed here.
        self.tools.provide(self.workspace, Tool::Lws)?;
        let server = self.workspace.root.join(PEERS).join("libwebsockets/server.c");
        let flags = process::quick_output(Command::new("pkg-config").args(["--cflags", "--libs", "libwebsockets"]))
            .ok_or_else(|| {
                Stop::not_run("pkg-config does not know libwebsockets", "apt-get install libwebsockets-dev")
            })?;
        let dir = self.target.join("peers/libwebsockets");
        made_from(&dir, &format!("{flags}{}", fs::read_to_string(&server)?), || {
            let mut cc = Command::new("cc");
            cc.args(["-O3", "-Wall", "-Wextra", "-o"]).arg(dir.join("server")).arg(&server);
            self.run(cc.args(flags.split_whitespace()), 60)
        })?;
        Ok(dir.join("server"))
    }

    fn node(&mut self) -> Result<Launch, Stop> {
        let node = self.tools.provide(self.workspace, Tool::Node)?[NODE].to_string_lossy().into_owned();
        let files = ["package.json", "package-lock.json", "server.cjs"];
        let texts: Vec<String> =
            files.iter().map(|file| self.workspace.read(&format!("{PEERS}/node/{file}"))).collect::<Result<_, _>>()?;
        let dir = self.target.join("peers/node");
        made_from(&dir, &texts.concat(), || {
            for (file, text) in files.iter().zip(&texts) {
                fs::write(dir.join(file), text)?;
            }
            // The native code comes compiled; no package has to run anything.
            let mut npm = Command::new("npm");
            npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&dir);
            self.run(&mut npm, 300).map_err(|stop| stop.unavailable("npm ci", "cargo xtask bench --peers node-ws"))
        })?;
        Ok(Launch { words: vec![node, word(&dir.join("server.cjs"))], env: vec![] })
    }

    fn python(&mut self, script: &str) -> Result<Launch, Stop> {
        // An interpreter that can make environments; the packages in its own are older, and have no uvloop.
        let python = self.tools.provide(self.workspace, Tool::Python)?[PYTHON].clone();
        let requirements = self.workspace.read(&format!("{PEERS}/python/requirements.txt"))?;
        let dir = self.target.join("peers/python");
        made_from(&dir, &requirements, || {
            let make = || {
                self.run(Command::new(&python).args(["-m", "venv"]).arg(&dir), 120)?;
                let mut pip = Command::new(dir.join("bin/python"));
                pip.args(["-m", "pip", "install", "--quiet", "--requirement"]);
                self.run(pip.arg(self.workspace.root.join(PEERS).join("python/requirements.txt")), 300)
            };
            make().map_err(|stop| stop.unavailable("the Python environment", "cargo xtask bench --peers fastapi"))
        })?;
        let script = self.workspace.root.join(PEERS).join("python").join(script);
        Ok(Launch { words: vec![word(&dir.join("bin/python")), word(&script)], env: vec![] })
    }

    fn run(&self, command: &mut Command, seconds: u64) -> Result<(), Stop> {
        process::run(command, &self.log, Deadline::after(Duration::from_secs(seconds)))
    }
}

/// Makes a folder from a recipe unless it was made from the same one before.
fn made_from(dir: &Path, recipe: &str, make: impl FnOnce() -> Result<(), Stop>) -> Result<(), Stop> {
    let stamp = dir.join("recipe.stamp");
    if fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == recipe) {
        return Ok(());
    }
    fresh_dir(dir)?;
    make()?;
    // Written last, so that a folder that was left half-way is made again.
    Ok(fs::write(stamp, recipe)?)
}

/// Packages are called `peer-` and the name of their folder.
fn folder_of(package: &str) -> PathBuf {
    Path::new(PEERS).join(package.trim_start_matches("peer-"))
}

fn word(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::peers;

    #[test]
    fn packages_lie_in_folders_of_their_name() {
        assert_eq!(folder_of("peer-sockudo-ws"), Path::new("bench/peers/sockudo-ws"));
        let workspace = Workspace::find().unwrap();
        let log = Log::create(std::env::temp_dir().join(format!("tautline-xtask-{}-bench.log", std::process::id())));
        let builder = Builder { workspace: &workspace, tools: Toolbox::new(), log: log.unwrap(), target: "x".into() };
        let raw = peers::Peer::named(peers::CEILING).unwrap();
        assert!(matches!(raw.program, Program::Cargo(package) if builder.has(package)));
    }
}
