//! What drives a client, whatever it speaks: orders, time and futures.

use core::cell::RefCell;
use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use core::time::Duration;

use tautline_proto::Instant;

use crate::machine::State;
use crate::transport::Clock;

/// How long a transport may take for its last bytes before it is dropped.
const LINGER: Duration = Duration::from_secs(2);

/// A client without I/O, as whoever keeps it going sees it.
pub(crate) trait Driven {
    /// Does what the program wants; its task is woken when that is more.
    fn obey(&mut self, cx: &Context<'_>, now: Instant);

    /// Tells the program what has happened.
    fn tell(&mut self);

    /// What is to be done.
    fn state(&self) -> State;

    /// Whether that is still what to do.
    fn is_still(&self, state: State) -> bool {
        self.state() == state
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Lets timers that are due take effect.
    fn handle_timeout(&mut self, now: Instant);
}

/// Does `work` while obeying orders, keeping time and telling events. Answers whether it is done; otherwise the client has come to
/// another state before.
// One function for all that is waited for, rather than one for each: it is half of the client's code.
pub(crate) async fn attend<D: Driven, C: Clock>(
    client: &RefCell<D>,
    clock: &C,
    mut work: Pin<&mut (dyn Future<Output = ()> + '_)>,
) -> bool {
    let mut alarm = pin!(None);
    let mut alarm_at = None;
    let state = client.borrow().state();
    poll_fn(|cx| {
        loop {
            client.borrow_mut().obey(cx, clock.now());
            if client.borrow().is_still(state) && work.as_mut().poll(cx).is_ready() {
                return Poll::Ready(true);
            }
            let mut client = client.borrow_mut();
            client.tell();
            if !client.is_still(state) {
                return Poll::Ready(false);
            }
            // An alarm that comes too early only leads to the next one. So it is set anew for an earlier time only.
            if let Some(at) = client.poll_timeout()
                && alarm_at.is_none_or(|set| at < set)
            {
                alarm.set(Some(clock.sleep_until(at)));
                alarm_at = Some(at);
            }
            if !alarm.as_mut().as_pin_mut().is_some_and(|set| set.poll(cx).is_ready()) {
                return Poll::Pending;
            }
            alarm.set(None);
            alarm_at = None;
            client.handle_timeout(clock.now());
        }
    })
    .await
}

/// Waits until a transport is closed, for a short time. (It takes a pinned future, as [`both`].)
pub(crate) async fn end(mut closing: Pin<&mut impl Future<Output = ()>>, clock: &impl Clock) {
    let mut enough = pin!(clock.sleep_until(clock.now() + LINGER));
    poll_fn(|cx| if closing.as_mut().poll(cx).is_ready() { Poll::Ready(()) } else { enough.as_mut().poll(cx) }).await;
}

/// Polls both, the first one first, until both are done. (It takes pinned futures, since a future holds what is moved into it
/// twice.)
pub(crate) fn both<'f>(
    mut first: Pin<&'f mut impl Future<Output = ()>>,
    mut second: Pin<&'f mut impl Future<Output = ()>>,
) -> impl Future<Output = ()> {
    let (mut first_done, mut second_done) = (false, false);
    poll_fn(move |cx| {
        first_done = first_done || first.as_mut().poll(cx).is_ready();
        second_done = second_done || second.as_mut().poll(cx).is_ready();
        if first_done && second_done { Poll::Ready(()) } else { Poll::Pending }
    })
}

/// Lets others have their turn.
pub(crate) async fn pause() {
    let mut paused = false;
    poll_fn(|cx| {
        if core::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Tries `attempt` whenever the task is woken, until `deadline`.
pub(crate) async fn wait<T>(
    clock: &impl Clock,
    deadline: Instant,
    mut attempt: impl FnMut(&Context<'_>) -> Option<T>,
) -> Option<T> {
    let mut alarm = pin!(clock.sleep_until(deadline));
    poll_fn(|cx| match attempt(cx) {
        Some(done) => Poll::Ready(Some(done)),
        None => alarm.as_mut().poll(cx).map(|()| None),
    })
    .await
}
