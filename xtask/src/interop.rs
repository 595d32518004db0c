//! The interop suites: integration tests of the package `tautline-conformance` that talk to other people's programs. Each
//! finds its programs through the `TAUTLINE_*` variables of the tools that it lists in suites.rs.

use crate::{
    checks::cargo_test,
    job::Job,
    outcome::Outcome,
    tools::{ARTIFACTS, NODE_MODULES},
};

pub(crate) fn python(job: &Job<'_>) -> Outcome {
    run(job, "python")
}

pub(crate) fn seeds(job: &Job<'_>) -> Outcome {
    run(job, "seeds")
}

pub(crate) fn node(job: &Job<'_>) -> Outcome {
    run(job, "node")
}

pub(crate) fn lws(job: &Job<'_>) -> Outcome {
    run(job, "lws")
}

pub(crate) fn small_server(job: &Job<'_>) -> Outcome {
    run(job, "small_server")
}

pub(crate) fn fastapi(job: &Job<'_>) -> Outcome {
    run(job, "fastapi")
}

pub(crate) fn browser(job: &Job<'_>) -> Outcome {
    run(job, "browser")
}

pub(crate) fn dashboard(job: &Job<'_>) -> Outcome {
    run(job, "dashboard")
}

pub(crate) fn micropython(job: &Job<'_>) -> Outcome {
    run(job, "micropython")
}

pub(crate) fn device(job: &Job<'_>) -> Outcome {
    run(job, "device")
}

pub(crate) fn device_command(job: &Job<'_>) -> Outcome {
    run(job, "device_command")
}

pub(crate) fn tls(job: &Job<'_>) -> Outcome {
    run(job, "tls")
}

pub(crate) fn crash(job: &Job<'_>) -> Outcome {
    run_with(job, "crash", &[("TAUTLINE_KILLS", if job.full { "200" } else { "30" })])
}

/// The tests of the firmware whose names have this in them.
pub(crate) fn firmware(job: &Job<'_>, tests: &str) -> Outcome {
    run_some(job, "firmware", Some(tests), &[])
}

fn run(job: &Job<'_>, test: &str) -> Outcome {
    run_with(job, test, &[])
}

fn run_with(job: &Job<'_>, test: &str, vars: &[(&str, &str)]) -> Outcome {
    run_some(job, test, None, vars)
}

fn run_some(job: &Job<'_>, test: &str, filter: Option<&str>, vars: &[(&str, &str)]) -> Outcome {
    let artifacts = job.workspace.artifacts();
    std::fs::create_dir_all(&artifacts)?;
    let mut command = job.cargo(&["test", "--package", "tautline-conformance", "--features", "peers", "--locked"]);
    // The peers listen on fixed ports as their originals do, so one test at a time.
    command.args(["--test", test, "--", "--test-threads=1"]).args(filter);
    command.envs(&job.vars).envs(vars.iter().copied()).env(ARTIFACTS, artifacts);
    if let Some(modules) = job.vars.get(NODE_MODULES) {
        command.env("NODE_PATH", modules); // what Node itself looks at
    }
    cargo_test(job, &mut command)
}
