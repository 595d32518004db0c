//! Autobahn's test suite against both of our roles, judged strictly.

mod subjects;
mod verdict;

use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    panic::resume_unwind,
    path::PathBuf,
    process::Command,
    sync::{Mutex, PoisonError},
    thread,
};

use serde_json::{Value, json};

use self::subjects::{CLIENTS, EMULATED_CLIENTS, EMULATED_SERVERS, SERVERS, Subject};
use self::verdict::judge;
pub(crate) use self::verdict::{Group, Verdict, title};
use crate::{
    job::Job,
    outcome::{Outcome, Stop},
    process::{self, Background, Log},
    tools,
    workspace::{Workspace, fresh_dir},
};

/// Which cases run; merged with the addresses into what `wstest` reads. With `--full` nothing is excluded.
const CASES: &str = "conformance/autobahn/cases.json";
/// Which cases run on the emulated boards, always: those with messages that fit a chip.
const EMULATED_CASES: &str = "conformance/autobahn/emulated.json";

/// Autobahn's client tries our servers.
pub(crate) fn server(job: &Job<'_>) -> Outcome {
    try_servers(job, Report::SERVER)
}

/// Our clients go through the cases of Autobahn's server.
pub(crate) fn client(job: &Job<'_>) -> Outcome {
    try_clients(job, Report::CLIENT)
}

/// Both, on the emulated boards.
pub(crate) fn emulated(job: &Job<'_>) -> Outcome {
    let clients = try_clients(job, Report::EMULATED_CLIENT)?;
    let servers = try_servers(job, Report::EMULATED_SERVER)?;
    Ok(format!("{clients}; {servers}"))
}

fn try_servers(job: &Job<'_>, report: Report) -> Outcome {
    each(job, report, |subject| {
        let log = Log::create(job.workspace.log(&format!("{}.{}", report.name, subject.agent)))?;
        let (mut ours, port) = subject.serve(job, &log)?;
        let spec = write_spec(job, report, subject, "servers", json!([{"agent": subject.agent, "url": url(port)}]))?;
        // Its hundreds of lines go into a file of their own: the suite's log is what people see when it fails.
        let log = Log::create(job.workspace.log(&format!("{}.{}.wstest", report.name, subject.agent)))?;
        process::run(wstest(job)?.args(["-m", "fuzzingclient", "-s"]).arg(spec), &log, job.deadline)?;
        ours.still_running()
    })
}

fn try_clients(job: &Job<'_>, report: Report) -> Outcome {
    each(job, report, |subject| {
        let port = free_port()?;
        let spec = write_spec(job, report, subject, "url", json!(url(port)))?;
        let log = Log::create(job.workspace.log(&format!("{}.{}.wstest", report.name, subject.agent)))?;
        // -u 0: no web server beside it, whose port could be taken.
        let mut theirs =
            Background::start(wstest(job)?.args(["-m", "fuzzingserver", "-u", "0", "-s"]).arg(spec), &log)?;
        theirs.wait_for_port(port, job.deadline)?;
        let log = Log::create(job.workspace.log(&format!("{}.{}", report.name, subject.agent)))?;
        process::run(&mut subject.client(job, port)?, &log, job.deadline)
    })
}

/// Has `run` try each of our programs of a role; as many at a time as there are processors, since each keeps one busy.
fn each(job: &Job<'_>, report: Report, run: impl Fn(&Subject) -> Result<(), Stop> + Sync) -> Outcome {
    let left = Mutex::new(chosen(report.subjects, job.full));
    let work = || -> Result<(), Stop> {
        loop {
            let next = left.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(subject) = next else { return Ok(()) };
            run(subject)?;
        }
    };
    thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        // All of them, before the first that failed is told.
        let ends: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        ends.into_iter().try_for_each(|end| end.unwrap_or_else(|panic| resume_unwind(panic)))
    })?;
    conclude(job, report)
}

