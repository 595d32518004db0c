//! The raw results: one line of JSON per session and per run.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
};

use serde_json::{Map, Value, json};

use super::{
    catalogue::Test,
    measure::Measure,
    stats::{Sample, Spread},
};
use crate::outcome::Stop;

/// One invocation of `cargo xtask bench`.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// When it began, in UTC.
    pub(crate) id: String,
    pub(crate) command: String,
    pub(crate) machine: String,
    /// Of the peers that took part.
    pub(crate) versions: Map<String, Value>,
}

/// One run of one peer.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) session: String,
    pub(crate) test: String,
    pub(crate) case: String,
    pub(crate) peer: String,
    pub(crate) round: u64,
    /// How often it was run until it was undisturbed, or nobody wanted to try again.
    pub(crate) tries: u64,
    /// Whether others used the cores while it ran.
    pub(crate) disturbed: bool,
    /// What the load generator printed, or why there is nothing.
    pub(crate) result: Result<Value, String>,
}

impl Run {
    /// A number that the load generator printed.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.result.as_ref().ok()?[name].as_f64()
    }

    #[cfg(test)]
    pub(crate) fn sample(test: &str, peer: &str, round: u64, result: Value) -> Self {
        let (session, case) = ("s".to_owned(), String::new());
        let (test, peer) = (test.to_owned(), peer.to_owned());
        Self { session, test, case, peer, round, tries: 1, disturbed: false, result: Ok(result) }
    }
}

/// Everything that was measured so far.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    pub(crate) sessions: Vec<Session>,
    pub(crate) runs: Vec<Run>,
}

impl Runs {
    /// Reads what [`append`] wrote.
    pub(crate) fn read(path: &Path) -> Result<Self, Stop> {
        let text = fs::read_to_string(path).map_err(|error| Stop::Failed(format!("{}: {error}", path.display())))?;
        let mut all = Self::default();
        for (index, line) in text.lines().enumerate() {
            let parsed = serde_json::from_str(line).ok().and_then(|value| all.add(&value));
            parsed.ok_or_else(|| Stop::Failed(format!("{}:{}: not a run", path.display(), index + 1)))?;
        }
        Ok(all)
    }

    fn add(&mut self, line: &Value) -> Option<()> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        if let Value::Object(session) = &line["session_begins"] {
            self.sessions.push(Session {
                id: text(session.get("id")?)?,
                command: text(session.get("command")?)?,
                machine: text(session.get("machine")?)?,
                versions: session.get("versions")?.as_object()?.clone(),
            });
        } else {
            self.runs.push(Run {
                session: text(&line["session"])?,
                test: text(&line["test"])?,
                case: text(&line["case"])?,
                peer: text(&line["peer"])?,
                round: line["round"].as_u64()?,
                tries: line["tries"].as_u64()?,
                disturbed: line["disturbed"].as_bool()?,
                result: match &line["error"] {
                    Value::String(error) => Err(error.clone()),
                    _ => Ok(line["result"].clone()),
                },
            });
        }
        Some(())
    }

    /// The latest runs of a peer in a test, which are all of one session. Nothing when it did not take part.
    pub(crate) fn series<'a>(&'a self, test: &'static Test, peer: &str) -> Option<Series<'a>> {
        let mine = |run: &&Run| run.test == test.name && run.peer == peer;
        let session = &self.runs.iter().rfind(mine)?.session;
        self.series_in(test, peer, session)
    }

    /// The runs of a peer in a test in this session.
    fn series_in<'a>(&'a self, test: &'static Test, peer: &str, session: &'a str) -> Option<Series<'a>> {
        let runs: Vec<&Run> = self
            .runs
            .iter()
            .filter(|run| run.test == test.name && run.peer == peer && run.session == session)
            .collect();
        (!runs.is_empty()).then_some(Series { test, session, runs })
    }

    /// A series as a multiple of another peer's, round by round: runs that were made one after the other, in the same
    /// session, are what can be compared.
    pub(crate) fn ratio(&self, series: &Series<'_>, reference: &str) -> Option<Spread> {
        let reference = self.series_in(series.test, reference, series.session)?.samples();
        let ratio = |own: Sample| {
            let base = reference.iter().find(|base| base.round == own.round)?;
            Some(Sample { value: own.value / base.value, disturbed: own.disturbed || base.disturbed, ..own })
        };
        Spread::of(&series.samples().into_iter().filter_map(ratio).collect::<Vec<_>>())
    }
}

/// One peer's runs in one test of one session.
pub(crate) struct Series<'a> {
    pub(crate) test: &'static Test,
    pub(crate) session: &'a str,
    pub(crate) runs: Vec<&'a Run>,
}

