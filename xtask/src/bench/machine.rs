//! The machine: which cores there are, what they are, and whether anybody else is using them.

use std::{
    collections::BTreeSet,
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    outcome::Stop,
    process::{self, interrupted},
};

/// The share of a core that others may use while nothing runs, and while something does.
pub(crate) const QUIET: f64 = 0.05;

/// How server and load generator share the cores.
pub(crate) struct Cores {
    server: usize,
    load: usize,
    /// For a server with two threads. On a machine with two cores it shares one with the load generator.
    second: usize,
}

impl Cores {
    /// # Errors
    /// There is only one core, or programs cannot be pinned.
    pub(crate) fn choose() -> Result<Self, Stop> {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or_default();
        let cores = parse_list(list);
        let [server, load] = cores[..2.min(cores.len())] else {
            let why = "server and load generator need a core each, and there is only one: nothing can be measured here";
            return Err(Stop::Failed(why.into()));
        };
        if !process::succeeds(Command::new("taskset").args(["--cpu-list", &server.to_string(), "true"])) {
            let why = "programs cannot be pinned to cores here: `taskset --cpu-list 0 true` (util-linux) has to work";
            return Err(Stop::Failed(why.into()));
        }
        Ok(Self { server, load, second: cores.get(2).copied().unwrap_or(load) })
    }

    /// As taskset wants it.
    pub(crate) fn of_server(&self, two: bool) -> String {
        if two { format!("{},{}", self.server, self.second) } else { self.server.to_string() }
    }

    pub(crate) fn of_load(&self) -> String {
        self.load.to_string()
    }

    /// All that a run uses.
    pub(crate) fn all(&self, two: bool) -> String {
        let mut cores = BTreeSet::from([self.server, self.load]);
        if two {
            cores.insert(self.second);
        }
        cores.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
    }

    /// Waits until others leave the cores alone, at most this long.
    pub(crate) fn wait_until_quiet(&self, limit: Duration) {
        let end = Instant::now() + limit;
        let cores = [self.server, self.load, self.second];
        while !interrupted() && Instant::now() < end {
            let (before, start) = (busy(&cores), Instant::now());
            thread::sleep(Duration::from_millis(250));
            if (busy(&cores) - before) / start.elapsed().as_secs_f64() < QUIET {
                return;
            }
        }
    }
}

/// Lets this program, and so what it starts, have as many files as possible; returns how many that are.
pub(crate) fn raise_file_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // Where that is not allowed, the limit stays as it is, and so does what is returned.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The machine in a line.
pub(crate) fn description() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown processor", |(_, model)| model.trim());
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {cores} cores, Linux {}", version_only(kernel.trim()))
}

/// The numbers of a kernel's release; what builders append says nothing to others.
fn version_only(release: &str) -> &str {
    release.split('-').next().unwrap_or(release)
}

/// `0-2,5` as numbers.
fn parse_list(list: &str) -> Vec<usize> {
    let mut cores = Vec::new();
    for part in list.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse()) {
            cores.extend(first..=last);
        }
    }
    cores
}

/// CPU seconds that have been used on these cores, each counted once.
fn busy(cores: &[usize]) -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    BTreeSet::from_iter(cores).into_iter().filter_map(|core| busy_of(&stat, *core)).sum()
}

fn busy_of(stat: &str, core: usize) -> Option<f64> {
    let name = format!("cpu{core} ");
    let columns = stat.lines().find_map(|line| line.strip_prefix(&name))?;
    let columns: Vec<f64> = columns.split_whitespace().filter_map(|ticks| ticks.parse().ok()).collect();
    // user, nice, system, (idle, iowait), irq, softirq, steal; in hundredths of a second
    Some([0, 1, 2, 5, 6, 7].iter().filter_map(|column| columns.get(*column)).sum::<f64>() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_may_have_ranges() {
        assert_eq!(parse_list("\t0-2,5\n"), [0, 1, 2, 5]);
        assert_eq!(parse_list("3"), [3]);
        assert!(parse_list("").is_empty());
    }

    #[test]
    fn two_threads_get_a_core_of_their_own_where_there_is_one() {
        let two = Cores { server: 0, load: 1, second: 1 };
        assert_eq!((two.of_server(true), two.all(true)), ("0,1".into(), "0,1".into()));
        let many = Cores { server: 0, load: 1, second: 2 };
        assert_eq!(
            (many.of_server(true), many.all(true), many.all(false)),
            ("0,2".into(), "0,1,2".into(), "0,1".into())
        );
    }

    #[test]
    fn a_kernel_is_named_by_its_numbers() {
        assert_eq!(version_only("6.1.0-18-amd64"), "6.1.0");
    }
}
