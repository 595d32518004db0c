//! Instructions of the protocol core's work, counted by callgrind and compared with a baseline. Unlike a clock, a count is
//! the same on a busy machine.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path, process::Command};

use crate::{
    job::Job,
    outcome::{Outcome, Stop},
    process, tools,
};

/// The baseline, with the compiler that it is of.
const BASELINE: &str = "crates/proto/instructions.txt";
/// What callgrind says of a program's end.
const COLLECTED: &str = "Collected :";
/// How many rounds are counted. What a program does besides them falls out: it is run with once and twice as many.
const ROUNDS: u64 = 2_000;
/// More than so many hundredths above the baseline fail.
const TOLERANCE: u64 = 5;

/// Compares with the baseline.
pub(crate) fn suite(job: &Job<'_>) -> Outcome {
    let (compiler, baseline) = parse(&job.workspace.read(BASELINE)?);
    let ours = compiler_version(job)?;
    if compiler != ours {
        return Err(Stop::not_run(
            format!("the baseline is of {compiler}, and this is {ours}"),
            "cargo xtask instructions --write (and look at what has changed)",
        ));
    }
    let counted = count(job)?;
    let worse: Vec<String> = judge(&baseline, &counted);
    if !worse.is_empty() {
        return Err(Stop::Failed(format!(
            "{}; if it is worth that: cargo xtask instructions --write",
            worse.join(", ")
        )));
    }
    Ok(format!("{} counts, at most +{TOLERANCE} %", counted.len()))
}

/// Writes the baseline anew.
pub(crate) fn write(job: &Job<'_>) -> Outcome {
    let mut text = format!(
        "# Instructions of one round of `crates/proto/examples/codec.rs`, by `cargo xtask instructions --write`.\n{}\n",
        compiler_version(job)?
    );
    for (work, count) in count(job)? {
        let _ = writeln!(text, "{work} {count}");
    }
    fs::write(job.workspace.root.join(BASELINE), &text)?;
    print!("{text}");
    Ok(BASELINE.into())
}

fn compiler_version(job: &Job<'_>) -> Result<String, Stop> {
    let verbose = process::quick_output(Command::new("rustc").arg("-vV").current_dir(&job.workspace.root))
        .ok_or_else(|| Stop::not_run("rustc -vV fails", "rustc -vV"))?;
    let line = |name: &str| verbose.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("?").trim().to_owned();
    Ok(format!("rustc {} {}", line("release:"), line("host:")))
}

/// Counts the instructions of a round of all work there is.
fn count(job: &Job<'_>) -> Result<BTreeMap<String, u64>, Stop> {
    job.run(&mut job.cargo(&["build", "--release", "--locked", "--package", "tautline-proto", "--example", "codec"]))?;
    let codec = job.workspace.target.join("release/examples/codec");
    let names = process::quick_output(&mut Command::new(&codec))
        .ok_or_else(|| Stop::Failed(format!("{} does not run", codec.display())))?;
    let mut counts = BTreeMap::new();
    for name in names.lines() {
        let (once, twice) = (run(job, &codec, name, ROUNDS)?, run(job, &codec, name, 2 * ROUNDS)?);
        counts.insert(name.to_owned(), (twice - once) / ROUNDS);
    }
    Ok(counts)
}

fn run(job: &Job<'_>, codec: &Path, work: &str, rounds: u64) -> Result<u64, Stop> {
    let before = job.log.text().len();
    let mut command = Command::new(job.var(tools::VALGRIND)?);
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(codec).args([work, &rounds.to_string()]);
    // Whatever else is in the environment would lie on the stack, and shift what is aligned there.
    job.run(command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()))?;
    let log = job.log.text();
    let count = log[before..].lines().find_map(|line| line.split_once(COLLECTED)?.1.trim().parse().ok());
    count.ok_or_else(|| Stop::Failed(format!("callgrind counted nothing for {work}")))
}

/// The first line that is no comment names the compiler; the others are a name and a count each.
fn parse(text: &str) -> (String, BTreeMap<String, u64>) {
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let compiler = lines.next().unwrap_or_default().to_owned();
    let counts = lines.filter_map(|line| {
        let (name, count) = line.split_once(' ')?;
        Some((name.to_owned(), count.parse().ok()?))
    });
    (compiler, counts.collect())
}

/// What is wrong: what costs too much more, and what is only on one side.
fn judge(baseline: &BTreeMap<String, u64>, counted: &BTreeMap<String, u64>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (work, &count) in counted {
        match baseline.get(work) {
            None => wrong.push(format!("{work} is not in the baseline")),
            Some(&base) if count * 100 > base * (100 + TOLERANCE) => {
                let percent = (count as f64 / base as f64 - 1.0) * 100.0;
                wrong.push(format!("{work} takes {count} instructions, {percent:+.1} % of {base}"));
            }
            Some(_) => {}
        }
    }
    wrong.extend(baseline.keys().filter(|work| !counted.contains_key(*work)).map(|work| format!("{work} is gone")));
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
        of.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn a_baseline_is_read_back() {
        let (compiler, read) = parse("# words\nrustc 1.95.0 here\na 1\nb-2 20\n");
        assert_eq!((compiler.as_str(), read), ("rustc 1.95.0 here", counts(&[("a", 1), ("b-2", 20)])));
    }

    #[test]
    fn up_to_five_hundredths_more_are_fine() {
        let baseline = counts(&[("a", 100), ("b", 100)]);
        assert_eq!(judge(&baseline, &counts(&[("a", 105), ("b", 50)])), [""; 0]);
        assert_eq!(judge(&baseline, &counts(&[("a", 106), ("b", 100)])), ["a takes 106 instructions, +6.0 % of 100"]);
    }

    #[test]
    fn work_on_one_side_only_is_noticed() {
        assert_eq!(judge(&counts(&[("a", 1)]), &counts(&[("b", 1)])), ["b is not in the baseline", "a is gone"]);
    }
}
