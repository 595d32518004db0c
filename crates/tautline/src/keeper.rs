//! What keeps a connection alive while its owner does something else.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tautline_proto::{CloseCode, Timeout, Transport};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::shared::{Shared, State, now, to_tokio};
use crate::wakers::Waiter;

/// How soon after a message was received the keeper looks whether somebody waits for the next one.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// How long the transport is kept for our last bytes once the protocol is done with it.
const LINGER: Duration = Duration::from_secs(5);

thread_local! {
    /// The connection whose handler is being polled on this thread, by address.
    static HANDLED: Cell<usize> = const { Cell::new(0) };
}

/// Runs a connection's handler and the connection itself in one task, to the end of both. What the handler queued
/// leaves when it waits for anything.
///
/// Answers whether the handler panicked; the peer is told with 1011 then.
pub(crate) async fn run(shared: Arc<Shared>, mut handler: Pin<Box<dyn Future<Output = ()> + Send>>) -> bool {
    let mut keeper = Keeper::new(shared.clone());
    let (mut handled, mut kept, mut panicked) = (false, false, false);
    std::future::poll_fn(|cx| {
        if !handled {
            let outer = HANDLED.replace(address(&shared));
            let result = catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx)));
            HANDLED.set(outer);
            crate::broadcast::release();
            handled = !matches!(result, Ok(Poll::Pending));
            panicked = result.is_err();
            if handled {
                let code = if panicked { CloseCode::INTERNAL_ERROR } else { CloseCode::NORMAL };
                shared.begin_close(code, "");
            }
        }
        kept = kept || Pin::new(&mut keeper).poll(cx).is_ready();
        if handled && kept { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    panicked
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
    /// When to look whether whoever received the last message waits for the next one.
    look: Option<Instant>,
    /// How often `recv` had been polled at the last turn.
    receives: u32,
    /// Until when the transport is kept for our last bytes.
    linger: Option<Instant>,
}

impl Keeper {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, sleep: Box::pin(sleep_until(Instant::now())), look: None, receives: 0, linger: None }
    }

    /// One turn. `Break`: the transport is gone; otherwise when the next turn is due by itself.
    fn turn(&mut self, state: &mut State) -> ControlFlow<(), Option<Instant>> {
        let _ = state.drain();
        self.look_after(state);
        self.timers(state);
        if state.poll_transport().is_ready() {
            return ControlFlow::Break(());
        }
        let mut next = state.core.poll_timeout().map(to_tokio);
        if state.core.transport() == Transport::Close {
            let linger = *self.linger.get_or_insert_with(|| Instant::now() + LINGER);
            if linger <= Instant::now() {
                state.abort();
                return ControlFlow::Break(());
            }
            next = Some(linger);
        }
        ControlFlow::Continue([next, self.look].into_iter().flatten().min())
    }

    /// Receives ahead where nobody receives. Whoever has just received a message is given a moment to come back for
    /// the next one, so that in a busy connection the messages go straight to it.
    fn look_after(&mut self, state: &mut State) {
        // A `recv` that is held but not polled, in a `select!` whose other branch is busy, receives nothing either.
        let mut idle = false;
        if self.look.is_some_and(|at| at <= Instant::now()) {
            self.look = None;
            state.watched = false;
            idle = state.receives == self.receives;
        }
        let unsure = state.watched || (state.attended && state.receives == self.receives);
        if unsure && self.look.is_none() && !idle {
            self.look = Some(Instant::now() + LOOK_AGAIN);
        }
        self.receives = state.receives;
        let wanted = state.discard || state.pings_waiting > 0 || !state.core.is_open();
        // A pong that is here counts before a timer does, also if the task that receives has not had its turn.
        let due = state.core.poll_timeout().is_some_and(|at| at <= now());
        if due || idle || !state.attended && (self.look.is_none() || wanted) {
            state.read_ahead();
            let _ = state.drain();
        }
    }

    fn timers(&mut self, state: &mut State) {
        let at = now();
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
            let news = moved || state.landmarks() != before;
            drop(state);
            if news {
                shared.notify();
                shared.wakers.wake_one(Waiter::Receiver);
            }
            let next = match flow {
                ControlFlow::Break(()) => return Poll::Ready(()),
                ControlFlow::Continue(None) => return Poll::Pending,
                ControlFlow::Continue(Some(next)) => next,
            };
            if this.sleep.deadline() != next {
                this.sleep.as_mut().reset(next);
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
        self.shared.lock().abort();
        self.shared.notify();
        self.shared.wakers.wake_one(Waiter::Receiver);
    }
}
