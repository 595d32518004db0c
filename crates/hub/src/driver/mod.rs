//! The tokio driver: carries an [`App`] over the connections of a [`tautline::Server`].

mod client;
mod world;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tautline::{Request, WebSocket};
use tautline_proto::app::{App, Opening};
use tautline_proto::handshake::server::Rejection;
use tokio::sync::Notify;

use client::Admitted;
use world::{Call, Current, World};

/// Carries one [`App`].
///
/// The app's calls come one at a time, under a lock, from whichever task has something for it: the tasks of its
/// connections, or the one that runs its timers. A call that panics is logged, and ends the connection that it was
/// for; the app goes on.
///
/// A client that sends faster than it takes the answers is read no further while its send queue is full. After
/// [`Io::close`](tautline_proto::app::Io::close) the app hears of a connection only that it is closed.
///
/// A client that a [probe](tautline_proto::app::Io::probe) has found silent is gone for the app at once; its transport is
/// closed with 1001 and goes after the close timeout at the latest.
///
/// It can be cloned; all clones are the same app. When the last clone and the last connection are gone, the app is
/// dropped.
#[derive(Clone)]
pub struct Driver(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    next_id: AtomicU64,
    /// Told when a timer was set that is due before all others.
    timers_changed: Arc<Notify>,
}

struct State {
    app: Box<dyn App>,
    world: World,
}

/// An app that panicked instead of answering.
struct Panicked;

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

impl Driver {
    /// Carries `app`, whose timers are run by a task of their own.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn new(app: impl App + 'static) -> Self {
        let inner = Arc::new(Inner {
            state: Mutex::new(State { app: Box::new(app), world: World::new() }),
            next_id: AtomicU64::new(1),
            timers_changed: Arc::new(Notify::new()),
        });
        tokio::spawn(run_timers(Arc::downgrade(&inner), inner.timers_changed.clone()));
        Self(inner)
    }

    /// Asks the app whether it admits a client: for [`Server::admit`](tautline::Server::admit). The connection belongs to
    /// [`carry`] then.
    ///
    /// # Errors
    ///
    /// The app's answer if it does not, or 500 if it panicked.
    pub fn admit(&self, request: &mut Request) -> Result<(), Rejection> {
        let opening = Opening {
            path: request.path(),
            query: request.query(),
            subprotocol: request.subprotocol(),
            peer: Some(request.peer()),
            identity: None,
            attached: None,
            secure: request.extensions().get::<tautline::TlsSession>().is_some(),
            deflate: request.deflate(),
        };
        let admitted = Admitted::new(&self.0, &opening)?;
        admitted.wait_in(request.extensions_mut());
        Ok(())
    }
}

/// Carries a connection to its end: the handler of a server whose clients were admitted by [`Driver::admit`].
///
/// # Cancel safety
///
/// When the future is dropped the connection is closed.
pub async fn carry(ws: WebSocket, mut request: Request) {
    let admitted = Admitted::take_from(request.extensions_mut());
    // Not needed for the life of the connection.
    drop(request);
    if let Some(admitted) = admitted {
        admitted.run(ws).await;
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Panics of the app do not get this far; what is left to panic while the lock is held changes nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls the app.
    fn call<R>(
        &self,
        current: Option<Current<'_>>,
        call: impl FnOnce(&mut dyn App, &mut Call<'_>) -> R,
    ) -> Result<R, Panicked> {
        let mut state = self.lock();
        let State { app, world } = &mut *state;
        let before = world.timers.next();
        let mut io = Call { world, current };
        let result = catch_unwind(AssertUnwindSafe(|| call(&mut **app, &mut io)));
        let after = world.timers.next();
        drop(state);
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.timers_changed.notify_one();
        }
        result.map_err(|_| {
            tracing::error!("the app panicked");
            Panicked
        })
    }

    /// Calls the app for every timer that is due. Answers when the next one is.
    fn fire_timers(&self) -> Option<tokio::time::Instant> {
        let state = self.lock();
        let (now, batch) = (state.world.now(), state.world.timers.batch());
        drop(state);
        loop {
            // One at a time: a timer may take the next one back.
            let timer = self.lock().world.timers.pop(now, batch);
            let Some(timer) = timer else { break };
            let _ = self.call(None, |app, io| app.timer(io, timer));
        }
        let state = self.lock();
        state.world.timers.next().map(|at| state.world.to_tokio(at))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // So that the timers' task sees that it is alone.
        self.timers_changed.notify_one();
    }
}

async fn run_timers(inner: Weak<Inner>, changed: Arc<Notify>) {
    loop {
        let Some(next) = inner.upgrade().map(|inner| inner.fire_timers()) else { return };
        match next {
            None => changed.notified().await,
            Some(next) => tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = changed.notified() => {}
            },
        }
    }
}

#[cfg(test)]
mod tests;
