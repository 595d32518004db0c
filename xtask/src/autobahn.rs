//! Autobahn's test suite against both of our roles, judged strictly.

use std::{
    collections::BTreeMap,
    fs, io,
    net::TcpListener,
    panic::resume_unwind,
    path::PathBuf,
    process::Command,
    sync::{Mutex, PoisonError},
    thread,
};

use serde_json::{Value, json};

use crate::{
    job::Job,
    outcome::{Outcome, Stop},
    process::{self, Background, Log},
    tools,
    workspace::{Workspace, fresh_dir},
};

/// Which cases run; merged with the addresses into what `wstest` reads. With `--full` nothing is excluded.
const CASES: &str = "conformance/autobahn/cases.json";
/// How many cases [`CASES`] selects, and how many there are. A report with fewer means that a role gave up on the way.
const CASE_COUNT: (usize, usize) = (337, 517);
/// How many of them have nothing to do with compression.
const CORE_COUNT: usize = 301;

/// One of our programs, and how it compresses.
struct Subject {
    /// Its name in the reports.
    agent: &'static str,
    program: Program,
    /// How far back its messages may refer, as the power of two; `None`: it does not compress.
    window: Option<&'static str>,
    /// Runs only with `--full`.
    full_only: bool,
}

enum Program {
    /// `tautline serve`, on the engine.
    Hub,
    /// A server made with the library.
    Server,
    /// The small server for chips, by its example.
    SmallServer,
    /// A client made with the library.
    Client,
    /// The device's client.
    Device,
}

const SERVERS: &[Subject] = &[
    Subject { agent: "engine", program: Program::Hub, window: Some("15"), full_only: false },
    Subject { agent: "engine-9", program: Program::Hub, window: Some("9"), full_only: true },
    Subject { agent: "library", program: Program::Server, window: Some("15"), full_only: true },
    Subject { agent: "library-9", program: Program::Server, window: Some("9"), full_only: true },
    Subject { agent: "small-server", program: Program::SmallServer, window: None, full_only: false },
];

const CLIENTS: &[Subject] = &[
    Subject { agent: "client", program: Program::Client, window: Some("15"), full_only: false },
    Subject { agent: "client-9", program: Program::Client, window: Some("9"), full_only: true },
    Subject { agent: "device", program: Program::Device, window: Some("9"), full_only: false },
];

impl Subject {
    fn command(&self, job: &Job<'_>) -> Result<Command, Stop> {
        let program = match self.program {
            Program::Hub => job.var(tools::BIN)?,
            Program::Server => job.var(tools::AUTOBAHN_SERVER)?,
            Program::SmallServer => job.var(tools::EXAMPLES)?.join("small_server"),
            Program::Client => job.var(tools::AUTOBAHN_CLIENT)?,
            Program::Device => job.var(tools::AUTOBAHN_DEVICE_CLIENT)?,
        };
        let mut command = Command::new(program);
        match self.program {
            Program::Hub => {
                command.args(["serve", "--app", "echo", "--host", "127.0.0.1", "--compression", "context-takeover"]);
                command.args(self.window.iter().flat_map(|window| ["--compression-window", window]));
            }
            Program::Server | Program::SmallServer | Program::Client | Program::Device => {
                command.args(self.window.iter().flat_map(|window| ["--window", window]));
            }
        }
        Ok(command)
    }

    /// The same as a server on this port.
    fn server(&self, job: &Job<'_>, port: u16) -> Result<Command, Stop> {
        let mut command = self.command(job)?;
        if !matches!(self.program, Program::SmallServer) {
            command.arg("--port");
        }
        command.arg(port.to_string());
        Ok(command)
    }

    /// The same as a client of this server.
    fn client(&self, job: &Job<'_>, url: &str) -> Result<Command, Stop> {
        let mut command = self.command(job)?;
        // The device's has its name from birth.
        if !matches!(self.program, Program::Device) {
            command.args(["--agent", self.agent]);
        }
        command.arg(url);
        Ok(command)
    }

