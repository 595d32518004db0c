//! Running a program beside a test.

use std::collections::VecDeque;
use std::io::BufRead;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin};
use tokio::sync::mpsc;

use super::{DEADLINE, within};

/// How much of a program's output is kept for a failure.
const KEPT_LINES: usize = 100;
const KEPT_LINE: usize = 500;
/// How long a program that has to tidy up may take for it.
const GRACE: Duration = Duration::from_secs(5);

/// A program that runs beside a test, in a process group of its own, with its output read line by line.
///
/// Dropping it kills the group, and waits until it is gone, so that its ports are free for the next one. The group also
/// dies with the test's own process, however that ends.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::UnboundedReceiver<String>,
    log: mpsc::UnboundedReceiver<String>,
    output: Arc<Mutex<VecDeque<String>>>,
    reported: AtomicBool,
    gentle: bool,
    guard: Option<Guard>,
}

impl Process {
    /// Starts the program.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn spawn(mut command: Command) -> Self {
        let name = shown(&command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = match tokio::process::Command::from(command).spawn() {
            Ok(child) => child,
            Err(error) => panic!("{name} does not start: {error}"),
        };
        let output = Arc::default();
        let (sender, lines) = mpsc::unbounded_channel();
        read_lines(child.stdout.take().expect("stdout is a pipe"), Arc::clone(&output), "", sender);
        let (sender, log) = mpsc::unbounded_channel();
        read_lines(child.stderr.take().expect("stderr is a pipe"), Arc::clone(&output), "! ", sender);
        let guard = child.id().map(Guard::over);
        Self {
            name,
            stdin: child.stdin.take(),
            child,
            lines,
            log,
            output,
            reported: AtomicBool::new(false),
            gentle: false,
            guard,
        }
    }

    /// Has the program ended by SIGTERM first when this is dropped, because it has something to tidy up.
    pub fn gently(mut self) -> Self {
        self.gentle = true;
        self
    }

    /// The next line of its output.
    ///
    /// # Panics
    ///
    /// If none comes within [`DEADLINE`].
    pub async fn line(&mut self) -> String {
        self.line_within(DEADLINE).await
    }

    /// The next line of its output.
    ///
    /// # Panics
    ///
    /// If none comes within this time.
    pub async fn line_within(&mut self, time: Duration) -> String {
        match tokio::time::timeout(time, self.lines.recv()).await {
            Ok(Some(line)) => line,
            Ok(None) => {
                let status = within("the end of a program whose output has ended", self.child.wait()).await;
                self.fail(&format!("it has ended: {status:?}"))
            }
            Err(_) => self.fail(&format!("no line of output within {time:?}")),
        }
    }

    /// Reads lines until `find` makes something of one.
    ///
    /// # Panics
    ///
    /// If that does not happen within [`DEADLINE`].
    pub async fn find<T>(&mut self, mut find: impl FnMut(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let line = self.line_within(deadline.saturating_duration_since(Instant::now())).await;
            if let Some(found) = find(&line) {
                return found;
            }
        }
    }

    /// Reads lines of its standard error, where logs go, until one has this text; that line.
    ///
    /// # Panics
    ///
    /// If none has it within [`DEADLINE`].
    pub async fn logged(&mut self, text: &str) -> String {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        while let Ok(Some(line)) = tokio::time::timeout_at(deadline, self.log.recv()).await {
            if line.contains(text) {
                return line;
            }
        }
        self.fail(&format!("not logged within {DEADLINE:?}: {text}"))
    }

    /// The port in the line that says that it listens: `listening PORT`.
    ///
    /// # Panics
    ///
    /// If that line does not come.
    pub async fn listening(&mut self) -> u16 {
        self.find(|line| line.strip_prefix("listening ")?.parse().ok()).await
    }

