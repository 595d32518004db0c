//! Between two pipes: lines in, lines out.

use std::future::pending;
use std::io::BufRead;
use std::time::Duration;

use tautline::{CloseCode, Message, Receiver, Sender, WebSocket};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::output::{complain, hex, try_say};

/// How many lines are read ahead of what is sent.
const READ_AHEAD: usize = 16;

/// Carries lines to the peer and messages from it until the connection has ended. Answers whether Ctrl-C did that.
pub(super) async fn run(ws: WebSocket, linger: Duration) -> bool {
    let (sender, receiver) = ws.split();
    let (heard, last_heard) = watch::channel(Instant::now());
    let receiving = receive(receiver, sender.clone(), heard);
    let sending = async {
        send_lines(&sender, read_lines()).await;
        quiet(&last_heard, linger).await;
        sender.close(CloseCode::NORMAL, "").await;
        // What has arrived is still written out.
        pending::<()>().await;
    };
    let interrupted = tokio::select! {
        () = receiving => false,
        () = sending => false,
        _ = tokio::signal::ctrl_c() => true,
    };
    let ended = tokio::select! {
        ended = sender.close(CloseCode::NORMAL, "") => ended,
        // The peer does not answer, and somebody has no time.
        _ = tokio::signal::ctrl_c(), if interrupted => return true,
    };
    if !interrupted && !super::is_normal(ended) {
        complain(super::ending(&sender));
    }
    interrupted
}

async fn receive(mut receiver: Receiver, sender: Sender, heard: watch::Sender<Instant>) {
    while let Some(message) = receiver.recv().await {
        heard.send_replace(Instant::now());
        let written = match &message {
            Message::Text(text) => try_say(text),
            Message::Binary(bytes) => try_say(hex(bytes)),
        };
        // Whoever read the output has enough.
        if written.is_err() {
            sender.start_close(CloseCode::NORMAL, "");
        }
    }
}

async fn send_lines(sender: &Sender, mut lines: mpsc::Receiver<Message>) {
    while let Some(line) = lines.recv().await {
        if sender.send(line).await.is_err() {
            return;
        }
    }
    let _ = sender.flush().await;
}

/// Waits until nothing has been heard for a while.
async fn quiet(last_heard: &watch::Receiver<Instant>, linger: Duration) {
    let mut until = Instant::now() + linger;
    while until > Instant::now() {
        sleep_until(until).await;
        until = until.max(*last_heard.borrow() + linger);
    }
}

/// The lines of the standard input, read by a thread: such a read cannot be cancelled.
fn read_lines() -> mpsc::Receiver<Message> {
    let (lines, receiver) = mpsc::channel(READ_AHEAD);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().split(b'\n') {
            let Ok(mut line) = line else { return };
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            let message = String::from_utf8(line).map_or_else(|e| e.into_bytes().into(), Message::from);
            if lines.blocking_send(message).is_err() {
                return;
            }
        }
    });
    receiver
}