impl Series<'_> {
    /// What the test is about, of each round that has it.
    fn samples(&self) -> Vec<Sample> {
        let mut rounds: Vec<u64> = self.runs.iter().map(|run| run.round).collect();
        rounds.sort_unstable();
        rounds.dedup();
        let sample = |round: u64| {
            let run_of = |case: &str| self.runs.iter().find(|run| run.round == round && run.case == case).copied();
            let runs: Vec<&Run> = self.test.cases.iter().filter_map(|case| run_of(case.name)).collect();
            let disturbed = runs.iter().any(|run| run.disturbed);
            Some(Sample { round, value: self.test.measure.value(&runs)?, disturbed })
        };
        rounds.into_iter().filter_map(sample).collect()
    }

    /// What the test is about.
    pub(crate) fn spread(&self) -> Option<Spread> {
        Spread::of(&self.samples())
    }

    /// Anything that the load generator printed, in one case.
    pub(crate) fn field(&self, case: &str, name: &str) -> Option<Spread> {
        let sample = |run: &&Run| Some(Sample { round: run.round, value: run.number(name)?, disturbed: run.disturbed });
        let samples: Vec<Sample> = self.runs.iter().filter(|run| run.case == case).filter_map(sample).collect();
        Spread::of(&samples)
    }

    /// Why there is nothing, if there is nothing.
    pub(crate) fn error(&self) -> Option<&str> {
        self.runs.iter().find_map(|run| run.result.as_ref().err()).map(String::as_str)
    }

    pub(crate) fn measure(&self) -> Measure {
        self.test.measure
    }
}

/// Adds a session's beginning.
pub(crate) fn append_session(path: &Path, session: &Session) -> Result<(), Stop> {
    let Session { id, command, machine, versions } = session;
    append(
        path,
        &json!({ "session_begins": { "id": id, "command": command, "machine": machine, "versions": versions } }),
    )
}

/// Adds a run.
pub(crate) fn append_run(path: &Path, run: &Run) -> Result<(), Stop> {
    let Run { session, test, case, peer, round, tries, disturbed, result } = run;
    let mut line = json!({
        "session": session, "test": test, "case": case, "peer": peer, "round": round, "tries": tries,
        "disturbed": disturbed,
    });
    match result {
        Ok(result) => line["result"] = result.clone(),
        Err(error) => line["error"] = json!(error),
    }
    append(path, &line)
}

fn append(path: &Path, line: &Value) -> Result<(), Stop> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(file, "{line}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(peer: &str, round: u64, rate: f64) -> Run {
        Run::sample("echo-64-1", peer, round, json!({ "ops_per_s": rate }))
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // The machine was twice as fast in the second round; the ratio does not care.
        let runs = vec![
            rate("raw", 0, 100.0),
            rate("tautline", 0, 90.0),
            rate("raw", 1, 200.0),
            rate("tautline", 1, 180.0),
            rate("tautline", 2, 500.0),
        ];
        let all = Runs { sessions: vec![], runs };
        let series = all.series(Test::named("echo-64-1").unwrap(), "tautline").unwrap();
        assert_eq!(all.ratio(&series, "raw"), Some(Spread { median: 0.9, low: 0.9, high: 0.9, disturbed: false }));
        assert_eq!(all.ratio(&series, "nobody"), None);
        assert_eq!(series.spread().unwrap().median, 180.0);
    }

    #[test]
    fn a_later_session_replaces_an_earlier_one_and_keeps_its_own_reference() {
        let of = |session: &str, run: Run| Run { session: session.into(), ..run };
        let runs = vec![
            of("1", rate("raw", 0, 100.0)),
            of("1", rate("tautline", 0, 50.0)),
            of("2", rate("raw", 0, 10.0)),
            of("2", rate("engine", 0, 10.0)),
        ];
        let all = Runs { sessions: vec![], runs };
        let test = Test::named("echo-64-1").unwrap();
        let ratio = |peer| all.ratio(&all.series(test, peer).unwrap(), "raw").unwrap().median;
        assert_eq!(ratio("tautline"), 0.5);
        assert_eq!(ratio("engine"), 1.0);
    }

    #[test]
    fn what_was_written_is_read_back() {
        let path = std::env::temp_dir().join(format!("tautline-xtask-{}-runs.jsonl", std::process::id()));
        let _ = fs::remove_file(&path);
        let versions = json!({ "raw": "-" }).as_object().unwrap().clone();
        let session = Session { id: "s".into(), command: "c".into(), machine: "m".into(), versions };
        append_session(&path, &session).unwrap();
        append_run(&path, &rate("raw", 3, 5.0)).unwrap();
        append_run(&path, &Run { result: Err("broken".into()), ..rate("raw", 4, 0.0) }).unwrap();
        let read = Runs::read(&path).unwrap();
        assert_eq!(read.sessions[0].command, "c");
        assert_eq!((read.runs[0].round, read.runs[0].number("ops_per_s")), (3, Some(5.0)));
        assert_eq!(read.runs[1].result, Err("broken".into()));
        fs::remove_file(path).unwrap();
    }
}
