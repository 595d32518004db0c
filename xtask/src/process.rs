//! Running other programs: each in a process group of its own, with its output in a log, under a deadline, and stopped
//! when the user asks for it. Nothing that is started here outlives its deadline, its owner or this program's end.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::outcome::Stop;

/// How long a group that was asked to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(3);
/// How often a running child is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Turns Ctrl-C and SIGTERM into a flag that every wait here looks at. Children are in groups of their own, so the
/// terminal's Ctrl-C does not reach them: stopping them is up to us.
pub(crate) fn catch_interrupts() -> io::Result<()> {
    let flag = INTERRUPTED.get_or_init(Arc::default);
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(flag))?;
    }
    Ok(())
}

/// Whether the user asked for an end.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// A point in time that nothing may run past, and the budget that it came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    budget: Duration,
}

impl Deadline {
    /// A deadline `budget` from now.
    pub(crate) fn after(budget: Duration) -> Self {
        Self { at: Instant::now() + budget, budget }
    }

    /// Whether a wait must end now, and why.
    fn check(&self) -> Result<(), Stop> {
        if interrupted() {
            Err(Stop::Interrupted)
        } else if Instant::now() >= self.at {
            Err(Stop::OverBudget(self.budget))
        } else {
            Ok(())
        }
    }
}

/// A file that takes the output of one suite or provisioning step.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// Starts an empty log, with the folder that it lies in.
    pub(crate) fn create(path: PathBuf) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // Append mode: the children write through descriptors of their own, each at the end.
        File::create(&path)?;
        let file = File::options().append(true).open(&path)?;
        Ok(Self { path, file })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds one line of our own. A log that cannot be written is no reason to stop.
    pub(crate) fn note(&self, line: &str) {
        let _ = writeln!(&self.file, "{line}");
    }

    /// Everything in the log so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.path).unwrap_or_default()).into_owned()
    }

    fn len(&self) -> usize {
        self.file.metadata().map_or(0, |meta| meta.len() as usize)
    }

    fn text_from(&self, start: usize) -> String {
        let bytes = fs::read(&self.path).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(start..).unwrap_or_default()).into_owned()
    }

    fn sink(&self) -> io::Result<Stdio> {
        Ok(Stdio::from(self.file.try_clone()?))
    }
}

/// Runs a command to its end; its output goes to the log.
///
/// # Errors
/// `Failed` with the command and the last line it printed when it cannot start or exits with anything but 0; `OverBudget`
/// or `Interrupted` when it had to be killed.
pub(crate) fn run(command: &mut Command, log: &Log, deadline: Deadline) -> Result<(), Stop> {
    let start = announce(command, log);
    let mut child = Group::spawn(command.stdout(log.sink()?).stderr(log.sink()?))?;
    let status = child.wait(deadline)?;
    judge(command, status, || last_line(&log.text_from(start)))
}

/// Whether a short command succeeds; its output goes nowhere. For questions like "is this program here?".
pub(crate) fn succeeds(command: &mut Command) -> bool {
    quick_output(command).is_some()
}

/// The standard output of a short command that succeeds within 20 s, or nothing.
pub(crate) fn quick_output(command: &mut Command) -> Option<String> {
    let mut child = Group::spawn(command.stdout(Stdio::piped()).stderr(Stdio::null())).ok()?;
    let mut pipe = child.child.stdout.take()?;
    let reader = thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).map(|_| text)
    });
    let status = child.wait(Deadline::after(Duration::from_secs(20))).ok()?;
    drop(child);
    let text = reader.join().ok()?.ok()?;
    status.success().then_some(text)
}

/// A program that runs beside a suite, such as a server under test; dropping it ends its whole process group.
pub(crate) struct Background {
    group: Group,
    name: String,
}

impl Background {
    /// Starts it; its output goes to the log.
    pub(crate) fn start(command: &mut Command, log: &Log) -> Result<Self, Stop> {
        announce(command, log);
        let group = Group::spawn(command.stdout(log.sink()?).stderr(log.sink()?))?;
        Ok(Self { group, name: command.get_program().to_string_lossy().into_owned() })
    }

    /// Waits until something accepts TCP connections on this loopback port.
    pub(crate) fn wait_for_port(&mut self, port: u16, deadline: Deadline) -> Result<(), Stop> {
        let limit = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            deadline.check()?;
            self.still_running()?;
            if Instant::now() >= limit {
                return Err(Stop::Failed(format!("{} did not listen on port {port} within 30 s", self.name)));
            }
            thread::sleep(POLL);
        }
        self.still_running()
    }

    /// Waits until the log, which is its own, has a line that begins like this; the rest of that line.
    pub(crate) fn wait_for_line(&mut self, log: &Log, begin: &str, deadline: Deadline) -> Result<String, Stop> {
        loop {
            let text = log.text();
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            if let Some(rest) = whole.lines().find_map(|line| line.strip_prefix(begin)) {
                return Ok(rest.to_owned());
            }
            deadline.check()?;
            self.still_running()?;
            thread::sleep(POLL);
        }
    }

    /// An error when it has ended by itself.
    pub(crate) fn still_running(&mut self) -> Result<(), Stop> {
        match self.group.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(Stop::Failed(format!("{} ended by itself: {status}", self.name))),
        }
    }
}

