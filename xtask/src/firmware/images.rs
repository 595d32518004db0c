//! The images: what is built, for which processor, and how large it may be.

use std::{path::PathBuf, process::Command};

use crate::{checks::BARE_TARGETS, outcome::Stop, workspace::Workspace};

const RISCV: &str = BARE_TARGETS[0];
const ARM: &str = BARE_TARGETS[1];

/// One program for one board.
pub(crate) struct Image {
    /// How the table calls it.
    pub(crate) name: &'static str,
    package: &'static str,
    binary: &'static str,
    /// What it is built with, if anything.
    features: Option<&'static str>,
    /// The binary of the same package that it is compared with: only the difference counts.
    without: Option<&'static str>,
    target: &'static str,
    /// Bytes of flash that it may take.
    pub(crate) flash: u64,
    /// Bytes of RAM that it may take before it runs: without stack and heap.
    pub(crate) ram: u64,
}

/// Every image there is.
pub(crate) const ALL: &[Image] = &[
    client("client", None, 22_800, 2 * 1024),
    client("client-deflate", Some("deflate"), 45_600, 8_200),
    Image { binary: "telemetry", ..client("telemetry", None, 44 * 1024, 2 * 1024) },
    image("sim-riscv", "tautline-sim-riscv", RISCV, 384 * 1024, 128 * 1024),
    image("sim-arm", "tautline-sim-arm", ARM, 248 * 1024, 42 * 1024),
    Image { binary: "trial", ..image("trial-riscv", "tautline-sim-riscv", RISCV, 248 * 1024, 96 * 1024) },
    Image { binary: "trial", ..image("trial-arm", "tautline-sim-arm", ARM, 248 * 1024, 42 * 1024) },
    ESP32C3,
];

/// The one for a real board. What its radio's driver takes from the bootloader counts as RAM.
pub(crate) const ESP32C3: Image = image("esp32c3", "tautline-esp32c3", RISCV, 800 * 1024, 224 * 1024);

/// Those that the emulated checks run.
const EMULATED: &[&str] = &["sim-riscv", "sim-arm", "trial-riscv", "trial-arm"];

impl Image {
    /// The command that builds it.
    pub(crate) fn build(&self, workspace: &Workspace) -> Command {
        self.cargo(workspace, &["build", "--release", "--bins"])
    }

    /// The command that looks for lints in its package, and in everything of this tree that it is made of.
    pub(crate) fn clippy(&self, workspace: &Workspace) -> Command {
        let mut command = self.cargo(workspace, &["clippy"]);
        command.args(["--", "-D", "warnings"]);
        command
    }

    fn cargo(&self, workspace: &Workspace, args: &[&str]) -> Command {
        let mut command = workspace.cargo(args);
        command.args(["--locked", "--package", self.package, "--target", self.target]);
        command.args(self.features.iter().flat_map(|features| ["--features", features])).arg("--manifest-path");
        command.arg(workspace.root.join("firmware/Cargo.toml"));
        // Not beside the hub's: other profiles, and an environment that would make cargo forget what it has built.
        command.env("CARGO_TARGET_DIR", folder(workspace)).env_remove("RUSTFLAGS");
        command
    }

    /// Where it is then.
    pub(crate) fn path(&self, workspace: &Workspace) -> PathBuf {
        self.path_of(self.binary, workspace)
    }

    /// Where the binary is that it is compared with, if there is one.
    pub(crate) fn path_without(&self, workspace: &Workspace) -> Option<PathBuf> {
        self.without.map(|binary| self.path_of(binary, workspace))
    }

    fn path_of(&self, binary: &str, workspace: &Workspace) -> PathBuf {
        folder(workspace).join(self.target).join("release").join(binary)
    }
}

/// Builds the images that the emulated checks run; where they are, in the order of their variables.
pub(crate) fn build_emulated(
    workspace: &Workspace,
    mut run: impl FnMut(&mut Command) -> Result<(), Stop>,
) -> Result<Vec<PathBuf>, Stop> {
    let emulated = ALL.iter().filter(|image| EMULATED.contains(&image.name));
    emulated.map(|image| run(&mut image.build(workspace)).map(|()| image.path(workspace))).collect()
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("firmware")
}

/// An image whose binary is called as its package is.
const fn image(name: &'static str, package: &'static str, target: &'static str, flash: u64, ram: u64) -> Image {
    Image { name, package, binary: package, features: None, without: None, target, flash, ram }
}

/// What the client costs, built with these features.
const fn client(name: &'static str, features: Option<&'static str>, flash: u64, ram: u64) -> Image {
    Image { features, binary: "client", without: Some("without"), ..image(name, "tautline-cost", RISCV, flash, ram) }
}