    /// How many cases its report has to have.
    fn cases(&self, full: bool) -> usize {
        match self.window {
            None => CORE_COUNT,
            Some(_) if full => CASE_COUNT.1,
            Some(_) => CASE_COUNT.0,
        }
    }
}

/// Autobahn's client tries our servers.
pub(crate) fn server(job: &Job<'_>) -> Outcome {
    each(job, Report::SERVER, |subject, port| {
        let log = Log::create(job.workspace.log(&format!("autobahn-server.{}", subject.agent)))?;
        let mut ours = Background::start(&mut subject.server(job, port)?, &log)?;
        ours.wait_for_port(port, job.deadline)?;
        let servers = json!([{"agent": subject.agent, "url": format!("ws://127.0.0.1:{port}")}]);
        let spec = write_spec(job, Report::SERVER, subject, "servers", servers)?;
        // Its hundreds of lines go into a file of their own: the suite's log is what people see when it fails.
        let log = Log::create(job.workspace.log(&format!("autobahn-server.{}.wstest", subject.agent)))?;
        process::run(wstest(job)?.args(["-m", "fuzzingclient", "-s"]).arg(spec), &log, job.deadline)?;
        ours.still_running()
    })
}

/// Our clients go through the cases of Autobahn's server.
pub(crate) fn client(job: &Job<'_>) -> Outcome {
    each(job, Report::CLIENT, |subject, port| {
        let url = format!("ws://127.0.0.1:{port}");
        let spec = write_spec(job, Report::CLIENT, subject, "url", json!(url))?;
        let log = Log::create(job.workspace.log(&format!("autobahn-client.{}.wstest", subject.agent)))?;
        // -u 0: no web server beside it, whose port could be taken.
        let mut theirs =
            Background::start(wstest(job)?.args(["-m", "fuzzingserver", "-u", "0", "-s"]).arg(spec), &log)?;
        theirs.wait_for_port(port, job.deadline)?;
        let log = Log::create(job.workspace.log(&format!("autobahn-client.{}", subject.agent)))?;
        process::run(&mut subject.client(job, &url)?, &log, job.deadline)
    })
}

/// Has `run` try each of our programs of a role, at a port that is free; as many at a time as there are processors, since each
/// keeps one busy.
fn each(job: &Job<'_>, report: Report, run: impl Fn(&Subject, u16) -> Result<(), Stop> + Sync) -> Outcome {
    let subjects: Vec<_> = chosen(report.subjects, job.full).collect();
    let ports = free_ports(subjects.len())?;
    let left = Mutex::new(subjects.iter().zip(ports));
    let work = || -> Result<(), Stop> {
        loop {
            let next = left.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((subject, port)) = next else { return Ok(()) };
            run(subject, port)?;
        }
    };
    thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, |count| count.get().min(subjects.len()));
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
}

impl Report {
    pub(crate) const SERVER: Self = Self { name: "autobahn-server", subjects: SERVERS };
    pub(crate) const CLIENT: Self = Self { name: "autobahn-client", subjects: CLIENTS };

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

/// What a report says, group by group.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// By the first number of the case.
    pub(crate) groups: BTreeMap<u32, Group>,
    /// The cases that are neither OK nor informational, with both of their behaviours.
    pub(crate) failures: Vec<String>,
}

/// The cases of one group.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) ok: usize,
    pub(crate) informational: usize,
    pub(crate) failed: usize,
}

impl Group {
    pub(crate) fn count(&self) -> usize {
        self.ok + self.informational + self.failed
    }

    /// `45 OK, 3 informational`.
    pub(crate) fn summary(&self) -> String {
        let parts = [(self.ok, "OK"), (self.informational, "informational"), (self.failed, "failed")];
        let parts: Vec<String> =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        parts.join(", ")
    }
}

impl Verdict {
    /// All groups in one.
    pub(crate) fn total(&self) -> Group {
        self.groups.values().fold(Group::default(), |sum, group| Group {
            ok: sum.ok + group.ok,
            informational: sum.informational + group.informational,
            failed: sum.failed + group.failed,
        })
    }

