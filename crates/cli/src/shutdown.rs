//! Ending a server by signal.

use tokio::sync::watch;

/// Becomes true when the process is asked to end (SIGINT, SIGTERM). A second signal ends it at once.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Listens for signals from now on.
    pub(crate) fn on_signal() -> std::io::Result<Self> {
        let (ending, receiver) = watch::channel(false);
        let mut signals = Signals::new()?;
        tokio::spawn(async move {
            signals.next().await;
            tracing::info!("ending: connections are being closed; a second signal ends at once");
            ending.send_replace(true);
            std::process::exit(128 + signals.next().await);
        });
        Ok(Self(receiver))
    }

    /// Waits for it.
    pub(crate) async fn wait(mut self) {
        // The sender lives as long as the process.
        let _ = self.0.wait_for(|ending| *ending).await;
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// The number of the next signal.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => 2,
            _ = self.terminate.recv() => 15,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> i32 {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        2
    }
}
