//! At a terminal: a line editor that messages do not disturb.

use std::future::pending;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustyline::error::ReadlineError;
use rustyline::{DefaultEditor, ExternalPrinter};
use tautline::{CloseCode, Message, SendError, Sender, WebSocket};
use tokio::sync::mpsc;

use super::command::{Command, HELP};
use crate::output::{harmless, hex, say};

/// How long a message may wait for room in the send queue.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// How many lines wait for a terminal that is slow or stopped, before no more messages are received.
const LINES_AHEAD: usize = 64;

/// How much of a binary message is shown.
const SHOWN: usize = 1024;

/// To the beginning of the line, which is cleared, and no more marks around what is pasted: what the editor would do if
/// the line were entered.
const END_OF_EDITING: &str = "\r\u{1b}[K\u{1b}[?2004l";

/// A line that changes nothing on the screen: up, and down again.
const NOTHING: &str = "\u{1b}[A\n";

/// How long the editor may take to show its prompt.
const SETTLING: Duration = Duration::from_secs(1);

/// Writes above the line that is being edited.
type Printer = Box<dyn ExternalPrinter + Send>;

/// Talks until the connection has ended.
pub(super) async fn run(ws: WebSocket) {
    let terminal = Terminal::save();
    say(format_args!("{}; /help tells what can be entered", super::greeting(&ws)));
    let (sender, mut receiver) = ws.split();
    let (editor, printer, mut lines) = edit_lines();
    let (print, printing) = mpsc::channel(LINES_AHEAD);
    let printing = tokio::task::spawn_blocking(move || print_all(editor, printer, printing));

    let acting = async {
        while let Some(line) = lines.recv().await {
            act(&sender, &line, &print).await;
        }
        sender.close(CloseCode::NORMAL, "").await;
        // What has arrived is still shown.
        pending::<()>().await;
    };
    let receiving = async {
        while let Some(message) = receiver.recv().await {
            let _ = print.send(show(&message)).await;
        }
    };
    tokio::select! {
        () = receiving => {}
        () = acting => {}
    }
    drop(print);
    let _ = printing.await;
    terminal.restore();
    say(format_args!("{END_OF_EDITING}{}", super::ending(&sender)));
}

/// Does what a line says.
async fn act(sender: &Sender, line: &str, print: &mpsc::Sender<String>) {
    let say = async |text: String| drop(print.send(text).await);
    let sent = match Command::parse(line) {
        Ok(Command::Text(text)) => sender.send_within(SEND_TIMEOUT, text).await,
        Ok(Command::Binary(bytes)) => sender.send_within(SEND_TIMEOUT, bytes).await,
        Ok(Command::Ping) => {
            let (sender, print) = (sender.clone(), print.clone());
            // Does not hold up what is entered meanwhile.
            tokio::spawn(async move {
                if let Ok(latency) = sender.ping().await {
                    let _ = print.send(format!("* pong after {latency:.1?}")).await;
                }
            });
            Ok(())
        }
        Ok(Command::Close(code, reason)) => {
            sender.start_close(code, &reason);
            Ok(())
        }
        Ok(Command::Help) => {
            say(HELP.to_owned()).await;
            Ok(())
        }
        Err(problem) => {
            say(format!("* {problem}")).await;
            Ok(())
        }
    };
    match sent {
        // The end of the connection is told anyway.
        Ok(()) | Err(SendError::Closed) => {}
        Err(_) => say("* not sent: the server takes nothing at the moment".to_owned()).await,
    }
}

fn show(message: &Message) -> String {
    match message {
        Message::Text(text) => format!("< {}", harmless(text)),
        Message::Binary(bytes) => {
            let shown = &bytes[..bytes.len().min(SHOWN)];
            let more = if shown.len() < bytes.len() { " ..." } else { "" };
            format!("< [{} bytes] {}{more}", bytes.len(), hex(shown))
        }
    }
}

/// Shows lines until there are no more, and then waits until the last one is really on the screen.
fn print_all(editor: Option<JoinHandle<()>>, mut printer: Option<Printer>, mut lines: mpsc::Receiver<String>) {
    while let Some(mut line) = lines.blocking_recv() {
        match &mut printer {
            Some(printer) => {
                line.push('\n');
                let _ = printer.print(line);
            }
            None => say(line),
        }
    }
    let (Some(editor), Some(mut printer)) = (editor, printer) else { return };
    // When the connection ends because of a line that was entered, the editor is just going over to the next one.
    let until = Instant::now() + SETTLING;
    while !editor.is_finished() && !Terminal::is_raw() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    // It holds one line that it has not shown yet: with the second of these in its hands, all others are shown.
    for _ in 0..2 {
        let _ = printer.print(NOTHING.to_owned());
    }
}

/// The lines that are entered, edited by a thread: reading from a terminal cannot be cancelled. It never waits for those
/// who take the lines, so that at the end it is found editing.
fn edit_lines() -> (Option<JoinHandle<()>>, Option<Printer>, mpsc::UnboundedReceiver<String>) {
    let (lines, receiver) = mpsc::unbounded_channel();
    let Ok(mut editor) = DefaultEditor::new() else { return (None, None, receiver) };
    let printer = editor.create_external_printer().ok().map(|printer| Box::new(printer) as Printer);
    let thread = std::thread::spawn(move || {
        loop {
            match editor.readline("> ") {
                Ok(line) => {
                    let _ = editor.add_history_entry(&line);
                    if lines.send(line).is_err() {
                        return;
                    }
                }
                // The window has another size now.
                Err(ReadlineError::Signal(_)) => {}
                // Ctrl-C, Ctrl-D, or no terminal any more: dropping `lines` closes the connection.
                Err(_) => return,
            }
        }
    });
    (Some(thread), printer, receiver)
}

/// The terminal's settings. When the connection ends, the editor is still waiting for a line with settings of its own.
struct Terminal {
    #[cfg(unix)]
    settings: Option<rustix::termios::Termios>,
}

impl Terminal {
    #[cfg(unix)]
    fn save() -> Self {
        Self { settings: rustix::termios::tcgetattr(std::io::stdin()).ok() }
    }

    #[cfg(unix)]
    fn restore(&self) {
        if let Some(settings) = &self.settings {
            let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Drain, settings);
        }
    }

    /// Whether the editor has it.
    #[cfg(unix)]
    fn is_raw() -> bool {
        let settings = rustix::termios::tcgetattr(std::io::stdin());
        settings.is_ok_and(|settings| !settings.local_modes.contains(rustix::termios::LocalModes::ICANON))
    }

    #[cfg(not(unix))]
    fn is_raw() -> bool {
        true
    }

    #[cfg(not(unix))]
    fn save() -> Self {
        Self {}
    }

    #[cfg(not(unix))]
    fn restore(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_shown_with_their_type() {
        assert_eq!(show(&"hi\u{1b}".into()), "< hi\\u{1b}");
        assert_eq!(show(&vec![0, 255].into()), "< [2 bytes] 00 ff");
        assert!(show(&vec![0; SHOWN + 1].into()).ends_with(" ..."));
    }
}
