//! `cargo xtask firmware`: builds the images of the workspace firmware/, compares their sizes with budgets and with what is
//! committed, and runs those for emulated boards against the hub.

mod images;
mod sizes;

use std::{
    path::Path,
    process::{Command, ExitCode},
};

pub(crate) use self::images::build_emulated;
use self::{
    images::ALL,
    sizes::{Size, Table},
};
use crate::{
    interop,
    job::Job,
    outcome::{Outcome, Stop},
    runner::{self, Runner},
    suites::{self, Suite},
    tools,
};

/// The suites of the table that are about firmware begin with this.
const SUITES: &str = "firmware-";

/// What `cargo xtask firmware` was asked to do.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run only these of: clippy, sizes, riscv, arm, autobahn
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Make the sizes of the images the ones that later commits are compared with
    #[arg(long)]
    bless: bool,
}

/// `cargo xtask firmware`.
pub(crate) fn run(options: &Options) -> Result<ExitCode, Stop> {
    let all = || suites::ALL.iter().filter_map(|suite| Some((suite.name.strip_prefix(SUITES)?, suite)));
    if let Some(unknown) = options.only.iter().find(|name| all().all(|(short, _)| short != name.as_str())) {
        let names: Vec<&str> = all().map(|(short, _)| short).collect();
        return Err(Stop::Failed(format!("there is no {unknown}; there are: {}", names.join(", "))));
    }
    let mut runner = Runner::new(false)?;
    let mut chosen: Vec<&Suite> = if options.bless { vec![&suites::FIRMWARE_BLESS] } else { vec![] };
    let wanted = |short: &str| options.only.is_empty() || options.only.iter().any(|name| name == short);
    chosen.extend(all().filter(|(short, _)| wanted(short)).map(|(_, suite)| suite));
    let results = runner.run_all(&chosen);
    println!();
    Ok(runner::conclude(&results, true))
}

/// No lint in the packages of the images. One after the other, because together they would turn on features that exclude each
/// other.
pub(crate) fn clippy(job: &Job<'_>) -> Outcome {
    for image in ALL {
        job.run(&mut image.clippy(job.workspace))?;
    }
    Ok(String::new())
}

/// Builds every image, and holds its size against its budget and the committed table.
pub(crate) fn sizes(job: &Job<'_>) -> Outcome {
    let sizes = measure(job)?;
    flashable(job)?;
    let blessed = Table::parse(&job.workspace.read(sizes::TABLE)?);
    println!("{}", sizes.shown(&blessed));
    match sizes.faults(&blessed) {
        faults if faults.is_empty() => Ok(format!("{} images", ALL.len())),
        faults => Err(Stop::Failed(faults.join(", "))),
    }
}

/// Writes the sizes into the committed table.
pub(crate) fn bless(job: &Job<'_>) -> Outcome {
    let text = measure(job)?.text();
    std::fs::write(job.workspace.root.join(sizes::TABLE), &text)?;
    Ok(sizes::TABLE.into())
}

/// The RISC-V board, emulated.
pub(crate) fn riscv(job: &Job<'_>) -> Outcome {
    interop::firmware(job, "::riscv")
}

/// The Cortex-M3 board, emulated.
pub(crate) fn arm(job: &Job<'_>) -> Outcome {
    interop::firmware(job, "::arm")
}

fn measure(job: &Job<'_>) -> Result<Table, Stop> {
    let mut table = Table::default();
    for image in ALL {
        job.run(&mut image.build(job.workspace))?;
        let all = size(&image.path(job.workspace))?;
        let without = image.path_without(job.workspace).map(|path| size(&path)).transpose()?.unwrap_or_default();
        table.add(image.name, all - without);
    }
    Ok(table)
}

/// Makes of the program for the ESP32-C3 what its bootloader starts, and has Espressif's program look at that.
fn flashable(job: &Job<'_>) -> Result<(), Stop> {
    let image = job.workspace.artifacts().join("esp32c3.bin");
    std::fs::create_dir_all(job.workspace.artifacts())?;
    let esptool = || -> Result<Command, Stop> {
        let mut command = Command::new(job.var(tools::ESPTOOL)?);
        command.args(["-m", "esptool", "--chip", "esp32c3"]);
        Ok(command)
    };
    let mut make = esptool()?;
    make.args(["elf2image", "--flash-mode", "dio", "--flash-size", "4MB", "--output"]).arg(&image);
    job.run(make.arg(images::ESP32C3.path(job.workspace)))?;
    let before = job.log.text().len();
    job.run(esptool()?.arg("image-info").arg(&image))?;
    let log = job.log.text();
    // Of the checksum and of the hash.
    match log[before..].matches("(valid)").count() {
        2 => Ok(()),
        _ => Err(Stop::Failed(format!("{} is no image that a bootloader would start", image.display()))),
    }
}

fn size(path: &Path) -> Result<Size, Stop> {
    let read = || sizes::of(&std::fs::read(path)?).map_err(std::io::Error::other);
    read().map_err(|error| Stop::Failed(format!("{}: {error}", path.display())))
}
