//! What keeps a connection alive while its owner does something else.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tautline_proto::{CloseCode, Instant, Timeout, Transport};
use tokio::time::{Sleep, sleep_until};

use crate::shared::{Shared, State, notify, now, to_tokio};
use crate::wakers::Waiter;

/// How soon after a message was received the keeper looks whether somebody waits for the next one.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// How long the transport is kept for our last bytes once the protocol is done with it.
const LINGER: Duration = Duration::from_secs(5);

thread_local! {
    /// The connection whose handler is being polled on this thread, by address.
    static HANDLED: Cell<usize> = const { Cell::new(0) };
}

/// A connection's handler, as the server stores it.
pub(crate) type Handler = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs a connection's handler and the connection itself in one task, to the end of both. What the handler queued
/// leaves when it waits for anything.
///
/// Answers whether the handler panicked; the peer is told with 1011 then.
pub(crate) struct Handling {
    // Dropped first: where the server gives a handler up, the connection is gone before what the handler holds.
    keeper: Keeper,
    /// Gone when it is done.
    handler: Option<Handler>,
    panicked: bool,
    kept: bool,
}

impl Handling {
    pub(crate) fn new(shared: Arc<Shared>, handler: Handler) -> Self {
        Self { keeper: Keeper::new(shared), handler: Some(handler), panicked: false, kept: false }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.keeper.shared
    }
}

impl Future for Handling {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let this = &mut *self;
        if let Some(handler) = &mut this.handler {
            let outer = HANDLED.replace(address(&this.keeper.shared));
            let result = catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx)));
            HANDLED.set(outer);
            crate::broadcast::release();
            if !matches!(result, Ok(Poll::Pending)) {
                this.panicked = result.is_err();
                let code = if this.panicked { CloseCode::INTERNAL_ERROR } else { CloseCode::NORMAL };
                this.keeper.shared.begin_close(code, "");
                this.handler = None;
            }
        }
        this.kept = this.kept || Pin::new(&mut this.keeper).poll(cx).is_ready();
        if this.handler.is_none() && this.kept { Poll::Ready(this.panicked) } else { Poll::Pending }
    }
}

/// Whether the code that runs is `shared`'s handler, after which its keeper is polled at once.
pub(crate) fn in_handler(shared: &Arc<Shared>) -> bool {
    HANDLED.get() == address(shared)
}

/// Whether the code that runs is some connection's handler.
pub(crate) fn in_any_handler() -> bool {
    HANDLED.get() != 0
}

fn address(shared: &Arc<Shared>) -> usize {
    Arc::as_ptr(shared).addr()
}

/// Sends what the transport did not take at once, runs the protocol's timers, receives ahead while nobody calls
/// `recv`, and closes the transport at the end. One for each connection, polled by the task that runs the connection's
/// handler or by a task of its own; dropping it ends the connection.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    sleep: Pin<Box<Sleep>>,
    /// What `sleep` is set to.
    deadline: Instant,
    /// When to look whether whoever received the last message waits for the next one.
    look: Option<Instant>,
    /// Until when the transport is kept for our last bytes.
    linger: Option<Instant>,
    /// How often `recv` had been polled at the last turn.
    receives: u32,
}

impl Keeper {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let deadline = now();
        let sleep = Box::pin(sleep_until(to_tokio(deadline)));
        Self { shared, sleep, deadline, look: None, linger: None, receives: 0 }
    }

    /// One turn. `Break`: the transport is gone; otherwise when the next turn is due by itself.
    fn turn(&mut self, state: &mut State) -> ControlFlow<(), Option<Instant>> {
        let at = state.time();
        let _ = state.drain();
        self.look_after(state, at);
        timers(state, at);
        if state.poll_transport().is_ready() {
            return ControlFlow::Break(());
        }
        state.just_read = false;
        let mut next = state.core.poll_timeout();
        if state.core.transport() == Transport::Close {
            let linger = *self.linger.get_or_insert(at + LINGER);
            if linger <= at {
                state.abort();
                return ControlFlow::Break(());
            }
            next = Some(linger);
        }
        ControlFlow::Continue([next, self.look].into_iter().flatten().min())
    }

    /// Receives ahead where nobody receives. Whoever has just received a message is given a moment to come back for
    /// the next one, so that in a busy connection the messages go straight to it.
    fn look_after(&mut self, state: &mut State, at: Instant) {
        // A `recv` that is held but not polled, in a `select!` whose other branch is busy, receives nothing either.
        let mut idle = false;
        if self.look.is_some_and(|look| look <= at) {
            self.look = None;
            state.watched = false;
            idle = state.receives == self.receives;
        }
        let unsure = state.watched || (state.attended && state.receives == self.receives);
        if unsure && self.look.is_none() && !idle {
            self.look = Some(at + LOOK_AGAIN);
        }
        self.receives = state.receives;
        let wanted = state.discard || state.pings_waiting > 0 || state.probes_waiting > 0 || !state.core.is_open();
        // A pong that is here counts before a timer does, also if the task that receives has not had its turn.
        let due = state.core.poll_timeout().is_some_and(|due| due <= at);
        if due || idle || !state.attended && (self.look.is_none() || wanted) {
            state.read_ahead();
            let _ = state.drain();
        }
    }
}

/// Lets the protocol's timers take effect.
fn timers(state: &mut State, at: Instant) {
    if state.core.poll_timeout().is_none_or(|due| due > at) {
        return;
    }
    // Its pong may lie behind what we have not read.
    if state.is_reading_paused() {
        state.core.not_reading(at);
    }
    match state.core.handle_timeout(at) {
        Timeout::Ping => {
            let _ = state.drain();
        }
        Timeout::Stalled { late } => {
            tracing::warn!(?late, "this program stood still; the peer gets another chance to answer");
        }
        Timeout::Idle | Timeout::Ended => {}
    }
}

impl Future for Keeper {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let shared = this.shared.clone();
        shared.wakers.register(Waiter::Keeper, cx.waker());
        loop {
            let mut state = shared.lock();
            let before = state.landmarks();
            let flow = this.turn(&mut state);
            let moved = std::mem::take(&mut state.moved);
            if moved || state.landmarks() != before {
                notify(state);
                shared.wakers.wake_one(Waiter::Receiver);
            } else {
                drop(state);
            }
            let next = match flow {
                ControlFlow::Break(()) => return Poll::Ready(()),
                ControlFlow::Continue(None) => return Poll::Pending,
                ControlFlow::Continue(Some(next)) => next,
            };
            if this.deadline != next {
                this.deadline = next;
                this.sleep.as_mut().reset(to_tokio(next));
            }
            if this.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Keeper {
    /// Without a keeper nobody would ever close the transport.
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.abort();
        notify(state);
        self.shared.wakers.wake_one(Waiter::Receiver);
    }
}
