//! The fuzz suite: libFuzzer on the stable compiler. cargo-fuzz would ask for a nightly one, but only because it turns on
//! the address sanitizer; the coverage instrumentation by itself is an LLVM pass that stable can run.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::{
    job::Job,
    outcome::{Outcome, Stop},
    process::quick_output,
    workspace::fresh_dir,
};

/// How the targets are compiled: coverage counters and compared values for libFuzzer, and every assertion on.
const RUSTFLAGS: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    --cfg fuzzing -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks";

/// Builds all targets, then lets each run for its time, starting from its committed seeds.
pub(crate) fn suite(job: &Job<'_>) -> Outcome {
    let manifest = job.workspace.root.join("fuzz").join("Cargo.toml");
    let targets = targets(&job.workspace.metadata(&manifest)?);
    if targets.is_empty() {
        return Err(Stop::Failed("fuzz/Cargo.toml has no [[bin]]".into()));
    }
    let host = host_triple(job)?;
    let built = job.workspace.target.join("fuzz");
    // With --target, build scripts and procedural macros are compiled without the instrumentation.
    let mut build = job.cargo(&["build", "--release", "--locked", "--bins", "--target", &host, "--manifest-path"]);
    job.run(build.arg(&manifest).env("RUSTFLAGS", RUSTFLAGS).env("CARGO_TARGET_DIR", &built))?;

    let seconds = if job.full { 300 } else { 20 };
    for target in &targets {
        fuzz(job, target, &built.join(&host).join("release").join(target), seconds)?;
    }
    Ok(format!("{seconds} s each: {}", targets.join(", ")))
}

fn fuzz(job: &Job<'_>, target: &str, binary: &Path, seconds: u32) -> Result<(), Stop> {
    let seeds = job.workspace.root.join("fuzz").join("seeds").join(target);
    let corpus = job.workspace.state().join("fuzz").join(target);
    let crashes = job.workspace.artifacts().join("fuzz").join(target);
    fresh_dir(&corpus)?;
    fresh_dir(&crashes)?;
    copy_seeds(&seeds, &corpus).map_err(|error| Stop::Failed(format!("fuzz/seeds/{target}: {error}")))?;

    let mut command = Command::new(binary);
    command
        .arg(format!("-max_total_time={seconds}"))
        .args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"])
        .arg(format!("-artifact_prefix={}/", crashes.display()))
        .arg(&corpus);
    job.run(&mut command).map_err(|stop| match (stop, first_file(&crashes)) {
        (Stop::Failed(_), Some(input)) => Stop::Failed(format!("{target}: replay with {} {input}", binary.display())),
        (Stop::Failed(why), None) => Stop::Failed(format!("{target}: {why}")),
        (other, _) => other,
    })
}

/// The names of the binaries of the fuzz workspace.
fn targets(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let targets = packages.flat_map(|package| package["targets"].as_array().into_iter().flatten());
    let is_bin =
        |target: &&Value| target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "bin"));
    targets.filter(is_bin).filter_map(|target| target["name"].as_str().map(str::to_owned)).collect()
}

fn host_triple(job: &Job<'_>) -> Result<String, Stop> {
    let text = quick_output(Command::new("rustc").arg("-vV").current_dir(&job.workspace.root)).unwrap_or_default();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Stop::Failed("rustc -vV does not name the host".into()))
}

/// The fuzzer adds to its corpus, so it works on a copy. No seeds at all is a mistake.
fn copy_seeds(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut copied = 0;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
            copied += 1;
        }
    }
    if copied == 0 { Err(std::io::Error::other("no seeds")) } else { Ok(()) }
}

fn first_file(dir: &Path) -> Option<String> {
    Some(fs::read_dir(dir).ok()?.next()?.ok()?.path().display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_binary_of_the_fuzz_workspace_is_a_target() {
        let metadata = serde_json::json!({"packages": [{"targets": [
            {"name": "lib", "kind": ["lib"]},
            {"name": "frames", "kind": ["bin"]},
            {"name": "handshake", "kind": ["bin"]},
        ]}]});
        assert_eq!(targets(&metadata), ["frames", "handshake"]);
    }
}
