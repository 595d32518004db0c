//! The suites that need little more than the toolchain.

use std::{process::Command, time::Duration};

use crate::{
    job::Job,
    outcome::{NotRun, Outcome, Stop},
    process::{self, Deadline},
    tools,
};

/// The cores that the protocol core must build for: the ESP32-C3's and a Cortex-M3.
pub(crate) const BARE_TARGETS: &[&str] = &["riscv32imc-unknown-none-elf", "thumbv7m-none-eabi"];

/// What builds for them, with which features.
const NO_STD: &[(&str, &str)] = &[
    ("tautline-deflate", ""),
    ("tautline-proto", ""),
    ("tautline-proto", "alloc"),
    ("tautline-telemetry", ""),
    ("tautline-device", ""),
    ("tautline-device", "deflate"),
    ("tautline-device", "telemetry"),
    ("tautline-device-app", ""),
    ("tautline-device-config", ""),
    ("tautline-device-server", ""),
    ("tautline-device-server", "embassy"),
    ("tautline-device-tls", "p384,ed25519"),
    ("tautline-device-trials", ""),
];

/// The workspaces whose programs leave this tree: their dependencies are held to deny.toml.
const DENIED: &[&str] = &["Cargo.toml", "firmware/Cargo.toml"];

/// The other systems that the engine compiles for.
pub(crate) const OTHER_SYSTEMS: &[&str] = &["x86_64-pc-windows-gnu", "x86_64-apple-darwin"];

pub(crate) fn fmt(job: &Job<'_>) -> Outcome {
    match job.run(&mut job.cargo(&["fmt", "--all", "--check", "--", "--color", "never"])) {
        Err(Stop::Failed(_)) => Err(Stop::Failed("not formatted; this does it: cargo fmt --all".into())),
        ran => ran.map(|()| String::new()),
    }
}

pub(crate) fn unit(job: &Job<'_>) -> Outcome {
    // What no other crate of the workspace turns on.
    let features = ["--features", "tautline-device/deflate,tautline-device/telemetry"];
    cargo_test(job, job.cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]).args(features))
}

pub(crate) fn clippy(job: &Job<'_>) -> Outcome {
    let args = ["clippy", "--workspace", "--all-targets", "--all-features", "--locked", "--", "-D", "warnings"];
    job.run(&mut job.cargo(&args))?;
    Ok(String::new())
}

pub(crate) fn docs(job: &Job<'_>) -> Outcome {
    let mut command = job.cargo(&["doc", "--workspace", "--no-deps", "--all-features", "--locked"]);
    job.run(command.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(String::new())
}

pub(crate) fn no_std(job: &Job<'_>) -> Outcome {
    for target in BARE_TARGETS {
        for (package, features) in NO_STD {
            // A build, not a check: code generation is where a missing atomic or a float shows.
            let mut command = job.cargo(&["build", "--package", package, "--lib", "--locked", "--no-default-features"]);
            job.run(command.args(["--features", features, "--target", target]))?;
        }
    }
    Ok(BARE_TARGETS.join(", "))
}

/// Without TLS, whose cryptography needs those systems' C compilers.
pub(crate) fn other_systems(job: &Job<'_>) -> Outcome {
    for target in OTHER_SYSTEMS {
        let mut command =
            job.cargo(&["check", "--package", "tautline-engine", "--lib", "--locked", "--no-default-features"]);
        job.run(command.args(["--target", target]))?;
    }
    Ok(OTHER_SYSTEMS.join(", "))
}

pub(crate) fn deny(job: &Job<'_>) -> Outcome {
    for workspace in DENIED {
        job.run(cargo_deny(job, workspace)?.args(["check", "bans", "licenses", "sources"]))?;
    }
    Ok(String::new())
}

/// The advisory database is a git repository on a public host. Where that host cannot be reached nothing in this tree or
/// on this machine can change it, so the suite is excused even from a strict run; what the database says is not.
pub(crate) fn advisories(job: &Job<'_>) -> Outcome {
    let patience = Deadline::after(Duration::from_secs(90));
    match process::run(cargo_deny(job, DENIED[0])?.args(["fetch", "db"]), &job.log, patience) {
        Ok(()) => {}
        Err(Stop::Interrupted) => return Err(Stop::Interrupted),
        Err(stop) => {
            return Err(Stop::NotRun(NotRun {
                reason: format!("its database cannot be fetched from here ({stop})"),
                remedy: "cargo xtask test --only advisories (from where the database can be reached)".into(),
                excused: true,
            }));
        }
    }
    for workspace in DENIED {
        job.run(cargo_deny(job, workspace)?.args(["check", "--disable-fetch", "advisories"]))?;
    }
    Ok(String::new())
}

/// Runs a `cargo test`; the table gets the number of tests, or the names of those that failed. No test at all is a
/// failure, or a suite whose tests were all compiled out would pass for ever.
pub(crate) fn cargo_test(job: &Job<'_>, command: &mut Command) -> Outcome {
    let ran = job.run(command);
    let log = job.log.text();
    match ran {
        Err(Stop::Failed(why)) => return Err(Stop::Failed(failed_tests(&log).unwrap_or(why))),
        ran => ran?,
    }
    match count_tests(&log) {
        0 => Err(Stop::Failed("not one test ran".into())),
        1 => Ok("1 test".into()),
        count => Ok(format!("{count} tests")),
    }
}

fn cargo_deny(job: &Job<'_>, manifest: &str) -> Result<Command, Stop> {
    let mut command = Command::new(job.var(tools::CARGO_DENY)?);
    command.args(["--manifest-path", manifest, "--config", "deny.toml"]);
    command.args(["--workspace", "--all-features", "--locked"]).current_dir(&job.workspace.root);
    Ok(command)
}

/// Adds up the `test result: ok. N passed` lines of libtest.
fn count_tests(log: &str) -> u64 {
    log.lines()
        .filter_map(|line| line.strip_prefix("test result: ok. ")?.split_once(" passed")?.0.parse::<u64>().ok())
        .sum()
}

/// The first few of the tests that libtest reports as failed.
fn failed_tests(log: &str) -> Option<String> {
    let name = |line: &str| line.strip_prefix("test ")?.strip_suffix(" ... FAILED").map(str::to_owned);
    let names: Vec<String> = log.lines().filter_map(name).collect();
    let more = if names.len() > 3 { format!(" and {} more", names.len() - 3) } else { String::new() };
    let shown = names[..names.len().min(3)].join(", ");
    (!names.is_empty()).then(|| format!("failed: {shown}{more}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_counted_over_all_binaries() {
        let log = "\
            test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
            running 0 tests\n\
            test result: ok. 0 passed; 0 failed\n\
            test result: FAILED. 3 passed; 1 failed\n\
            test result: ok. 5 passed; 0 failed\n";
        assert_eq!(count_tests(log), 17);
    }

    #[test]
    fn failed_tests_are_named_up_to_a_few() {
        assert_eq!(failed_tests("test a::b ... ok\nerror: could not compile"), None);
        let log = "test a ... FAILED\ntest b ... ok\ntest c ... FAILED\ntest d ... FAILED\ntest e ... FAILED\n";
        assert_eq!(failed_tests(log).unwrap(), "failed: a, c, d and 1 more");
    }
}