    /// One line per group, for a terminal.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.groups.iter().map(|(number, group)| format!("{number:>3}  {:<24} {}", title(*number), group.summary()))
    }
}

/// What Autobahn calls a group of cases.
pub(crate) fn title(group: u32) -> &'static str {
    match group {
        1 => "Framing",
        2 => "Pings and pongs",
        3 => "Reserved bits",
        4 => "Opcodes",
        5 => "Fragmentation",
        6 => "UTF-8 handling",
        7 => "Close handling",
        9 => "Limits and performance",
        10 => "Miscellaneous",
        12 => "Compression",
        13 => "Compression parameters",
        _ => "",
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

/// Strict: both behaviours of a case must be OK or INFORMATIONAL.
fn judge(cases: &Value) -> Verdict {
    let mut verdict = Verdict::default();
    let mut cases: Vec<(&String, &Value)> = cases.as_object().into_iter().flatten().collect();
    cases.sort_by_key(|(name, _)| numbers(name));
    for (name, case) in cases {
        let (behavior, close) = (text(&case["behavior"]), text(&case["behaviorClose"]));
        let group = verdict.groups.entry(numbers(name).first().copied().unwrap_or(0)).or_default();
        match (behavior, close) {
            ("OK", "OK") => group.ok += 1,
            ("OK" | "INFORMATIONAL", "OK" | "INFORMATIONAL") => group.informational += 1,
            _ => {
                group.failed += 1;
                verdict.failures.push(format!("{name} {behavior} (close: {close})"));
            }
        }
    }
    verdict
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("absent")
}

/// `6.4.1` as numbers, so that 6.10 comes after 6.9.
fn numbers(case: &str) -> Vec<u32> {
    case.split('.').map(|part| part.parse().unwrap_or(0)).collect()
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
    let mut spec: Value =
        serde_json::from_str(&job.workspace.read(CASES)?).map_err(|error| Stop::Failed(format!("{CASES}: {error}")))?;
    if job.full {
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

/// So many ports that are free now. Another program could take one before its user does; the suite then fails loudly.
fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    // Held together, so that no two are the same.
    let held = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<io::Result<Vec<_>>>()?;
    held.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(behavior: &str, close: &str) -> Value {
        json!({"behavior": behavior, "behaviorClose": close, "duration": 1, "remoteCloseCode": 1000})
    }

    #[test]
    fn ok_and_informational_pass_and_are_told_apart() {
        let verdict = judge(&json!({
            "1.1.1": case("OK", "OK"),
            "1.1.2": case("OK", "INFORMATIONAL"),
            "7.1.6": case("INFORMATIONAL", "INFORMATIONAL"),
        }));
        assert_eq!(verdict.failures, Vec::<String>::new());
        assert_eq!(verdict.groups[&1], Group { ok: 1, informational: 1, failed: 0 });
        assert_eq!(verdict.total().summary(), "1 OK, 2 informational");
    }

    #[test]
    fn non_strict_unclean_and_wrong_codes_fail_in_the_order_of_the_cases() {
        let verdict = judge(&json!({
            "6.10.1": case("OK", "UNCLEAN"),
            "6.4.1": case("NON-STRICT", "OK"),
            "7.9.1": case("OK", "WRONG CODE"),
            "9.1.1": case("FAILED", "FAILED"),
            "10.1.1": json!({}),
        }));
        assert_eq!(
            verdict.failures,
            [
                "6.4.1 NON-STRICT (close: OK)",
                "6.10.1 OK (close: UNCLEAN)",
                "7.9.1 OK (close: WRONG CODE)",
                "9.1.1 FAILED (close: FAILED)",
                "10.1.1 absent (close: absent)",
            ]
        );
        assert_eq!(verdict.total(), Group { ok: 0, informational: 0, failed: 5 });
    }

    #[test]
    fn an_agent_that_is_not_there_has_no_cases() {
        assert_eq!(judge(&json!({"somebody": {"1.1.1": case("OK", "OK")}})["us"]).total().count(), 0);
    }
}