/// The line that says best why a program failed, for a table cell: the last one that calls itself an error, or else the
/// last one that says something.
fn last_line(text: &str) -> String {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_error = |line: &&str| line.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("error"));
    let line = lines().rfind(is_error).or_else(|| lines().next_back()).unwrap_or_default();
    match line.char_indices().nth(160) {
        None => line.to_owned(),
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}

/// A child that leads its own process group.
struct Group {
    child: Child,
}

impl Group {
    fn spawn(command: &mut Command) -> Result<Self, Stop> {
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|error| Stop::Failed(format!("{}: {error}", command.get_program().to_string_lossy())))?;
        Ok(Self { child })
    }

    fn wait(&mut self, deadline: Deadline) -> Result<ExitStatus, Stop> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            deadline.check()?;
            thread::sleep(POLL);
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // A group that is gone already is what we want.
            let _ = kill_process_group(pid, signal);
        }
    }
}

impl Drop for Group {
    /// Asks the group to end, then insists. A leader that ended by itself may still have left members behind.
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        let limit = Instant::now() + GRACE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < limit {
            thread::sleep(POLL);
        }
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

fn announce(command: &Command, log: &Log) -> usize {
    log.note(&format!("$ {}", shown(command)));
    log.len()
}

fn judge(command: &Command, status: ExitStatus, last: impl FnOnce() -> String) -> Result<(), Stop> {
    if status.success() {
        return Ok(());
    }
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let mut name = program.to_string_lossy().into_owned();
    if let (true, Some(subcommand)) = (name == "cargo", command.get_args().next()) {
        name += &format!(" {}", subcommand.to_string_lossy());
    }
    let last = last();
    let separator = if last.is_empty() { "" } else { ": " };
    Err(Stop::Failed(format!("{name} failed ({status}){separator}{last}")))
}

/// The command as one would type it, near enough.
fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|arg| {
        let arg = arg.to_string_lossy();
        if arg.contains(' ') { format!("'{arg}'") } else { arg.into_owned() }
    }));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(name: &str) -> Log {
        let name = format!("tautline-xtask-{}-{name}.log", std::process::id());
        Log::create(std::env::temp_dir().join(name)).unwrap()
    }

    #[test]
    fn a_failure_carries_the_last_line_of_its_own_output() {
        let log = log("failure");
        log.note("an earlier line");
        let stop =
            run(Command::new("sh").args(["-c", "echo first; echo last; echo; exit 3"]), &log, minute()).unwrap_err();
        assert_eq!(stop, Stop::Failed("sh failed (exit status: 3): last".into()));
    }

    #[test]
    fn a_question_is_answered_only_by_a_program_that_succeeds() {
        assert_eq!(quick_output(Command::new("sh").args(["-c", "echo out; echo err >&2"])).unwrap(), "out\n");
        assert_eq!(quick_output(Command::new("sh").args(["-c", "echo out; exit 1"])), None);
    }

    #[test]
    fn a_budget_overrun_kills_the_whole_group() {
        let log = log("budget");
        let budget = Duration::from_millis(300);
        let script = "sleep 600 & echo $!; wait";
        let stop = run(Command::new("sh").args(["-c", script]), &log, Deadline::after(budget)).unwrap_err();
        assert_eq!(stop, Stop::OverBudget(budget));
        let grandchild = last_line(&log.text());
        let limit = Instant::now() + Duration::from_secs(5);
        while succeeds(Command::new("sh").args(["-c", &format!("kill -0 {grandchild}")])) && !is_zombie(&grandchild) {
            assert!(Instant::now() < limit, "process {grandchild} outlived its group");
            thread::sleep(POLL);
        }
    }

    #[test]
    fn an_error_line_says_more_than_what_follows_it() {
        assert_eq!(last_line("x\nerror: could not compile\nwarning: build failed\n"), "error: could not compile");
        assert_eq!(last_line("ERROR: No matching distribution\n"), "ERROR: No matching distribution");
        assert_eq!(last_line(""), "");
    }

    #[test]
    fn a_program_that_is_not_there_is_a_failure_not_a_panic() {
        let stop = run(&mut Command::new("no-such-program-here"), &log("absent"), minute()).unwrap_err();
        assert!(matches!(stop, Stop::Failed(why) if why.starts_with("no-such-program-here: ")));
    }

    fn minute() -> Deadline {
        Deadline::after(Duration::from_secs(60))
    }

    // In a container whose first process does not reap orphans, a killed grandchild stays as a zombie.
    fn is_zombie(pid: &str) -> bool {
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    }
}
