//! Where things are: the workspace's root, cargo's target directory, and what cargo knows of the packages.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{outcome::Stop, process};

/// The tree that is being tested.
pub(crate) struct Workspace {
    /// The folder of the workspace's Cargo.toml.
    pub(crate) root: PathBuf,
    /// Cargo's target directory.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Finds the workspace that this program belongs to.
    pub(crate) fn find() -> Result<Self, Stop> {
        // Cargo says where the package lies now; the compiled-in path is for a run without cargo.
        let package =
            env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let root = package.parent().map(Path::to_path_buf).unwrap_or(package);
        let mut workspace = Self { target: root.join("target"), root };
        let metadata = workspace.metadata(&workspace.root.join("Cargo.toml"))?;
        if let Some(target) = metadata["target_directory"].as_str() {
            workspace.target = target.into();
        }
        Ok(workspace)
    }

    /// `cargo ARGS` in the root, by the cargo that started this program.
    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(args).current_dir(&self.root);
        // What cargo tells xtask about itself is not meant for the builds that xtask starts; some build scripts watch
        // these variables and would run again.
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
                command.env_remove(name);
            }
        }
        command
    }

    /// What cargo knows of the packages of the workspace with this manifest, without their dependencies.
    pub(crate) fn metadata(&self, manifest: &Path) -> Result<Value, Stop> {
        let mut command = self.cargo(&["metadata", "--format-version=1", "--no-deps", "--manifest-path"]);
        command.arg(manifest);
        let text = process::quick_output(&mut command).ok_or_else(|| {
            Stop::Failed(format!("cargo metadata failed; try: cargo metadata --manifest-path {}", manifest.display()))
        })?;
        serde_json::from_str(&text).map_err(|error| Stop::Failed(format!("cargo metadata: {error}")))
    }

    /// Everything of ours in the target directory lies below this folder.
    pub(crate) fn state(&self) -> PathBuf {
        self.target.join("xtask")
    }

    /// Where a suite or step of this name writes its log.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.state().join("logs").join(format!("{name}.log"))
    }

    /// What a run leaves behind for people to look at: screenshots, reports, inputs that crashed.
    pub(crate) fn artifacts(&self) -> PathBuf {
        self.state().join("artifacts")
    }

    /// The text of a file of the tree; its absence is a fault of the tree.
    pub(crate) fn read(&self, path: &str) -> Result<String, Stop> {
        fs::read_to_string(self.root.join(path)).map_err(|error| Stop::Failed(format!("{path}: {error}")))
    }
}

/// Makes a folder that is new and empty.
pub(crate) fn fresh_dir(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir_all(path)
}
