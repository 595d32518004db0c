//! Reading certificates again while the hub runs.

use std::io::{self, IsTerminal};
use std::time::Duration;

use tautline_hub::Sessions;

use super::certificates::Certificates;

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(30);

/// Reads the certificates again on SIGHUP and when their files have changed. Ready when the terminal is gone from which
/// the hub was started: that is told by the same signal, and nobody could end the hub from there any more.
pub(super) async fn follow(certificates: Option<Certificates>, sessions: Sessions, mut hangups: Hangups) {
    let began_at_terminal = io::stdin().is_terminal();
    loop {
        let asked = tokio::select! {
            () = hangups.next() => true,
            () = tokio::time::sleep(EVERY) => false,
        };
        if asked && began_at_terminal && !io::stdin().is_terminal() {
            tracing::info!("ending: the terminal is gone");
            return;
        }
        match certificates.clone() {
            Some(certificates) => {
                let sessions = sessions.clone();
                let reading = tokio::task::spawn_blocking(move || {
                    if asked || certificates.has_changed() {
                        certificates.reload(&sessions);
                    }
                });
                if let Err(error) = reading.await {
                    tracing::error!(%error, "reading the certificates again failed");
                }
            }
            None if asked => tracing::info!("SIGHUP: there are no certificates to read again"),
            None => {}
        }
    }
}

/// SIGHUP, where there is such a signal.
#[cfg(unix)]
pub(super) struct Hangups(tokio::signal::unix::Signal);

#[cfg(unix)]
impl Hangups {
    /// Takes the signal from now on, which would end the process otherwise.
    pub(super) fn new() -> io::Result<Self> {
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).map(Self)
    }

    /// Waits for the next one.
    async fn next(&mut self) {
        // It ends with the process only.
        self.0.recv().await;
    }
}

/// SIGHUP, where there is such a signal.
#[cfg(not(unix))]
pub(super) struct Hangups;

#[cfg(not(unix))]
impl Hangups {
    /// There is none here.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        std::future::pending().await
    }
}
