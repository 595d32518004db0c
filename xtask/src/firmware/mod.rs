//! `cargo xtask firmware`: builds the images of the workspace firmware/, compares their sizes with budgets and with what is
//! committed, and runs those for emulated boards against the hub.

mod images;
mod sizes;

use std::{path::Path, process::ExitCode};

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
};

/// The suites of the table that are about firmware begin with this.
const SUITES: &str = "firmware-";

/// What `cargo xtask firmware` was asked to do.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run only these of: sizes, riscv, arm
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

/// Builds every image and holds its size against its budget and the committed table.
pub(crate) fn sizes(job: &Job<'_>) -> Outcome {
    let sizes = measure(job)?;
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
    interop::firmware(job, "riscv::")
}

/// The Cortex-M3 board, emulated.
pub(crate) fn arm(job: &Job<'_>) -> Outcome {
    interop::firmware(job, "arm::")
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

fn size(path: &Path) -> Result<Size, Stop> {
    let read = || sizes::of(&std::fs::read(path)?).map_err(std::io::Error::other);
    read().map_err(|error| Stop::Failed(format!("{}: {error}", path.display())))
}
