//! At a terminal: a line editor that messages do not disturb.

use std::future::pending;
use std::time::Duration;

use rustyline::error::ReadlineError;
use rustyline::{DefaultEditor, ExternalPrinter};
use tautline::{CloseCode, Message, SendError, Sender, WebSocket};
use tokio::sync::mpsc;

use super::command::{Command, HELP};
use crate::output::{harmless, hex, say};

/// How long a message may wait for room in the send queue.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of a binary message is shown.
const SHOWN: usize = 1024;

/// To the beginning of the line, which is cleared, and no more marks around what is pasted: what the editor would do if
/// the line were entered.
const END_OF_EDITING: &str = "\r\u{1b}[K\u{1b}[?2004l";

/// Writes above the line that is being edited.
type Printer = Box<dyn ExternalPrinter + Send>;

/// Talks until the connection has ended.
pub(super) async fn run(ws: WebSocket) {
    let terminal = Terminal::save();
    say(format_args!("{}; /help tells what can be entered", super::greeting(&ws)));
    let (sender, mut receiver) = ws.split();
    let (printer, mut lines) = edit_lines();
    let (print, printing) = mpsc::unbounded_channel();
    let printing = tokio::spawn(print_all(printer, printing));

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
            let _ = print.send(show(&message));
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
async fn act(sender: &Sender, line: &str, print: &mpsc::UnboundedSender<String>) {
    let say = |text: String| drop(print.send(text));
    let sent = match Command::parse(line) {
        Ok(Command::Text(text)) => sender.send_within(SEND_TIMEOUT, text).await,
        Ok(Command::Binary(bytes)) => sender.send_within(SEND_TIMEOUT, bytes).await,
        Ok(Command::Ping) => {
            let (sender, print) = (sender.clone(), print.clone());
            // Does not hold up what is entered meanwhile.
            tokio::spawn(async move {
                if let Ok(latency) = sender.ping().await {
                    let _ = print.send(format!("* pong after {latency:.1?}"));
                }
            });
            Ok(())
        }
        Ok(Command::Close(code, reason)) => {
            sender.start_close(code, &reason);
            Ok(())
        }
        Ok(Command::Help) => {
            say(HELP.to_owned());
            Ok(())
        }
        Err(problem) => {
            say(format!("* {problem}"));
            Ok(())
        }
    };
    match sent {
        // The end of the connection is told anyway.
        Ok(()) | Err(SendError::Closed) => {}
        Err(_) => say("* not sent: the server takes nothing at the moment".to_owned()),
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

async fn print_all(mut printer: Option<Printer>, mut lines: mpsc::UnboundedReceiver<String>) {
    while let Some(mut line) = lines.recv().await {
        match &mut printer {
            Some(printer) => {
                line.push('\n');
                let _ = printer.print(line);
            }
            None => say(line),
        }
    }
}

/// The lines that are entered, edited by a thread: reading from a terminal cannot be cancelled.
fn edit_lines() -> (Option<Printer>, mpsc::Receiver<String>) {
    let (lines, receiver) = mpsc::channel(16);
    let Ok(mut editor) = DefaultEditor::new() else { return (None, receiver) };
    let printer = editor.create_external_printer().ok().map(|printer| Box::new(printer) as Printer);
    std::thread::spawn(move || {
        loop {
            match editor.readline("> ") {
                Ok(line) => {
                    let _ = editor.add_history_entry(&line);
                    if lines.blocking_send(line).is_err() {
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
    (printer, receiver)
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
