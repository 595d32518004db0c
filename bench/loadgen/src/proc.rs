//! What the kernel says of processes: CPU time and memory.
//!
//! The total is the scheduler's own, in nanoseconds. Its division into user and system time is sampled by the kernel's
//! timer tick, so it is good only over seconds: at 250 ticks per second and 5 % of user time, 4 s give 50 samples.

use std::fs;
use std::ops::Sub;

/// `sysconf(_SC_CLK_TCK)` on every Linux that matters here.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct CpuTime {
    pub(crate) total: f64,
    user: f64,
    system: f64,
}

impl CpuTime {
    /// What a process and its children have used so far, in all threads.
    pub(crate) fn of(pid: u32) -> Self {
        let mut time = Self::default();
        for pid in family(pid) {
            time.total += threads(pid).filter_map(|task| scheduled(&task)).sum::<f64>();
            if let Some((user, system)) = read(&format!("/proc/{pid}/stat")).and_then(|stat| ticks(&stat)) {
                time.user += user / TICKS_PER_SECOND;
                time.system += system / TICKS_PER_SECOND;
            }
        }
        time
    }

    /// User time, as the sampled share of the exact total.
    pub(crate) fn user(&self) -> f64 {
        match self.user + self.system {
            0.0 => 0.0,
            sampled => self.total * self.user / sampled,
        }
    }

    pub(crate) fn system(&self) -> f64 {
        self.total - self.user()
    }
}

impl Sub for CpuTime {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { total: self.total - earlier.total, user: self.user - earlier.user, system: self.system - earlier.system }
    }
}

/// Bytes of memory that a process and its children occupy. The exact sum: the number in `status` may be off by some
/// hundred KiB, which is much for ten thousand connections.
pub(crate) fn resident(pid: u32) -> u64 {
    let rss = |pid: u32| field(&read(&format!("/proc/{pid}/smaps_rollup"))?, "Rss:");
    let coarse = |pid: u32| field(&read(&format!("/proc/{pid}/status"))?, "VmRSS:");
    family(pid).into_iter().filter_map(|pid| rss(pid).or_else(|| coarse(pid))).sum::<u64>() * 1024
}

/// CPU seconds that have been used on these cores so far, by whomever, and by the machine that this one runs on.
pub(crate) fn busy(cores: &[usize]) -> f64 {
    let stat = read("/proc/stat").unwrap_or_default();
    cores.iter().filter_map(|core| busy_of(&stat, *core)).sum()
}

fn busy_of(stat: &str, core: usize) -> Option<f64> {
    let name = format!("cpu{core} ");
    let line = stat.lines().find_map(|line| line.strip_prefix(&name))?;
    let columns: Vec<f64> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    // user, nice, system, (idle, iowait), irq, softirq, steal
    Some([0, 1, 2, 5, 6, 7].iter().filter_map(|column| columns.get(*column)).sum::<f64>() / TICKS_PER_SECOND)
}

/// A process and its children: some servers have workers.
fn family(pid: u32) -> Vec<u32> {
    let children = read(&format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    std::iter::once(pid).chain(children.split_whitespace().filter_map(|child| child.parse().ok())).collect()
}

fn threads(pid: u32) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().to_string_lossy().into_owned())
}

fn scheduled(task: &str) -> Option<f64> {
    let nanos: f64 = read(&format!("{task}/schedstat"))?.split_whitespace().next()?.parse().ok()?;
    Some(nanos / 1e9)
}

/// utime and stime. The program's name, in parentheses, may contain anything.
fn ticks(stat: &str) -> Option<(f64, f64)> {
    let mut columns = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some((columns.next()?.parse().ok()?, columns.next()?.parse().ok()?))
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_program_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 31 0 0 20 0 1 0 5";
        assert_eq!(ticks(stat), Some((250.0, 31.0)));
    }

    #[test]
    fn the_sampled_split_is_applied_to_the_exact_total() {
        let time = CpuTime { total: 2.0, user: 0.5, system: 1.5 };
        assert_eq!((time.user(), time.system()), (0.5, 1.5));
        assert_eq!(CpuTime { total: 2.2, ..time }.user(), 0.55);
        assert_eq!(CpuTime::default().user(), 0.0);
    }

    #[test]
    fn waiting_is_not_busy() {
        let stat = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 100 1 10 5000 700 20 3 66 0 0\ncpu1 1 1 1 1 1 1 1 1 0 0\n";
        assert_eq!(busy_of(stat, 0), Some(2.0));
        assert_eq!(busy_of(stat, 2), None);
    }

    #[test]
    fn memory_is_read_in_kibibytes() {
        assert_eq!(field("Name:\tx\nVmRSS:\t    1234 kB\n", "VmRSS:"), Some(1234));
    }

    #[test]
    fn this_process_has_time_and_memory() {
        assert!(CpuTime::of(std::process::id()).total > 0.0);
        assert!(resident(std::process::id()) > 100_000);
    }
}