fn chosen(subjects: &'static [Subject], full: bool) -> impl Iterator<Item = &'static Subject> {
    subjects.iter().filter(move |subject| full || !subject.full_only)
}

/// The report of one role.
#[derive(Clone, Copy)]
pub(crate) struct Report {
    name: &'static str,
    subjects: &'static [Subject],
    /// The file that selects the cases.
    cases: &'static str,
}

impl Report {
    pub(crate) const SERVER: Self = Self { name: "autobahn-server", subjects: SERVERS, cases: CASES };
    pub(crate) const CLIENT: Self = Self { name: "autobahn-client", subjects: CLIENTS, cases: CASES };
    const EMULATED_SERVER: Self = Self { name: "emulated-server", subjects: EMULATED_SERVERS, cases: EMULATED_CASES };
    const EMULATED_CLIENT: Self = Self { name: "emulated-client", subjects: EMULATED_CLIENTS, cases: EMULATED_CASES };

    /// Where `wstest` writes what it says of one of our programs.
    fn dir(self, workspace: &Workspace, subject: &Subject) -> PathBuf {
        workspace.artifacts().join(self.name).join(subject.agent)
    }

    /// Reads and judges what the last run of this role left: for each of our programs, by its name.
    pub(crate) fn judge(self, workspace: &Workspace, full: bool) -> Result<Vec<(&'static str, Verdict)>, Stop> {
        let one = |subject: &'static Subject| {
            let path = self.dir(workspace, subject).join("index.json");
            let read = fs::read_to_string(&path).map_err(|error| error.to_string());
            let index = read.and_then(|text| serde_json::from_str::<Value>(&text).map_err(|error| error.to_string()));
            let index = index.map_err(|error| Stop::Failed(format!("{}: {error}", path.display())))?;
            Ok((subject.agent, judge(&index[subject.agent])))
        };
        chosen(self.subjects, full).map(one).collect()
    }
}

fn conclude(job: &Job<'_>, report: Report) -> Outcome {
    let mut summaries = Vec::new();
    let verdicts = report.judge(job.workspace, job.full)?;
    for (subject, (agent, verdict)) in chosen(report.subjects, job.full).zip(verdicts) {
        let expected = subject.cases(job.full);
        job.log.note(agent);
        verdict.lines().for_each(|line| job.log.note(&line));
        verdict.failures.iter().for_each(|failure| job.log.note(failure));
        let total = verdict.total();
        if !verdict.failures.is_empty() {
            let shown = verdict.failures.iter().take(5).cloned().collect::<Vec<_>>().join("; ");
            return Err(Stop::Failed(format!("{agent}: {}: {shown}", total.summary())));
        }
        if total.count() != expected {
            return Err(Stop::Failed(format!("{agent}: the report has {} cases, not {expected}", total.count())));
        }
        summaries.push(format!("{agent}: {}", total.summary()));
    }
    Ok(summaries.join("; "))
}

fn wstest(job: &Job<'_>) -> Result<Command, Stop> {
    let mut command = Command::new(job.var(tools::WSTEST)?);
    // The suite warns on every start about an optional package that it does not need; and it must not find modules of
    // whoever started this program.
    command.env("PYTHONWARNINGS", "ignore").env_remove("PYTHONPATH").env_remove("PYTHONHOME");
    Ok(command)
}

/// Writes the specification that `wstest` reads: our choice of cases, the report's place, and the other side's address.
fn write_spec(job: &Job<'_>, report: Report, subject: &Subject, key: &str, value: Value) -> Result<PathBuf, Stop> {
    let cases = report.cases;
    let mut spec: Value =
        serde_json::from_str(&job.workspace.read(cases)?).map_err(|error| Stop::Failed(format!("{cases}: {error}")))?;
    if job.full && cases == CASES {
        spec["exclude-cases"] = json!([]);
    }
    if subject.window.is_none() {
        spec["exclude-agent-cases"][subject.agent] = json!(["12.*", "13.*"]);
    }
    let dir = report.dir(job.workspace, subject);
    fresh_dir(&dir)?;
    spec["outdir"] = json!(dir);
    spec[key] = value;
    let path = dir.join("spec.json");
    fs::write(&path, format!("{spec:#}"))?;
    Ok(path)
}

fn url(port: u16) -> String {
    format!("ws://127.0.0.1:{port}")
}

/// A port that is free now, none twice. Another program could take it before its user does; the suite then fails loudly.
fn free_port() -> Result<u16, Stop> {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return Ok(port);
        }
    }
}
