//! What the device shows: lines, and on a terminal below them one line that changes.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// How many lines wait for an output that is slow, before some are left out.
const LINES: usize = 256;

/// To the beginning of the line, which is cleared.
const CLEAR: &str = "\r\u{1b}[K";

/// Writes to the standard output, in a thread of its own: neither the light nor the link waits for who reads it.
pub(super) struct Screen {
    shows: SyncSender<Show>,
    left_out: Arc<AtomicU32>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Whether there is a line that changes.
    has_status: bool,
}

enum Show {
    Line(String),
    Status,
    End,
}

impl Screen {
    /// Begins. `status` makes the line that changes, which only a terminal has.
    pub(super) fn start(status: impl Fn() -> String + Send + 'static) -> Self {
        let (shows, showing) = sync_channel(LINES);
        let left_out = Arc::<AtomicU32>::default();
        let missing = Arc::clone(&left_out);
        let has_status = io::stdout().is_terminal();
        let thread = thread::spawn(move || {
            let status = if has_status { Some(&status as &dyn Fn() -> String) } else { None };
            // Who reads the output may be gone, which is not worth ending a device for.
            let _ = show_all(&mut io::stdout(), &showing, &missing, status);
        });
        Self { shows, left_out, thread: Mutex::new(Some(thread)), has_status }
    }

    /// Shows a line. Never waits: if the output is too slow, the line is left out, and counted.
    pub(super) fn line(&self, line: String) {
        if self.shows.try_send(Show::Line(line)).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Shows the line that changes anew.
    pub(super) fn refresh(&self) {
        if self.has_status {
            // With so much before it, it is drawn anyway.
            let _ = self.shows.try_send(Show::Status);
        }
    }

    /// Waits until all is written; nothing can be shown after that.
    pub(super) fn finish(&self) {
        // Nobody takes it if nobody reads the output any more.
        let _ = self.shows.send(Show::End);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _ = thread.map(JoinHandle::join);
    }
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Screen").field("has_status", &self.has_status).finish_non_exhaustive()
    }
}

/// Writes until the end.
fn show_all(
    out: &mut impl Write,
    shows: &Receiver<Show>,
    left_out: &AtomicU32,
    status: Option<&dyn Fn() -> String>,
) -> io::Result<()> {
    let clear = if status.is_some() { CLEAR } else { "" };
    while let Ok(show) = shows.recv() {
        let missing = left_out.swap(0, Ordering::Relaxed);
        if missing > 0 {
            writeln!(out, "{clear}{missing} lines are missing: the output is too slow")?;
        }
        match show {
            Show::Line(line) => writeln!(out, "{clear}{line}")?,
            Show::Status => {}
            Show::End => {
                write!(out, "{clear}")?;
                return out.flush();
            }
        }
        if let Some(status) = status {
            write!(out, "{clear}{}", status())?;
        }
        out.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written of these, after so many lines were left out.
    fn written(shows: Vec<Show>, left_out: u32, status: Option<&dyn Fn() -> String>) -> String {
        let (sender, receiver) = sync_channel(LINES);
        shows.into_iter().chain([Show::End]).for_each(|show| sender.send(show).unwrap());
        let mut out = Vec::new();
        show_all(&mut out, &receiver, &AtomicU32::new(left_out), status).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_pipe_gets_lines_and_nothing_else() {
        let shows = vec![Show::Line("connected".into()), Show::Status, Show::Line("received on".into())];
        assert_eq!(written(shows, 0, None), "connected\nreceived on\n");
    }

    #[test]
    fn a_terminal_keeps_the_line_that_changes_below_the_others() {
        let shows = vec![Show::Status, Show::Line("connected".into())];
        let expected = format!("{CLEAR}status{CLEAR}connected\n{CLEAR}status{CLEAR}");
        assert_eq!(written(shows, 0, Some(&|| "status".into())), expected);
    }

    #[test]
    fn lines_that_were_left_out_are_counted() {
        let expected = "3 lines are missing: the output is too slow\nconnected\n";
        assert_eq!(written(vec![Show::Line("connected".into())], 3, None), expected);
    }

    #[test]
    fn an_output_that_nobody_reads_any_more_stops_nobody() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (sender, receiver) = sync_channel(LINES);
        sender.send(Show::Line("connected".into())).unwrap();
        assert!(show_all(&mut Gone, &receiver, &AtomicU32::new(0), None).is_err());
    }
}