    /// Writes a line to its standard input.
    ///
    /// # Panics
    ///
    /// If it takes none.
    pub async fn write_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("the input is open");
        let written = within("a program that reads its input", async {
            stdin.write_all(line.as_bytes()).await?;
            stdin.write_all(b"\n").await?;
            stdin.flush().await
        });
        if let Err(error) = written.await {
            self.fail(&format!("it takes no input: {error}"));
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            // One that has ended meanwhile is none the wiser.
            let _ = kill_process_group(pid, signal);
        }
    }

    /// How it ends, with its input closed.
    ///
    /// # Panics
    ///
    /// If it does not end within [`DEADLINE`].
    pub async fn exit(&mut self) -> ExitStatus {
        self.exit_within(DEADLINE).await
    }

    /// How it ends, with its input closed.
    ///
    /// # Panics
    ///
    /// If it does not end within this time.
    pub async fn exit_within(&mut self, time: Duration) -> ExitStatus {
        drop(self.stdin.take());
        let Ok(status) = tokio::time::timeout(time, self.child.wait()).await else {
            self.fail(&format!("it does not end within {time:?}"));
        };
        drop(self.guard.take());
        status.unwrap_or_else(|error| self.fail(&error.to_string()))
    }

    /// Waits for its successful end, with its input closed; what it printed that has not been read.
    ///
    /// # Panics
    ///
    /// If it does not end within this time, or ends in failure.
    pub async fn success_within(mut self, time: Duration) -> Vec<String> {
        let status = self.exit_within(time).await;
        if !status.success() {
            self.fail(&format!("it failed: {status}"));
        }
        let mut lines = Vec::new();
        while let Some(line) = within("the end of a program's output", self.lines.recv()).await {
            lines.push(line);
        }
        lines
    }

    /// As [`success_within`](Self::success_within), within [`DEADLINE`].
    ///
    /// # Panics
    ///
    /// As there.
    pub async fn success(self) -> Vec<String> {
        self.success_within(DEADLINE).await
    }

    /// Panics because of this program, with the end of its output.
    pub fn fail(&self, problem: &str) -> ! {
        self.reported.store(true, Ordering::Relaxed);
        panic!("{}: {problem}\n{}", self.name, self.report())
    }

    /// The end of its output, errors with a mark.
    fn report(&self) -> String {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<&str> = output.iter().map(String::as_str).collect();
        if lines.is_empty() { "(it has printed nothing)".into() } else { lines.join("\n") }
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()?).ok()?)
    }

    fn ends_by_itself(&mut self) {
        drop(self.stdin.take());
        self.signal(Signal::TERM);
        let limit = Instant::now() + GRACE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    #[allow(clippy::print_stderr)] // what a test prints is shown when it fails
    fn drop(&mut self) {
        if self.gentle && self.guard.is_some() {
            self.ends_by_itself();
        }
        self.signal(Signal::KILL);
        if let Some(pid) = self.pid() {
            // Left to be reaped by the runtime, which would otherwise wait for a process that is no child of ours.
            let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        }
        if std::thread::panicking() && !self.reported.load(Ordering::Relaxed) {
            eprintln!("--- {}\n{}\n---", self.name, self.report());
        }
    }
}

/// Kills a process group when this process ends, also by a signal that nobody can catch: a shell in a group of its own,
/// which waits for the end of a pipe that only we hold open.
#[derive(Debug)]
struct Guard(std::process::Child);

impl Guard {
    fn over(pid: u32) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "echo; read _; kill -9 -\"$0\""]).arg(pid.to_string());
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut shell = shell.spawn().expect("a shell starts");
        let mut ready = String::new();
        let stdout = shell.stdout.take().expect("stdout is a pipe");
        let _ = std::io::BufReader::new(stdout).read_line(&mut ready);
        Self(shell)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Its input is still open: it is killed before it can kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads lines until the end, keeping the last ones for a failure.
fn read_lines(
    pipe: impl AsyncRead + Unpin + Send + 'static,
    output: Arc<Mutex<VecDeque<String>>>,
    mark: &'static str,
    sender: mpsc::UnboundedSender<String>,
) {
    tokio::spawn(async move {
        let mut pipe = BufReader::new(pipe);
        let mut bytes = Vec::new();
        while matches!(pipe.read_until(b'\n', &mut bytes).await, Ok(1..)) {
            let line = String::from_utf8_lossy(bytes.trim_ascii_end()).into_owned();
            bytes.clear();
            {
                let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
                if output.len() == KEPT_LINES {
                    output.pop_front();
                }
                output.push_back(format!("{mark}{}", excerpt(&line)));
            }
            let _ = sender.send(line);
        }
    });
}

/// The beginning of a long line.
pub(super) fn excerpt(line: &str) -> String {
    match line.char_indices().nth(KEPT_LINE) {
        None => line.to_owned(),
        Some((end, _)) => format!("{}... ({} bytes)", &line[..end], line.len()),
    }
}

/// The command as one would type it, near enough.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
